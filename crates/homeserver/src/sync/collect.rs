//! All of an answer, room by room.

use std::collections::BTreeMap;

use ruma::OwnedRoomId;
use serde_json::value::RawValue;
use tertulia_protocol::Welcome;

use super::{
    answer::{Events, InvitedRoom, JoinedRoom, KnockedRoom, LeftRoom, Rooms, Timeline, Update},
    aside::{self, AccountData},
    hidden,
    joined::Joined,
    news::{Touch, news},
    present,
    reading::{Part, Reading},
    renewal::renewed,
    room::{self, Delta},
    section::{Section, Span, section, unheard},
    stripped,
};
use crate::{
    Result,
    events::{EventCache, Head, TimelineToken},
    schema::{HEADS, MEMBERSHIPS, Membership, MembershipKind, Ordinal},
    unread::Unread,
};

/// Everything that is new for the session, and the rooms its user is in.
pub(super) async fn update(reading: &Reading<'_>) -> Result<(Update, Joined)> {
    let news = news(reading).await?;
    let mut update = Update::empty(reading.next);
    let mut data = match news.account_data {
        true => aside::account_data(reading).await?,
        false => AccountData::default(),
    };
    update.account_data = std::mem::take(&mut data.global);
    let mut rooms = to_tell(reading, news.rooms);
    let mut open = hidden::still_open(reading).await?;
    let mut met = false;
    for (room, head) in heads(reading, &rooms).await? {
        let Some(touched) = rooms.remove(&room) else { continue };
        let Some(touched) = heard(reading, &head, touched).await? else { continue };
        if matches!(touched.section, Section::Invited | Section::Knocked) {
            open.extend(reading.asked().left_open(&touched.me));
        }
        let (head, section) = renewed(reading, head, touched.section).await?;
        // Of those in a room that is new to the client, it was told nothing.
        met |= matches!(section, Section::Joined(span) if span.state_after.is_none());
        let telling = Telling { reading, head: &head, me: &touched.me, touch: touched.touch };
        telling.tell(section, &mut data, &mut update.rooms).await?;
    }
    if reading.since.is_some() {
        tell_of_left(reading, data, &mut update.rooms).await?;
    }
    update.next_batch.ends = open.into_iter().min().unwrap_or(reading.next.at);
    (update.presence, update.next_batch.presence) = present::of(reading, &news.joined, met).await?;
    Ok((update, news.joined))
}

/// Tells what the user noted about rooms after leaving them. There is nothing else to tell of such
/// a room, and who begins is told it with the room.
async fn tell_of_left(
    reading: &Reading<'_>,
    mut data: AccountData,
    rooms: &mut Rooms,
) -> Result<()> {
    let (ids, noted): (Vec<_>, Vec<_>) = data.rest().into_iter().unzip();
    let keys: Vec<_> = ids.iter().map(|room| (reading.me().to_owned(), room.clone())).collect();
    let memberships = reading.view.get_many(&MEMBERSHIPS, &keys).await?;
    for ((room, account_data), me) in ids.into_iter().zip(noted).zip(memberships) {
        let gone = me.filter(|me| is_left(me) && reading.query.filter.passes_room(&room));
        let Some(me) = gone else { continue };
        let end = me.joined.and_then(|(_, end)| end).unwrap_or(me.at);
        let prev_batch = TimelineToken::after(me.stretch, Ordinal::Live(end)).to_string();
        let timeline = Timeline { prev_batch, ..Timeline::default() };
        let state = room::in_mode(reading, Vec::new());
        rooms.leave.entry(room).or_insert(LeftRoom { timeline, state, account_data });
    }
    Ok(())
}

/// Whether the user was in the room, and still wants to know of it.
fn is_left(me: &Membership) -> bool {
    let gone = matches!(me.kind, MembershipKind::Leave | MembershipKind::Ban);
    gone && !me.forgotten
}

