//! The story over HTTP, on real sockets: Matrix's own endpoints for accounts, messages and files, those of Tertulia for
//! all that a chat application shows beside.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::stream;
use ruma::{EventId, MxcUri, OwnedEventId, OwnedRoomId, OwnedUserId, RoomId, UserId};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tertulia::{Homeserver, MessageKind};
use tertulia_bench::client::{Client, Error as ClientError};
use tertulia_http::{Options, RateLimits};
use tertulia_testkit::Listening;

use crate::way::{Account, Aim, Answer, Ear, File, Group, News, Page, Person, Refusal, Told, Way};

const MATRIX: &str = "/_matrix/client/v3";
const OURS: &str = "/_tertulia/client/v1";

/// A program that knows nothing but where the server listens.
pub(crate) struct Http {
    nobody: Client,
    _listening: Listening,
}

impl Way for Http {
    type Person = Member;

    async fn open(server: Homeserver) -> Self {
        let mut options = Options::default();
        options.rate_limits = RateLimits::off();
        let listening = Listening::start(tertulia_http::router_with(server, options)).await;
        Self { nobody: Client::new(&listening.url("")), _listening: listening }
    }

    async fn ask_for_code(&self, aim: Aim, email: &str) -> Told<String> {
        let path = match aim {
            Aim::Register => format!("{MATRIX}/register/email/requestToken"),
            Aim::ResetPassword => format!("{MATRIX}/account/password/email/requestToken"),
        };
        text(self.nobody.post(&path, &code_for(email)).await?, "sid")
    }

    async fn show_code(&self, session: &str, code: &str) -> Told {
        done(self.nobody.post(&format!("{OURS}/email/submit"), &shown(session, code)).await)
    }

    async fn register(&self, account: &Account, session: &str, code: Option<&str>) -> Told<Member> {
        let mut wish = json!({ "username": account.name, "password": account.password });
        let Some(code) = code else {
            // As every client of Matrix does it.
            wish["auth"] = stage(session);
            let login = self.nobody.post(&format!("{MATRIX}/register"), &wish).await?;
            let member = Member::new(&self.nobody, login).await?;
            member.set_nickname(account.nickname).await?;
            return Ok(member);
        };
        wish["nickname"] = account.nickname.into();
        wish["email"] = shown(session, code);
        let login = self.nobody.post(&format!("{OURS}/register"), &wish).await?;
        Member::new(&self.nobody, login).await
    }

    async fn log_in(&self, user: &str, password: &str) -> Told<Member> {
        let identifier = match user.contains('@') {
            true => json!({ "type": "m.id.thirdparty", "medium": "email", "address": user }),
            false => json!({ "type": "m.id.user", "user": user }),
        };
        let wish = json!({
            "type": "m.login.password",
            "identifier": identifier,
            "password": password,
        });
        let login = self.nobody.post(&format!("{MATRIX}/login"), &wish).await?;
        Member::new(&self.nobody, login).await
    }

    async fn reset_password(&self, session: &str, password: &str) -> Told {
        let wish = json!({ "new_password": password, "auth": stage(session) });
        done(self.nobody.post(&format!("{MATRIX}/account/password"), &wish).await)
    }
}

/// By this word the program shows that it was the one who asked for a code.
const SECRET: &str = "only_this_program_knows_it";

fn code_for(email: &str) -> Value {
    json!({ "email": email, "client_secret": SECRET, "send_attempt": 1 })
}

/// What proves an address.
fn shown(session: &str, code: &str) -> Value {
    json!({ "sid": session, "client_secret": SECRET, "token": code })
}

/// What lets one do something whose address was proven before.
fn stage(session: &str) -> Value {
    let proven = json!({ "sid": session, "client_secret": SECRET });
    json!({ "type": "m.login.email.identity", "threepid_creds": proven })
}

/// Somebody who is logged in, and listens.
pub(crate) struct Member {
    id: OwnedUserId,
    client: Client,
    transactions: AtomicU64,
    ear: Ear,
}

#[derive(Deserialize)]
struct Login {
    user_id: OwnedUserId,
    access_token: String,
}

impl Member {
    async fn new(nobody: &Client, Login { user_id, access_token }: Login) -> Told<Self> {
        let client = nobody.with_token(&access_token);
        let since = text(client.get(&format!("{MATRIX}/sync"), &[]).await?, "next_batch")?;
        let asking = client.clone();
        let ear = Ear::to(stream::unfold(Some(since), move |since| poll(asking.clone(), since)));
        Ok(Self { id: user_id, client, transactions: AtomicU64::new(0), ear })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str, query: &[(&str, &str)]) -> Told<T> {
        Ok(self.client.get(path, query).await?)
    }

