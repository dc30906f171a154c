//! Finding users, and the rooms one shares with them.

use http::Method;
use serde_json::{Value, json};
use tertulia_testkit::{Call, Client, TestServer};

fn search(client: &Client, term: &str) -> Call {
    client.post(["user_directory", "search"]).json(json!({ "search_term": term }))
}

/// The user names that `client` finds by `term`.
async fn found(client: &Client, term: &str) -> Vec<String> {
    let answer = search(client, term).await.ok();
    let name = |user: &Value| {
        let id = user["user_id"].as_str().unwrap();
        id.strip_suffix(":example.org").unwrap().to_owned()
    };
    answer["results"].as_array().unwrap().iter().map(name).collect()
}

async fn set_profile(client: &Client, field: &str, value: &str) {
    let path = ["profile", client.id(), field];
    client.put(path).json(json!({ field: value })).await.ok();
}

async fn server_with<const N: usize>(names: [&str; N]) -> (TestServer, [Client; N]) {
    let server = TestServer::start().await;
    let mut clients = Vec::new();
    for name in names {
        clients.push(server.user(name).await);
    }
    (server, clients.try_into().ok().unwrap())
}

#[tokio::test]
async fn a_user_in_a_public_room_is_found_with_the_profile() {
    let (server, [alice, bob]) = server_with(["alice", "bob"]).await;
    assert_eq!(found(&bob, "alice").await, [""; 0]);
    alice.create_public_room().await;
    let bare = json!({ "results": [{ "user_id": "@alice:example.org" }], "limited": false });
    assert_eq!(search(&bob, "alice").await.ok(), bare);
    set_profile(&alice, "displayname", "Señora A.").await;
    set_profile(&alice, "avatar_url", "mxc://example.org/a").await;
    let whole = json!({ "results": [{
        "user_id": "@alice:example.org", "display_name": "Señora A.",
        "avatar_url": "mxc://example.org/a",
    }], "limited": false });
    for term in ["senora", "SEÑ", "a se", "Señora A.", "alice", "ali", "@alice:example.org", "@al"]
    {
        assert_eq!(search(&bob, term).await.ok(), whole, "{term}");
    }
    for term in ["", " ", "lice", "alice x", "example", "@alice:elsewhere.org", "ora"] {
        assert_eq!(found(&bob, term).await, [""; 0], "{term}");
    }
    assert_eq!(found(&alice, "alice").await, ["@alice"], "people look for themselves, too");
    let path = "/_matrix/client/v3/user_directory/search";
    let nobody = server.call(Method::POST, path).json(json!({ "search_term": "a" }));
    nobody.await.refused(401, "M_MISSING_TOKEN");
    bob.post(path).json(json!({})).await.refused(400, "M_BAD_JSON");
}

#[tokio::test]
async fn a_change_of_name_is_found_at_once_and_the_old_one_no_more() {
    let (_server, [alice, bob]) = server_with(["alice", "bob"]).await;
    alice.create_public_room().await;
    set_profile(&alice, "displayname", "Foo").await;
    assert_eq!(found(&bob, "foo").await, ["@alice"]);
    set_profile(&alice, "displayname", "Bar").await;
    assert_eq!(found(&bob, "bar").await, ["@alice"]);
    assert_eq!(found(&bob, "foo").await, [""; 0]);
}

#[tokio::test]
async fn the_name_of_one_room_is_not_told() {
    let (_server, [alice, bob]) = server_with(["alice", "bob"]).await;
    let room = alice.create_public_room().await;
    let secret = json!({ "membership": "join", "displayname": "Secret" });
    alice.set_state(&room, "m.room.member", alice.id(), secret).await;
    assert_eq!(found(&bob, "secret").await, [""; 0]);
    assert_eq!(found(&bob, "alice").await, ["@alice"]);
}

#[tokio::test]
async fn who_is_in_private_rooms_only_is_found_by_their_company() {
    let (_server, [alice, bob, carol]) = server_with(["alice", "bob", "carol"]).await;
    let room = alice.create_room_with(&[&bob]).await;
    assert_eq!(found(&bob, "alice").await, ["@alice"]);
    assert_eq!(found(&carol, "alice").await, [""; 0]);
    assert_eq!(found(&alice, "alice").await, [""; 0]);
    alice.invite(&room, &carol).await;
    assert_eq!(found(&carol, "alice").await, [""; 0], "an invite is no company");
    bob.leave(&room).await;
    assert_eq!(found(&bob, "alice").await, [""; 0]);
}

#[tokio::test]
async fn whether_a_room_is_open_makes_its_members_found() {
    let (_server, [alice, bob]) = server_with(["alice", "bob"]).await;
    let room = alice.create_room(json!({})).await;
    let rule = async |rule: &str| {
        alice.set_state(&room, "m.room.join_rules", "", json!({ "join_rule": rule })).await
    };
    let history = async |visibility: &str| {
        let content = json!({ "history_visibility": visibility });
        alice.set_state(&room, "m.room.history_visibility", "", content).await
    };
    let is_found = async || !found(&bob, "alice").await.is_empty();
    assert!(!is_found().await);
    rule("public").await;
    assert!(is_found().await);
    rule("invite").await;
    assert!(!is_found().await);
    history("world_readable").await;
    assert!(is_found().await);
    rule("public").await;
    history("shared").await;
    assert!(is_found().await);
    alice.leave(&room).await;
    assert!(!is_found().await);
}

