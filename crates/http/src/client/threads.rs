//! The threads of a room ("Querying threads in a room").

use ruma::api::client::threads::get_threads::v1 as get_threads;
use serde::Serialize;
use tertulia::{ClientEvent, Homeserver, ThreadsQuery};

use super::messages::{count, token};
use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(threads)
}

/// How many threads are told where the client does not say.
const USUAL: usize = 20;

/// Some of the threads of a room.
#[derive(Serialize)]
struct Threads {
    chunk: Vec<ClientEvent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_batch: Option<String>,
}

async fn threads(
    _: Homeserver,
    Matrix { request, from }: Matrix<get_threads::Request>,
) -> Result<Answer<Threads>, ApiError> {
    let participated = match request.include.as_str() {
        "all" => false,
        "participated" => true,
        _ => return Err(ApiError::invalid_param("`include` is `all` or `participated`")),
    };
    let limit = request.limit.map_or(USUAL, count);
    let query = ThreadsQuery { participated, from: token(request.from)?, limit };
    let page = from.room(&request.room_id).threads(&query).await?;
    let next_batch = page.next.map(|next| next.to_string());
    Ok(Answer(Threads { chunk: page.roots, next_batch }))
}
