//! Walking a space: its rooms and those of the spaces in it, depth first, page by page
//! (client-server API, "Discovering rooms within spaces").
//!
//! A page begins the walk anew and passes over what the pages before it told: the token says how
//! many rooms that were. So nothing is kept between two pages, and a walk has an end.

use std::collections::BTreeSet;

use ruma::OwnedRoomId;
use serde::Serialize;
use serde_json::value::RawValue;
use tertulia_protocol::SpaceChild;
use tertulia_storage::{Direction, View};

use super::{
    RoomSummary,
    access::{Onlooker, Seen},
};
use crate::{
    Error, Result, Room,
    core::Core,
    events::{EventCache, Head},
    schema::{MembershipKind, STATE},
};

/// How many rooms a page has at most, and if the client does not say.
const PAGE: usize = 50;
/// How far down a walk goes at most.
const DEEPEST: u64 = 50;
/// How many rooms a walk comes to at most.
const FARTHEST: usize = 2_000;
/// How many children of one space are looked at.
const CHILDREN: usize = 1_000;

/// Which part of a space to tell.
#[derive(Clone, Debug, Default)]
pub struct HierarchyQuery {
    /// The token of the page before.
    pub from: Option<String>,
    /// How many rooms at most.
    pub limit: Option<u64>,
    /// How far down.
    pub max_depth: Option<u64>,
    /// Whether only suggested children count.
    pub suggested_only: bool,
}

/// A page of a space's rooms. It serialises as the answer of `/hierarchy`.
#[derive(Debug, Default, Serialize)]
pub struct HierarchyPage {
    /// The rooms.
    pub rooms: Vec<SpaceRoom>,
    /// Where the next page begins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_batch: Option<String>,
}

/// A room of a space.
#[derive(Debug, Serialize)]
pub struct SpaceRoom {
    /// What it tells of itself.
    #[serde(flatten)]
    pub summary: RoomSummary,
    /// The events that name its children, in their order, stripped.
    pub children_state: Vec<Box<RawValue>>,
}

impl Room {
    /// A page of the rooms of this space, itself first.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`] for one who may not know of the room, or is banned from it;
    /// [`Error::Invalid`] if the token is none of this server's, or of another walk.
    pub async fn hierarchy(&self, query: &HierarchyQuery) -> Result<HierarchyPage> {
        let rules = Rules::of(query)?;
        let limit = match query.limit {
            Some(0) => return Err(Error::Invalid("a page without any room")),
            limit => limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(PAGE).min(PAGE),
        };
        let skipped = query.from.as_deref().map_or(Ok(0), |token| rules.skipped(token))?;
        let core = &self.user().core;
        let view = core.store.view().await?;
        let onlooker = Onlooker { view: &view, core, user: Some(self.user().id()) };
        let root = onlooker.see(self.id()).await?;
        let is_open = |seen: &Seen| seen.accessible && seen.membership != Some(MembershipKind::Ban);
        let root = root.filter(is_open).ok_or_else(closed)?;
        let root = Ahead { room: self.id().to_owned(), depth: 0, seen: Some(Some(root)) };
        let walk = Walk { onlooker, rules, ahead: vec![root], known: BTreeSet::new() };
        walk.page(skipped, limit).await
    }
}

/// What must stay as it is from page to page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rules {
    depth: u64,
    suggested_only: bool,
}

impl Rules {
    fn of(query: &HierarchyQuery) -> Result<Self> {
        let depth = query.max_depth.unwrap_or(DEEPEST).min(DEEPEST);
        Ok(Self { depth, suggested_only: query.suggested_only })
    }

    /// The token of a page before which so many rooms were told.
    fn token(self, skipped: usize) -> String {
        format!("{skipped}_{}_{}", self.depth, u8::from(self.suggested_only))
    }

    /// How many rooms were told before the page of this token.
    fn skipped(self, token: &str) -> Result<usize> {
        let skipped = token.split('_').next().and_then(|number| number.parse().ok());
        skipped
            .filter(|skipped| self.token(*skipped) == token)
            .ok_or(Error::Invalid("the token of a page, or what changed since that page"))
    }
}

