//! Registering, logging in and out, devices, profiles, closing an account.

use http::Method;
use serde_json::json;
use tertulia_testkit::Client;

use super::{Story, password, proved};
use crate::witness::Witness;

pub(super) async fn chapter(witness: &Witness) {
    let story = Story::begin(witness).await;
    anybody(&story).await;
    let alice = story.user("alice").await;
    refusals(&story, &alice).await;
    who(&alice).await;
    renewal(&story, &alice).await;
    passes(&story, &alice).await;
    moderation(&story, &alice).await;
    devices(&story, &alice).await;
    profile(&story, &alice).await;
    endings(&story, &alice).await;
}

async fn anybody(story: &Story) {
    story.call(Method::GET, "/_matrix/client/versions").await.ok();
    for part in ["client", "server", "support", "policy_server"] {
        story.call(Method::GET, format!("/.well-known/matrix/{part}")).await.ok();
    }
    let stage = "/_matrix/client/v3/auth/m.login.dummy/fallback/web";
    let page = story.call(Method::GET, stage).query("session", "s").await;
    assert_eq!(page.status, 200);
    assert_eq!(story.call(Method::GET, "/_matrix/static/client/login/").await.status, 200);
    story.call(Method::GET, ["login"]).await.ok();
    story.call(Method::GET, ["register", "available"]).query("username", "alice").await.ok();
    let validity = "/_matrix/client/v1/register/m.login.registration_token/validity";
    story.call(Method::GET, validity).query("token", "none").await.ok();
}

async fn refusals(story: &Story, alice: &Client) {
    let taken = story.call(Method::GET, ["register", "available"]).query("username", "alice");
    taken.await.refused(400, "M_USER_IN_USE");
    let taken =
        json!({ "username": "alice", "password": "x", "auth": { "type": "m.login.dummy" } });
    story.call(Method::POST, ["register"]).json(taken).await.refused(400, "M_USER_IN_USE");
    let wrong = json!({ "type": "m.login.password", "user": alice.id(), "password": "wrong" });
    story.call(Method::POST, ["login"]).json(wrong).await.refused(403, "M_FORBIDDEN");
    story.call(Method::GET, ["account", "whoami"]).await.refused(401, "M_MISSING_TOKEN");
    let stranger = story.call(Method::GET, ["account", "whoami"]).token("unknown");
    stranger.await.refused(401, "M_UNKNOWN_TOKEN");
}

async fn who(alice: &Client) {
    for path in [["account", "whoami"], ["account", "3pid"]] {
        alice.get(path).await.ok();
    }
    alice.get(["capabilities"]).await.ok();
}

async fn renewal(story: &Story, alice: &Client) {
    let mut login = password(alice);
    login["refresh_token"] = json!(true);
    let session = story.call(Method::POST, ["login"]).json(login).await.ok();
    let shown = json!({ "refresh_token": session["refresh_token"] });
    let renewed = story.call(Method::POST, ["refresh"]).json(shown.clone()).await.ok();
    let call = story.call(Method::GET, ["account", "whoami"]);
    call.token(renewed["access_token"].as_str().expect("a token")).await.ok();
    let spent = story.call(Method::POST, ["refresh"]).json(shown).await;
    spent.refused(401, "M_UNKNOWN_TOKEN");
}

async fn passes(story: &Story, alice: &Client) {
    let path = "/_matrix/client/v1/login/get_token";
    let call = || story.call(Method::POST, path).token(alice.token());
    let told = proved(call, json!({}), password(alice)).await.ok();
    let login = json!({ "type": "m.login.token", "token": told["login_token"] });
    story.call(Method::POST, ["login"]).json(login.clone()).await.ok();
    story.call(Method::POST, ["login"]).json(login).await.refused(403, "M_FORBIDDEN");
    let openid = ["user", alice.id(), "openid", "request_token"];
    let openid = alice.post(openid).json(json!({})).await.ok();
    let whose = story.call(Method::GET, "/_matrix/federation/v1/openid/userinfo");
    whose.query("access_token", openid["access_token"].as_str().expect("a token")).await.ok();
    alice.get("/_matrix/client/unstable/org.matrix.msc4143/rtc/transports").await.ok();
    alice.get(["voip", "turnServer"]).await.ok();
}