#[tokio::test]
async fn who_ignores_the_searcher_is_not_found() {
    let (_server, [alice, bob, carol]) = server_with(["alice", "bob", "carol"]).await;
    alice.create_public_room().await;
    alice.create_room_with(&[&bob]).await;
    let path = ["user", alice.id(), "account_data", "m.ignored_user_list"];
    let ignore = async |list: Value| {
        alice.put(path).json(json!({ "ignored_users": list })).await.ok();
    };
    ignore(json!({ bob.id(): {} })).await;
    assert_eq!(found(&bob, "alice").await, [""; 0]);
    assert_eq!(found(&carol, "alice").await, ["@alice"]);
    ignore(json!({})).await;
    assert_eq!(found(&bob, "alice").await, ["@alice"]);
}

#[tokio::test]
async fn the_nearest_come_first_and_not_more_than_asked_for() {
    let names = ["ann", "anna", "annabel", "zoe"];
    let (_server, clients) = server_with(names).await;
    for client in &clients {
        client.create_public_room().await;
    }
    let [.., zoe] = &clients;
    set_profile(zoe, "displayname", "Maria Anna").await;
    assert_eq!(found(zoe, "anna").await, ["@anna", "@annabel", "@zoe"]);
    assert_eq!(found(zoe, "ann").await, ["@ann", "@anna", "@annabel", "@zoe"]);
    for (limit, expected, limited) in [(1, 1, true), (3, 3, true), (4, 4, false), (999, 4, false)] {
        let body = json!({ "search_term": "ann", "limit": limit });
        let answer = zoe.post(["user_directory", "search"]).json(body).await.ok();
        assert_eq!(answer["results"].as_array().unwrap().len(), expected);
        assert_eq!(answer["limited"], limited, "{limit}");
    }
}

#[tokio::test]
async fn who_has_gone_is_not_found() {
    let (server, [alice, bob, carol]) = server_with(["alice", "bob", "carol"]).await;
    for client in [&alice, &bob] {
        client.create_public_room().await;
    }
    assert_eq!(found(&carol, "alice").await, ["@alice"]);
    let user = server.homeserver().user("alice").await.unwrap();
    user.deactivate(tertulia::Remains::Keep).await.unwrap();
    assert_eq!(found(&carol, "alice").await, [""; 0]);
    let bob = server.homeserver().user("bob").await.unwrap();
    server.homeserver().remove_user(bob.id()).await.unwrap();
    assert_eq!(found(&carol, "bob").await, [""; 0]);
}

#[tokio::test]
async fn an_operator_can_let_all_users_be_found() {
    let server = TestServer::builder().settings(|settings| settings.directory.all_users = true);
    let server = server.start().await;
    let (_alice, bob) = (server.user("alice").await, server.user("bob").await);
    assert_eq!(found(&bob, "alice").await, ["@alice"]);
}

fn mutual(client: &Client, other: &str) -> Call {
    client.get("/_matrix/client/v1/mutual_rooms").query("user_id", other)
}

#[tokio::test]
async fn two_users_share_the_rooms_that_both_have_joined() {
    let (server, [alice, bob]) = server_with(["alice", "bob"]).await;
    let (one, two) = (alice.create_room_with(&[&bob]).await, alice.create_room_with(&[&bob]).await);
    let left = alice.create_room_with(&[&bob]).await;
    bob.leave(&left).await;
    let invited = alice.create_room(json!({})).await;
    alice.invite(&invited, &bob).await;
    let mut both = [one, two];
    both.sort();
    let expected = json!({ "joined": both, "count": 2 });
    assert_eq!(mutual(&alice, bob.id()).await.ok(), expected);
    assert_eq!(mutual(&bob, alice.id()).await.ok(), expected);
    let unstable = "/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms";
    let call = alice.get(unstable).query("user_id", bob.id());
    assert_eq!(call.await.ok(), expected);
    let none = json!({ "joined": [], "count": 0 });
    for nobody in ["@nobody:example.org", "@alice:elsewhere.org"] {
        assert_eq!(mutual(&alice, nobody).await.ok(), none);
    }
    for wrong in [alice.id(), "nonsense", "@:"] {
        mutual(&alice, wrong).await.refused(400, "M_INVALID_PARAM");
    }
    let call = mutual(&alice, bob.id()).query("from", "nonsense");
    call.await.refused(400, "M_INVALID_PARAM");
    let missing = alice.get("/_matrix/client/v1/mutual_rooms");
    missing.await.refused(400, "M_MISSING_PARAM");
    let path = "/_matrix/client/v1/mutual_rooms?user_id=@bob:example.org";
    server.call(Method::GET, path).await.refused(401, "M_MISSING_TOKEN");
}

#[tokio::test]
async fn no_third_party_network_is_known() {
    let (server, [alice]) = server_with(["alice"]).await;
    let path = ["thirdparty", "protocols"];
    assert_eq!(alice.get(path).await.ok(), json!({}));
    server.call(Method::GET, path).await.refused(401, "M_MISSING_TOKEN");
}