/// A room there may be something to tell of.
struct Touched {
    section: Section,
    me: Membership,
    touch: Touch,
}

fn to_tell(
    reading: &Reading<'_>,
    rooms: Vec<(OwnedRoomId, Membership, Touch)>,
) -> BTreeMap<OwnedRoomId, Touched> {
    let asked = reading.asked();
    let touched = |(room, me, touch): (OwnedRoomId, Membership, Touch)| {
        let section = section(&me, asked).filter(|_| reading.query.filter.passes_room(&room))?;
        Some((room, Touched { section, me, touch }))
    };
    rooms.into_iter().filter_map(touched).collect()
}

/// A room as its user may be told of it: without an invite that the user does not want to hear of,
/// as they said when it came or say now.
async fn heard(reading: &Reading<'_>, head: &Head, touched: Touched) -> Result<Option<Touched>> {
    if !touched.me.unwelcome {
        if touched.section != Section::Invited {
            return Ok(Some(touched));
        }
        let cache = reading.core().local::<EventCache>();
        let invite = cache.load(&reading.view, &head.rules, &touched.me.event).await?;
        if reading.invitations().await?.by(invite.sender()) == Welcome::Told {
            return Ok(Some(touched));
        }
    }
    let section = unheard(&touched.me, reading.asked());
    Ok(section.map(|section| Touched { section, ..touched }))
}

/// The heads of rooms that the server knows.
async fn heads(
    reading: &Reading<'_>,
    rooms: &BTreeMap<OwnedRoomId, Touched>,
) -> Result<Vec<(OwnedRoomId, Head)>> {
    let keys: Vec<_> = rooms.keys().map(|room| (room.clone(),)).collect();
    let rows = reading.view.get_many(&HEADS, &keys).await?;
    let mut heads = Vec::with_capacity(keys.len());
    for ((room,), row) in keys.into_iter().zip(rows) {
        if let Some(row) = row {
            heads.push((room.clone(), Head::new(room, row)?));
        }
    }
    Ok(heads)
}

/// One room on its way into the answer.
struct Telling<'a> {
    reading: &'a Reading<'a>,
    head: &'a Head,
    me: &'a Membership,
    touch: Touch,
}

