//! Push rules, which clients read and change one at a time.

use serde_json::{Value, json};
use tertulia_testkit::{Client, Path, TestServer};

async fn alice() -> Client {
    TestServer::start().await.user("alice").await
}

fn at(rest: &str) -> Path {
    format!("/_matrix/client/v3/pushrules/global/{rest}").into()
}

/// The IDs of a kind of rules, the most important first.
async fn ids(client: &Client, kind: &str) -> Vec<String> {
    let rules = client.get(at("")).await.ok();
    let rules = rules[kind].as_array().cloned().unwrap_or_default();
    rules.iter().map(|rule| rule["rule_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn everyone_begins_with_the_servers_rules() {
    let alice = alice().await;
    let all = alice.get(["pushrules", ""]).await.ok();
    assert_eq!(alice.get(at("")).await.ok(), all["global"]);
    let master = alice.get(at("override/.m.rule.master")).await.ok();
    assert_eq!(all["global"]["override"][0], master);
    let expected = json!({
        "rule_id": ".m.rule.master",
        "default": true,
        "enabled": false,
        "conditions": [],
        "actions": [],
    });
    assert_eq!(master, expected);
    let mention = &all["global"]["override"]
        .as_array()
        .unwrap()
        .iter()
        .find(|rule| rule["rule_id"] == ".m.rule.is_user_mention");
    assert_eq!(mention.unwrap()["conditions"][0]["value"], alice.id());
    let actions = alice.get(at("underride/.m.rule.message/actions")).await.ok();
    assert_eq!(actions["actions"][0], "notify");
    let enabled = alice.get(at("underride/.m.rule.message/enabled")).await.ok();
    assert_eq!(enabled, json!({ "enabled": true }));
}

#[tokio::test]
async fn a_rule_is_made_changed_and_removed() {
    let alice = alice().await;
    let cake = || at("content/nocake");
    let rule = json!({ "pattern": "cake*lie", "actions": ["notify"] });
    assert_eq!(alice.put(cake()).json(rule).await.ok(), json!({}));
    let rule = |enabled: bool, actions: Value| {
        json!({
            "rule_id": "nocake",
            "default": false,
            "enabled": enabled,
            "pattern": "cake*lie",
            "actions": actions,
        })
    };
    assert_eq!(alice.get(cake()).await.ok(), rule(true, json!(["notify"])));
    alice.put(at("content/nocake/enabled")).json(json!({ "enabled": false })).await.ok();
    let loud = json!([{ "set_tweak": "sound", "value": "bing" }]);
    alice.put(at("content/nocake/actions")).json(json!({ "actions": loud })).await.ok();
    assert_eq!(alice.get(cake()).await.ok(), rule(false, loud));
    assert_eq!(alice.delete(cake()).await.ok(), json!({}));
    alice.get(cake()).await.refused(404, "M_NOT_FOUND");
    alice.delete(cake()).await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn rules_of_every_kind_are_placed_among_each_other() {
    let alice = alice().await;
    let bodies = [
        ("override", json!({ "conditions": [], "actions": [] }), ["a", "b"]),
        ("underride", json!({ "conditions": [], "actions": [] }), ["a", "b"]),
        ("content", json!({ "pattern": "a", "actions": [] }), ["a", "b"]),
        ("room", json!({ "actions": [] }), ["!a:x", "!b:x"]),
        ("sender", json!({ "actions": [] }), ["@a:x", "@b:x"]),
    ];
    for (kind, body, [first, second]) in bodies {
        alice.put(at(&format!("{kind}/{first}"))).json(body.clone()).await.ok();
        let place = alice.put(at(&format!("{kind}/{second}"))).query("after", first);
        place.json(body).await.ok();
        let mut ids = ids(&alice, kind).await;
        ids.retain(|id| !id.starts_with('.'));
        assert_eq!(ids, [first, second], "{kind}");
    }
    assert_eq!(ids(&alice, "override").await[..2], [".m.rule.master", "a"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused() {
    let alice = alice().await;
    let put = |rest: &str| alice.put(at(rest)).json(json!({ "pattern": "a", "actions": [] }));
    put("content/.mine").await.refused(400, "M_INVALID_PARAM");
    put("content/a%2Fb").await.refused(400, "M_INVALID_PARAM");
    put("content/a%5Cb").await.refused(400, "M_INVALID_PARAM");
    put("room/nonsense").await.refused(400, "M_INVALID_PARAM");
    put("nonsense/a").await.refused(400, "M_INVALID_PARAM");
    put("content/a?before=none").await.refused(400, "M_UNKNOWN");
    put("content/a?after=.m.rule.master").await.refused(400, "M_UNKNOWN");
    put("content/a?after=a").await.refused(400, "M_UNKNOWN");
    alice.put(at("content/a")).json(json!({})).await.refused(400, "M_BAD_JSON");
    alice.delete(at("override/.m.rule.master")).await.refused(400, "M_UNKNOWN");
    assert!(ids(&alice, "content").await.is_empty());
    for rest in ["content/a", "content/a/enabled", "content/a/actions"] {
        alice.get(at(rest)).await.refused(404, "M_NOT_FOUND");
    }
    let enable = alice.put(at("content/a/enabled")).json(json!({ "enabled": true }));
    enable.await.refused(404, "M_NOT_FOUND");
    let act = alice.put(at("content/a/actions")).json(json!({ "actions": [] }));
    act.await.refused(404, "M_NOT_FOUND");
}

#[tokio::test]
async fn rules_are_each_users_own() {
    let server = TestServer::start().await;
    let (alice, bob) = (server.user("alice").await, server.user("bob").await);
    alice.put(at("override/.m.rule.master/enabled")).json(json!({ "enabled": true })).await.ok();
    let read = async |client: &Client| client.get(at("override/.m.rule.master/enabled")).await.ok();
    assert_eq!(read(&alice).await, json!({ "enabled": true }));
    assert_eq!(read(&bob).await, json!({ "enabled": false }));
    server.call(http::Method::GET, at("")).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn what_a_rule_does_is_something_that_there_is() {
    let alice = TestServer::start().await.user("alice").await;
    let rule = "/_matrix/client/v3/pushrules/global/room/!r:example.org";
    for (action, status) in [
        (json!("notify"), 200),
        (json!("dont_notify"), 200),
        (json!("coalesce"), 200),
        (json!("org.example.shout"), 200),
        (json!({ "set_tweak": "sound", "value": "default" }), 200),
        (json!("shout"), 400),
        (json!(1), 400),
    ] {
        let body = json!({ "actions": [action] });
        for path in [rule.to_owned(), format!("{rule}/actions")] {
            let answer = alice.put(path).json(body.clone()).await;
            assert_eq!(answer.status, status, "{action}");
        }
    }
}

#[tokio::test]
async fn a_kind_of_rules_that_there_is_not_is_refused() {
    let alice = TestServer::start().await.user("alice").await;
    for path in ["global/nonsense/x", "global/nonsense/x/enabled", "global/nonsense/x/actions"] {
        let path = format!("/_matrix/client/v3/pushrules/{path}");
        alice.get(path).await.refused(400, "M_INVALID_PARAM");
    }
    alice.get("/_matrix/client/v3/pushrules/global/room/!x:y").await.refused(404, "M_NOT_FOUND");
}
