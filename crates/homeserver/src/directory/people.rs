//! The user directory: finding users by the beginnings of the words of their names
//! (client-server API, "User Directory").
//!
//! What it knows of a user is a projection of account, profile and memberships, which the follower
//! of the directories has worked out anew when one of them may have changed. Users who are in a room
//! that is open to all are found by everyone. Of the others, those are who share a room with the one
//! who searches, among so many as are looked at.

use std::{collections::BTreeSet, ops::Bound};

use ruma::OwnedUserId;
use serde::Serialize;
use tertulia_storage::{Direction, Key, KeyError, Reader, View, Writer};

use super::progress::caught_up;
use crate::{
    Result, User,
    company::Company,
    events::{Head, Ignored, members},
    schema::{HEADS, LISTED_USERS, ListedUser, MembershipKind, USER_WORDS},
    words::{fold, words},
};

/// How many users an answer tells, if the client does not say.
const USUAL: u64 = 10;
/// How many users an answer tells at most.
const MOST: u64 = 50;
/// How many users who fit are compared for which of them fit best.
const COMPARED: usize = 200;
/// How many members of the searching user's rooms are read to know whom they share a room with.
const COMPANIONS: usize = 5_000;
/// In how many rooms the searching user can be for their members to be read.
const ROOMS: usize = 100;
/// How many users are looked at whom everyone finds.
const OPEN: usize = 20_000;
/// How many users are looked at with whom the one who searches has to share a room.
const OTHERS: usize = 500;
/// How many words are read at once.
const STEP: usize = 100;
/// How many words of a search count.
const WORDS: usize = 8;
/// How many characters of a search count.
const LONGEST: usize = 500;

/// A user who was found. It serialises as the specification has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FoundUser {
    /// Who.
    pub user_id: OwnedUserId,
    /// The name of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub display_name: Option<String>,
    /// The picture of the profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avatar_url: Option<String>,
}

/// Users who were found, those first whose names fit best.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FoundUsers {
    /// The users.
    pub results: Vec<FoundUser>,
    /// Whether there are more.
    pub limited: bool,
}

impl User {
    /// Users whose names have words that begin as those of `term` do.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`](crate::Error::Storage) if the directory cannot be read.
    pub async fn find_users(&self, term: &str, limit: Option<u64>) -> Result<FoundUsers> {
        let term = Term::new(term);
        let Some(word) = term.rarest() else { return Ok(FoundUsers::default()) };
        caught_up(&self.core).await;
        let view = self.core.store.view().await?;
        let search = Search { view: &view, me: self, term: &term, word };
        let (mut users, mut limited) = search.find(Audience::Everyone).await?;
        let (others, more) = search.company_found().await?;
        users.extend(others);
        users.sort_by_cached_key(|(user, row)| (term.distance(user, row), user.clone()));
        let limit = usize::try_from(limit.unwrap_or(USUAL).min(MOST)).expect("it is small");
        limited |= more || users.len() > limit;
        users.truncate(limit);
        Ok(FoundUsers { results: users.into_iter().map(found).collect(), limited })
    }
}

fn found((user_id, row): (OwnedUserId, ListedUser)) -> FoundUser {
    FoundUser { user_id, display_name: row.displayname, avatar_url: row.avatar_url }
}

/// What is searched for.
struct Term {
    /// All of it, folded.
    whole: String,
    /// Its words, folded.
    words: Vec<String>,
    /// What the user's ID begins with, if it is an ID that is searched for.
    id: Option<String>,
}

impl Term {
    fn new(text: &str) -> Self {
        let end = text.char_indices().nth(LONGEST).map_or(text.len(), |(end, _)| end);
        let text = text[..end].trim();
        let is_id = text.starts_with('@') || (text.contains(':') && !text.contains(' '));
        let id = is_id.then(|| format!("@{}", text.trim_start_matches('@').to_lowercase()));
        // The server's name is not among the words of a user.
        let named = if is_id { text.split(':').next().unwrap_or_default() } else { text };
        let mut words = words(named);
        words.truncate(WORDS);
        Self { whole: fold(named.trim_start_matches('@')), words, id }
    }

    /// The word that the fewest users have, as it seems.
    fn rarest(&self) -> Option<&str> {
        self.words.iter().max_by_key(|word| word.len()).map(String::as_str)
    }

    fn fits(&self, user: &OwnedUserId, row: &ListedUser) -> bool {
        let has = |word: &String| row.words.iter().any(|own| own.starts_with(word));
        let has_id = self.id.as_ref().is_none_or(|id| user.as_str().to_lowercase().starts_with(id));
        has_id && self.words.iter().all(has)
    }

    /// How far a user is from what was searched for; those without a profile are farther.
    fn distance(&self, user: &OwnedUserId, row: &ListedUser) -> (u8, bool) {
        let name = row.displayname.as_deref().map(fold).unwrap_or_default();
        let distance = match () {
            () if name == self.whole || user.localpart() == self.whole => 0,
            () if name.starts_with(&self.whole) || user.localpart().starts_with(&self.whole) => 1,
            () => 2,
        };
        (distance, row.displayname.is_none() && row.avatar_url.is_none())
    }
}

/// Who finds a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Audience {
    /// Everyone: the user is in a room that is open to all.
    Everyone,
    /// Those who share a room with the user.
    Company,
}

