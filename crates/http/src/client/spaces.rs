//! Rooms as those see them who need not be in them: spaces and previews.

use ruma::api::client::{room::get_summary, space::get_hierarchy};
use tertulia::{HierarchyPage, HierarchyQuery, Homeserver, RoomPreview};

use crate::{Action, Answer, ApiError, Endpoints as _, Matrix, Routes, Terms};

/// Where clients ask for summaries that took part in trying them out.
const SUMMARY_UNSTABLE: [&str; 1] =
    ["/_matrix/client/unstable/im.nheko.summary/summary/{room_id_or_alias}"];

pub(super) fn routes() -> Routes {
    let summaries = Terms::from(Action::Search).also(&SUMMARY_UNSTABLE);
    Routes::new().endpoint_on(Action::Search, hierarchy).endpoint_on(summaries, summary)
}

async fn hierarchy(
    _: Homeserver,
    call: Matrix<get_hierarchy::v1::Request>,
) -> Result<Answer<HierarchyPage>, ApiError> {
    let Matrix { request, from } = call;
    let query = HierarchyQuery {
        from: request.from,
        limit: request.limit.map(u64::from),
        max_depth: request.max_depth.map(u64::from),
        suggested_only: request.suggested_only,
    };
    Ok(Answer(from.room(&request.room_id).hierarchy(&query).await?))
}

async fn summary(
    server: Homeserver,
    call: Matrix<get_summary::v1::Request>,
) -> Result<Answer<RoomPreview>, ApiError> {
    let Matrix { request, from } = call;
    let user = from.as_ref().map(|session| session.id());
    Ok(Answer(server.room_preview(&request.room_id_or_alias, user).await?))
}
