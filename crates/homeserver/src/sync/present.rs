//! How present those are with whom the user shares a room.

use super::{answer::Events, joined::Joined, reading::Reading};
use crate::{Result, presence};
use serde_json::value::RawValue;

/// What a client is told of presence, and up to which change that is. One who has `met` others by
/// coming into a room is told of all who are there.
pub(super) async fn of(
    reading: &Reading<'_>,
    joined: &Joined,
    met: bool,
) -> Result<(Events<Box<RawValue>>, u64)> {
    let core = reading.core();
    let same_life = |since: &super::SyncToken| since.fleeting.boot == reading.next.fleeting.boot;
    let since = reading.since.filter(same_life).map(|since| since.presence);
    let news = presence::news(core, since.filter(|_| !met));
    let mut events = Vec::new();
    for user in news.users {
        if !reading.query.filter.presence.passes(&user) {
            continue;
        }
        let shares = user == reading.me() || {
            let theirs = presence::rooms_of(&reading.view, &user).await?;
            theirs.iter().any(|room| joined.contains(room))
        };
        if shares {
            events.push(presence::event(core, &user));
        }
    }
    Ok((Events { events }, news.up_to))
}
