//! Who is in a room ("Getting events for a room").

use std::collections::BTreeMap;

use ruma::{
    OwnedUserId,
    api::client::membership::{get_member_events, joined_members},
    events::room::member::MembershipState,
};
use serde::Serialize;
use tertulia::{ClientEvent, Homeserver, JoinedMember, MembersQuery, MembershipKind};

use super::messages::token;
use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(members).endpoint(joined)
}

/// The member events of a room.
#[derive(Serialize)]
struct Members {
    chunk: Vec<ClientEvent>,
}

async fn members(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_member_events::v3::Request>,
) -> Result<Answer<Members>, ApiError> {
    let query = MembersQuery {
        at: token(request.at)?,
        membership: request.membership.map(kind).transpose()?,
        not_membership: request.not_membership.map(kind).transpose()?,
    };
    let chunk = from.room(&request.room_id).member_events(&query).await?;
    Ok(Answer(Members { chunk }))
}

fn kind(membership: MembershipState) -> Result<MembershipKind, ApiError> {
    let unknown = || ApiError::invalid_param("there is no such membership");
    MembershipKind::named(membership.as_str()).ok_or_else(unknown)
}

/// Those who are in a room.
#[derive(Serialize)]
struct Joined {
    joined: BTreeMap<OwnedUserId, Face>,
}

/// What a member shows of themselves. Clients of other servers find both here, null where there is
/// nothing to show.
#[derive(Serialize)]
struct Face {
    display_name: Option<String>,
    avatar_url: Option<String>,
}

async fn joined(
    _: Homeserver,
    Matrix { request, from }: Matrix<joined_members::v3::Request>,
) -> Result<Answer<Joined>, ApiError> {
    let members = from.room(&request.room_id).joined_members().await?;
    let face = |JoinedMember { user, displayname, avatar_url }| {
        (user, Face { display_name: displayname, avatar_url })
    };
    Ok(Answer(Joined { joined: members.into_iter().map(face).collect() }))
}
