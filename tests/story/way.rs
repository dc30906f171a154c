//! What is done in the story, however it is done.

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use ruma::{EventId, MxcUri, OwnedEventId, OwnedRoomId, RoomId, UserId};
use serde_json::Value;
use tertulia::{Homeserver, MessageKind};
use tokio::{sync::mpsc, task::AbortHandle};

/// Why nothing came of it, in the server's words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

pub(crate) type Told<T = ()> = Result<T, Refusal>;

/// A way to use a server: by its library, or over HTTP.
pub(crate) trait Way: Sized {
    type Person: Person;

    async fn open(server: Homeserver) -> Self;

    /// Lets a mail with a code be sent to somebody who is not logged in; tells the session.
    async fn ask_for_code(&self, aim: Aim, email: &str) -> Told<String>;

    /// Shows a code.
    async fn show_code(&self, session: &str, code: &str) -> Told;

    /// Makes an account with an address that is proven in a session, by a code that is shown with it, or was before.
    async fn register(
        &self,
        account: &Account,
        session: &str,
        code: Option<&str>,
    ) -> Told<Self::Person>;

    /// Logs in by a user name or an e-mail address.
    async fn log_in(&self, user: &str, password: &str) -> Told<Self::Person>;

    /// Sets the password of the account whose address was proven in a session.
    async fn reset_password(&self, session: &str, password: &str) -> Told;
}

/// What a code is for.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    Register,
    ResetPassword,
}

/// An account to be made.
#[derive(Clone, Copy)]
pub(crate) struct Account {
    pub(crate) name: &'static str,
    pub(crate) nickname: &'static str,
    pub(crate) password: &'static str,
}

/// Somebody who is logged in.
pub(crate) trait Person {
    fn id(&self) -> &UserId;

    async fn set_nickname(&self, name: &str) -> Told;
    async fn set_avatar(&self, picture: &File) -> Told;
    /// Lets a mail with a code be sent to an address that the user wants to have; tells the session.
    async fn ask_for_code(&self, email: &str) -> Told<String>;
    /// Has the address that a code proves instead of the one before.
    async fn change_email(&self, session: &str, code: &str, password: &str) -> Told;
    async fn log_out(&self) -> Told;

    /// Asks the user of this name to be a friend.
    async fn befriend(&self, name: &str, reason: &str) -> Told;
    async fn delete_friend(&self, friend: &UserId) -> Told;
    /// Accepts or refuses a request on the page of those received.
    async fn answer(&self, request: &str, answer: Answer) -> Told;
    /// Has looked at all requests received.
    async fn look_through(&self) -> Told;

    // These tell the ID of the event.
    async fn say(&self, room: &RoomId, text: &str) -> Told<OwnedEventId>;
    async fn react(&self, room: &RoomId, to: &EventId, emoji: &str) -> Told<OwnedEventId>;
    async fn send_image(&self, room: &RoomId, picture: &File) -> Told<OwnedEventId>;
    async fn send_file(&self, room: &RoomId, file: &File) -> Told<OwnedEventId>;
    async fn mark_read(&self, room: &RoomId, up_to: &EventId) -> Told;
    /// The bytes of a file that somebody has sent.
    async fn download(&self, file: &MxcUri) -> Told<Bytes>;

    async fn create_group(&self, group: &Group<'_>) -> Told<OwnedRoomId>;
    async fn invite(&self, room: &RoomId, whom: &UserId, reason: &str) -> Told;
    async fn leave(&self, room: &RoomId) -> Told;

    /// Makes a message a favourite.
    async fn keep(&self, room: &RoomId, message: &EventId) -> Told;

    /// What a page of the application shows, in the form of our own API.
    async fn see(&self, page: Page<'_>) -> Told<Value>;
    /// What happens next, as the server tells it to whoever listens.
    fn ear(&mut self) -> &mut Ear;
}

/// A picture or another file.
#[derive(Clone)]
pub(crate) struct File {
    pub(crate) name: &'static str,
    pub(crate) content_type: &'static str,
    pub(crate) bytes: Bytes,
    /// Width and height of a picture.
    pub(crate) size: Option<(u32, u32)>,
}

/// What becomes of a request.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Accept,
    Refuse,
}

/// A group to be made.
pub(crate) struct Group<'a> {
    pub(crate) name: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) members: &'a [&'a UserId],
}

/// A page of the application.
#[derive(Clone, Copy)]
pub(crate) enum Page<'a> {
    /// One's own profile, addresses and sessions.
    Account,
    Chats,
    Friends,
    Received,
    Sent,
    Favourites,
    /// The favourites of a kind.
    FavouritesOf(MessageKind),
    /// Those whose names have these words.
    People(&'a str),
    /// The members of a group.
    Members(&'a RoomId),
}

/// What somebody is told by the server.
#[derive(Debug)]
pub(crate) enum News {
    /// Something happened in a room.
    Event { room: OwnedRoomId, event: Value },
    /// Somebody invites.
    Invitation { room: OwnedRoomId },
    /// One is in a room no more.
    Left { room: OwnedRoomId },
}

/// Somebody who listens, in a task of their own.
pub(crate) struct Ear {
    heard: mpsc::Receiver<Told<News>>,
    task: AbortHandle,
}

impl Ear {
    /// Begins to listen to what is told.
    pub(crate) fn to(told: impl Stream<Item = Told<Vec<News>>> + Send + 'static) -> Self {
        let (tell, heard) = mpsc::channel(1_000);
        let task = tokio::spawn(async move {
            let mut told = std::pin::pin!(told);
            while let Some(told) = told.next().await {
                let news = match told {
                    Ok(news) => news.into_iter().map(Ok).collect(),
                    Err(refusal) => vec![Err(refusal)],
                };
                for news in news {
                    if tell.send(news).await.is_err() {
                        return;
                    }
                }
            }
        });
        Self { heard, task: task.abort_handle() }
    }

    pub(crate) async fn hear(&mut self) -> Told<News> {
        self.heard.recv().await.expect("the server runs")
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.task.abort();
    }
}
