//! Filters.

use axum::Router;
use ruma::api::client::filter::{create_filter, get_filter};
use tertulia::Homeserver;

use super::account_data::check_own;
use crate::{ApiError, Endpoints as _, Matrix};

pub(super) fn routes() -> Router<Homeserver> {
    Router::new().endpoint(create).endpoint(get)
}

async fn create(
    _: Homeserver,
    call: Matrix<create_filter::v3::Request>,
) -> Result<create_filter::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    let id = from.create_filter(&request.filter).await?;
    Ok(create_filter::v3::Response::new(id))
}

async fn get(
    _: Homeserver,
    call: Matrix<get_filter::v3::Request>,
) -> Result<get_filter::v3::Response, ApiError> {
    let Matrix { request, from } = call;
    check_own(&from, &request.user_id)?;
    let filter = from.filter(&request.filter_id).await?;
    Ok(get_filter::v3::Response::new(filter))
}
