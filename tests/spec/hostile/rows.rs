//! A row for each endpoint: a request that would be done, and what is answered where the usual answer is not given.

use super::cases::Kind;

/// What one who has nothing is told of what others have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Others {
    /// Nothing here is anybody's own.
    Nobodys,
    /// The request is refused.
    Refused(u16, &'static str),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Sample {
    None,
    Json(&'static str),
    /// Bytes that are no JSON.
    File,
}

/// What is answered to a kind of hostility in one endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    pub(crate) kind: Kind,
    /// Where, if not everywhere.
    pub(crate) field: Option<&'static str>,
    pub(crate) status: u16,
    /// None is empty.
    pub(crate) code: &'static str,
}

/// An endpoint and a good request for it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    /// What parameters of the path stand for here.
    pub(crate) path: &'static [(&'static str, &'static str)],
    pub(crate) query: &'static [(&'static str, &'static str)],
    pub(crate) body: Sample,
    pub(crate) others: Others,
    pub(crate) answers: &'static [Answered],
}

impl Row {
    const fn path(self, path: &'static [(&'static str, &'static str)]) -> Self {
        Self { path, ..self }
    }

    const fn query(self, query: &'static [(&'static str, &'static str)]) -> Self {
        Self { query, ..self }
    }

    const fn body(self, body: &'static str) -> Self {
        Self { body: Sample::Json(body), ..self }
    }

    const fn file(self) -> Self {
        Self { body: Sample::File, ..self }
    }

    const fn answers(self, answers: &'static [Answered]) -> Self {
        Self { answers, ..self }
    }
}

const fn row(name: &'static str, others: Others) -> Row {
    Row { name, path: &[], query: &[], body: Sample::None, others, answers: &[] }
}

/// An endpoint in which nothing is anybody's own.
const fn open(name: &'static str) -> Row {
    row(name, Others::Nobodys)
}

/// An endpoint of what belongs to a user or a room.
const fn own(name: &'static str) -> Row {
    row(name, Others::Refused(403, "M_FORBIDDEN"))
}

/// An endpoint of what others cannot even see.
const fn hidden(name: &'static str) -> Row {
    row(name, Others::Refused(404, "M_NOT_FOUND"))
}

/// An endpoint that asks for more proof before it looks at what belongs to whom.
const fn proved(name: &'static str) -> Row {
    row(name, Others::Refused(401, ""))
}

/// An answer where it is this field that is hostile.
const fn at(kind: Kind, field: &'static str, status: u16, code: &'static str) -> Answered {
    Answered { kind, field: Some(field), status, code }
}

/// A telephone number to be proven, which nobody can do here.
const TELEPHONE: &str = r#"{"client_secret":"s","country":"ES","phone_number":"600000000","send_attempt":1,"next_link":"https://example.org"}"#;

