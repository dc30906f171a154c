//! Rooms and guests ("Guest Access"): who may not come in, and that those have to go whom a room
//! does not want any more.

use ruma::{
    RoomId,
    events::{
        StateEventType, TimelineEventType,
        room::{guest_access::GuestAccess, member::MembershipState},
    },
};
use serde::Deserialize;
use tertulia_protocol::Draft;
use tertulia_storage::{Tx, View};

use super::{EventCache, Head, current_rows};
use crate::{
    Error, Result,
    core::Core,
    log,
    schema::{ACCOUNTS, CLOSED_TO_GUESTS},
};

/// Refuses a guest's draft by which the guest would come into a room that lets no guests in. It is
/// asked in the room's lane, so that nobody comes in while the room is closed to guests.
pub(crate) async fn refuse_guest(
    view: &View,
    core: &Core,
    head: &Head,
    draft: &Draft,
) -> Result<()> {
    if !joins(draft) {
        return Ok(());
    }
    let account = view.get(&ACCOUNTS, &(draft.sender.clone(),)).await?;
    let is_guest = account.is_some_and(|account| account.guest);
    if is_guest && !lets_guests_in(view, core, head).await? {
        return Err(Error::GuestsForbidden);
    }
    Ok(())
}

/// Whether the sender joins by it.
fn joins(draft: &Draft) -> bool {
    #[derive(Deserialize)]
    struct Content {
        membership: MembershipState,
    }
    draft.kind == TimelineEventType::RoomMember
        && draft.state_key.as_deref() == Some(draft.sender.as_str())
        && serde_json::from_str::<Content>(draft.content.get())
            .is_ok_and(|content| content.membership == MembershipState::Join)
}

/// Whether guests may be in the room as it is now.
pub(crate) async fn lets_guests_in(view: &View, core: &Core, head: &Head) -> Result<bool> {
    #[derive(Deserialize)]
    struct Content {
        guest_access: GuestAccess,
    }
    let slot = (StateEventType::RoomGuestAccess, String::new());
    let rows = current_rows(view, head, &[slot]).await?;
    // A redacted event says nothing of guests.
    let Some(row) = rows.into_iter().flatten().find(|row| !row.redacted) else { return Ok(false) };
    let event = core.local::<EventCache>().load(view, &head.rules, &row.event).await?;
    let content = event.content_as::<Content>();
    Ok(content.is_some_and(|content| content.guest_access == GuestAccess::CanJoin))
}

/// Whether this slot says if guests may be in the room.
pub(super) fn is_about_guests(kind: &str, key: &str) -> bool {
    kind == "m.room.guest_access" && key.is_empty()
}

/// Notes that the room may have been closed to the guests who are in it. Whether it was, and who they
/// are, is looked at later: so many may have to go that one commit would not bear it.
pub(super) async fn note_closed(tx: &mut Tx, room: &RoomId) -> Result<()> {
    let key = (room.to_owned(),);
    let (before,) = tx.get(&CLOSED_TO_GUESTS, &key).await?.unwrap_or_default();
    tx.put(&CLOSED_TO_GUESTS, &key, &(before + 1,));
    tx.wake(log::guests_topic());
    Ok(())
}
