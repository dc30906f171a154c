//! How present those are with whom the user shares a room.

use ruma::OwnedUserId;
use serde_json::value::RawValue;

use super::{answer::Events, joined::Joined, reading::Reading};
use crate::{Result, company::Company, presence};

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
    let passes = |user: &OwnedUserId| reading.query.filter.presence.passes(user);
    let users: Vec<_> = news.users.into_iter().filter(passes).collect();
    let company = Company::in_rooms(joined.rooms.clone());
    let among = company.among(&reading.view, &users).await?;
    let told = users.iter().zip(among).filter(|(user, shares)| *shares || *user == reading.me());
    let events = told.map(|(user, _)| presence::event(core, user)).collect();
    Ok((Events { events }, news.up_to))
}
