//! Listing favourites, newest first.
//!
//! There is a list for each kind, room and word, and one of all. Where several conditions are given,
//! one list is read and the rows say the rest. Words are found by their beginnings: those that few have
//! are gathered and sorted; those that many have are met soon enough in the list of all.

use std::{collections::BTreeSet, ops::Bound};

use ruma::{OwnedRoomId, UserId};
use serde::Serialize;
use tertulia_protocol::{BookmarkNames, MessageKind};
use tertulia_storage::{Descending, Direction, Key, KeyError, Reader, View, Writer};

use super::{Favourite, Favourites, shown};
use crate::{
    Error, Result,
    schema::{BookmarkKey, FAVOURITE_LISTS, FAVOURITES, FavouriteList, FavouriteRow},
    words::words_of_message,
};

/// How many favourites a page has at most.
const PAGE: usize = 100;
/// How many words of a query count.
const WORDS: usize = 8;
/// How many favourites may have a word for them to be gathered.
const FEW: usize = 500;
/// How many rows are read together where not every one fits.
const CHUNK: usize = 200;
/// How many favourites are looked at for one page.
const LOOKED: usize = 2_000;

/// Which favourites to list.
#[derive(Clone, Debug, Default)]
pub struct FavouritesQuery {
    /// Only those of this kind.
    pub kind: Option<MessageKind>,
    /// Only those of this room.
    pub room: Option<OwnedRoomId>,
    /// Only those that have words that begin as all of these do.
    pub words: Option<String>,
    /// Where the page begins, as the page before has it in `next`.
    pub from: Option<String>,
    /// How many there are to be, 1 to 100.
    pub limit: usize,
}

/// A page of favourites, newest first.
#[derive(Clone, Debug, Serialize)]
pub struct FavouritesPage {
    /// They themselves.
    pub favourites: Vec<Favourite>,
    /// Where the next page begins; none if this is the last. A page may have fewer than were asked for
    /// and not be the last, if few fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl Favourites {
    /// A page of the user's favourites.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the place where it is to begin is none.
    pub async fn list(&self, query: &FavouritesQuery) -> Result<FavouritesPage> {
        let from = query.from.as_deref().map(Place::parse).transpose()?;
        let view = self.user.core.store.view().await?;
        let fits = Fits::of(query);
        let found = match fits.finds_nothing() {
            true => Found::default(),
            false => find(&view, &self.user.id, &fits, from, query.limit.clamp(1, PAGE)).await?,
        };
        let keys = found.places.into_iter().map(|place| place.key).collect();
        let favourites = shown(&view, &self.user, keys).await?;
        Ok(FavouritesPage { favourites, next: found.next.map(|place| place.token()) })
    }
}

/// Where a favourite stands in every list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    at: Descending<u64>,
    key: BookmarkKey,
}

impl Place {
    fn token(&self) -> String {
        format!("{}.{}.{}", self.at.0, self.key.names as u8, self.key.id)
    }

    fn parse(token: &str) -> Result<Self> {
        let read = || {
            let mut parts = token.splitn(3, '.');
            let at = Descending(parts.next()?.parse().ok()?);
            let names = *BookmarkNames::ALL.get(parts.next()?.parse::<usize>().ok()?)?;
            Some(Self { at, key: BookmarkKey { names, id: parts.next()?.to_owned() } })
        };
        read().ok_or(Error::Invalid("the place in the list"))
    }

    fn of(
        (_, _, at, key): (ruma::OwnedUserId, FavouriteList, Descending<u64>, BookmarkKey),
    ) -> Self {
        Self { at, key }
    }
}

/// What a query asks for.
struct Fits<'a> {
    kind: Option<MessageKind>,
    room: Option<&'a OwnedRoomId>,
    words: BTreeSet<String>,
    /// Whether words are asked for.
    is_search: bool,
}

impl<'a> Fits<'a> {
    fn of(query: &'a FavouritesQuery) -> Self {
        let words = query.words.as_deref().unwrap_or_default();
        Self {
            kind: query.kind,
            room: query.room.as_ref(),
            words: words_of_message(words, WORDS),
            is_search: !words.trim().is_empty(),
        }
    }

    /// Nothing has words of which none is left.
    fn finds_nothing(&self) -> bool {
        self.is_search && self.words.is_empty()
    }

    /// The shortest list that has all that fit, leaving words aside, and whether all of it fit.
    fn list(&self) -> (FavouriteList, bool) {
        match (self.room, self.kind) {
            (Some(room), kind) => {
                (FavouriteList::Room(room.clone()), kind.is_none() && self.words.is_empty())
            }
            (None, Some(kind)) => (FavouriteList::Kind(kind), self.words.is_empty()),
            (None, None) => (FavouriteList::All, self.words.is_empty()),
        }
    }

