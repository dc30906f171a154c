//! Account data, global and per room, and the tags in it.

use ruma::{
    UserId,
    api::client::{
        config::{
            get_global_account_data, get_room_account_data, set_global_account_data,
            set_room_account_data,
        },
        tag::{create_tag, delete_tag, get_tags},
    },
    serde::Raw,
};
use tertulia::{Error, Homeserver, Session};

use crate::{Action, ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .endpoint(get_global)
        .endpoint_on(Action::Other, set_global)
        .endpoint(get_of_room)
        .endpoint_on(Action::Other, set_of_room)
        .endpoint(tags)
        .endpoint_on(Action::Other, set_tag)
        .endpoint_on(Action::Other, remove_tag)
}

/// Refuses to touch what is kept for another user than the one who asks.
pub(super) fn check_own(session: &Session, owner: &UserId) -> Result<(), Error> {
    if session.id() == owner {
        return Ok(());
    }
    Err(Error::Forbidden("this belongs to another user".to_owned()))
}

async fn get_global(
    _: Homeserver,
    call: Matrix<get_global_account_data::v3::Request>,
) -> Result<get_global_account_data::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    let content = from.account_data(None, &request.event_type.to_string()).await?;
    Ok(get_global_account_data::v3::Response::new(Raw::from_json(content)))
}

async fn set_global(
    _: Homeserver,
    call: Matrix<set_global_account_data::v3::Request>,
) -> Result<set_global_account_data::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    let (kind, content) = (request.event_type.to_string(), request.data.into_json());
    from.set_account_data(None, &kind, content).await?;
    Ok(set_global_account_data::v3::Response::new())
}

async fn get_of_room(
    _: Homeserver,
    call: Matrix<get_room_account_data::v3::Request>,
) -> Result<get_room_account_data::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    let kind = request.event_type.to_string();
    let content = from.account_data(Some(&request.room_id), &kind).await?;
    Ok(get_room_account_data::v3::Response::new(Raw::from_json(content)))
}

async fn set_of_room(
    _: Homeserver,
    call: Matrix<set_room_account_data::v3::Request>,
) -> Result<set_room_account_data::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    let (kind, content) = (request.event_type.to_string(), request.data.into_json());
    from.set_account_data(Some(&request.room_id), &kind, content).await?;
    Ok(set_room_account_data::v3::Response::new())
}

async fn tags(
    _: Homeserver,
    call: Matrix<get_tags::v3::Request>,
) -> Result<get_tags::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    Ok(get_tags::v3::Response::new(from.tags(&request.room_id).await?))
}

async fn set_tag(
    _: Homeserver,
    call: Matrix<create_tag::v3::Request>,
) -> Result<create_tag::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    from.set_tag(&request.room_id, &request.tag, &request.tag_info).await?;
    Ok(create_tag::v3::Response::new())
}

async fn remove_tag(
    _: Homeserver,
    call: Matrix<delete_tag::v3::Request>,
) -> Result<delete_tag::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    from.remove_tag(&request.room_id, &request.tag).await?;
    Ok(delete_tag::v3::Response::new())
}
