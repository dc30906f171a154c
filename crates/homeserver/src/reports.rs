//! Reports: what users find inappropriate and want the administrators to look at (client-server
//! API, "Reporting Content").

use ruma::{EventId, OwnedEventId, OwnedRoomId, OwnedUserId, UserId};
use tertulia_storage::{Command, Direction, Partition, Tx};

use crate::{
    Error, Homeserver, Result, Room, User,
    events::load_head,
    schema::{MEMBERSHIPS, MembershipKind, REPORTS, ReportRow},
    users,
};

/// How many bytes of a reason are kept.
const LONGEST_REASON: usize = 4_096;
/// The most reports that are listed at once.
const MOST: usize = 1_000;

/// The name of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ReportId {
    /// When it was made, in milliseconds since 1970.
    at: u64,
    /// What tells apart those of the same time.
    number: u64,
}

/// What a report is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reported {
    /// A room.
    Room(OwnedRoomId),
    /// An event in a room.
    Event(OwnedRoomId, OwnedEventId),
    /// A user.
    User(OwnedUserId),
}

/// What a user has told the administrators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Its name.
    pub id: ReportId,
    /// Who reports.
    pub by: OwnedUserId,
    /// What is reported.
    pub about: Reported,
    /// Why; it may be empty, and of a long one it is the beginning.
    pub reason: String,
    /// When, in milliseconds since 1970.
    pub at: u64,
}

impl Report {
    fn new((at, number): (u64, u64), row: ReportRow) -> Option<Self> {
        let about = match (row.room, row.event, row.user) {
            (Some(room), Some(event), _) => Reported::Event(room, event),
            (Some(room), None, _) => Reported::Room(room),
            (None, _, user) => Reported::User(user?),
        };
        let id = ReportId { at, number };
        Some(Self { id, by: row.by, about, reason: row.reason, at })
    }
}

impl Room {
    /// Reports the room. One need not be in it.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the room.
    pub async fn report(&self, reason: &str) -> Result<()> {
        load_head(&self.user().core.store.view().await?, self.id()).await?;
        self.user().tell_admins(Reported::Room(self.id().to_owned()), reason).await
    }

    /// Reports an event of the room.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] for one who is not in the room, or may not see such an event.
    pub async fn report_event(&self, event: &EventId, reason: &str) -> Result<()> {
        let view = self.user().core.store.view().await?;
        let mine = (self.user().id().to_owned(), self.id().to_owned());
        let membership = view.get(&MEMBERSHIPS, &mine).await?;
        if membership.is_none_or(|row| row.kind != MembershipKind::Join) {
            return Err(Error::NotFound("event"));
        }
        self.event(event).await?;
        let about = Reported::Event(self.id().to_owned(), event.to_owned());
        self.user().tell_admins(about, reason).await
    }
}

impl User {
    /// Reports another user. They need not have met.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the server does not know the user.
    pub async fn report(&self, user: &UserId, reason: &str) -> Result<()> {
        let view = self.core.store.view().await?;
        // It does not know those of other servers, as it does not federate yet.
        users::account(&view, user).await?.ok_or(Error::NotFound("user"))?;
        self.tell_admins(Reported::User(user.to_owned()), reason).await
    }

    async fn tell_admins(&self, about: Reported, reason: &str) -> Result<()> {
        let mut number = [0; 8];
        self.core.random.fill(&mut number);
        let (room, event, user) = match about.clone() {
            Reported::Room(room) => (Some(room), None, None),
            Reported::Event(room, event) => (Some(room), Some(event), None),
            Reported::User(user) => (None, None, Some(user)),
        };
        let reason = beginning(reason).to_owned();
        let row = ReportRow { by: self.id.clone(), room, event, user, reason };
        let id = (self.core.now().get().into(), u64::from_be_bytes(number));
        self.core.store.write(Put { id, row: Some(row) }).await?;
        tracing::warn!(by = %self.id, ?about, "a report for the administrators");
        Ok(())
    }
}