    async fn post(&self, path: &str, body: Value) -> Told<Value> {
        Ok(self.client.post(path, &body).await?)
    }

    async fn put(&self, path: &str, body: Value) -> Told<Value> {
        Ok(self.client.put(path, &body).await?)
    }

    async fn send(&self, room: &RoomId, kind: &str, content: Value) -> Told<OwnedEventId> {
        let transaction = self.transactions.fetch_add(1, Ordering::Relaxed);
        let path = format!("{MATRIX}/rooms/{room}/send/{kind}/t{transaction}");
        parsed(self.put(&path, content).await?, "event_id")
    }

    async fn upload(&self, file: &File) -> Told<String> {
        let path = format!("/_matrix/media/v3/upload?filename={}", file.name);
        let bytes = file.bytes.clone();
        text(self.client.post_bytes(&path, file.content_type, bytes).await?, "content_uri")
    }

    async fn send_upload(&self, room: &RoomId, kind: &str, file: &File) -> Told<OwnedEventId> {
        let mut info = json!({ "mimetype": file.content_type, "size": file.bytes.len() });
        if let Some((width, height)) = file.size {
            (info["w"], info["h"]) = (width.into(), height.into());
        }
        let content = json!({
            "msgtype": kind,
            "body": file.name,
            "filename": file.name,
            "url": self.upload(file).await?,
            "info": info,
        });
        self.send(room, "m.room.message", content).await
    }

    async fn set_profile(&self, field: &str, value: &str) -> Told {
        let path = format!("{MATRIX}/profile/{}/{field}", self.id);
        self.put(&path, json!({ field: value })).await.map(drop)
    }
}

impl Person for Member {
    fn id(&self) -> &UserId {
        &self.id
    }

    async fn set_nickname(&self, name: &str) -> Told {
        self.set_profile("displayname", name).await
    }

    async fn set_avatar(&self, picture: &File) -> Told {
        self.set_profile("avatar_url", &self.upload(picture).await?).await
    }

    async fn ask_for_code(&self, email: &str) -> Told<String> {
        let path = format!("{OURS}/account/email/requestToken");
        text(self.post(&path, code_for(email)).await?, "sid")
    }

    async fn change_email(&self, session: &str, code: &str, password: &str) -> Told {
        let wish = json!({ "email": shown(session, code), "password": password });
        self.put(&format!("{OURS}/account/email"), wish).await.map(drop)
    }

    async fn log_out(&self) -> Told {
        self.post(&format!("{MATRIX}/logout"), json!({})).await.map(drop)
    }

    async fn befriend(&self, name: &str, reason: &str) -> Told {
        let wish = json!({ "user": name, "reason": reason });
        self.post(&format!("{OURS}/friends"), wish).await.map(drop)
    }

    async fn delete_friend(&self, friend: &UserId) -> Told {
        done(self.client.delete(&format!("{OURS}/friends/{friend}")).await)
    }

    async fn answer(&self, request: &str, answer: Answer) -> Told {
        let verb = match answer {
            Answer::Accept => "accept",
            Answer::Refuse => "refuse",
        };
        self.post(&format!("{OURS}/requests/{request}/{verb}"), json!({})).await.map(drop)
    }

    async fn look_through(&self) -> Told {
        self.post(&format!("{OURS}/requests/seen"), json!({})).await.map(drop)
    }

    async fn say(&self, room: &RoomId, text: &str) -> Told<OwnedEventId> {
        self.send(room, "m.room.message", json!({ "msgtype": "m.text", "body": text })).await
    }

    async fn react(&self, room: &RoomId, to: &EventId, emoji: &str) -> Told<OwnedEventId> {
        let relation = json!({ "rel_type": "m.annotation", "event_id": to, "key": emoji });
        self.send(room, "m.reaction", json!({ "m.relates_to": relation })).await
    }

    async fn send_image(&self, room: &RoomId, picture: &File) -> Told<OwnedEventId> {
        self.send_upload(room, "m.image", picture).await
    }

    async fn send_file(&self, room: &RoomId, file: &File) -> Told<OwnedEventId> {
        self.send_upload(room, "m.file", file).await
    }

    async fn mark_read(&self, room: &RoomId, up_to: &EventId) -> Told {
        let markers = json!({ "m.fully_read": up_to, "m.read": up_to });
        self.post(&format!("{MATRIX}/rooms/{room}/read_markers"), markers).await.map(drop)
    }

    async fn download(&self, file: &MxcUri) -> Told<Bytes> {
        let (server, id) = file.parts().expect("the URI of a file");
        let path = format!("/_matrix/client/v1/media/download/{server}/{id}");
        Ok(self.client.get_bytes(&path).await?)
    }

