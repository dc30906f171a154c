//! A room shown to somebody before joining it (client-server API, "Room previews").

use ruma::{RoomAliasId, RoomOrAliasId, UserId};
use serde::Serialize;

use super::{RoomSummary, access::Onlooker, resolve};
use crate::{Error, Homeserver, Result, schema::MembershipKind};

/// A room as somebody sees it who need not be in it. It serialises as the answer of
/// `/room_summary`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RoomPreview {
    /// What the room tells of itself.
    #[serde(flatten)]
    pub summary: RoomSummary,
    /// What the user is to the room, where it is a user who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub membership: Option<&'static str>,
}

impl Homeserver {
    /// What the room that has this ID or alias tells `user`, or somebody without an account.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if there is no such room, or none that the one who asks may know of.
    pub async fn room_preview(
        &self,
        room: &RoomOrAliasId,
        user: Option<&UserId>,
    ) -> Result<RoomPreview> {
        let view = self.core.store.view().await?;
        let room = match <&RoomAliasId>::try_from(room) {
            Ok(alias) => resolve(&view, alias).await?,
            Err(id) => id.to_owned(),
        };
        let seen = Onlooker { view: &view, core: &self.core, user }.see(&room).await?;
        let seen = seen.filter(|seen| seen.accessible).ok_or(Error::NotFound("room"))?;
        let kind = seen.membership.unwrap_or(MembershipKind::Leave);
        let membership = user.map(|_| kind.name());
        Ok(RoomPreview { summary: seen.told(), membership })
    }
}