impl Homeserver {
    /// What users have reported, newest first, of what is older than `before`; at most a thousand.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if they cannot be read.
    pub async fn reports(&self, before: Option<ReportId>, limit: usize) -> Result<Vec<Report>> {
        let view = self.core.store.view().await?;
        let from = before.map(|id| (id.at, id.number));
        let from = from.as_ref().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let (towards, limit) = (Direction::Backward, limit.min(MOST));
        let rows = view.scan_from(&REPORTS, &(), from, towards, limit).await?;
        Ok(rows.into_iter().filter_map(|(id, row)| Report::new(id, row)).collect())
    }

    /// Deletes a report that was dealt with. One that is not there is gone already.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if it cannot be deleted.
    pub async fn dismiss_report(&self, id: ReportId) -> Result<()> {
        self.core.store.write(Put { id: (id.at, id.number), row: None }).await?;
        Ok(())
    }
}

/// As much of a reason as is kept.
fn beginning(reason: &str) -> &str {
    let mut end = reason.len().min(LONGEST_REASON);
    while !reason.is_char_boundary(end) {
        end -= 1;
    }
    &reason[..end]
}

/// Writes a report, or deletes it.
struct Put {
    id: (u64, u64),
    row: Option<ReportRow>,
}

impl Command for Put {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("reports", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        match &self.row {
            Some(row) => tx.put(&REPORTS, &self.id, row),
            None => tx.delete(&REPORTS, &self.id),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{public_room, server, user};

    #[test]
    fn of_a_long_reason_the_beginning_is_kept() {
        assert_eq!(beginning("spam"), "spam");
        assert_eq!(beginning(&"a".repeat(5_000)).len(), LONGEST_REASON);
        let wide = "é".repeat(3_000);
        assert_eq!(beginning(&format!("a{wide}")).len(), LONGEST_REASON - 1);
    }

    #[tokio::test]
    async fn admins_list_what_was_reported_newest_first_and_dismiss_it() {
        let server = server().await;
        let (alice, bob) = (user(&server, "alice"), user(&server, "bob"));
        let room = public_room(&alice, "12").await;
        let event = room.send_text("spam").await.unwrap();
        let theirs = bob.room(room.id());
        theirs.report("a room").await.unwrap();
        let outside = theirs.report_event(&event, "").await.unwrap_err();
        assert!(matches!(outside, Error::NotFound(_)));
        theirs.join(None).await.unwrap();
        theirs.report_event(&event, "an event").await.unwrap();
        let all = server.reports(None, 10).await.unwrap();
        assert_eq!(all.len(), 2);
        assert!(all.iter().all(|report| report.by == bob.id()));
        let abouts: Vec<_> = all.iter().map(|report| report.about.clone()).collect();
        let room = room.id().to_owned();
        assert!(abouts.contains(&Reported::Room(room.clone())));
        assert!(abouts.contains(&Reported::Event(room, event)));
        let older = server.reports(Some(all[0].id), 10).await.unwrap();
        assert_eq!(older, all[1..]);
        assert_eq!(server.reports(None, 1).await.unwrap(), all[..1]);
        server.dismiss_report(all[0].id).await.unwrap();
        assert_eq!(server.reports(None, 10).await.unwrap(), all[1..]);
    }

    #[tokio::test]
    async fn what_nobody_knows_cannot_be_reported() {
        let server = server().await;
        let alice = user(&server, "alice");
        let room = public_room(&alice, "12").await;
        let unknown = [
            alice.room(ruma::room_id!("!none:x")).report("").await,
            room.report_event(ruma::event_id!("$none"), "").await,
            alice.report(ruma::user_id!("@none:x"), "").await,
            alice.report(ruma::user_id!("@none:elsewhere"), "").await,
        ];
        assert!(unknown.iter().all(|outcome| matches!(outcome, Err(Error::NotFound(_)))));
        assert!(server.reports(None, 10).await.unwrap().is_empty());
    }
}
