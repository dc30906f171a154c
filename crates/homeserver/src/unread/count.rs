//! One count: from the rows of a timeline, its blocks, and a user's push rules.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Bound,
    sync::atomic::Ordering,
};

use ruma::{OwnedEventId, OwnedUserId};
use serde_json::value::to_raw_value;
use tertulia_protocol::{
    Power, RoomIdShown,
    push::{EventClass, Judgement, PushContext, example, judge, reads_content},
};
use tertulia_storage::{Direction, Position};

use super::{
    Asking, MOST_READ, Unread, UnreadCounts, UserRules,
    known::Known,
    marks::{Marks, Thread},
    walk::{Step, is_unread, step},
};
use crate::{
    Result,
    events::{BLOCK, ClientEvent, EventCache, Head, NewestPlaces, current_power, member},
    schema::{Ordinal, PUSH_BLOCKS, PushBlock, PushRow, PushTally, TIMELINE, TimelineRow},
};

/// How many events of a room are read one by one where rules read their content.
const MOST_EXACT: usize = if cfg!(test) { 150 } else { 5_000 };
/// How many blocks back a room is counted: a million events.
const MOST_BLOCKS: usize = 16_384;
/// How many blocks are read in one go.
const BLOCKS: usize = 16;
/// How many events are read in one go.
const PAGE: usize = 100;

/// One count in the making.
pub(super) struct Count<'a> {
    asking: &'a Asking<'a>,
    head: &'a Head,
    reads_content: bool,
    context: Option<PushContext>,
    power: Option<Power>,
    judged: HashMap<Look, Judgement>,
    unread: Unread,
    /// Events that have to be read to be judged, and the threads they are in.
    to_read: Vec<(Thread, OwnedEventId)>,
    /// The threads that the user wrote in.
    spoke: BTreeSet<Thread>,
    /// Whether no event was left unread because so many others were read for the same answer.
    is_whole: bool,
}

/// What came of a count.
pub(super) struct Counted {
    pub(super) unread: Unread,
    /// Up to where the user has read.
    pub(super) marks: Marks,
    /// Whether it is worth keeping: the next answer would not read more events.
    pub(super) is_whole: bool,
}

/// What push rules that do not read content see of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Look {
    class: u8,
    mentions_me: bool,
    mentions_room: bool,
    /// Whether its sender may mention the room.
    may_notify_room: bool,
    /// Whether there are two in the room.
    is_pair: bool,
    /// Who sent it, if they ask for that.
    sender: Option<OwnedUserId>,
}

impl<'a> Count<'a> {
    pub(super) fn new(asking: &'a Asking<'a>, head: &'a Head) -> Self {
        Self {
            asking,
            head,
            reads_content: reads_content(&asking.rules.rules, &head.room),
            context: None,
            power: None,
            judged: HashMap::new(),
            unread: Unread::default(),
            to_read: Vec::new(),
            spoke: BTreeSet::new(),
            is_whole: true,
        }
    }

    /// Counts what came after `known`; none if that takes a new count.
    pub(super) async fn go_on(mut self, known: &Known) -> Result<Option<Counted>> {
        let Some(rows) = self.rows_after(known.last).await? else { return Ok(None) };
        let mut marks = known.marks.clone();
        self.take_rows(&mut marks, rows).await?;
        self.read().await?;
        let mut unread = known.unread.clone();
        unread.threads.retain(|thread, _| !self.spoke.contains(thread));
        for (thread, counts) in self.unread.threads {
            unread.threads.entry(thread).or_default().add(counts);
        }
        unread.any |= self.unread.any;
        Ok(Some(Counted { unread, marks, is_whole: self.is_whole }))
    }

    /// The few rows after a position, newest first, if nothing before them is different by them.
    async fn rows_after(&self, last: Position) -> Result<Option<Vec<(Position, TimelineRow)>>> {
        if last > self.head.row.last {
            return Ok(None);
        }
        let kept = self.asking.core.local::<NewestPlaces>();
        let rows = match kept.after(self.head, last) {
            Some(rows) => rows,
            None => self.rows(Bound::Excluded(last), Bound::Unbounded, most_new()).await?,
        };
        let redacts = |row: &TimelineRow| {
            row.push.as_ref().is_some_and(|push| EventClass::from_number(push.class).is_redaction())
        };
        let changes_others = rows.len() >= most_new() || rows.iter().any(|(_, row)| redacts(row));
        Ok((!changes_others).then_some(rows))
    }

