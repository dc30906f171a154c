//! The requests that the instruments make, as methods of the account that makes them.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::client::{Client, Error, Result};
use crate::shared_secret;
use crate::timeline::{Page, Update};

const V3: &str = "/_matrix/client/v3";

/// How new users come to be.
#[derive(Clone, Debug, Default)]
pub enum Registration {
    /// Registration is open, or asks for no more than `m.login.dummy`.
    #[default]
    Open,
    /// By the secret that the operator shares.
    SharedSecret(String),
}

/// A user's device that is logged in.
#[derive(Clone, Debug)]
pub struct Account {
    /// The user's Matrix ID.
    pub user: String,
    /// The device's ID.
    pub device: String,
    /// Requests with this device's access token.
    pub client: Client,
}

/// Which way to read a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Towards {
    /// From newer events to older ones.
    Past,
    /// From older events to newer ones.
    Present,
}

#[derive(Deserialize)]
struct LoggedIn {
    user_id: String,
    access_token: String,
    device_id: String,
}

#[derive(Deserialize)]
struct Sent {
    event_id: String,
}

#[derive(Deserialize)]
struct Room {
    room_id: String,
}

#[derive(Deserialize)]
struct Uploaded {
    content_uri: String,
}

#[derive(Deserialize)]
struct WhoAmI {
    user_id: String,
}

#[derive(Deserialize)]
struct JoinedRooms {
    joined_rooms: Vec<String>,
}

#[derive(Deserialize)]
struct Members {
    chunk: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    state_key: String,
}

impl Registration {
    /// Registers `name`, logged in with a first device.
    pub async fn register(&self, client: &Client, name: &str, password: &str) -> Result<Account> {
        let answer = match self {
            Registration::Open => register_openly(client, name, password).await?,
            Registration::SharedSecret(secret) => {
                shared_secret::register(client, secret, name, password).await?
            }
        };
        account(client, answer)
    }
}

async fn register_openly(client: &Client, name: &str, password: &str) -> Result<Value> {
    let path = format!("{V3}/register");
    let body = |auth: Value| json!({ "username": name, "password": password, "auth": auth });
    match client.post(&path, &body(json!({ "type": "m.login.dummy" }))).await {
        Err(Error::Refused { status: 401, body: asked, .. }) if asked["session"].is_string() => {
            let auth = json!({ "type": "m.login.dummy", "session": asked["session"] });
            client.post(&path, &body(auth)).await
        }
        answer => answer,
    }
}

fn account(client: &Client, answer: Value) -> Result<Account> {
    let odd = |reason| Error::Odd { path: "a login".to_owned(), reason };
    let LoggedIn { user_id, access_token, device_id } =
        serde_json::from_value(answer).map_err(odd)?;
    Ok(Account { user: user_id, device: device_id, client: client.with_token(&access_token) })
}

/// Logs in as `user`, whose password it is, with a new device.
pub async fn log_in(client: &Client, user: &str, password: &str) -> Result<Account> {
    let identifier = json!({ "type": "m.id.user", "user": user });
    let body =
        json!({ "type": "m.login.password", "identifier": identifier, "password": password });
    account(client, client.post(&format!("{V3}/login"), &body).await?)
}

impl Account {
    /// Creates a room as `body` says.
    pub async fn create_room(&self, body: &Value) -> Result<String> {
        let room: Room = self.client.post(&format!("{V3}/createRoom"), body).await?;
        Ok(room.room_id)
    }

    /// Joins a room that is open to all.
    pub async fn join(&self, room: &str) -> Result<()> {
        let _: Room = self.client.post(&format!("{V3}/join/{room}"), &json!({})).await?;
        Ok(())
    }

    /// Leaves a room.
    pub async fn leave(&self, room: &str) -> Result<()> {
        let _: Value = self.client.post(&format!("{V3}/rooms/{room}/leave"), &json!({})).await?;
        Ok(())
    }

    /// Sends an event under the transaction ID; repeated with the same ID it answers with the same event.
    pub async fn send(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        content: &impl Serialize,
    ) -> Result<String> {
        let path = format!("{V3}/rooms/{room}/send/{kind}/{transaction}");
        let sent: Sent = self.client.put(&path, content).await?;
        Ok(sent.event_id)
    }

    /// Sets a piece of the room's state.
    pub async fn set_state(
        &self,
        room: &str,
        kind: &str,
        key: &str,
        content: &Value,
    ) -> Result<String> {
        let path = format!("{V3}/rooms/{room}/state/{kind}/{key}");
        let sent: Sent = self.client.put(&path, content).await?;
        Ok(sent.event_id)
    }

