//! A server of canned answers that remembers what it was asked.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::StatusCode;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use crate::api::Account;
use crate::client::Client;

/// A server that answers as a function says.
pub(crate) struct Stub {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
    task: AbortHandle,
}

impl Stub {
    /// Serves on a free port. A request is told as `GET /path?query body`; the body is left out if there is none.
    pub(crate) async fn serve(
        answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static,
    ) -> Stub {
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (answer, notes) = (Arc::new(answer), asked.clone());
        let handle = move |request: Request| {
            let (answer, notes) = (answer.clone(), notes.clone());
            async move {
                let request = line(request).await;
                notes.lock().unwrap().push(request.clone());
                let (status, body) = answer(&request);
                (StatusCode::from_u16(status).unwrap(), body.to_string())
            }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(handle);
        let serving = tokio::spawn(async move { axum::serve(listener, router).await });
        Stub { url, asked, task: serving.abort_handle() }
    }

    /// A client of it that has not logged in.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.url)
    }

    /// `@a:x`, logged in.
    pub(crate) fn account(&self) -> Account {
        let client = self.client().with_token("token");
        Account { user: "@a:x".into(), device: "DEVICE".into(), client }
    }

    /// All requests so far, oldest first.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn line(request: Request) -> String {
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.unwrap();
    let line = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
    line.trim_end().to_owned()
}
