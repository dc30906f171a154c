//! Client-server API, "Syncing".

use std::time::Duration;

use ruma::api::client::sync::sync_events::v3;
use tertulia::{Homeserver, StateFor, SyncFilter, SyncRequest, sync::Update};

use super::presence::is_known;
use crate::{Answer, ApiError, Endpoints as _, Matrix, Routes};

/// The longest that a poll waits, whatever the client asks for: proxies give up after a while.
pub(super) const LONGEST: Duration = Duration::from_secs(90);

pub(crate) fn routes() -> Routes {
    Routes::new().endpoint(sync)
}

async fn sync(_: Homeserver, call: Matrix<v3::Request>) -> Result<Answer<Update>, ApiError> {
    let Matrix { request, from } = call;
    Ok(Answer(from.sync(read(request)?).await?))
}

/// What a client asks for.
fn read(request: v3::Request) -> Result<SyncRequest, ApiError> {
    let since = request.since.map(|since| since.parse()).transpose()?;
    let filter = match request.filter {
        None => SyncFilter::None,
        Some(v3::Filter::FilterDefinition(filter)) => SyncFilter::Given(Box::new(filter)),
        // What begins like JSON was meant to be JSON, and did not read as a filter.
        Some(v3::Filter::FilterId(id)) if id.starts_with('{') => {
            return Err(ApiError::bad_json("the filter does not read as one"));
        }
        Some(v3::Filter::FilterId(id)) => SyncFilter::Stored(id),
        Some(_) => return Err(ApiError::invalid_param("this kind of filter is unknown")),
    };
    let state =
        if request.use_state_after { StateFor::TimelineEnd } else { StateFor::TimelineStart };
    let timeout = request.timeout.unwrap_or_default().min(LONGEST);
    let set_presence = request.set_presence;
    if !is_known(&set_presence) {
        return Err(ApiError::invalid_param("`set_presence` is no state of presence"));
    }
    Ok(SyncRequest { set_presence, since, filter, full_state: request.full_state, state, timeout })
}
