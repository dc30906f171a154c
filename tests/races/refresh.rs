//! One refresh token shown by many at once.

use http::{Method, StatusCode};
use serde_json::json;
use tertulia::{PasswordCost, Registration};
use tertulia_testkit::TestServer;

use crate::schedule::{CALLERS, Course};

/// All may be offered a pair of tokens, as an answer may have been lost; but as soon as one of them is used, the session
/// goes on with that one alone.
#[tokio::test]
async fn one_line_of_tokens_goes_on() {
    let builder = TestServer::builder().settings(|settings| {
        settings.registration = Registration::Open;
        settings.password_cost = PasswordCost::LEAST;
    });
    let course = Course::new(builder).await;
    let server = &course.server;
    course
        .for_each_seed(async |seed| {
            let body = json!({
                "username": format!("u{seed}"), "refresh_token": true, "auth": { "type": "m.login.dummy" },
            });
            let session = server.call(Method::POST, ["register"]).json(body).await.ok();
            let shown = json!({ "refresh_token": session["refresh_token"] });
            let renew = |_| {
                let refresh = server.call(Method::POST, ["refresh"]).json(shown.clone());
                let server = server.clone();
                async move {
                    let answer = refresh.await;
                    if answer.status != StatusCode::OK {
                        answer.refused(401, "M_UNKNOWN_TOKEN");
                        return false;
                    }
                    let token = answer.json()["access_token"].as_str().unwrap().to_owned();
                    let used = server.call(Method::GET, ["account", "whoami"]).token(&token).await;
                    if used.status != StatusCode::OK {
                        used.refused(401, "M_UNKNOWN_TOKEN");
                    }
                    used.status == StatusCode::OK
                }
            };
            let goes_on = course.race_all((0..CALLERS).map(renew)).await;
            assert_eq!(goes_on.into_iter().filter(|goes_on| *goes_on).count(), 1);
            let old = session["access_token"].as_str().unwrap();
            let old = server.call(Method::GET, ["account", "whoami"]).token(old);
            old.await.refused(401, "M_UNKNOWN_TOKEN");
        })
        .await;
}
