//! The story by the library alone: no web server, no client, and no JSON but what the test compares.

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Serialize;
use serde_json::{Value, json};
use tertulia::{
    ChatsQuery, CodeRequest, EmailProof, FavouritesQuery, FoundPerson, FoundUser, Friendship,
    Homeserver, Language, MessageKind, NewAccount, NewDevice, NewFile, NewGroup, OtherSessions,
    Proving, RequestBox, Secret, Session, SignUp, SyncRequest, Update,
    ruma::{EventId, MxcUri, OwnedEventId, OwnedRoomId, RoomId, UserId},
};

use crate::way::{Account, Aim, Answer, Ear, File, Group, News, Page, Person, Refusal, Told, Way};

/// A program that has the server in itself.
pub(crate) struct Library(Homeserver);

impl Way for Library {
    type Person = Member;

    async fn open(server: Homeserver) -> Self {
        Self(server)
    }

    async fn ask_for_code(&self, aim: Aim, email: &str) -> Told<String> {
        let proving = match aim {
            Aim::Register => Proving::Registration,
            Aim::ResetPassword => Proving::Password,
        };
        Ok(self.0.request_code(proving, code_for(email)).await?)
    }

    async fn show_code(&self, session: &str, code: &str) -> Told {
        Ok(self.0.submit_code(&proof(session), &Secret::new(code)).await?)
    }

    async fn register(&self, account: &Account, session: &str, code: Option<&str>) -> Told<Member> {
        let email = Some(proof(session));
        let account = NewAccount { email, ..NewAccount::from(account.name) }
            .with_password(account.password)
            .with_display_name(account.nickname);
        let wish = SignUp { account, code: code.map(Secret::new), ..SignUp::default() };
        let (session, _) = self.0.sign_up(wish).await?;
        Member::new(&self.0, session).await
    }

    async fn log_in(&self, user: &str, password: &str) -> Told<Member> {
        let (session, _) = self.0.login(user, password, NewDevice::default()).await?;
        Member::new(&self.0, session).await
    }

    async fn reset_password(&self, session: &str, password: &str) -> Told {
        let (proof, others) = (proof(session), OtherSessions::End);
        self.0.reset_password_by_email(&proof, password, others, Language::English).await?;
        Ok(())
    }
}

/// By this word the program shows that it was the one who asked for a code.
const SECRET: &str = "only this program knows it";

fn code_for(email: &str) -> CodeRequest<'_> {
    CodeRequest { email, client_secret: SECRET, attempt: 1, language: Language::English }
}

fn proof(session: &str) -> EmailProof {
    EmailProof { session: session.to_owned(), client_secret: Secret::new(SECRET) }
}

/// Somebody who is logged in, and listens.
pub(crate) struct Member {
    server: Homeserver,
    session: Session,
    ear: Ear,
}

impl Member {
    async fn new(server: &Homeserver, session: Session) -> Told<Self> {
        let since = Some(session.present().await?);
        let updates = session.updates(SyncRequest { since, ..SyncRequest::default() });
        let ear = Ear::to(updates.map(|update| Ok(news(&update?))));
        Ok(Self { server: server.clone(), session, ear })
    }
}

impl Person for Member {
    fn id(&self) -> &UserId {
        self.session.id()
    }

    async fn set_nickname(&self, name: &str) -> Told {
        Ok(self.session.set_nickname(Some(name)).await?)
    }

    async fn set_avatar(&self, picture: &File) -> Told {
        self.session.set_avatar(picture).await?;
        Ok(())
    }

    async fn ask_for_code(&self, email: &str) -> Told<String> {
        Ok(self.session.request_code(Proving::Change, code_for(email)).await?)
    }

    async fn change_email(&self, session: &str, code: &str, password: &str) -> Told {
        self.session.confirm_password(&Secret::new(password)).await?;
        self.server.submit_code(&proof(session), &Secret::new(code)).await?;
        Ok(self.session.change_email(&proof(session), Language::English).await?)
    }

    async fn log_out(&self) -> Told {
        Ok(self.session.logout().await?)
    }

    async fn befriend(&self, name: &str, reason: &str) -> Told {
        let friends = self.session.friends();
        friends.request(&friends.called(name)?, Some(reason.to_owned())).await?;
        Ok(())
    }

    async fn delete_friend(&self, friend: &UserId) -> Told {
        Ok(self.session.friends().delete(friend).await?)
    }

    async fn answer(&self, request: &str, answer: Answer) -> Told {
        let requests = self.session.requests();
        match answer {
            Answer::Accept => requests.accept(request).await?,
            Answer::Refuse => requests.refuse(request).await?,
        }
        Ok(())
    }

    async fn look_through(&self) -> Told {
        Ok(self.session.requests().mark_seen().await?)
    }

    async fn say(&self, room: &RoomId, text: &str) -> Told<OwnedEventId> {
        Ok(self.session.room(room).send_text(text).await?)
    }

