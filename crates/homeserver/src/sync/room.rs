//! One room's part of an answer: its timeline and the state that goes with it.

use std::collections::BTreeSet;

use ruma::{OwnedUserId, events::StateEventType};
use tertulia_protocol::sync as rules;

use super::{
    answer::{Events, Shown, State, Summary, Timeline},
    filter::Members,
    reading::{Part, Reading, StateFor},
    show,
    state::{self, Changes, Told},
    stays, summary,
    timeline::{self, Window},
};
use crate::{
    Result,
    events::EventCache,
    schema::{Membership, Ordinal},
};

/// What there is to tell of a room's events.
#[derive(Debug)]
pub(super) struct Delta {
    pub(super) timeline: Timeline,
    pub(super) state: State,
    pub(super) summary: Option<Summary>,
}

impl Delta {
    /// Nothing, at the end of `part`.
    pub(super) fn empty(reading: &Reading<'_>, part: &Part<'_>) -> Self {
        let prev_batch = Window::default().prev_batch(part).to_string();
        Self {
            timeline: Timeline { events: Vec::new(), limited: false, prev_batch },
            state: in_mode(reading, Vec::new()),
            summary: None,
        }
    }

    /// Whether a client that knows the room learns nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.timeline.events.is_empty()
            && !self.timeline.limited
            && self.state.events().is_empty()
            && self.summary.is_none()
    }

    /// Adds who did to the user what came after the end of the part that the user may see, as the
    /// user saw them last, for a client that loads members lazily.
    pub(super) async fn add_sender(
        &mut self,
        reading: &Reading<'_>,
        part: &Part<'_>,
        me: &Membership,
    ) -> Result<()> {
        if reading.query.filter.members == Members::All {
            return Ok(());
        }
        let cache = reading.core().local::<EventCache>();
        let event = cache.load(&reading.view, &part.head.rules, &me.event).await?;
        let others = Some(event.sender().to_owned()).filter(|sender| *sender != reading.me());
        let told = state::members_at_end(reading, part, &others.into_iter().collect()).await?;
        let (State::Before(events) | State::After(events)) = &mut self.state;
        events.events.extend(show::state(reading, part, told).await?);
        Ok(())
    }

    /// Adds what became of the user after the end of the part that the user may see.
    pub(super) async fn add_membership(
        &mut self,
        reading: &Reading<'_>,
        part: &Part<'_>,
        me: &Membership,
    ) -> Result<()> {
        let slot = (StateEventType::RoomMember, reading.me().to_string());
        let told = || Told { slots: [(slot.clone(), me.event.clone())].into(), ..Told::default() };
        self.timeline.events.extend(show::state(reading, part, told()).await?);
        if let State::After(after) = &mut self.state {
            // The events in front are older; a client takes the last of a slot.
            after.events.extend(show::state(reading, part, told()).await?);
        }
        Ok(())
    }
}

/// Everything in `part` that the client does not know and asks for.
pub(super) async fn delta(reading: &Reading<'_>, part: &Part<'_>) -> Result<Delta> {
    let mut window = timeline::read(reading, part).await?;
    let changes = state::changes(reading, part, &window).await?;
    let timeline = fitting(reading, &mut window, &changes);
    let whole = state::whole(reading, part).await?;
    let summary = match part.span.end {
        None => summary::changed(reading, part, &window, &changes, whole.as_deref()).await?,
        Some(_) => None,
    };
    let members = needed_members(reading, part, &timeline, summary.as_ref()).await?;
    let told = state::told(reading, part, &changes, &timeline, &members, whole).await?;
    let state = in_mode(reading, show::state(reading, part, told).await?);
    let (limited, prev_batch) = (window.limited, window.prev_batch(part).to_string());
    let events = show::timeline(reading, part, window, &changes).await?;
    Ok(Delta { timeline: Timeline { events, limited, prev_batch }, state, summary })
}

/// Drops what a client would take for the state although it is not.
fn fitting(
    reading: &Reading<'_>,
    window: &mut Window,
    changes: &Changes,
) -> rules::Timeline<Ordinal> {
    let events = window.events.iter().map(|event| (event.place, event.pdu.clone())).collect();
    match reading.query.state {
        StateFor::TimelineEnd => rules::Timeline { events, limited: window.limited },
        StateFor::TimelineStart => {
            let timeline = rules::cut(events, changes, usize::MAX);
            window.cut(timeline.events.first().map(|(place, _)| *place));
            timeline
        }
    }
}

/// State events in the section where the client looks for them.
pub(super) fn in_mode(reading: &Reading<'_>, events: Vec<Shown>) -> State {
    match reading.query.state {
        StateFor::TimelineStart => State::Before(Events { events }),
        StateFor::TimelineEnd => State::After(Events { events }),
    }
}

/// The members without whom a client that loads members lazily cannot show what it is told:
/// senders, heroes, and where the room is told in full, the user, and whom it may know otherwise.
async fn needed_members(
    reading: &Reading<'_>,
    part: &Part<'_>,
    timeline: &rules::Timeline<Ordinal>,
    summary: Option<&Summary>,
) -> Result<BTreeSet<OwnedUserId>> {
    let mut needed = BTreeSet::new();
    if reading.query.filter.members == Members::All {
        return Ok(needed);
    }
    needed.extend(timeline.events.iter().map(|(_, event)| event.sender().to_owned()));
    needed.extend(summary.and_then(|summary| summary.heroes.clone()).unwrap_or_default());
    if part.span.state_after.is_none() {
        needed.insert(reading.me().to_owned());
        needed.extend(stays::changed_members(reading, part).await?);
    }
    Ok(needed)
}