    async fn create_group(&self, group: &Group<'_>) -> Told<OwnedRoomId> {
        let wish = json!({ "name": group.name, "topic": group.topic, "members": group.members });
        parsed(self.post(&format!("{OURS}/groups"), wish).await?, "room_id")
    }

    async fn invite(&self, room: &RoomId, whom: &UserId, reason: &str) -> Told {
        let wish = json!({ "user_id": whom, "reason": reason });
        self.post(&format!("{MATRIX}/rooms/{room}/invite"), wish).await.map(drop)
    }

    async fn leave(&self, room: &RoomId) -> Told {
        self.post(&format!("{MATRIX}/rooms/{room}/leave"), json!({})).await.map(drop)
    }

    async fn keep(&self, room: &RoomId, message: &EventId) -> Told {
        let wish = json!({ "room_id": room, "event_id": message });
        self.post(&format!("{OURS}/favourites"), wish).await.map(drop)
    }

    async fn see(&self, page: Page<'_>) -> Told<Value> {
        match page {
            Page::Account => self.account().await,
            Page::Chats => self.get(&format!("{OURS}/chats"), &[]).await,
            Page::Friends => self.get(&format!("{OURS}/friends"), &[]).await,
            Page::Received => self.get(&format!("{OURS}/requests/received"), &[]).await,
            Page::Sent => self.get(&format!("{OURS}/requests/sent"), &[]).await,
            Page::Favourites => self.get(&format!("{OURS}/favourites"), &[]).await,
            Page::FavouritesOf(kind) => {
                self.get(&format!("{OURS}/favourites"), &[("kind", name(kind))]).await
            }
            Page::People(words) => self.get(&format!("{OURS}/people"), &[("words", words)]).await,
            Page::Members(group) => self.get(&format!("{OURS}/groups/{group}/members"), &[]).await,
        }
    }

    fn ear(&mut self) -> &mut Ear {
        &mut self.ear
    }
}

impl Member {
    async fn account(&self) -> Told<Value> {
        let profile: Value = self.get(&format!("{MATRIX}/profile/{}", self.id), &[]).await?;
        let known: Value = self.get(&format!("{MATRIX}/account/3pid"), &[]).await?;
        let emails: Vec<_> = rows(&known["threepids"]).map(|row| &row["address"]).collect();
        let devices: Value = self.get(&format!("{MATRIX}/devices"), &[]).await?;
        let sessions = rows(&devices["devices"]).count();
        Ok(json!({ "profile": profile, "emails": emails, "sessions": sessions }))
    }
}

fn name(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Text => "text",
        MessageKind::Image => "image",
        MessageKind::File => "file",
        MessageKind::Audio => "audio",
        MessageKind::Video => "video",
        MessageKind::Other => "other",
    }
}

/// The next update after `since`, and where to go on; nothing after the session has ended.
async fn poll(client: Client, since: Option<String>) -> Option<(Told<Vec<News>>, Option<String>)> {
    let query = [("since", &*since?), ("timeout", "30000")];
    let update: Result<Value, _> = client.get(&format!("{MATRIX}/sync"), &query).await;
    Some(match update {
        Ok(update) => (Ok(news(&update["rooms"])), text(update, "next_batch").ok()),
        Err(error) => (Err(error.into()), None),
    })
}

/// What an update tells of rooms.
fn news(rooms: &Value) -> Vec<News> {
    let section = |name: &str| rooms[name].as_object().into_iter().flatten();
    let id = |room: &String| OwnedRoomId::try_from(room.as_str()).expect("the ID of a room");
    let invited = section("invite").map(|(room, _)| News::Invitation { room: id(room) });
    let happened = section("join").flat_map(|(room, told)| {
        let event = |event: &Value| News::Event { room: id(room), event: event.clone() };
        rows(&told["timeline"]["events"]).map(event)
    });
    let left = section("leave").map(|(room, _)| News::Left { room: id(room) });
    invited.chain(happened).chain(left).collect()
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn text(body: Value, field: &str) -> Told<String> {
    parsed(body, field)
}

fn parsed<T: DeserializeOwned>(mut body: Value, field: &str) -> Told<T> {
    let value = body[field].take();
    serde_json::from_value(value).map_err(|error| Refusal(format!("{field}: {error}")))
}

fn done(outcome: Result<Value, ClientError>) -> Told {
    outcome?;
    Ok(())
}

impl From<ClientError> for Refusal {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::Refused { message, .. } => Self(message),
            error => panic!("{error}"),
        }
    }
}