    fn has(&self, row: &FavouriteRow) -> bool {
        let begins = |word: &String| row.words.iter().any(|own| own.starts_with(word));
        self.kind.is_none_or(|kind| kind == row.kind())
            && self.room.is_none_or(|room| *room == row.room)
            && self.words.iter().all(begins)
    }
}

/// Where to look.
enum Source {
    /// Few favourites, in order.
    Few(Vec<Place>),
    /// A list, and whether all that are in it fit.
    List(FavouriteList, bool),
}

impl Source {
    async fn of(view: &View, user: &UserId, fits: &Fits<'_>) -> Result<Self> {
        let (list, all) = fits.list();
        let Some(word) = fits.words.iter().max_by_key(|word| word.len()) else {
            return Ok(Self::List(list, all));
        };
        let beginning = Beginning(user, word);
        let rows = view.scan(&FAVOURITE_LISTS, &beginning, Direction::Forward, FEW + 1).await?;
        if rows.len() > FEW {
            return Ok(Self::List(list, all));
        }
        let places: BTreeSet<_> = rows.into_iter().map(|(key, ())| Place::of(key)).collect();
        Ok(Self::Few(places.into_iter().collect()))
    }

    /// Up to `count` places after one.
    async fn after(
        &self,
        view: &View,
        user: &UserId,
        from: Option<&Place>,
        count: usize,
    ) -> Result<Vec<Place>> {
        match self {
            Self::Few(places) => {
                let begin = from.map_or(0, |from| places.partition_point(|place| place <= from));
                Ok(places[begin..].iter().take(count).cloned().collect())
            }
            Self::List(list, _) => {
                let prefix = (user.to_owned(), list.clone());
                let place =
                    from.map(|from| (prefix.0.clone(), list.clone(), from.at, from.key.clone()));
                let from = place.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
                let forward = Direction::Forward;
                let rows = view.scan_from(&FAVOURITE_LISTS, &prefix, from, forward, count).await?;
                Ok(rows.into_iter().map(|(key, ())| Place::of(key)).collect())
            }
        }
    }
}

/// What was found, and where to go on.
#[derive(Default)]
struct Found {
    places: Vec<Place>,
    next: Option<Place>,
}

async fn find(
    view: &View,
    user: &UserId,
    fits: &Fits<'_>,
    from: Option<Place>,
    limit: usize,
) -> Result<Found> {
    let source = Source::of(view, user, fits).await?;
    let all_fit = matches!(source, Source::List(_, true));
    let chunk = if all_fit { limit + 1 } else { CHUNK };
    let (mut places, mut last, mut looked) = (Vec::new(), from, 0);
    while looked < LOOKED {
        let read = source.after(view, user, last.as_ref(), chunk).await?;
        let is_end = read.len() < chunk;
        looked += read.len();
        last = read.last().cloned().or(last);
        places.extend(if all_fit { read } else { fitting(view, user, fits, read).await? });
        if places.len() > limit {
            // There is at least one more.
            places.truncate(limit);
            return Ok(Found { next: places.last().cloned(), places });
        }
        if is_end {
            return Ok(Found { places, next: None });
        }
    }
    Ok(Found { places, next: last })
}

async fn fitting(
    view: &View,
    user: &UserId,
    fits: &Fits<'_>,
    places: Vec<Place>,
) -> Result<Vec<Place>> {
    let keys: Vec<_> = places.iter().map(|place| (user.to_owned(), place.key.clone())).collect();
    let rows = view.get_many(&FAVOURITES, &keys).await?;
    let fitting = places.into_iter().zip(rows);
    let fitting = fitting.filter(|(_, row)| row.as_ref().is_some_and(|row| fits.has(row)));
    Ok(fitting.map(|(place, _)| place).collect())
}

/// How many bytes of a key end a text in it.
const END_OF_TEXT: usize = 2;

/// The beginning of the keys of a user's lists of all words that begin so.
struct Beginning<'a>(&'a UserId, &'a str);

impl Key for Beginning<'_> {
    fn write(&self, out: &mut Writer) {
        let Self(user, word) = *self;
        // Folded words hold no NUL, so that their bytes stand in the key as they are.
        let key = (user.to_owned(), FavouriteList::Word(word.to_owned())).encode();
        out.bytes(&key[..key.len() - END_OF_TEXT]);
    }

    fn read(_: &mut Reader<'_>) -> Result<Self, KeyError> {
        Err(KeyError::Invalid)
    }
}

#[cfg(test)]
mod tests;
