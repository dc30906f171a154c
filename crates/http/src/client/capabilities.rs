//! What this server can do, and in which room versions ("Capabilities negotiation").

use std::collections::BTreeMap;

use ruma::{
    RoomVersionId,
    api::client::discovery::get_capabilities::v3::{Request, RoomVersionStability},
};
use serde::Serialize;
use tertulia::Homeserver;

use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(capabilities)
}

/// Ruma's type leaves out what is at its default; there are clients that look for it all the same.
#[derive(Serialize)]
struct Told {
    capabilities: Capabilities,
}

#[derive(Serialize)]
struct Capabilities {
    #[serde(rename = "m.room_versions")]
    room_versions: RoomVersions,
    #[serde(rename = "m.change_password")]
    change_password: Capability,
    #[serde(rename = "m.profile_fields")]
    profile_fields: Capability,
    #[serde(rename = "m.set_displayname")]
    set_displayname: Capability,
    #[serde(rename = "m.set_avatar_url")]
    set_avatar_url: Capability,
    #[serde(rename = "m.3pid_changes")]
    thirdparty_id_changes: Capability,
    #[serde(rename = "m.get_login_token")]
    get_login_token: Capability,
    #[serde(rename = "m.account_moderation", skip_serializing_if = "Option::is_none")]
    account_moderation: Option<Moderation>,
}

/// What administrators may do to others; nobody else is told of it.
#[derive(Serialize)]
struct Moderation {
    lock: bool,
    suspend: bool,
}

#[derive(Serialize)]
struct RoomVersions {
    default: RoomVersionId,
    available: BTreeMap<RoomVersionId, RoomVersionStability>,
}

#[derive(Serialize)]
struct Capability {
    enabled: bool,
}

const YES: Capability = Capability { enabled: true };
const NO: Capability = Capability { enabled: false };

async fn capabilities(server: Homeserver, call: Matrix<Request>) -> Result<Answer<Told>, ApiError> {
    let is_admin = call.from.is_admin().await?;
    let stable = room_versions().map(|version| (version, RoomVersionStability::Stable));
    let default = server.settings().default_room_version.clone();
    let capabilities = Capabilities {
        room_versions: RoomVersions { default, available: stable.into() },
        change_password: YES,
        profile_fields: YES,
        set_displayname: YES,
        set_avatar_url: YES,
        thirdparty_id_changes: NO,
        get_login_token: YES,
        account_moderation: is_admin.then_some(Moderation { lock: true, suspend: true }),
    };
    Ok(Answer(Told { capabilities }))
}

fn room_versions() -> [RoomVersionId; 12] {
    use RoomVersionId::*;
    [V1, V2, V3, V4, V5, V6, V7, V8, V9, V10, V11, V12]
}
