//! A server with three users who do things at random.

use std::{collections::BTreeSet, time::Duration};

use ruma::{OwnedEventId, OwnedRoomId, RoomVersionId, events::StateEventType};
use serde_json::{Value, json, value::RawValue};
use tertulia::{Error, Extent, Homeserver, NewRoom, Preset, ReadMarks, Room, Session};
use tertulia_storage::Engine;
use tertulia_testkit::{DrivenClock, SeededRandom};

use crate::dice::Dice;

const NAMES: [&str; 3] = ["alice", "bob", "carol"];

/// The server's store does not write any more.
#[derive(Debug)]
pub struct Stopped;

/// A server and its users.
pub struct World {
    server: Homeserver,
    sessions: Vec<Session>,
    tokens: Vec<String>,
    clock: DrivenClock,
    seed: u64,
    rooms: Vec<OwnedRoomId>,
    events: Vec<(OwnedRoomId, OwnedEventId)>,
    /// What rooms once were: the events of their state.
    states: Vec<(OwnedRoomId, Vec<OwnedEventId>)>,
    /// The rooms whose state was told anew.
    renewed: BTreeSet<String>,
    /// Whether there is one room only, in and out of which its users mostly go.
    restless: bool,
}

fn raw(content: &Value) -> Box<RawValue> {
    serde_json::value::to_raw_value(content).expect("JSON serialises")
}

/// A refusal is a good answer; what matters is that everyone is told the same.
fn allow<T>(result: Result<T, Error>) -> Result<Option<T>, Stopped> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::Storage(_)) => Err(Stopped),
        Err(_) => Ok(None),
    }
}

async fn start(seed: u64, clock: &DrivenClock, engine: impl Engine) -> Result<Homeserver, Stopped> {
    let builder = Homeserver::builder("x").expect("a server name");
    let builder = builder.clock(clock.clone()).random(SeededRandom::new(seed));
    allow(builder.start(engine).await)?.ok_or(Stopped)
}

impl World {
    pub async fn start(seed: u64, engine: impl Engine) -> Result<Self, Stopped> {
        let clock = DrivenClock::default();
        let server = start(seed, &clock, engine).await?;
        let (mut sessions, mut tokens) = (Vec::new(), Vec::new());
        for name in NAMES {
            let (session, token) = allow(server.register(name).await)?.ok_or(Stopped)?;
            sessions.push(session);
            tokens.push(token.reveal().to_owned());
        }
        let (rooms, events, states) = (Vec::new(), Vec::new(), Vec::new());
        let renewed = BTreeSet::new();
        let restless = false;
        Ok(Self { server, sessions, tokens, clock, seed, rooms, events, states, renewed, restless })
    }

    /// From now on the users mostly come and go: what they are to a room changes so often that
    /// clients miss much of it.
    pub fn make_restless(&mut self) {
        self.restless = true;
    }

    /// Starts the server again, on what is left of its store.
    pub async fn restart(&mut self, engine: impl Engine) -> Result<(), Stopped> {
        self.server.shutdown().await;
        self.seed += 1;
        self.server = start(self.seed, &self.clock, engine).await?;
        for (session, token) in self.sessions.iter_mut().zip(&self.tokens) {
            *session = allow(self.server.authenticate(token).await)?.ok_or(Stopped)?;
        }
        Ok(())
    }

    /// Some users ignore another for good, of whom they are told less, and some hear from friends alone.
    pub async fn ignore_some(&self, dice: &mut Dice) -> Result<(), Stopped> {
        for session in &self.sessions {
            let other = self.sessions[dice.roll(NAMES.len())].id();
            let users = if dice.once_in(3) { json!({ other.as_str(): {} }) } else { json!({}) };
            let list = raw(&json!({ "ignored_users": users }));
            allow(session.set_account_data(None, "m.ignored_user_list", list).await)?;
            if dice.once_in(3) {
                let who = ["friends", "friends_of_friends", "anyone"];
                let policy = raw(&json!({ "who": dice.pick(&who) }));
                allow(session.set_account_data(None, "org.tertulia.contact_policy", policy).await)?;
            }
        }
        Ok(())
    }

