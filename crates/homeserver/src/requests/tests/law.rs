//! Whatever is asked and answered, by our own API or as stock clients do: the pages say what memberships say,
//! and the counts what the pages say.

use std::collections::{BTreeMap, BTreeSet};

use ruma::OwnedUserId;
use tertulia_protocol::Welcome;
use tertulia_storage::Direction;

use super::{ignore, users};
use crate::{
    NewGroup, Room, User,
    events::Invitations,
    schema::{EVENTS, MEMBERSHIPS, MembershipKind, REQUESTS, RequestRow},
    testing::server,
};

use super::super::*;

/// What is written down of who asks whom: room and who is asked, or knocks.
type Asked = BTreeSet<(OwnedRoomId, OwnedUserId)>;

struct World {
    users: Vec<User>,
    dice: u64,
}

impl World {
    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.dice >> 33) as usize % sides
    }

    fn user(&mut self) -> User {
        let n = self.roll(self.users.len());
        self.users[n].clone()
    }

    async fn view(&self) -> View {
        self.users[0].core.store.view().await.unwrap()
    }

    /// One of the rooms that anybody has anything to do with.
    async fn room(&mut self, by: &User) -> Option<Room> {
        let view = self.view().await;
        let rows = view.scan(&MEMBERSHIPS, &(), Direction::Forward, usize::MAX).await.unwrap();
        let rooms: BTreeSet<_> = rows.into_iter().map(|((_, room), _)| room).collect();
        let at = self.roll(rooms.len().max(1));
        rooms.into_iter().nth(at).map(|room| by.room(&room))
    }

    /// Does something; whether it may be done is not asked.
    async fn step(&mut self) {
        let (user, other) = (self.user(), self.user());
        let (friends, requests) = (user.friends(), user.requests());
        match self.roll(18) {
            0 | 1 => drop(friends.request(other.id(), None).await),
            2 => drop(friends.accept(other.id()).await),
            3 => drop(friends.refuse(other.id()).await),
            4 => drop(friends.withdraw(other.id()).await),
            5 => drop(friends.delete(other.id()).await),
            6 => {
                let members = vec![other.id().to_owned()];
                drop(user.groups().create(NewGroup { members, ..NewGroup::default() }).await);
            }
            7 => drop(requests.mark_seen().await),
            8 => {
                let names = [&[][..], &["@alice:x"], &["@bob:x"], &["@carol:x", "@alice:x"]];
                ignore(&user, names[self.roll(names.len())]).await;
            }
            what => {
                let Some(room) = self.room(&user).await else { return };
                match what {
                    9 | 10 => drop(room.join(None).await),
                    11 => drop(room.leave(None).await),
                    12 => drop(room.invite(other.id(), None, true).await),
                    13 => drop(room.invite(other.id(), None, false).await),
                    14 => drop(room.kick(other.id(), None).await),
                    15 => drop(room.ban(other.id(), None).await),
                    16 => drop(room.unban(other.id(), None).await),
                    _ => drop(room.knock(None).await),
                }
            }
        }
    }

    /// Who asks by memberships alone, and whom of those who are asked it is told.
    async fn by_memberships(&self) -> (BTreeMap<OwnedUserId, Asked>, BTreeMap<OwnedUserId, Asked>) {
        let view = self.view().await;
        let (mut sent, mut received) = (BTreeMap::<_, Asked>::new(), BTreeMap::<_, Asked>::new());
        let rows = view.scan(&MEMBERSHIPS, &(), Direction::Forward, usize::MAX).await.unwrap();
        let kinds: BTreeMap<_, _> = rows.iter().map(|(key, row)| (key.clone(), row.kind)).collect();
        for ((user, room), me) in rows {
            let event = view.get(&EVENTS, &(me.event.clone(),)).await.unwrap().unwrap();
            let event: serde_json::Value = serde_json::from_slice(&event).unwrap();
            let asker = OwnedUserId::try_from(event["sender"].as_str().unwrap()).unwrap();
            let is_in = kinds.get(&(asker.clone(), room.clone())) == Some(&MembershipKind::Join);
            let asked = (room, user.clone());
            match me.kind {
                MembershipKind::Knock => drop(sent.entry(user).or_default().insert(asked)),
                MembershipKind::Invite if is_in || !me.direct => {
                    let welcome = Invitations::to(&view, &user).await.unwrap().by(&asker);
                    sent.entry(asker).or_default().insert(asked.clone());
                    if welcome == Welcome::Told {
                        received.entry(user).or_default().insert(asked);
                    }
                }
                _ => {}
            }
        }
        (sent, received)
    }

    async fn check(&self, seed: u64) {
        let (mut sent, mut received) = self.by_memberships().await;
        for user in &self.users {
            let waiting = async |page| {
                let prefix = (user.id().to_owned(), page);
                let view = self.view().await;
                let rows = view.scan(&REQUESTS, &prefix, Direction::Forward, 9_999).await;
                let rows = rows.unwrap().into_iter();
                let waits = |(_, row): &(_, RequestRow)| row.state() == RequestState::Waiting;
                rows.filter(waits).map(|((.., at), row)| (at.0, row)).collect::<Vec<_>>()
            };
            let (asked, asking) =
                (waiting(RequestBox::Received).await, waiting(RequestBox::Sent).await);
            let seen = self.view().await.get(&REQUESTS_SEEN, &(user.id().to_owned(),)).await;
            let seen = seen.unwrap().map(|(seen,)| seen);
            let counts = RequestCounts {
                received: asked.len() as u64,
                unread: asked.iter().filter(|(at, _)| Some(*at) > seen).count() as u64,
                sent: asking.len() as u64,
            };
            let told = events::request_counts(&self.view().await, user.id()).await.unwrap();
            assert_eq!(told, counts, "{seed} {}", user.id());
            let asked = asked.into_iter().filter(|(_, row)| row.kind() != RequestKind::Knock);
            for (rows, expected) in [
                (asked.collect::<Vec<_>>(), received.remove(user.id())),
                (asking, sent.remove(user.id())),
            ] {
                let rows: Asked =
                    rows.into_iter().map(|(_, row)| (row.room, row.subject)).collect();
                assert_eq!(rows, expected.unwrap_or_default(), "{seed} {}", user.id());
            }
        }
    }
}

#[tokio::test]
async fn pages_say_what_memberships_say() {
    for seed in 0..8 {
        let server = server().await;
        let users = users(&server, ["alice", "bob", "carol"]).await.to_vec();
        let mut world = World { users, dice: seed };
        for _ in 0..60 {
            world.step().await;
            world.check(seed).await;
        }
        server.shutdown().await;
    }
}
