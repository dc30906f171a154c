//! Sending: one draft, one command, one event.

use std::sync::Arc;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId,
    OwnedUserId,
    events::{StateEventType, TimelineEventType},
};
use serde_json::{Value, value::RawValue};
use sha2::{Digest as _, Sha256};
use tertulia_protocol::{Draft, Pdu};
use tertulia_storage::{Command, Key as _, Partition, Tx};

use super::{Room, membership::refuse_unfit_name, redact::refuse_as_state};
use crate::{
    Error, Result,
    core::Core,
    events::{self, EventCache, Head},
    presence,
    schema::{STATE, TRANSACTIONS},
    typing,
};

/// The most bytes of a transaction's ID, as of other identifiers.
const LONGEST: usize = 255;
/// The most bytes of a key that the store takes for certain.
const LONGEST_KEY: usize = 1_000;

/// What a session calls a request, so that repeating it does nothing twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The session.
    pub device: OwnedDeviceId,
    /// The name it gave.
    pub id: OwnedTransactionId,
}

impl Room {
    /// Sends an event that leaves the state as it is. A repeated `transaction` tells the event of
    /// the first time.
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the room's rules forbid it or the content is not canonical JSON,
    /// [`Error::NotFound`] if there is no such room, [`Error::Suspended`], [`Error::Invalid`] if the
    /// transaction's ID has more than 255 bytes.
    pub async fn send(
        &self,
        kind: TimelineEventType,
        content: Box<RawValue>,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        self.user.refuse_suspended()?;
        if kind == TimelineEventType::RoomRedaction {
            return self.send_redaction(&content, transaction).await;
        }
        let draft = Draft::message(self.me().to_owned(), kind, content);
        self.append(draft, transaction).await
    }

    /// Puts an event into a slot of the room's state. One that puts there what they have put there
    /// already is told that event, if they still may put it there.
    ///
    /// # Errors
    ///
    /// As [`Room::send`]; [`Error::Forbidden`] for an invite of another server's user, [`Error::UnfitName`] for a
    /// member event with a name that nobody may have.
    pub async fn set_state(
        &self,
        kind: StateEventType,
        key: &str,
        content: Box<RawValue>,
    ) -> Result<OwnedEventId> {
        self.user.refuse_suspended()?;
        refuse_as_state(&kind)?;
        refuse_unfit_name(&kind, &content)?;
        let content = self.with_face_of_guest(&kind, key, content).await?;
        let draft = Draft::state(self.me().to_owned(), kind, key, content);
        self.put_once(draft).await
    }

    /// Sends an event that changes the state, unless the sender has put the same there already:
    /// then that is what is told.
    pub(super) async fn put_once(&self, draft: Draft) -> Result<OwnedEventId> {
        let send = Send { repeated: Repeated::TellsTheFirst, ..Send::new(self, draft, None)? };
        self.run(send).await
    }

    /// Sends any draft.
    pub(super) async fn append(
        &self,
        draft: Draft,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        self.run(Send::new(self, draft, transaction)?).await
    }

    async fn run(&self, send: Send) -> Result<OwnedEventId> {
        let sent = self.core().store.write(send).await?.out;
        presence::note_active(self.core(), self.me()).await?;
        Ok(self.keep(sent))
    }

    /// The event that was sent; whoever syncs finds it in memory, and nobody types where they are
    /// not any more.
    fn keep(&self, sent: Sent) -> OwnedEventId {
        match sent {
            Sent::Before(event) => event,
            Sent::Now(pdu) => self.keep_sent(&pdu),
        }
    }

    /// As [`Room::keep`], of an event that was sent just now.
    pub(crate) fn keep_sent(&self, pdu: &Pdu) -> OwnedEventId {
        self.core().local::<EventCache>().keep(pdu);
        typing::note_member(self.core(), &self.id, pdu);
        presence::note_member(self.core(), pdu);
        pdu.event_id().clone()
    }
}

/// Adds one event of a local user to a room, once per transaction.
struct Send {
    core: Arc<Core>,
    room: OwnedRoomId,
    draft: Draft,
    transaction: Option<Transaction>,
    repeated: Repeated,
    now: MilliSecondsSinceUnixEpoch,
}

/// What becomes of a state event that says what its sender has put into its slot already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Repeated {
    /// One more event.
    IsAnother,
    /// Nothing; whoever may send it is told the event that is there.
    TellsTheFirst,
}

/// What a request has led to.
enum Sent {
    /// An earlier request has sent this event.
    Before(OwnedEventId),
    /// This request has.
    Now(Pdu),
}