/// The beginning of the keys of all words that begin so.
struct Beginning<'a>(Audience, &'a str);

impl Key for Beginning<'_> {
    fn write(&self, out: &mut Writer) {
        (self.0 == Audience::Everyone,).write(out);
        // Folded words hold no NUL, so that their bytes stand in the key as they are.
        out.bytes(self.1.as_bytes());
    }

    fn read(_: &mut Reader<'_>) -> Result<Self, KeyError> {
        Err(KeyError::Invalid)
    }
}

struct Search<'a> {
    view: &'a View,
    me: &'a User,
    term: &'a Term,
    word: &'a str,
}

impl Search<'_> {
    /// Those who share a room with the user. Where these are not too many, all of them are looked
    /// at; it does not matter then how many others have such names.
    async fn company_found(&self) -> Result<(Vec<(OwnedUserId, ListedUser)>, bool)> {
        let Some(company) = self.company(Audience::Company).await? else {
            return self.find(Audience::Company).await;
        };
        let Some(companions) = self.companions(&company).await? else {
            return self.find(Audience::Company).await;
        };
        let companions: Vec<_> = companions.into_iter().collect();
        let mut found = Vec::new();
        for users in companions.chunks(STEP) {
            let visible = self.visible(users.to_vec(), None).await?;
            // Everyone finds the others anyway.
            found.extend(visible.into_iter().filter(|(_, row)| !row.open));
            if found.len() >= COMPARED {
                return Ok((found, true));
            }
        }
        Ok((found, false))
    }

    /// The others in the rooms of the user; none if they are too many to be read.
    async fn companions(&self, company: &Company) -> Result<Option<BTreeSet<OwnedUserId>>> {
        if company.rooms().len() > ROOMS {
            return Ok(None);
        }
        let keys: Vec<_> = company.rooms().iter().map(|room| (room.clone(),)).collect();
        let heads = self.view.get_many(&HEADS, &keys).await?;
        let (mut companions, mut left) = (BTreeSet::new(), COMPANIONS);
        for ((room,), row) in keys.into_iter().zip(heads) {
            let Some(row) = row else { continue };
            let head = Head::new(room, row)?;
            // One more than may be read tells whether there are more.
            let rows = members(self.view, &head, None, left + 1).await?;
            let Some(rest) = left.checked_sub(rows.len()) else { return Ok(None) };
            left = rest;
            let joined = rows.into_iter().filter(|(_, row)| row.kind == MembershipKind::Join);
            companions.extend(joined.map(|(user, _)| user));
        }
        companions.remove(&self.me.id);
        Ok(Some(companions))
    }

    /// Those of an audience whom the user finds, and whether there may be more.
    async fn find(&self, audience: Audience) -> Result<(Vec<(OwnedUserId, ListedUser)>, bool)> {
        let most = if audience == Audience::Everyone { OPEN } else { OTHERS };
        let company = self.company(audience).await?;
        let (mut known, mut found, mut last) = (BTreeSet::new(), Vec::new(), None);
        loop {
            let from = last.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let prefix = Beginning(audience, self.word);
            let rows =
                self.view.scan_from(&USER_WORDS, &prefix, from, Direction::Forward, STEP).await?;
            last = rows.last().map(|(key, ())| key.clone());
            let complete = rows.len() < STEP;
            let users = rows.into_iter().map(|((_, _, user), ())| user);
            let new: Vec<_> = users.filter(|user| known.insert(user.clone())).collect();
            found.extend(self.visible(new, company.as_ref()).await?);
            if complete {
                return Ok((found, false));
            }
            if found.len() >= COMPARED || known.len() >= most {
                return Ok((found, true));
            }
        }
    }

    /// With whom the user must share a room to find them; none if there is no need to.
    async fn company(&self, audience: Audience) -> Result<Option<Company>> {
        let all = self.me.core.settings.directory.all_users;
        if audience == Audience::Everyone || all {
            return Ok(None);
        }
        Company::of(self.view, &self.me.id).await.map(Some)
    }

    /// Those of `users` whose names fit, whom the user may find.
    async fn visible(
        &self,
        users: Vec<OwnedUserId>,
        company: Option<&Company>,
    ) -> Result<Vec<(OwnedUserId, ListedUser)>> {
        let keys: Vec<_> = users.iter().map(|user| (user.clone(),)).collect();
        let rows = self.view.get_many(&LISTED_USERS, &keys).await?;
        let rows = users.into_iter().zip(rows).filter_map(|(user, row)| Some((user, row?)));
        let mut fitting: Vec<_> = rows.filter(|(user, row)| self.term.fits(user, row)).collect();
        if let Some(company) = company {
            fitting.retain(|(user, _)| *user != self.me.id);
            let ids: Vec<_> = fitting.iter().map(|(user, _)| user.clone()).collect();
            let mut among = company.among(self.view, &ids).await?.into_iter();
            fitting.retain(|_| among.next().is_some_and(|is_among| is_among));
        }
        let ids: Vec<_> = fitting.iter().map(|(user, _)| user.clone()).collect();
        let ignored = Ignored::by_many(self.view, &ids).await?;
        let visible = fitting.into_iter().zip(ignored);
        let visible = visible.filter(|(_, ignored)| !ignored.contains(&self.me.id));
        Ok(visible.map(|(user, _)| user).collect())
    }
}

#[cfg(test)]
mod tests;