/// What is asked of an identity server is not looked at.
const NO_TELEPHONE: &[Answered] = &[
    at(Kind::WrongType, "id_server", 400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
    at(Kind::WrongType, "id_access_token", 400, "M_THREEPID_MEDIUM_NOT_SUPPORTED"),
];

/// All endpoints that are served.
pub(crate) const ROWS: &[Row] = &[
    open("GET /.well-known/matrix/client"),
    open("GET /_matrix/client/versions"),
    open("GET /_matrix/client/v3/login"),
    open("POST /_matrix/client/v3/login").body(r#"{"type":"m.login.password","identifier":{"type":"m.id.user","user":"{userId}"},"password":"password of alice","device_id":"NEW","initial_device_display_name":"new"}"#),
    open("POST /_matrix/client/v3/logout"),
    open("POST /_matrix/client/v3/logout/all"),
    open("POST /_matrix/client/v3/register").body(r#"{"username":"new","password":"new password","device_id":"NEW","initial_device_display_name":"new","inhibit_login":false}"#),
    open("GET /_matrix/client/v3/register/available").query(&[("username", "new")]),
    open("GET /_matrix/client/v1/register/m.login.registration_token/validity").query(&[("token", "t")]),
    open("GET /_matrix/client/v3/account/whoami"),
    open("GET /_matrix/client/v3/account/3pid"),
    // Which identity server a client would have asked is not looked at.
    open("POST /_matrix/client/v3/register/email/requestToken").body(r#"{"client_secret":"new","email":"new@example.org","send_attempt":1,"next_link":"https://example.org"}"#).answers(&[at(Kind::WrongType, "id_server", 200, ""), at(Kind::WrongType, "id_access_token", 200, "")]),
    open("POST /_matrix/client/v3/account/password/email/requestToken").body(r#"{"client_secret":"new","email":"new@example.org","send_attempt":1,"next_link":"https://example.org"}"#).answers(&[at(Kind::WrongType, "id_server", 200, ""), at(Kind::WrongType, "id_access_token", 200, "")]),
    open("POST /_matrix/client/v3/account/3pid/email/requestToken").body(r#"{"client_secret":"new","email":"new@example.org","send_attempt":1,"next_link":"https://example.org"}"#).answers(&[at(Kind::WrongType, "id_server", 200, ""), at(Kind::WrongType, "id_access_token", 200, "")]),
    open("POST /_matrix/client/v3/register/msisdn/requestToken").body(TELEPHONE).answers(NO_TELEPHONE),
    open("POST /_matrix/client/v3/account/password/msisdn/requestToken").body(TELEPHONE).answers(NO_TELEPHONE),
    open("POST /_matrix/client/v3/account/3pid/msisdn/requestToken").body(TELEPHONE).answers(NO_TELEPHONE),
    open("POST /_matrix/client/v3/account/3pid").body(r#"{"three_pid_creds":{"client_secret":"s","id_server":"x.org","id_access_token":"t","sid":"s"}}"#),
    open("POST /_matrix/client/v3/account/3pid/add").body(r#"{"client_secret":"s","sid":"s"}"#),
    open("POST /_matrix/client/v3/account/3pid/bind").body(r#"{"client_secret":"s","id_server":"x.org","id_access_token":"t","sid":"s"}"#),
    row("POST /_matrix/client/v3/account/3pid/delete", Others::Refused(400, "M_THREEPID_NOT_FOUND")).body(r#"{"id_server":"x.org","medium":"email","address":"alice@example.org"}"#).answers(&[at(Kind::WrongWord, "medium", 400, "M_THREEPID_MEDIUM_NOT_SUPPORTED")]),
    open("POST /_matrix/client/v3/account/3pid/unbind").body(r#"{"id_server":"x.org","medium":"email","address":"alice@example.org"}"#).answers(&[at(Kind::WrongWord, "medium", 200, "")]),
    open("POST /_tertulia/client/v1/register").body(r#"{"username":"new","nickname":"New","password":"new password","terms_accepted":false,"registration_token":"t","device_id":"NEW","initial_device_display_name":"new","refresh_token":false}"#),
    open("POST /_tertulia/client/v1/account/email/requestToken").body(r#"{"client_secret":"new","email":"new@example.org","send_attempt":1}"#),
    row("PUT /_tertulia/client/v1/account/email", Others::Refused(403, "M_FORBIDDEN")).body(r#"{"email":{"sid":"{session}","client_secret":"secret","token":"{code}"},"password":"password of alice"}"#),
    open("POST /_tertulia/client/v1/email/submit").body(r#"{"sid":"{session}","client_secret":"secret","token":"{code}"}"#),
    open("GET /_tertulia/client/v1/email/confirm").query(&[("session", "s"), ("token", "t")]),
    open("POST /_tertulia/client/v1/email/confirm").body(r#"{"session":"{session}","token":"{link}"}"#),
    open("POST /_matrix/client/v3/account/password").body(r#"{"new_password":"new password","logout_devices":false}"#),
    open("POST /_matrix/client/v3/account/deactivate").body(r#"{"erase":false}"#),
    open("GET /_matrix/client/v3/capabilities"),
    open("GET /_matrix/client/v3/devices"),
    hidden("GET /_matrix/client/v3/devices/{deviceId}"),
    hidden("PUT /_matrix/client/v3/devices/{deviceId}").body(r#"{"display_name":"new"}"#),
    proved("DELETE /_matrix/client/v3/devices/{deviceId}").body("{}"),
    proved("POST /_matrix/client/v3/delete_devices").body(r#"{"devices":["{deviceId}"]}"#),
    open("GET /_matrix/client/v3/profile/{userId}"),
    open("GET /_matrix/client/v3/profile/{userId}/{keyName}"),
    own("PUT /_matrix/client/v3/profile/{userId}/{keyName}").body(r#"{"displayname":"new"}"#),
    own("DELETE /_matrix/client/v3/profile/{userId}/{keyName}"),
    open("POST /_matrix/client/v3/createRoom").body(r#"{"name":"n","topic":"t","preset":"public_chat","visibility":"private","room_alias_name":"new","room_version":"11","invite":["{carol}"],"initial_state":[{"type":"org.test","state_key":"k","content":{}}],"is_direct":false,"creation_content":{},"power_level_content_override":{}}"#),
    own("POST /_matrix/client/v3/join/{roomIdOrAlias}").body(r#"{"reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/join").body(r#"{"reason":"r"}"#),
    own("POST /_matrix/client/v3/knock/{roomIdOrAlias}").path(&[("roomIdOrAlias", "{knockable}")]).body(r#"{"reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/invite").body(r#"{"user_id":"{mallory}","reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/kick").body(r#"{"user_id":"{carol}","reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/ban").body(r#"{"user_id":"{carol}","reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/unban").body(r#"{"user_id":"{banned}","reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/leave").body(r#"{"reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/forget").path(&[("roomId", "{left}")]),
    open("GET /_matrix/client/v3/joined_rooms"),
    own("GET /_matrix/client/v3/rooms/{roomId}/joined_members"),
    own("GET /_matrix/client/v3/rooms/{roomId}/members"),
    own("GET /_matrix/client/v3/rooms/{roomId}/aliases"),
    own("GET /_matrix/client/v3/rooms/{roomId}/state"),
    own("GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}"),
    own("PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}").body(r#"{"n":2}"#),
    own("PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}").body(r#"{"n":2}"#),
    own("PUT /_matrix/client/v3/rooms/{roomId}/redact/{eventId}/{txnId}").body(r#"{"reason":"r"}"#),
    own("PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}").body(r#"{"typing":true,"timeout":1000}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/receipt/{receiptType}/{eventId}").body(r#"{"thread_id":"main"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/read_markers").body(r#"{"m.fully_read":"{eventId}","m.read":"{eventId}","m.read.private":"{eventId}"}"#),
    hidden("GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}"),
    hidden("GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}"),
    own("GET /_matrix/client/v3/rooms/{roomId}/messages").query(&[("dir", "b")]),
    // It is the name of a filter that is not there.
    open("GET /_matrix/client/v3/sync").answers(&[at(Kind::WrongWord, "filter", 404, "M_NOT_FOUND")]),
    open("GET /_matrix/client/v3/directory/room/{roomAlias}"),
    own("PUT /_matrix/client/v3/directory/room/{roomAlias}").path(&[("roomAlias", "{free}")]).body(r#"{"room_id":"{roomId}"}"#),
    own("DELETE /_matrix/client/v3/directory/room/{roomAlias}"),
    own("GET /_matrix/client/v3/user/{userId}/account_data/{type}"),
    own("PUT /_matrix/client/v3/user/{userId}/account_data/{type}").body(r#"{"n":2}"#),
    own("GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}"),
    own("PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/account_data/{type}").body(r#"{"n":2}"#),
    own("GET /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags"),
    own("PUT /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}").body(r#"{"order":0.5}"#),
    own("DELETE /_matrix/client/v3/user/{userId}/rooms/{roomId}/tags/{tag}"),
    own("POST /_matrix/client/v3/user/{userId}/filter").body(r#"{"event_fields":["type"],"event_format":"client","presence":{"limit":1,"types":["t"],"senders":["@a:x"]},"account_data":{"not_types":["t"]},"room":{"rooms":["!a:x"],"include_leave":true,"timeline":{"limit":1,"lazy_load_members":true},"state":{"contains_url":true},"ephemeral":{},"account_data":{}}}"#),
    own("GET /_matrix/client/v3/user/{userId}/filter/{filterId}"),
    open("GET /_matrix/client/v3/pushrules/"),
    open("GET /_matrix/client/v3/pushrules/global/"),
    hidden("GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}"),
    // None of them is a field of such a condition and such a rule; `odd.rs` has those that have them.
    open("PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}").body(r#"{"conditions":[{"kind":"event_match","key":"type","pattern":"p"}],"actions":["notify"]}"#).answers(&[at(Kind::WrongType, "conditions/0/is", 200, ""), at(Kind::WrongType, "conditions/0/value", 200, ""), at(Kind::WrongType, "pattern", 200, "")]),
    hidden("DELETE /_matrix/client/v3/pushrules/global/{kind}/{ruleId}"),
    hidden("GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions"),
    hidden("PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/actions").body(r#"{"actions":["notify"]}"#),
    hidden("GET /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled"),
    hidden("PUT /_matrix/client/v3/pushrules/global/{kind}/{ruleId}/enabled").body(r#"{"enabled":false}"#),
    open("GET /_matrix/media/v3/config"),
    open("GET /_matrix/client/v1/media/config"),
    open("POST /_matrix/media/v3/upload").file(),
    open("GET /_matrix/media/v3/download/{serverName}/{mediaId}"),
    open("GET /_matrix/media/v3/download/{serverName}/{mediaId}/{fileName}"),
    open("GET /_matrix/media/v3/thumbnail/{serverName}/{mediaId}").query(&[("width", "32"), ("height", "32"), ("method", "scale")]),
    open("GET /_matrix/client/v1/media/download/{serverName}/{mediaId}"),
    open("GET /_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}"),
    open("GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}").query(&[("width", "32"), ("height", "32"), ("method", "scale")]),
    open("GET /_matrix/client/v3/directory/list/room/{roomId}"),
    own("PUT /_matrix/client/v3/directory/list/room/{roomId}").body(r#"{"visibility":"public"}"#),
    open("GET /_matrix/client/v3/publicRooms").query(&[("limit", "5")]),
    open("POST /_matrix/client/v3/publicRooms").body(r#"{"limit":5,"filter":{"generic_search_term":"t","room_types":["m.space"]},"include_all_networks":false}"#),
    open("GET /_matrix/client/v3/thirdparty/protocols"),
    open("GET /_matrix/client/v3/notifications"),
    open("POST /_matrix/client/v3/user_directory/search").body(r#"{"search_term":"a","limit":5}"#),
    own("GET /_matrix/client/v1/rooms/{roomId}/hierarchy"),
    hidden("GET /_matrix/client/v1/room_summary/{roomIdOrAlias}"),
    open("GET /.well-known/matrix/support"),
    open("GET /.well-known/matrix/policy_server"),
    own("GET /_matrix/client/v1/admin/lock/{userId}").path(&[("userId", "{carol}")]),
    own("PUT /_matrix/client/v1/admin/lock/{userId}").path(&[("userId", "{carol}")]).body(r#"{"locked":true}"#),
    own("GET /_matrix/client/v1/admin/suspend/{userId}").path(&[("userId", "{carol}")]),
    own("PUT /_matrix/client/v1/admin/suspend/{userId}").path(&[("userId", "{carol}")]).body(r#"{"suspended":true}"#),
    own("GET /_matrix/client/v3/admin/whois/{userId}"),
    open("POST /_matrix/client/v1/login/get_token").body("{}"),
    open("POST /_matrix/client/v3/refresh").body(r#"{"refresh_token":"{refresh}"}"#),
    open("GET /_matrix/client/v1/mutual_rooms").query(&[("user_id", "{carol}")]),
    hidden("GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}"),
    hidden("GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}"),
    hidden("GET /_matrix/client/v1/rooms/{roomId}/relations/{eventId}/{relType}/{eventType}"),
    own("GET /_matrix/client/v1/rooms/{roomId}/threads"),
    own("GET /_matrix/client/v1/rooms/{roomId}/timestamp_to_event").query(&[("ts", "1"), ("dir", "f")]),
    open("GET /_matrix/client/v3/auth/{authType}/fallback/web").query(&[("session", "s")]),
    open("GET /_matrix/static/client/login/"),
    open("GET /_matrix/client/v3/events").query(&[("timeout", "0")]),
    hidden("GET /_matrix/client/v3/events/{eventId}"),
    open("GET /_matrix/client/v3/initialSync"),
    own("GET /_matrix/client/v3/rooms/{roomId}/initialSync"),
    own("GET /_matrix/client/v3/presence/{userId}/status"),
    own("PUT /_matrix/client/v3/presence/{userId}/status").body(r#"{"presence":"online","status_msg":"here"}"#),
    open("POST /_matrix/client/v3/rooms/{roomId}/report").body(r#"{"reason":"r"}"#),
    hidden("POST /_matrix/client/v3/rooms/{roomId}/report/{eventId}").body(r#"{"reason":"r"}"#),
    open("POST /_matrix/client/v3/users/{userId}/report").body(r#"{"reason":"r"}"#),
    own("POST /_matrix/client/v3/rooms/{roomId}/upgrade").body(r#"{"new_version":"12"}"#),
    own("POST /_matrix/client/v3/user/{userId}/openid/request_token").body("{}"),
    open("GET /_matrix/client/v3/voip/turnServer"),
    open("POST /_matrix/media/v1/create"),
    open("GET /.well-known/matrix/server"),
    open("GET /_matrix/federation/v1/openid/userinfo").query(&[("access_token", "{openid}")]),
    open("GET /_matrix/client/unstable/org.matrix.msc4143/rtc/transports"),
    open("GET /_tertulia/client/v1/people").query(&[("words", "{mallory}")]),
    open("GET /_tertulia/client/v1/friends"),
    open("POST /_tertulia/client/v1/friends").body(r#"{"user":"{mallory}","reason":"r"}"#),
    open("GET /_tertulia/client/v1/friends/{userId}").path(&[("userId", "{carol}")]),
    hidden("DELETE /_tertulia/client/v1/friends/{userId}").path(&[("userId", "{carol}")]),
    hidden("POST /_tertulia/client/v1/friends/{userId}/accept").path(&[("userId", "{frank}")]),
    hidden("POST /_tertulia/client/v1/friends/{userId}/refuse").path(&[("userId", "{frank}")]),
    hidden("POST /_tertulia/client/v1/friends/{userId}/withdraw").path(&[("userId", "{gina}")]),
    open("GET /_tertulia/client/v1/chats").query(&[("kind", "group")]),
    hidden("GET /_tertulia/client/v1/chats/{roomId}"),
    open("GET /_tertulia/client/v1/groups"),
    open("POST /_tertulia/client/v1/groups").body(r#"{"name":"n","topic":"t","avatar_url":"mxc://example.org/a","members":["{carol}"],"public":false}"#),
    own("POST /_tertulia/client/v1/groups/join").body(r#"{"group":"{roomId}","reason":"r"}"#),
    own("PUT /_tertulia/client/v1/groups/{roomId}/members/{userId}/role").path(&[("roomId", "{group}"), ("userId", "{carol}")]).body(r#"{"role":"admin"}"#),
    own("POST /_tertulia/client/v1/groups/{roomId}/hand_over").path(&[("roomId", "{group}")]).body(r#"{"user_id":"{carol}"}"#),
    own("PUT /_tertulia/client/v1/groups/{roomId}/announcements").path(&[("roomId", "{group}")]).body(r#"{"only":true}"#),
    own("POST /_tertulia/client/v1/groups/{roomId}/leave").path(&[("roomId", "{left}")]),
    own("POST /_tertulia/client/v1/groups/{roomId}/dissolve").path(&[("roomId", "{group}")]),
    own("GET /_tertulia/client/v1/groups/{roomId}/members"),
    open("GET /_tertulia/client/v1/requests/received").query(&[("from", "9")]),
    open("GET /_tertulia/client/v1/requests/sent"),
    open("POST /_tertulia/client/v1/requests/seen"),
    hidden("POST /_tertulia/client/v1/requests/{requestId}/accept"),
    hidden("POST /_tertulia/client/v1/requests/{requestId}/refuse"),
    hidden("POST /_tertulia/client/v1/requests/{requestId}/withdraw").path(&[("requestId", "{sent}")]),
    hidden("DELETE /_tertulia/client/v1/requests/{requestId}").path(&[("requestId", "{over}")]),
    open("GET /_tertulia/client/v1/favourites").query(&[("kind", "text"), ("room_id", "{roomId}"), ("words", "w"), ("from", "1.0.a")]),
    hidden("POST /_tertulia/client/v1/favourites").body(r#"{"room_id":"{roomId}","event_id":"{eventId}","msgtype":"m.text","preview":"p"}"#),
    hidden("GET /_tertulia/client/v1/favourites/{favouriteId}"),
    hidden("DELETE /_tertulia/client/v1/favourites/{favouriteId}"),
    own("PUT /_matrix/media/v3/upload/{serverName}/{mediaId}").path(&[("mediaId", "{promised}")]).file(),
];