impl Send {
    fn new(room: &Room, draft: Draft, transaction: Option<Transaction>) -> Result<Self> {
        if transaction.as_ref().is_some_and(|transaction| transaction.id.as_str().len() > LONGEST) {
            return Err(Error::Invalid("the transaction ID"));
        }
        let core = room.core().clone();
        let repeated = Repeated::IsAnother;
        Ok(Self { now: core.now(), room: room.id.clone(), draft, transaction, repeated, core })
    }

    /// The row that remembers the transaction.
    fn transaction_key(&self) -> Option<TransactionKey> {
        let Transaction { device, id } = self.transaction.clone()?;
        let sender = self.draft.sender.clone();
        Some(fitting((self.room.clone(), sender, device, self.draft.kind.to_string(), id)))
    }

    /// The event by which the sender has put the same into the slot already, if it is still there.
    async fn first(&self, tx: &Tx, head: &Head) -> Result<Option<OwnedEventId>> {
        let Some(key) = &self.draft.state_key else { return Ok(None) };
        let row = tx.get(&STATE, &head.slot(&self.draft.kind.to_string(), key)).await?;
        let Some(row) = row.filter(|row| !row.redacted) else { return Ok(None) };
        let pdu = self.core.local::<EventCache>().load(tx, &head.rules, &row.event).await?;
        let is_same =
            pdu.sender() == self.draft.sender && are_equal(pdu.content(), &self.draft.content);
        Ok(is_same.then_some(row.event))
    }
}

/// Whether two texts are the same JSON.
fn are_equal(one: &RawValue, other: &RawValue) -> bool {
    let [one, other] = [one, other].map(|json| serde_json::from_str::<Value>(json.get()));
    matches!((one, other), (Ok(one), Ok(other)) if one == other)
}

type TransactionKey = (OwnedRoomId, OwnedUserId, OwnedDeviceId, String, OwnedTransactionId);

/// Each part of a transaction's key may be long. If they are too long together, the hash of those
/// that the client chose stands for them.
fn fitting(key: TransactionKey) -> TransactionKey {
    if key.encode().len() <= LONGEST_KEY {
        return key;
    }
    let (room, sender, device, kind, id) = key;
    let chosen = (device, kind, id).encode();
    let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(chosen));
    (room, sender, "".into(), String::new(), hash.into())
}

impl Command for Send {
    type Out = Sent;
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("room", self.room.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<Sent> {
        let key = self.transaction_key();
        if let Some(key) = &key
            && let Some((event,)) = tx.get(&TRANSACTIONS, key).await?
        {
            return Ok(Sent::Before(event));
        }
        let mut head = events::guard_head(tx, &self.room).await?;
        events::refuse_guest(tx, &self.core, &head, &self.draft).await?;
        let pdu = events::allowed(tx, &self.core, &head, self.draft.clone(), self.now).await?;
        events::check_sent(tx, &self.core, &head, &self.draft).await?;
        if self.repeated == Repeated::TellsTheFirst
            && let Some(event) = self.first(tx, &head).await?
        {
            return Ok(Sent::Before(event));
        }
        let sent_by = self.transaction.clone().map(|Transaction { device, id }| (device, id));
        let accepted = events::at_the_end(tx, &head, pdu.clone(), sent_by).await?;
        events::place(tx, &self.core, &mut head, accepted).await?;
        if let Some(key) = &key {
            tx.put(&TRANSACTIONS, key, &(pdu.event_id().clone(),));
        }
        Ok(Sent::Now(pdu))
    }
}

#[cfg(test)]
mod tests {
    use ruma::UserId;

    use super::*;

    fn key(device: &str, kind: &str, id: &str) -> TransactionKey {
        let room = ruma::owned_room_id!("!r:x");
        let sender = UserId::parse(format!("@{}:x", "a".repeat(200))).unwrap().to_owned();
        (room, sender, device.into(), kind.to_owned(), id.into())
    }

    #[test]
    fn a_transaction_is_remembered_under_its_own_names_if_they_fit() {
        let usual = key("DEVICE", "m.room.message", "m1700000000.7");
        assert_eq!(fitting(usual.clone()), usual);
        let long = key(&"d".repeat(255), &"k".repeat(255), &"t".repeat(255));
        assert_eq!(fitting(long.clone()), long);
    }

    #[test]
    fn what_does_not_fit_is_told_apart_by_its_hash() {
        // In a key, a NUL takes two bytes.
        let nuls = "\0".repeat(255);
        let shorter = "\0".repeat(254);
        let keys = [
            key(&nuls, &nuls, &nuls),
            key(&shorter, &nuls, &nuls),
            key(&nuls, &shorter, &nuls),
            key(&nuls, &nuls, &shorter),
        ];
        let hashed: std::collections::BTreeSet<_> = keys.into_iter().map(fitting).collect();
        assert_eq!(hashed.len(), 4);
        for key in hashed {
            assert!(key.encode().len() <= LONGEST_KEY);
            assert_eq!(fitting(key.clone()), key);
        }
    }
}
