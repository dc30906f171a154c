//! Names that only one can have.

use http::Method;
use serde_json::json;
use tertulia::Registration;
use tertulia_testkit::TestServer;

use crate::schedule::{CALLERS, Course, only_winner};

#[tokio::test]
async fn one_gets_the_user_name() {
    let builder =
        TestServer::builder().settings(|settings| settings.registration = Registration::Open);
    let course = Course::new(builder).await;
    let server = &course.server;
    course
        .for_each_seed(async |seed| {
            let body =
                json!({ "username": format!("u{seed}"), "auth": { "type": "m.login.dummy" } });
            let register = |_| server.call(Method::POST, ["register"]).json(body.clone());
            let answers = course.race((0..CALLERS).map(register).collect()).await;
            let winner = &answers[only_winner(&answers, 400, "M_USER_IN_USE")].ok();
            let token = winner["access_token"].as_str().unwrap();
            let told = server.call(Method::GET, ["account", "whoami"]).token(token).await.ok();
            assert_eq!(told["user_id"], format!("@u{seed}:example.org"));
        })
        .await;
}

#[tokio::test]
async fn one_gets_the_alias() {
    let course = Course::new(TestServer::builder()).await;
    let alice = course.server.user("alice").await;
    let mut rooms = Vec::new();
    for _ in 0..CALLERS {
        rooms.push(alice.create_room(json!({})).await);
    }
    course
        .for_each_seed(async |seed| {
            let alias = format!("#a{seed}:example.org");
            let path = ["directory", "room", &alias];
            let claim = |room: &String| alice.put(path).json(json!({ "room_id": room }));
            let answers = course.race(rooms.iter().map(claim).collect()).await;
            let winner = only_winner(&answers, 409, "M_UNKNOWN");
            assert_eq!(alice.get(path).await.ok()["room_id"], rooms[winner]);
            alice.delete(path).await.ok();
        })
        .await;
}