    /// Counts all that is unread by `marks`, which say so since `marked`.
    pub(super) async fn all_unread(
        mut self,
        mut marks: Marks,
        marked: Position,
    ) -> Result<Counted> {
        self.unread.marked = marked;
        let tail = usize::try_from(self.head.row.unblocked).unwrap_or(usize::MAX);
        let floor = Bound::Excluded(marks.floor);
        let rows = self.rows(floor, Bound::Unbounded, tail).await?;
        let is_all = rows.len() < tail;
        self.take_rows(&mut marks, rows).await?;
        if !is_all {
            self.take_blocks(&mut marks).await?;
        }
        self.read().await?;
        Ok(Counted { unread: self.unread, marks, is_whole: self.is_whole })
    }

    async fn take_blocks(&mut self, marks: &mut Marks) -> Result<()> {
        let prefix = (self.head.room.clone(), self.head.row.stretch);
        let mut before = None;
        for _ in 0..MOST_BLOCKS / BLOCKS {
            let from = before.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
            let view = self.asking.view;
            let blocks =
                view.scan_from(&PUSH_BLOCKS, &prefix, from, Direction::Backward, BLOCKS).await?;
            let is_last = blocks.len() < BLOCKS;
            for ((.., last), block) in &blocks {
                if self.take_block(marks, *last, block).await? == Step::Done {
                    return Ok(());
                }
            }
            before = blocks.into_iter().next_back().map(|(key, _)| key);
            if is_last {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn take_block(
        &mut self,
        marks: &mut Marks,
        last: Position,
        block: &PushBlock,
    ) -> Result<Step> {
        let mut step = step(marks, self.asking.user, last, block);
        if step == Step::Whole && self.reads_content && self.to_read.len() < MOST_EXACT {
            step = Step::Rows;
        }
        match step {
            Step::Done => {}
            Step::Rows => {
                let range = (Bound::Included(block.from), Bound::Included(last));
                let rows = self.rows(range.0, range.1, usize::MAX).await?;
                self.take_rows(marks, rows).await?;
            }
            Step::Whole => self.take_whole(marks, last, block).await?,
        }
        Ok(step)
    }

    async fn take_whole(&mut self, marks: &Marks, last: Position, block: &PushBlock) -> Result<()> {
        for tally in &block.tallies {
            if !marks.is_read(&tally.thread, last) {
                self.add_tally(tally).await?;
            }
        }
        for mention in &block.mentioning {
            let push = &mention.push;
            if !marks.is_read(&push.thread, last) {
                self.add_event(push, &mention.event).await?;
            }
        }
        Ok(())
    }

    /// Rows of the present stretch between two places, newest first.
    async fn rows(
        &self,
        from: Bound<Position>,
        to: Bound<Position>,
        limit: usize,
    ) -> Result<Vec<(Position, TimelineRow)>> {
        let key = |at| (self.head.room.clone(), self.head.row.stretch, Ordinal::Live(at));
        let (from, to) = (from.map(key), to.map(key));
        // Without an end, the stretch is where it ends.
        let to = match to {
            Bound::Unbounded => Bound::Included(key(self.asking.view.settled())),
            to => to,
        };
        let (from, to) = (from.as_ref(), to.as_ref());
        let rows = self.asking.view.range(&TIMELINE, from, to, Direction::Backward, limit).await?;
        let live = |((.., place), row): ((_, _, Ordinal), _)| Some((place.position()?, row));
        Ok(rows.into_iter().filter_map(live).collect())
    }

    async fn take_rows(
        &mut self,
        marks: &mut Marks,
        rows: Vec<(Position, TimelineRow)>,
    ) -> Result<()> {
        for (place, row) in rows {
            let Some(push) = &row.push else { continue };
            let is_mine = push.sender == self.asking.user;
            if is_unread(marks, self.asking.user, place, &row) {
                self.add_event(push, &row.event).await?;
            } else if is_mine {
                self.spoke.insert(push.thread.clone());
            }
        }
        Ok(())
    }

    /// Whether an event of this class is not told because of who sent it.
    fn ignores(&self, class: u8, sender: &OwnedUserId) -> bool {
        !EventClass::from_number(class).is_state() && self.asking.ignored.contains(sender)
    }

    async fn add_event(&mut self, push: &PushRow, event: &OwnedEventId) -> Result<()> {
        self.unread.any = true;
        if self.ignores(push.class, &push.sender) {
            return Ok(());
        }
        if (self.reads_content || push.mentions_many) && self.may_read() {
            self.to_read.push((push.thread.clone(), event.clone()));
            return Ok(());
        }
        let mentions_me = push.mentions.iter().any(|user| user == self.asking.user);
        let (class, room) = (push.class, push.mentions_room);
        let judgement = self.judge(class, &push.sender, mentions_me, room).await?;
        self.add(push.thread.clone(), judgement, 1);
        Ok(())
    }

    async fn add_tally(&mut self, tally: &PushTally) -> Result<()> {
        let is_redacted = EventClass::from_number(tally.class) == EventClass::REDACTED;
        self.unread.any |= !is_redacted;
        if is_redacted || self.ignores(tally.class, &tally.sender) {
            return Ok(());
        }
        let judgement = self.judge(tally.class, &tally.sender, false, false).await?;
        self.add(tally.thread.clone(), judgement, tally.count.into());
        Ok(())
    }

    fn may_read(&mut self) -> bool {
        if self.to_read.len() >= MOST_EXACT {
            return false;
        }
        let is_within = self.asking.read.fetch_add(1, Ordering::Relaxed) < MOST_READ;
        self.is_whole &= is_within;
        is_within
    }

    fn add(&mut self, thread: Thread, judgement: Judgement, count: u64) {
        let counts = UnreadCounts {
            highlight_count: if judgement.highlight { count } else { 0 },
            notification_count: if judgement.notify { count } else { 0 },
        };
        if !counts.is_zero() {
            self.unread.threads.entry(thread).or_default().add(counts);
        }
    }

    /// What the rules say of events that look so.
    async fn judge(
        &mut self,
        class: u8,
        sender: &OwnedUserId,
        mentions_me: bool,
        mentions_room: bool,
    ) -> Result<Judgement> {
        let UserRules { rules, ask_who_sent, judged, .. } = self.asking.rules;
        let asks_who = mentions_room || *ask_who_sent;
        let look = Look {
            class,
            mentions_me,
            mentions_room,
            may_notify_room: asks_who && self.power().await?.may_notify_room(sender),
            is_pair: self.head.row.joined == 2,
            sender: ask_who_sent.then(|| sender.clone()),
        };
        let known = match judged {
            Some(judged) => judged.lock().get(&look).copied(),
            None => self.judged.get(&look).copied(),
        };
        if let Some(known) = known {
            return Ok(known);
        }
        let mentioned = mentions_me.then_some(self.asking.user);
        let class = EventClass::from_number(class);
        let event = example(class, sender, &self.head.room, mentioned, mentions_room);
        let judgement = judge(rules, &event, self.context().await?, look.may_notify_room);
        match judged {
            Some(judged) => judged.lock().insert(look, judgement),
            None => self.judged.insert(look, judgement),
        };
        Ok(judgement)
    }

    /// Reads the events that have to be read, and counts them.
    async fn read(&mut self) -> Result<()> {
        let to_read = std::mem::take(&mut self.to_read);
        let cache = self.asking.core.local::<EventCache>();
        for page in to_read.chunks(PAGE) {
            let ids: Vec<_> = page.iter().map(|(_, id)| id.clone()).collect();
            let events = cache.load_many(self.asking.view, &self.head.rules, &ids).await?;
            for ((thread, _), pdu) in page.iter().zip(events) {
                let Some(pdu) = pdu else { continue };
                let may_notify_room = self.power().await?.may_notify_room(pdu.sender());
                let event = to_raw_value(&ClientEvent::new(pdu, RoomIdShown::Yes));
                let event = event.expect("an event is JSON");
                let rules = &self.asking.rules.rules;
                let judgement = judge(rules, &event, self.context().await?, may_notify_room);
                self.add(thread.clone(), judgement, 1);
            }
        }
        Ok(())
    }

    async fn context(&mut self) -> Result<&PushContext> {
        if self.context.is_none() {
            let display_name = match self.asking.rules.ask_for_display_name {
                true => member(self.asking.view, self.head, self.asking.user).await?,
                false => None,
            };
            let display_name = display_name.and_then(|member| member.displayname);
            self.context = Some(PushContext {
                room: self.head.room.clone(),
                members: self.head.row.joined,
                user: self.asking.user.to_owned(),
                display_name: display_name.unwrap_or_default(),
            });
        }
        Ok(self.context.as_ref().expect("it was just made"))
    }

    async fn power(&mut self) -> Result<&Power> {
        if self.power.is_none() {
            let Asking { view, core, .. } = self.asking;
            self.power = Some(current_power(view, core, self.head).await?);
        }
        Ok(self.power.as_ref().expect("it was just read"))
    }
}

/// How many new rows are too many to go on from an older count.
fn most_new() -> usize {
    usize::try_from(BLOCK).unwrap_or(usize::MAX)
}