/// A walk through a space.
struct Walk<'a> {
    onlooker: Onlooker<'a>,
    rules: Rules,
    /// What is to be looked at, the next one last.
    ahead: Vec<Ahead>,
    /// What was looked at.
    known: BTreeSet<OwnedRoomId>,
}

/// A room on the way.
struct Ahead {
    room: OwnedRoomId,
    depth: u64,
    /// What was found there, once it was looked for; many are looked for together.
    seen: Option<Option<Seen>>,
}

impl Walk<'_> {
    /// The page behind `skipped` rooms that were told before.
    async fn page(mut self, skipped: usize, limit: usize) -> Result<HierarchyPage> {
        let mut page = HierarchyPage::default();
        let mut told = 0;
        while let Some((seen, depth)) = self.next().await? {
            if page.rooms.len() == limit {
                page.next_batch = Some(self.rules.token(told));
                break;
            }
            let children = self.children(&seen).await?;
            if depth < self.rules.depth {
                self.go_down(&children, depth + 1);
            }
            told += 1;
            if told > skipped {
                let children_state = children.iter().map(SpaceChild::stripped).collect();
                page.rooms.push(SpaceRoom { summary: seen.told(), children_state });
            }
        }
        Ok(page)
    }

    /// The next room that the user may know of, and how far down it is.
    async fn next(&mut self) -> Result<Option<(Seen, u64)>> {
        while self.known.len() < FARTHEST {
            self.look_ahead().await?;
            let Some(Ahead { room, depth, seen }) = self.ahead.pop() else { break };
            if self.known.insert(room)
                && let Some(seen) = seen.flatten().filter(|seen| seen.accessible)
            {
                return Ok(Some((seen, depth)));
            }
        }
        Ok(None)
    }

    /// Looks at the next rooms, unless that was done.
    async fn look_ahead(&mut self) -> Result<()> {
        if self.ahead.last().is_none_or(|next| next.seen.is_some()) {
            return Ok(());
        }
        let start = self.ahead.len().saturating_sub(PAGE);
        let next = self.ahead[start..].iter_mut().filter(|next| next.seen.is_none());
        let mut next: Vec<_> = next.collect();
        let rooms: Vec<_> = next.iter().map(|next| next.room.clone()).collect();
        for (next, seen) in next.iter_mut().zip(self.onlooker.see_many(&rooms).await?) {
            next.seen = Some(seen);
        }
        Ok(())
    }

    fn go_down(&mut self, children: &[SpaceChild], depth: u64) {
        let room = FARTHEST.saturating_sub(self.ahead.len());
        let new = children.iter().filter(|child| !self.known.contains(&child.room));
        let new: Vec<_> = new.take(room).collect();
        let ahead = |child: &SpaceChild| Ahead { room: child.room.clone(), depth, seen: None };
        self.ahead.extend(new.into_iter().rev().map(ahead));
    }

    /// The children of a room that count; only spaces have some.
    async fn children(&self, seen: &Seen) -> Result<Vec<SpaceChild>> {
        if !seen.summary.is_space() {
            return Ok(Vec::new());
        }
        let Onlooker { view, core, .. } = self.onlooker;
        let mut children = children(view, core, &seen.head).await?;
        children.retain(|child| child.suggested || !self.rules.suggested_only);
        Ok(children)
    }
}

fn closed() -> Error {
    Error::Forbidden("you may not look into this room, or it does not exist".to_owned())
}

/// The children of a space, in their order. What was redacted names no child.
async fn children(view: &View, core: &Core, head: &Head) -> Result<Vec<SpaceChild>> {
    let prefix: (OwnedRoomId, u32, String) =
        (head.room.clone(), head.row.generation, "m.space.child".to_owned());
    let rows = view.scan(&STATE, &prefix, Direction::Forward, CHILDREN).await?;
    let rows = rows.into_iter().filter(|(_, row)| !row.redacted);
    let ids: Vec<_> = rows.map(|(_, row)| row.event).collect();
    let events = core.local::<EventCache>().load_many(view, &head.rules, &ids).await?;
    let mut children: Vec<_> = events.iter().flatten().filter_map(SpaceChild::of).collect();
    children.sort_by(SpaceChild::in_order);
    Ok(children)
}

#[cfg(test)]
mod tests;
