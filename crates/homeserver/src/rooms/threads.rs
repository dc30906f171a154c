//! The threads of a room, those with the newest events first (client-server API, "Querying threads
//! in a room").

use std::ops::Bound;

use ruma::OwnedEventId;
use tertulia_protocol::{Pdu, redact};
use tertulia_storage::Direction;

use super::{Room, access::Open};
use crate::{
    Result,
    events::{ClientEvent, Ignored, Place, Placed, Sight, TimelineToken, load_for, part_in_thread},
    schema::{EVENT_META, RELATED_BY, THREADS, TIMELINE, TimelineRow, Verdict},
};

/// Which threads to tell.
#[derive(Clone, Debug)]
pub struct ThreadsQuery {
    /// Only those in which the user has written, or which they began.
    pub participated: bool,
    /// Where to begin.
    pub from: Option<TimelineToken>,
    /// How many threads to tell at most.
    pub limit: usize,
}

/// Some of the threads of a room.
#[derive(Clone, Debug)]
pub struct ThreadsPage {
    /// The events at which they begin.
    pub roots: Vec<ClientEvent>,
    /// Where to go on; none where there is nothing more.
    pub next: Option<TimelineToken>,
}

/// Most threads that one page tells.
const PAGE_MOST: usize = 100;

/// Most threads that one page looks at.
const ROWS_MOST: usize = 2_000;

/// A thread in the list: where its newest event stands, and its root.
type Listed = (Place, OwnedEventId);

impl Room {
    /// The threads of the room.
    ///
    /// # Errors
    ///
    /// [`Error::Forbidden`](crate::Error::Forbidden) for one who may not look into the room.
    pub async fn threads(&self, query: &ThreadsQuery) -> Result<ThreadsPage> {
        let open = self.open().await?;
        let sight = Sight::of(&open.view, self.core(), &open.head, self.me()).await?;
        let ignored = Ignored::by(&open.view, self.me()).await?;
        let limit = query.limit.clamp(1, PAGE_MOST);
        let mut from = query.from.map(|from| from.in_stretch(open.head.row.stretch));
        let (mut roots, mut left) = (Vec::new(), ROWS_MOST);
        // One more than asked for tells whether there is more.
        let mut told: Vec<(Place, ClientEvent)> = Vec::new();
        while told.len() <= limit {
            let wanted = (limit + 1 - told.len()).min(left);
            let listed = listed(&open, from, wanted).await?;
            left -= listed.len();
            let is_end = listed.len() < wanted;
            from = listed.last().map(|(at, _)| TimelineToken::before(at.0, at.1)).or(from);
            told.extend(self.show_roots(&open, &sight, &ignored, query, listed).await?);
            if is_end {
                from = None;
                break;
            }
            if left == 0 {
                break;
            }
        }
        let next = match told.get(limit - 1) {
            Some((last, _)) if told.len() > limit => Some(TimelineToken::before(last.0, last.1)),
            _ => from,
        };
        roots.extend(told.into_iter().take(limit).map(|(_, root)| root));
        Ok(ThreadsPage { roots, next })
    }

    /// The roots of those threads that the user may see and asks for.
    async fn show_roots(
        &self,
        open: &Open,
        sight: &Sight,
        ignored: &Ignored,
        query: &ThreadsQuery,
        listed: Vec<Listed>,
    ) -> Result<Vec<(Place, ClientEvent)>> {
        let roots = self.roots(open, sight, &listed).await?;
        let joined = self.took_part(open, &listed).await?;
        let (mut places, mut wanted) = (Vec::new(), Vec::new());
        for (((place, _), root), joined) in listed.into_iter().zip(roots).zip(joined) {
            let Some(mut root) = root else { continue };
            if query.participated && !joined && root.pdu.sender() != self.me() {
                continue;
            }
            if ignored.contains(root.pdu.sender()) {
                // Clients that put threads together themselves would not know what it said.
                root.pdu = redact(&open.head.rules, &root.pdu);
            }
            places.push(place);
            wanted.push(root);
        }
        let events = self.tell(open, sight, wanted).await?;
        // A thread of which the user sees nothing but the root is none to them.
        let is_thread = |event: &ClientEvent| {
            event.unsigned().relations.as_ref().is_some_and(|bundle| bundle.thread.is_some())
        };
        let told = places.into_iter().zip(events);
        Ok(told.filter(|(_, event)| is_thread(event)).collect())
    }

    /// The roots at their places, in the order of `listed`.
    async fn roots(
        &self,
        open: &Open,
        sight: &Sight,
        listed: &[Listed],
    ) -> Result<Vec<Option<Placed>>> {
        let Open { view, head, .. } = open;
        let ids: Vec<_> = listed.iter().map(|(_, root)| root.clone()).collect();
        let keys: Vec<_> = ids.iter().map(|id| (self.id.clone(), id.clone())).collect();
        let metas = view.get_many(&EVENT_META, &keys).await?;
        let places = metas.into_iter().map(|meta| match meta.map(|meta| meta.verdict) {
            Some(Verdict::Timeline { stretch, ordinal }) => (self.id.clone(), stretch, ordinal),
            _ => (self.id.clone(), u32::MAX, crate::schema::Ordinal::Live(view.settled())),
        });
        let places: Vec<_> = places.collect();
        let rows = view.get_many(&TIMELINE, &places).await?;
        let pdus = load_for(view, self.core(), head, self.reader(), &ids).await?;
        let placed = |((_, _, place), (row, pdu)): (_, (Option<TimelineRow>, Option<Pdu>))| {
            let placed = Placed { place, row: row?, pdu: pdu? };
            sight.sees(placed.place).then_some(placed)
        };
        Ok(places.into_iter().zip(rows.into_iter().zip(pdus)).map(placed).collect())
    }

    /// Whether the user has written in the threads.
    async fn took_part(&self, open: &Open, listed: &[Listed]) -> Result<Vec<bool>> {
        let key = |(_, root): &Listed| part_in_thread(&open.head, root, self.me().to_owned());
        let keys: Vec<_> = listed.iter().map(key).collect();
        let rows = open.view.get_many(&RELATED_BY, &keys).await?;
        Ok(rows.into_iter().map(|row| row.is_some()).collect())
    }
}

/// The next threads of the list.
async fn listed(open: &Open, from: Option<TimelineToken>, limit: usize) -> Result<Vec<Listed>> {
    let room = &open.head.room;
    let from = from.map(|from| (room.clone(), from.stretch, from.ordinal));
    let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let prefix = (room.clone(),);
    let rows = open.view.scan_from(&THREADS, &prefix, from, Direction::Backward, limit).await?;
    Ok(rows.into_iter().map(|((_, stretch, place), (root,))| ((stretch, place), root)).collect())
}
