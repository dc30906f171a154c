//! Sending: one draft, one command, one event.

use std::sync::Arc;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedDeviceId, OwnedEventId, OwnedRoomId, OwnedTransactionId,
    events::{StateEventType, TimelineEventType},
};
use serde_json::value::RawValue;
use tertulia_protocol::{Draft, Pdu};
use tertulia_storage::{Command, Partition, Tx};

use super::{Room, redact::refuse_as_state};
use crate::{
    Error, Result,
    core::Core,
    events::{self, EventCache},
    schema::TRANSACTIONS,
};

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
    /// [`Error::NotFound`] if there is no such room.
    pub async fn send(
        &self,
        kind: TimelineEventType,
        content: Box<RawValue>,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        if kind == TimelineEventType::RoomRedaction {
            return self.send_redaction(&content, transaction).await;
        }
        let draft = Draft::message(self.me().to_owned(), kind, content);
        let sent = self.core().store.write(Send::new(self, draft, transaction)).await?;
        Ok(self.keep(sent.out))
    }

    /// Sends a plain text.
    ///
    /// # Errors
    ///
    /// As [`Room::send`].
    pub async fn send_text(&self, body: &str) -> Result<OwnedEventId> {
        let content = serde_json::json!({ "msgtype": "m.text", "body": body });
        let content = serde_json::value::to_raw_value(&content).expect("text is JSON");
        self.send(TimelineEventType::RoomMessage, content, None).await
    }

    /// Puts an event into a slot of the room's state. One that puts there what they have put there
    /// already is told that event.
    ///
    /// # Errors
    ///
    /// As [`Room::send`].
    pub async fn set_state(
        &self,
        kind: StateEventType,
        key: &str,
        content: Box<RawValue>,
    ) -> Result<OwnedEventId> {
        refuse_as_state(&kind)?;
        if let Some(event) = self.same_state(&kind, key, &content).await? {
            return Ok(event);
        }
        let draft = Draft::state(self.me().to_owned(), kind, key, content);
        self.append(draft, None).await
    }

    /// Sends any draft.
    pub(super) async fn append(
        &self,
        draft: Draft,
        transaction: Option<Transaction>,
    ) -> Result<OwnedEventId> {
        let sent = self.core().store.write(Send::new(self, draft, transaction)).await?;
        Ok(self.keep(sent.out))
    }

    /// The event that was sent; whoever syncs finds it in memory.
    fn keep(&self, sent: Sent) -> OwnedEventId {
        match sent {
            Sent::Before(event) => event,
            Sent::Now(pdu) => {
                self.core().local::<EventCache>().keep(&pdu);
                pdu.event_id().clone()
            }
        }
    }
}

/// Adds one event of a local user to a room, once per transaction.
struct Send {
    core: Arc<Core>,
    room: OwnedRoomId,
    draft: Draft,
    transaction: Option<Transaction>,
    now: MilliSecondsSinceUnixEpoch,
}

/// What a transaction stands for.
enum Sent {
    /// An earlier request has sent this event.
    Before(OwnedEventId),
    /// This request has.
    Now(Pdu),
}

impl Send {
    fn new(room: &Room, draft: Draft, transaction: Option<Transaction>) -> Self {
        let core = room.core().clone();
        Self { now: core.now(), room: room.id.clone(), draft, transaction, core }
    }

    /// The row that remembers the transaction.
    fn transaction_key(&self) -> Option<TransactionKey> {
        let Transaction { device, id } = self.transaction.clone()?;
        let sender = self.draft.sender.clone();
        Some((self.room.clone(), sender, device, self.draft.kind.to_string(), id))
    }
}

type TransactionKey = (OwnedRoomId, ruma::OwnedUserId, OwnedDeviceId, String, OwnedTransactionId);

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
        let sent_by = self.transaction.clone().map(|Transaction { device, id }| (device, id));
        let draft = self.draft.clone();
        let pdu = events::append(tx, &self.core, &mut head, draft, self.now, sent_by).await?;
        if let Some(key) = &key {
            tx.put(&TRANSACTIONS, key, &(pdu.event_id().clone(),));
        }
        Ok(Sent::Now(pdu))
    }
}