    /// Whether the state of a room was ever told anew.
    pub fn was_renewed(&self, room: &str) -> bool {
        self.renewed.contains(room)
    }

    pub fn users(&self) -> usize {
        NAMES.len()
    }

    pub fn session(&self, user: usize) -> &Session {
        &self.sessions[user]
    }

    /// Someone does something.
    pub async fn command(&mut self, dice: &mut Dice) -> Result<(), Stopped> {
        self.clock.advance(Duration::from_millis(10));
        let user = dice.roll(NAMES.len());
        let most = if self.restless { 1 } else { 6 };
        if self.rooms.is_empty() || self.rooms.len() < most && dice.once_in(15) {
            return self.create_room(user, dice).await;
        }
        let id = dice.pick(&self.rooms).expect("there is a room").clone();
        let room = self.sessions[user].room(&id);
        if self.restless && !dice.once_in(4) {
            return self.come_or_go(&room, dice).await;
        }
        match dice.roll(23) {
            0..=6 => self.say(&room, dice).await,
            7..=12 => self.come_or_go(&room, dice).await,
            13..=15 => self.change_state(&room, dice).await,
            16 => self.redact(&room, dice).await,
            17 => self.note(user, &id, dice).await,
            18 => self.mark_read(user, dice).await,
            19 => self.renew(user, &id, dice).await,
            20 => self.list_direct(user, &id, dice).await,
            21 => self.befriend(user, dice).await,
            _ => self.type_or_stop(user, &id, dice).await,
        }
    }

    async fn create_room(&mut self, user: usize, dice: &mut Dice) -> Result<(), Stopped> {
        let versions: Vec<RoomVersionId> =
            (1..=12).map(|n: u8| RoomVersionId::try_from(n.to_string()).unwrap()).collect();
        let version = dice.pick(&versions).expect("twelve versions").clone();
        let session = &self.sessions[user];
        let mut room = NewRoom::new(session.id().to_owned(), version);
        room.preset = if dice.once_in(3) { Preset::PrivateChat } else { Preset::PublicChat };
        if dice.once_in(2) {
            room.invite = vec![self.sessions[dice.roll(NAMES.len())].id().to_owned()];
            room.is_direct = dice.once_in(2);
        }
        let room = allow(session.create_room(room).await)?;
        self.rooms.extend(room.map(|room| room.id().to_owned()));
        Ok(())
    }

    async fn say(&mut self, room: &Room, dice: &mut Dice) -> Result<(), Stopped> {
        let body = format!("{}", dice.roll(1_000));
        let event = allow(room.send_text(&body).await)?;
        self.events.extend(event.map(|event| (room.id().to_owned(), event)));
        Ok(())
    }

    async fn come_or_go(&mut self, room: &Room, dice: &mut Dice) -> Result<(), Stopped> {
        let other = self.sessions[dice.roll(NAMES.len())].id().to_owned();
        let done = match dice.roll(16) {
            0..=4 => room.join(None).await,
            5..=7 => room.invite(&other, None, dice.once_in(2)).await,
            8 | 9 => room.leave(None).await,
            10 => room.kick(&other, None).await,
            11 => room.ban(&other, None).await,
            12 => room.unban(&other, None).await,
            13 => room.knock(None).await,
            _ => room.forget().await,
        };
        allow(done).map(drop)
    }

    async fn change_state(&mut self, room: &Room, dice: &mut Dice) -> Result<(), Stopped> {
        let number = dice.roll(1_000).to_string();
        let (kind, content) = match dice.roll(7) {
            0 | 1 => ("m.room.name", json!({ "name": number })),
            2 => ("m.room.name", json!({ "name": "" })),
            3 | 4 => ("m.room.topic", json!({ "topic": number })),
            5 => {
                let rules = ["public", "invite", "knock"];
                ("m.room.join_rules", json!({ "join_rule": dice.pick(&rules) }))
            }
            _ => {
                let all = ["shared", "joined", "invited", "world_readable"];
                ("m.room.history_visibility", json!({ "history_visibility": dice.pick(&all) }))
            }
        };
        let event = allow(room.set_state(StateEventType::from(kind), "", raw(&content)).await)?;
        self.events.extend(event.map(|event| (room.id().to_owned(), event)));
        Ok(())
    }