    async fn react(&self, room: &RoomId, to: &EventId, emoji: &str) -> Told<OwnedEventId> {
        Ok(self.session.room(room).react(to, emoji).await?)
    }

    async fn send_image(&self, room: &RoomId, picture: &File) -> Told<OwnedEventId> {
        Ok(self.session.room(room).send_image(picture).await?)
    }

    async fn send_file(&self, room: &RoomId, file: &File) -> Told<OwnedEventId> {
        Ok(self.session.room(room).send_file(file).await?)
    }

    async fn mark_read(&self, room: &RoomId, up_to: &EventId) -> Told {
        Ok(self.session.room(room).mark_read(up_to).await?)
    }

    async fn download(&self, file: &MxcUri) -> Told<Bytes> {
        Ok(self.server.file(file).await?.bytes().await?)
    }

    async fn create_group(&self, group: &Group<'_>) -> Told<OwnedRoomId> {
        let group = NewGroup {
            name: Some(group.name.to_owned()),
            topic: Some(group.topic.to_owned()),
            members: group.members.iter().map(|&member| member.to_owned()).collect(),
            ..NewGroup::default()
        };
        Ok(self.session.groups().create(group).await?.id().to_owned())
    }

    async fn invite(&self, room: &RoomId, whom: &UserId, reason: &str) -> Told {
        Ok(self.session.room(room).invite(whom, Some(reason.to_owned()), false).await?)
    }

    async fn leave(&self, room: &RoomId) -> Told {
        Ok(self.session.room(room).leave(None).await?)
    }

    async fn keep(&self, room: &RoomId, message: &EventId) -> Told {
        self.session.favourites().keep(room, message, Default::default()).await?;
        Ok(())
    }

    async fn see(&self, page: Page<'_>) -> Told<Value> {
        let user = &self.session;
        match page {
            Page::Account => self.account().await,
            Page::Chats => shown(user.chats().list(&ChatsQuery::default()).await?),
            Page::Friends => shown(user.friends().list(None, 50).await?),
            Page::Received => shown(user.requests().list(RequestBox::Received, None, 50).await?),
            Page::Sent => shown(user.requests().list(RequestBox::Sent, None, 50).await?),
            Page::Favourites => self.favourites(None).await,
            Page::FavouritesOf(kind) => self.favourites(Some(kind)).await,
            Page::People(words) => self.people(words).await,
            Page::Members(group) => shown(user.groups().members(group, None, 50).await?),
        }
    }

    fn ear(&mut self) -> &mut Ear {
        &mut self.ear
    }
}

impl Member {
    async fn account(&self) -> Told<Value> {
        let profile = self.session.profile().await?;
        let emails = self.session.emails().await?;
        let emails: Vec<_> = emails.into_iter().map(|email| email.address).collect();
        let sessions = self.session.devices().await?.len();
        Ok(json!({ "profile": profile, "emails": emails, "sessions": sessions }))
    }

    async fn people(&self, words: &str) -> Told<Value> {
        let found = self.session.friends().find(words, 50).await?;
        let person = |found: FoundPerson| {
            let status = match found.friendship {
                Friendship::Stranger => "stranger",
                Friendship::Asked(_) => "asked",
                Friendship::Asking(_) => "asking",
                Friendship::Friend(_) => "friend",
            };
            let FoundUser { user_id, display_name, avatar_url } = found.user;
            json!({
                "user_id": user_id,
                "displayname": display_name,
                "avatar_url": avatar_url,
                "status": status,
            })
        };
        let people: Vec<_> = found.people.into_iter().map(person).collect();
        Ok(json!({ "people": people, "limited": found.limited }))
    }

    async fn favourites(&self, kind: Option<MessageKind>) -> Told<Value> {
        let query = FavouritesQuery { kind, limit: 50, ..FavouritesQuery::default() };
        shown(self.session.favourites().list(&query).await?)
    }
}

/// What an update tells of rooms.
fn news(update: &Update) -> Vec<News> {
    let invited = update.invitations().map(|room| News::Invitation { room: room.to_owned() });
    let happened = update.events().map(|event| News::Event {
        room: event.room().to_owned(),
        event: serde_json::to_value(event).expect("events are JSON"),
    });
    let left = update.rooms.leave.keys().map(|room| News::Left { room: room.clone() });
    invited.chain(happened).chain(left).collect()
}

/// A page, as the test compares it.
fn shown(page: impl Serialize) -> Told<Value> {
    Ok(serde_json::to_value(page).expect("pages are JSON"))
}

impl From<&File> for NewFile {
    fn from(file: &File) -> Self {
        Self::from_bytes(file.name, file.bytes.clone())
    }
}

impl From<tertulia::Error> for Refusal {
    fn from(error: tertulia::Error) -> Self {
        Self(error.to_string())
    }
}
