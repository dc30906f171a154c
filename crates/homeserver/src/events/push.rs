//! What push rules see of the events of a timeline, written down as they come, so that unread ones
//! can be counted without reading each: a [`PushRow`] in every row of the timeline, and a
//! [`PushBlock`] for every 64 of them.

use std::ops::Bound;

use ruma::OwnedEventId;
use tertulia_protocol::{
    Pdu,
    push::{EventClass, seen},
};
use tertulia_storage::{Direction, Position, Tx};

use super::{Head, thread::thread_of};
use crate::{
    Result,
    core::Core,
    schema::{
        Ordinal, PUSH_BLOCKS, PushBlock, PushMention, PushRow, PushTally, TIMELINE, TimelineRow,
    },
};

/// How many events a block sums up; few in tests, so that short stories have many.
pub(crate) const BLOCK: u32 = if cfg!(test) { 4 } else { 64 };

/// What push rules see of `pdu`.
pub(super) async fn row_of(tx: &Tx, core: &Core, pdu: &Pdu) -> Result<PushRow> {
    let seen = seen(pdu, &core.name);
    Ok(PushRow {
        class: seen.class.number(),
        sender: pdu.sender().to_owned(),
        thread: thread_of(tx, seen.relation).await?,
        mentions: seen.mentions.users,
        mentions_many: seen.mentions.many,
        mentions_room: seen.mentions.room,
    })
}

/// Counts the event that was placed at `position`; the last of a run also writes its block.
pub(super) async fn count(tx: &mut Tx, head: &mut Head, position: Position) -> Result<()> {
    head.row.unblocked += 1;
    if head.row.unblocked < BLOCK {
        return Ok(());
    }
    let prefix = (head.room.clone(), head.row.stretch);
    let limit = usize::try_from(head.row.unblocked).unwrap_or(usize::MAX);
    let rows = tx.scan(&TIMELINE, &prefix, Direction::Backward, limit).await?;
    let rows = rows.into_iter().rev().map(|((_, _, place), row)| (place, row));
    tx.put(&PUSH_BLOCKS, &(prefix.0, prefix.1, position), &block_of(rows));
    head.row.unblocked = 0;
    Ok(())
}

/// The block of a run, oldest first.
fn block_of(rows: impl Iterator<Item = (Ordinal, TimelineRow)>) -> PushBlock {
    let mut block = PushBlock::default();
    let live = rows.filter_map(|(place, row)| Some((place.position()?, row)));
    for (index, (position, row)) in live.enumerate() {
        if index == 0 {
            block.from = position;
        }
        let push = row.push.map(|push| match row.redacted_by {
            None => push,
            Some(_) => redacted(push),
        });
        if let Some(push) = push {
            add(&mut block, push, row.event);
        }
    }
    block
}

fn add(block: &mut PushBlock, push: PushRow, event: OwnedEventId) {
    if mentions_somebody(&push) {
        block.mentioning.push(PushMention { event, push });
        return;
    }
    match block.tallies.iter_mut().find(|tally| is_of(tally, &push)) {
        Some(tally) => tally.count += 1,
        None => {
            let PushRow { class, sender, thread, .. } = push;
            block.tallies.push(PushTally { class, sender, thread, count: 1 });
        }
    }
}

/// What is left of an event that was redacted: who sent it, and where.
fn redacted(push: PushRow) -> PushRow {
    PushRow {
        class: EventClass::REDACTED.number(),
        mentions: Vec::new(),
        mentions_many: false,
        mentions_room: false,
        ..push
    }
}

fn mentions_somebody(push: &PushRow) -> bool {
    !push.mentions.is_empty() || push.mentions_many || push.mentions_room
}

fn is_of(tally: &PushTally, push: &PushRow) -> bool {
    (tally.class, &tally.sender, &tally.thread) == (push.class, &push.sender, &push.thread)
}

/// Notes that the event of `row` was redacted in the block it is in, if it is in one yet.
pub(super) async fn note_redacted(
    tx: &mut Tx,
    head: &Head,
    stretch: u32,
    place: Ordinal,
    row: &TimelineRow,
) -> Result<()> {
    let (Some(position), Some(push)) = (place.position(), &row.push) else { return Ok(()) };
    let prefix = (head.room.clone(), stretch);
    let from = (head.room.clone(), stretch, position);
    let blocks =
        tx.scan_from(&PUSH_BLOCKS, &prefix, Bound::Included(&from), Direction::Forward, 1).await?;
    let Some((key, mut block)) = blocks.into_iter().next() else { return Ok(()) };
    if position < block.from {
        return Ok(());
    }
    remove(&mut block, push, &row.event);
    tx.put(&PUSH_BLOCKS, &key, &block);
    Ok(())
}

fn remove(block: &mut PushBlock, push: &PushRow, event: &OwnedEventId) {
    block.mentioning.retain(|mention| mention.event != *event);
    if !mentions_somebody(push)
        && let Some(tally) = block.tallies.iter_mut().find(|tally| is_of(tally, push))
    {
        tally.count -= 1;
    }
    block.tallies.retain(|tally| tally.count > 0);
    add(block, redacted(push.clone()), event.clone());
}

#[cfg(test)]
mod tests;