impl Telling<'_> {
    async fn tell(
        &self,
        section: Section,
        data: &mut AccountData,
        rooms: &mut Rooms,
    ) -> Result<()> {
        let id = self.head.room.clone();
        match section {
            Section::Joined(span) => {
                if let Some(room) = self.joined(span, data).await? {
                    rooms.join.insert(id, room);
                }
            }
            Section::Invited => {
                let invite_state = self.stripped().await?;
                rooms.invite.insert(id, InvitedRoom { invite_state });
            }
            Section::Knocked => {
                let knock_state = self.stripped().await?;
                rooms.knock.insert(id, KnockedRoom { knock_state });
            }
            Section::Left(span) => {
                rooms.leave.insert(id, self.left(span, data).await?);
            }
            Section::Declined => {
                rooms.leave.insert(id, self.declined(data).await?);
            }
            Section::Gone => {
                rooms.leave.insert(id, self.gone());
            }
        }
        Ok(())
    }

    async fn joined(&self, span: Span, data: &mut AccountData) -> Result<Option<JoinedRoom>> {
        let part = self.reading.part(self.head, self.me, span);
        let (is_new, full) = (span.timeline_after.is_none(), span.state_after.is_none());
        let delta = match full || self.touch.events && self.moved(span) {
            true => room::delta(self.reading, &part).await?,
            false => Delta::empty(self.reading, &part),
        };
        let account_data = self.account_data(is_new, data).await?;
        let ephemeral = self.ephemeral(span).await?;
        let nothing =
            delta.is_empty() && account_data.events.is_empty() && ephemeral.events.is_empty();
        let Some(unread) = self.unread(span, full || !nothing).await? else { return Ok(None) };
        let Delta { timeline, state, summary } = delta;
        let by_thread = self.reading.query.filter.unread_threads;
        Ok(Some(JoinedRoom {
            summary,
            timeline,
            state,
            account_data,
            ephemeral,
            unread_notifications: if by_thread { unread.main() } else { unread.total() },
            unread_thread_notifications: by_thread.then(|| unread.by_thread()),
        }))
    }

    /// What is unread, if the room is told anyway, or if for this.
    async fn unread(&self, span: Span, is_told: bool) -> Result<Option<Unread>> {
        // A filter holds events back, but counts them.
        let held_back = !self.reading.query.filter.timeline.passes_all() && self.moved(span);
        let anew = held_back || self.reading.counts_anew().await?;
        if !is_told && !self.touch.read && !anew {
            return Ok(None);
        }
        let untouched = self.reading.since().filter(|_| !self.touch.read);
        let unread = self.reading.unread(self.head, self.me, untouched).await?;
        let has_read = Some(unread.marked) > self.reading.since();
        Ok((is_told || has_read || anew && unread.any).then_some(unread))
    }

    /// Whether anything happened to the room since the client was told.
    fn moved(&self, span: Span) -> bool {
        let newest = self.head.row.last.max(self.head.row.state_at);
        span.timeline_after.is_none_or(|known| newest > known)
    }

    async fn left(&self, span: Span, data: &mut AccountData) -> Result<LeftRoom> {
        let part = self.reading.part(self.head, self.me, span);
        let mut delta = room::delta(self.reading, &part).await?;
        // Whoever is told so of a room they are invited to does not hear of the invite.
        if self.me.at > part.end && self.me.kind != MembershipKind::Invite {
            delta.add_sender(self.reading, &part, self.me).await?;
            delta.add_membership(self.reading, &part, self.me).await?;
        }
        // What was noted while the user was invited again was not told.
        let told_of = span.timeline_after == self.reading.since();
        let account_data = self.account_data(!told_of, data).await?;
        Ok(LeftRoom { timeline: delta.timeline, state: delta.state, account_data })
    }

    async fn declined(&self, data: &mut AccountData) -> Result<LeftRoom> {
        let part = self.outside();
        let mut delta = Delta::empty(self.reading, &part);
        delta.add_membership(self.reading, &part, self.me).await?;
        let account_data = self.account_data(true, data).await?;
        Ok(LeftRoom { timeline: delta.timeline, state: delta.state, account_data })
    }

    fn gone(&self) -> LeftRoom {
        let Delta { timeline, state, .. } = Delta::empty(self.reading, &self.outside());
        LeftRoom { timeline, state, account_data: Events::default() }
    }

    /// The part of a room that its guests see: nothing but themselves.
    fn outside(&self) -> Part<'_> {
        let (at, known) = (self.me.at, Some(self.me.at));
        let span = Span { timeline_after: known, state_after: known, joined: at, end: Some(at) };
        self.reading.part(self.head, self.me, span)
    }

    async fn stripped(&self) -> Result<Events<Box<RawValue>>> {
        let events = stripped::state(self.reading, self.head, self.me).await?;
        Ok(Events { events })
    }

    async fn account_data(
        &self,
        is_new: bool,
        data: &mut AccountData,
    ) -> Result<Events<Box<RawValue>>> {
        if is_new && self.reading.since.is_some() {
            return aside::account_data_of(self.reading, &self.head.room).await;
        }
        Ok(data.take(&self.head.room))
    }

    async fn ephemeral(&self, span: Span) -> Result<Events<Box<RawValue>>> {
        let (room, known) = (&self.head.room, span.timeline_after);
        let receipts = match self.touch.receipts || known.is_none() {
            true => aside::receipts(self.reading, room, known).await?,
            false => Vec::new(),
        };
        let typing = aside::typing(self.reading, room, known.is_none()).await?;
        Ok(Events { events: typing.into_iter().chain(receipts).collect() })
    }
}
