//! Servers that are dishonest in one way each.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{StatusCode, Uri, header};
use serde_json::{Value, json};

/// Which message a server is dishonest about.
const VICTIM: u32 = 7;

/// What a server does to a request before, or instead of, what it should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    None,
    LosesAMessage,
    DoublesAMessage,
    RefusesAMessage,
    /// Syncs that go on tell nothing, and at once.
    ForgetsInSyncs,
    /// Syncs that go on begin again where they began before.
    RepeatsInSyncs,
    /// First syncs lack a room.
    ForgetsARoom,
    /// Registrations and logins give access tokens that nobody takes.
    GivesDeadTokens,
    /// Joins are granted and not done.
    LosesJoins,
    /// Lists of members lack the last one.
    ForgetsAMember,
    /// Lists of favourites lack the last one.
    ForgetsAFavourite,
    /// Files come back with another last byte.
    SpoilsFiles,
}

/// The honest server with a flaw. It stands around all routes, so that a changed path is routed again.
pub fn flawed(honest: Router, flaw: Flaw) -> Router {
    let count = Arc::new(AtomicU32::new(0));
    let spoil = move |request, next| spoil(flaw, count.clone(), request, next);
    Router::new().fallback_service(honest).layer(from_fn(spoil))
}

async fn spoil(flaw: Flaw, count: Arc<AtomicU32>, request: Request, next: Next) -> Response {
    let uri = request.uri().clone();
    let path = uri.path();
    let is = |end: &str| path.ends_with(end);
    let goes_on = is("/sync") && since(&uri).is_some();
    let is_victim = path.contains("/send/") && count.fetch_add(1, Ordering::Relaxed) == VICTIM;
    match flaw {
        Flaw::LosesAMessage if is_victim => r#"{"event_id":"$lost"}"#.into_response(),
        Flaw::DoublesAMessage if is_victim => double(request, next).await,
        Flaw::RefusesAMessage if is_victim => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Flaw::ForgetsInSyncs if goes_on => r#"{"next_batch":"t"}"#.into_response(),
        Flaw::RepeatsInSyncs if goes_on => {
            rewrite(next.run(request).await, |answer| answer["next_batch"] = json!(since(&uri)))
                .await
        }
        Flaw::ForgetsARoom if is("/sync") && !goes_on => {
            rewrite(next.run(request).await, forget_a_room).await
        }
        Flaw::GivesDeadTokens if is("/register") || is("/login") => {
            rewrite(next.run(request).await, |answer| answer["access_token"] = json!("dead")).await
        }
        Flaw::LosesJoins if path.contains("/join/") => r#"{"room_id":"!r"}"#.into_response(),
        Flaw::ForgetsAMember if is("/members") => {
            let forget = |answer: &mut Value| drop(answer["chunk"].as_array_mut().unwrap().pop());
            rewrite(next.run(request).await, forget).await
        }
        Flaw::ForgetsAFavourite if is("/favourites") && uri.query().is_some() => {
            let forget =
                |answer: &mut Value| drop(answer["favourites"].as_array_mut().unwrap().pop());
            rewrite(next.run(request).await, forget).await
        }
        Flaw::SpoilsFiles if path.contains("/media/download/") => {
            change(next.run(request).await, |bytes| *bytes.last_mut().unwrap() ^= 1).await
        }
        _ => next.run(request).await,
    }
}

/// The token in a sync's query.
fn since(uri: &Uri) -> Option<&str> {
    uri.query()?.split('&').find_map(|parameter| parameter.strip_prefix("since="))
}

fn forget_a_room(answer: &mut Value) {
    if let Some(rooms) = answer["rooms"]["join"].as_object_mut() {
        let first = rooms.keys().next().cloned();
        first.map(|room| rooms.remove(&room));
    }
}

/// Sends the message under another transaction ID as well.
async fn double(request: Request, next: Next) -> Response {
    let (mut head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let again = Request::from_parts(head.clone(), Body::from(body.clone()));
    head.uri = format!("{}-again", head.uri).parse().unwrap();
    next.clone().run(Request::from_parts(head, Body::from(body))).await;
    next.run(again).await
}

/// Changes the JSON of a success.
async fn rewrite(response: Response, change_json: impl FnOnce(&mut Value)) -> Response {
    let is_success = response.status().is_success();
    let change_bytes = |bytes: &mut Vec<u8>| {
        if is_success {
            let mut answer = serde_json::from_slice(bytes).unwrap();
            change_json(&mut answer);
            *bytes = answer.to_string().into_bytes();
        }
    };
    change(response, change_bytes).await
}

async fn change(response: Response, change: impl FnOnce(&mut Vec<u8>)) -> Response {
    let (mut head, body) = response.into_parts();
    let mut bytes = to_bytes(body, usize::MAX).await.unwrap().to_vec();
    change(&mut bytes);
    head.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(head, Body::from(bytes))
}
