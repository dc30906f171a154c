//! What users tell everyone about themselves.

use std::collections::BTreeMap;

use ruma::{
    UserId,
    api::client::profile::{
        delete_profile_field::v3 as delete_field, get_profile::v3 as get_profile,
        get_profile_field::v3 as get_field, set_profile_field::v3 as set_field,
    },
};
use serde_json::{Map, Value};
use tertulia::{Error, Homeserver, ProfileField, Session};

use super::lenient::Lenient;
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new()
        .endpoint(whole)
        .endpoint(get)
        .endpoint_on(Action::Profile, set)
        .endpoint_on(Action::Profile, delete)
}

async fn whole(
    server: Homeserver,
    call: Matrix<get_profile::Request>,
) -> Result<Answer<BTreeMap<String, Value>>, ApiError> {
    Ok(Answer(server.profile(&call.request.user_id).await?))
}

async fn get(
    server: Homeserver,
    call: Matrix<get_field::Request>,
) -> Result<Answer<BTreeMap<String, Value>>, ApiError> {
    let field = ProfileField::parse(call.request.field.as_str())?;
    let mut profile = server.profile(&call.request.user_id).await?;
    let value = profile.remove(field.as_str()).ok_or(Error::NotFound("profile field"))?;
    Ok(Answer(BTreeMap::from([(field.as_str().to_owned(), value)])))
}

async fn set(
    _: Homeserver,
    call: Matrix<Lenient<set_field::Request, Map<String, Value>>>,
) -> Result<set_field::Response, ApiError> {
    let Matrix { request: Lenient { path, mut body, .. }, from } = call;
    let [user, field] = path.as_slice() else {
        return Err(ApiError::invalid_param("the path has a user and a field"));
    };
    let user = UserId::parse(user).map_err(ApiError::invalid_param)?;
    check_own(&from, &user)?;
    let field = ProfileField::parse(field)?;
    let value =
        body.remove(field.as_str()).ok_or_else(|| ApiError::missing_param(field.as_str()))?;
    from.set_profile_field(field, value).await?;
    Ok(set_field::Response::new())
}

async fn delete(
    _: Homeserver,
    call: Matrix<delete_field::Request>,
) -> Result<delete_field::Response, ApiError> {
    check_own(&call.from, &call.request.user_id)?;
    let field = ProfileField::parse(call.request.field.as_str())?;
    call.from.delete_profile_field(field).await?;
    Ok(delete_field::Response::new())
}

/// Users write about themselves only.
fn check_own(session: &Session, user: &UserId) -> Result<(), Error> {
    if session.id() == user {
        Ok(())
    } else {
        Err(Error::Forbidden("this is another user's profile".to_owned()))
    }
}