    async fn redact(&mut self, room: &Room, dice: &mut Dice) -> Result<(), Stopped> {
        let here: Vec<_> = self.events.iter().filter(|(id, _)| id == room.id()).collect();
        let Some((_, event)) = dice.pick(&here) else { return Ok(()) };
        allow(room.redact(event, None, None).await).map(drop)
    }

    /// Sets account data, of the room or global.
    async fn note(&self, user: usize, room: &OwnedRoomId, dice: &mut Dice) -> Result<(), Stopped> {
        let room = (!dice.once_in(2)).then_some(&**room);
        let kind = if dice.once_in(2) { "org.example.one" } else { "org.example.two" };
        let content = raw(&json!({ "number": dice.roll(1_000) }));
        allow(self.sessions[user].set_account_data(room, kind, content).await).map(drop)
    }

    /// Calls a room direct, and no other.
    async fn list_direct(
        &self,
        user: usize,
        room: &OwnedRoomId,
        dice: &mut Dice,
    ) -> Result<(), Stopped> {
        let other = self.sessions[dice.roll(NAMES.len())].id();
        let content = raw(&json!({ other.as_str(): [room] }));
        allow(self.sessions[user].set_account_data(None, "m.direct", content).await).map(drop)
    }

    /// Asks another to be a friend, answers, or ends it.
    async fn befriend(&self, user: usize, dice: &mut Dice) -> Result<(), Stopped> {
        let other = self.sessions[dice.roll(NAMES.len())].id();
        let friends = self.sessions[user].friends();
        let done = match dice.roll(6) {
            0 | 1 => friends.request(other, None).await.map(drop),
            2 => friends.accept(other).await.map(drop),
            3 => friends.refuse(other).await,
            4 => friends.withdraw(other).await,
            _ => friends.delete(other).await,
        };
        allow(done).map(drop)
    }

    async fn mark_read(&self, user: usize, dice: &mut Dice) -> Result<(), Stopped> {
        let Some((room, event)) = dice.pick(&self.events) else { return Ok(()) };
        let (shown, event) = (!dice.once_in(3), Some(event.clone()));
        let marks = match shown {
            true => ReadMarks { read: event, ..ReadMarks::default() },
            false => ReadMarks { read_private: event, ..ReadMarks::default() },
        };
        allow(self.sessions[user].mark_read(room, marks).await).map(drop)
    }

    async fn type_or_stop(
        &self,
        user: usize,
        room: &OwnedRoomId,
        dice: &mut Dice,
    ) -> Result<(), Stopped> {
        let session = &self.sessions[user];
        let done = match dice.once_in(2) {
            true => session.start_typing(room, Duration::from_secs(100)).await,
            false => session.stop_typing(room).await,
        };
        allow(done).map(drop)
    }

    /// The room's state is told anew: as it is now, but for some slots, which are as they once
    /// were. A slot that is filled stays so, as Matrix has no words for one that is not.
    async fn renew(
        &mut self,
        user: usize,
        id: &OwnedRoomId,
        dice: &mut Dice,
    ) -> Result<(), Stopped> {
        let session = &self.sessions[user];
        let joined = allow(session.joined_rooms().await)?.unwrap_or_default();
        let state = allow(session.room(id).state().await)?.unwrap_or_default();
        if !joined.contains(id) {
            return Ok(());
        }
        let now: Vec<_> = state.iter().map(|event| event.id().to_owned()).collect();
        let here: Vec<_> = self.states.iter().filter(|(room, _)| room == id).collect();
        if let Some((_, then)) = dice.pick(&here) {
            let then: Vec<_> = then.iter().filter(|_| dice.once_in(3)).cloned().collect();
            let Some(next) = allow(self.server.next_generation(id).await)? else { return Ok(()) };
            allow(next.write(&now).await)?;
            allow(next.write(&then).await)?;
            let extent = if dice.once_in(3) { Extent::Partial } else { Extent::Whole };
            self.renewed.insert(id.to_string());
            allow(next.renew(extent).await)?;
        }
        self.states.push((id.clone(), now));
        Ok(())
    }
}
