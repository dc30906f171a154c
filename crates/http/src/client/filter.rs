//! Filters.

use ruma::{
    UserId,
    api::client::filter::{FilterDefinition, create_filter, get_filter},
    serde::Raw,
};
use tertulia::Homeserver;

use super::{account_data::check_own, lenient::Lenient};
use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(super) fn routes() -> Routes {
    Routes::new().endpoint_on(Action::Other, create).endpoint(get)
}

async fn create(
    _: Homeserver,
    call: Matrix<Lenient<create_filter::v3::Request, Raw<FilterDefinition>>>,
) -> Result<create_filter::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    let owner = UserId::parse(&request.path[0]).map_err(ApiError::invalid_param)?;
    check_own(&from, &owner)?;
    let id = from.create_filter(&request.body).await?;
    Ok(create_filter::v3::Response::new(id))
}

async fn get(
    _: Homeserver,
    call: Matrix<get_filter::v3::Request>,
) -> Result<Answer<Raw<FilterDefinition>>, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    Ok(Answer(from.filter(&request.filter_id).await?))
}
