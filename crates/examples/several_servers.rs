//! Several homeservers in one process: each community has its own name, store and people, and all share a port.
//!
//! Nothing of a server is global, so that there may be any number. They are told apart here by the `Host` of a
//! request, as web sites are.

use std::{collections::BTreeMap, error::Error};

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, header::HOST},
    response::{IntoResponse as _, Response},
};
use futures_util::future::join_all;
use tertulia::{Homeserver, MemoryEngine, Registration, Settings};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let communities = Communities::start(&["rowers.localhost", "painters.localhost"]).await?;
    let listener = TcpListener::bind("127.0.0.1:8008").await?;
    let all = communities.clone();
    let interrupted = async move {
        // Without a signal to wait for, one that cannot be had ends the program as well.
        let _ = tokio::signal::ctrl_c().await;
        // Clients that wait for news are answered, so that no connection is left.
        all.stop_waiting();
    };
    axum::serve(listener, communities.router()).with_graceful_shutdown(interrupted).await?;
    communities.shutdown().await;
    Ok(())
}

/// The servers, by their names.
#[derive(Clone)]
struct Communities(BTreeMap<String, Homeserver>);

impl Communities {
    async fn start(names: &[&str]) -> tertulia::Result<Self> {
        let mut servers = BTreeMap::new();
        for name in names {
            let mut settings = Settings::default();
            settings.registration = Registration::Open;
            let server = Homeserver::builder(name)?.settings(settings);
            servers.insert((*name).to_owned(), server.start(MemoryEngine::default()).await?);
        }
        Ok(Self(servers))
    }

    /// Hands each request to the server whose name it asks for.
    fn router(&self) -> Router {
        let routers = self.0.iter().map(|(name, server)| {
            let router = tertulia_http::router(server.clone());
            (name.clone(), router)
        });
        let routers: BTreeMap<String, Router> = routers.collect();
        Router::new().fallback(async move |request: Request| {
            let chosen = host(&request).and_then(|host| routers.get(host)).cloned();
            match chosen {
                Some(router) => router.oneshot(request).await.into_response(),
                None => nobody(),
            }
        })
    }

    fn stop_waiting(&self) {
        self.0.values().for_each(Homeserver::stop_waiting);
    }

    /// Stops all of them. When this returns, no task of theirs is left.
    async fn shutdown(&self) {
        join_all(self.0.values().map(Homeserver::shutdown)).await;
    }
}

/// The name that a request asks for, without the port.
fn host(request: &Request) -> Option<&str> {
    let host = request.headers().get(HOST)?.to_str().ok()?;
    Some(host.rsplit_once(':').map_or(host, |(name, _)| name))
}

fn nobody() -> Response {
    (StatusCode::MISDIRECTED_REQUEST, "there is no such community here").into_response()
}

#[cfg(test)]
mod tests {
    use axum::http::Method;
    use serde_json::json;
    use tertulia::Error;
    use tertulia_testkit::Call;

    use super::*;

    #[tokio::test]
    async fn communities_do_not_know_each_other() {
        let communities = Communities::start(&["rowers.test", "painters.test"]).await.unwrap();
        let (rowers, painters) = (&communities.0["rowers.test"], &communities.0["painters.test"]);
        let here = rowers.create_user("alice").await.unwrap();
        painters.create_user("alice").await.unwrap();
        painters.create_user("bob").await.unwrap();
        assert_eq!(here.id(), "@alice:rowers.test");
        assert!(matches!(rowers.user("bob").await, Err(Error::NotFound(_))));
        rowers.shutdown().await;
        assert!(here.groups().create(Default::default()).await.is_err(), "it has stopped");
        painters.user("bob").await.unwrap().groups().create(Default::default()).await.unwrap();
        communities.shutdown().await;
    }

    #[tokio::test]
    async fn a_request_reaches_the_server_that_it_names() {
        let communities = Communities::start(&["rowers.test", "painters.test"]).await.unwrap();
        let register = async |host: &str| {
            let path = "/_matrix/client/v3/register";
            let body = json!({ "username": "alice", "auth": { "type": "m.login.dummy" } });
            let call = Call::new(communities.router(), Method::POST, path).json(body);
            call.header(HOST, host).await
        };
        for (host, id) in
            [("rowers.test:8008", "@alice:rowers.test"), ("painters.test", "@alice:painters.test")]
        {
            assert_eq!(register(host).await.ok()["user_id"], id);
        }
        assert_eq!(register("nowhere.test").await.status, StatusCode::MISDIRECTED_REQUEST);
    }
}