    /// What is new since the token, waiting for something at most `timeout` milliseconds.
    pub async fn sync(
        &self,
        since: Option<&str>,
        filter: Option<&str>,
        timeout: u32,
    ) -> Result<Update> {
        let timeout = timeout.to_string();
        let mut query = vec![("timeout", timeout.as_str())];
        query.extend(since.map(|since| ("since", since)));
        query.extend(filter.map(|filter| ("filter", filter)));
        self.client.get(&format!("{V3}/sync"), &query).await
    }

    /// One page of a room's history, from the token or from the end that reading starts at.
    pub async fn messages(
        &self,
        room: &str,
        from: Option<&str>,
        towards: Towards,
        limit: u32,
    ) -> Result<Page> {
        let limit = limit.to_string();
        let direction = if towards == Towards::Past { "b" } else { "f" };
        let mut query = vec![("dir", direction), ("limit", limit.as_str())];
        query.extend(from.map(|from| ("from", from)));
        self.client.get(&format!("{V3}/rooms/{room}/messages"), &query).await
    }

    /// Marks everything up to the event as read.
    pub async fn read(&self, room: &str, event: &str) -> Result<()> {
        let path = format!("{V3}/rooms/{room}/receipt/m.read/{event}");
        self.client.post::<Value>(&path, &json!({})).await.map(drop)
    }

    /// Stores a piece of global account data.
    pub async fn set_account_data(&self, kind: &str, content: &Value) -> Result<()> {
        let path = format!("{V3}/user/{}/account_data/{kind}", self.user);
        self.client.put::<Value>(&path, content).await.map(drop)
    }

    /// Stores a piece of account data of one room.
    pub async fn set_room_account_data(
        &self,
        room: &str,
        kind: &str,
        content: &Value,
    ) -> Result<()> {
        let path = format!("{V3}/user/{}/rooms/{room}/account_data/{kind}", self.user);
        self.client.put::<Value>(&path, content).await.map(drop)
    }

    /// Uploads a file; the answer is its `mxc://` address.
    pub async fn upload(&self, kind: &str, bytes: Bytes) -> Result<String> {
        let uploaded: Uploaded =
            self.client.post_bytes("/_matrix/media/v3/upload", kind, bytes).await?;
        Ok(uploaded.content_uri)
    }

    /// The bytes behind an `mxc://` address.
    pub async fn download(&self, uri: &str) -> Result<Bytes> {
        let file = uri.trim_start_matches("mxc://");
        self.client.get_bytes(&format!("/_matrix/client/v1/media/download/{file}")).await
    }

    /// Changes the password and keeps all devices logged in.
    pub async fn change_password(&self, old: &str, new: &str) -> Result<()> {
        let path = format!("{V3}/account/password");
        let mut body = json!({ "new_password": new, "logout_devices": false });
        let session = match self.client.post::<Value>(&path, &body).await {
            Err(Error::Refused { status: 401, body, .. }) if body["session"].is_string() => {
                body["session"].clone()
            }
            answer => return answer.map(drop),
        };
        let identifier = json!({ "type": "m.id.user", "user": self.user });
        body["auth"] = json!({ "type": "m.login.password", "identifier": identifier, "password": old, "session": session });
        self.client.post::<Value>(&path, &body).await.map(drop)
    }

    /// Ends this device's login.
    pub async fn log_out(&self) -> Result<()> {
        self.client.post::<Value>(&format!("{V3}/logout"), &json!({})).await.map(drop)
    }

    /// The rooms that the user is in, in the server's order.
    pub async fn joined_rooms(&self) -> Result<Vec<String>> {
        let rooms: JoinedRooms = self.client.get(&format!("{V3}/joined_rooms"), &[]).await?;
        Ok(rooms.joined_rooms)
    }

    /// The users who are in a room, as a client asks for those it was not told of: with their membership events.
    pub async fn members(&self, room: &str) -> Result<Vec<String>> {
        let path = format!("{V3}/rooms/{room}/members");
        let members: Members = self.client.get(&path, &[("not_membership", "leave")]).await?;
        Ok(members.chunk.into_iter().map(|member| member.state_key).collect())
    }

    /// Whose access token this is, in the server's words.
    pub async fn who_am_i(&self) -> Result<String> {
        let answer: WhoAmI = self.client.get(&format!("{V3}/account/whoami"), &[]).await?;
        Ok(answer.user_id)
    }

    /// True while the server takes this device's access token.
    pub async fn is_logged_in(&self) -> Result<bool> {
        match self.who_am_i().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("M_UNKNOWN_TOKEN") => Ok(false),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
#[path = "api_tests.rs"]
mod tests;