async fn moderation(story: &Story, alice: &Client) {
    let root = story.administrator("root").await;
    for (what, key, status, code) in [
        ("lock", "locked", 401, "M_USER_LOCKED"),
        ("suspend", "suspended", 403, "M_USER_SUSPENDED"),
    ] {
        let path = format!("/_matrix/client/v1/admin/{what}/{}", alice.id());
        let call = |method| story.call(method, path.clone()).token(root.token());
        call(Method::PUT).json(json!({ key: true })).await.ok();
        alice.post(["createRoom"]).json(json!({})).await.refused(status, code);
        call(Method::GET).await.ok();
        call(Method::PUT).json(json!({ key: false })).await.ok();
        let path = path.replace(alice.id(), "@nobody:example.org");
        let nobody = story.call(Method::GET, path).token(root.token());
        nobody.await.refused(404, "M_NOT_FOUND");
    }
    root.get(["admin", "whois", alice.id()]).await.ok();
    root.get(["capabilities"]).await.ok();
    alice.get(["admin", "whois", root.id()]).await.refused(403, "M_FORBIDDEN");
}

async fn devices(story: &Story, alice: &Client) {
    let [phone, tablet, desk] =
        [story.log_in(alice).await, story.log_in(alice).await, story.log_in(alice).await];
    alice.put(["devices", phone.device()]).json(json!({ "display_name": "phone" })).await.ok();
    let unknown = alice.put(["devices", "NONE"]).json(json!({ "display_name": "x" }));
    unknown.await.refused(404, "M_NOT_FOUND");
    alice.get(["devices"]).await.ok();
    alice.get(["devices", phone.device()]).await.ok();
    alice.get(["devices", "NONE"]).await.refused(404, "M_NOT_FOUND");
    let deletion = || alice.delete(["devices", phone.device()]);
    proved(deletion, json!({}), password(alice)).await.ok();
    let devices = json!({ "devices": [tablet.device()] });
    proved(|| alice.post(["delete_devices"]), devices, password(alice)).await.ok();
    desk.post(["logout"]).await.ok();
}

async fn profile(story: &Story, alice: &Client) {
    for (field, value) in [
        ("displayname", json!("Alice")),
        ("avatar_url", json!("mxc://example.org/face")),
        ("m.tz", json!("Europe/Madrid")),
        ("org.test.field", json!({ "deep": [1, null, true] })),
    ] {
        alice.put(["profile", alice.id(), field]).json(json!({ field: value })).await.ok();
        story.call(Method::GET, ["profile", alice.id(), field]).await.ok();
    }
    story.call(Method::GET, ["profile", alice.id()]).await.ok();
    alice.delete(["profile", alice.id(), "m.tz"]).await.ok();
    story.call(Method::GET, ["profile", alice.id(), "m.tz"]).await.refused(404, "M_NOT_FOUND");
    story.call(Method::GET, ["profile", "@nobody:example.org"]).await.refused(404, "M_NOT_FOUND");
    let others = alice.put(["profile", "@bob:example.org", "displayname"]);
    others.json(json!({ "displayname": "x" })).await.refused(403, "M_FORBIDDEN");
}

async fn endings(story: &Story, alice: &Client) {
    let new = json!({ "new_password": super::PASSWORD, "logout_devices": true });
    proved(|| alice.post(["account", "password"]), new, password(alice)).await.ok();
    alice.post(["logout", "all"]).await.ok();
    let alice = story.log_in(alice).await;
    let deactivation = || alice.post(["account", "deactivate"]);
    proved(deactivation, json!({ "erase": true }), password(&alice)).await.ok();
}
