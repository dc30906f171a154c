//! Walking a space: its rooms and those of the spaces in it, depth first, page by page
//! (client-server API, "Discovering rooms within spaces").
//!
//! A page begins the walk anew and passes over what the pages before it told: the token says how
//! many rooms that were. So nothing is kept between two pages, and a walk has an end.

use std::collections::BTreeSet;

use ruma::{OwnedRoomId, RoomId};
use serde::Serialize;
use serde_json::value::RawValue;
use tertulia_protocol::SpaceChild;
use tertulia_storage::{Direction, View};

use super::{
    RoomSummary,
    access::{Seen, see},
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
        let view = self.user().core.store.view().await?;
        let walk = Walk { view: &view, room: self, rules, limit };
        walk.go(query.from.as_deref().map_or(Ok(0), |token| rules.skipped(token))?).await
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

struct Walk<'a> {
    view: &'a View,
    /// The space, as the one sees it who asks.
    room: &'a Room,
    rules: Rules,
    limit: usize,
}

impl Walk<'_> {
    fn core(&self) -> &Core {
        &self.room.user().core
    }

    async fn go(&self, skipped: usize) -> Result<HierarchyPage> {
        let root = self.room.id().to_owned();
        self.refuse_banned(&root).await?;
        // What is to be looked at, the next one last.
        let mut ahead = vec![(root.clone(), 0)];
        let (mut known, mut told) = (BTreeSet::new(), 0);
        let mut page = HierarchyPage::default();
        while let Some((room, depth)) = ahead.pop() {
            if known.len() >= FARTHEST || !known.insert(room.clone()) {
                continue;
            }
            let Some(seen) = self.see(&room).await? else { continue };
            if page.rooms.len() == self.limit {
                page.next_batch = Some(self.rules.token(told));
                break;
            }
            let children = self.children(&seen).await?;
            if depth < self.rules.depth {
                let room = FARTHEST.saturating_sub(ahead.len());
                let next = children.iter().take(room).rev();
                ahead.extend(next.map(|child| (child.room.clone(), depth + 1)));
            }
            told += 1;
            if told > skipped {
                let children_state = children.iter().map(SpaceChild::stripped).collect();
                page.rooms.push(SpaceRoom { summary: seen.told(), children_state });
            }
        }
        if known.len() == 1 && told == 0 { Err(closed()) } else { Ok(page) }
    }

    async fn refuse_banned(&self, root: &RoomId) -> Result<()> {
        let seen = see(self.view, self.core(), Some(self.room.user().id()), root).await?;
        match seen {
            Some(seen) if seen.membership != Some(MembershipKind::Ban) => Ok(()),
            _ => Err(closed()),
        }
    }

    /// A room, if the user may know of it.
    async fn see(&self, room: &RoomId) -> Result<Option<Seen>> {
        let seen = see(self.view, self.core(), Some(self.room.user().id()), room).await?;
        Ok(seen.filter(|seen| seen.accessible))
    }

    /// The children of a room that count; only spaces have some.
    async fn children(&self, seen: &Seen) -> Result<Vec<SpaceChild>> {
        if !seen.summary.is_space() {
            return Ok(Vec::new());
        }
        let mut children = children(self.view, self.core(), &seen.head).await?;
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
