//! The law of the directories: whatever happened, they show what looking at everything would.

use std::collections::BTreeSet;

use proptest::prelude::*;
use ruma::{OwnedRoomId, events::StateEventType, room::JoinRuleKind};
use serde_json::json;

use crate::{
    Homeserver, NewAccount, ProfileField, PublicRoomsQuery, Remains, Restriction, Room, User,
    Visibility,
    events::{Ignored, current_slots, load_head},
    schema::{ACCOUNTS, MEMBERSHIPS, MembershipKind, PUBLISHED_ROOMS},
    testing::{field, public_room, raw, server},
};

const USERS: usize = 4;
const ROOMS: usize = 3;
const NAMES: [&str; 3] = ["Ana", "Ána Sol", "Sol"];
const TERMS: [&str; 5] = ["user", "a", "ana", "sol", "sol a"];

/// Something that a user does, or has done to them; what is refused changes nothing.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Join(usize, usize),
    Leave(usize, usize),
    Ban(usize, usize),
    JoinRule(usize, bool),
    History(usize, bool),
    Rename(usize, usize),
    Ignore(usize, usize),
    Publish(usize, bool),
    Lock(usize, bool),
    Suspend(usize, bool),
    Close(usize),
    Remove(usize),
    Say(usize),
    Look,
}

fn deed() -> impl Strategy<Value = Deed> {
    let (user, room) = (0..USERS, 0..ROOMS);
    prop_oneof![
        4 => (user.clone(), room.clone()).prop_map(|(user, room)| Deed::Join(user, room)),
        2 => (user.clone(), room.clone()).prop_map(|(user, room)| Deed::Leave(user, room)),
        1 => (1..USERS, room.clone()).prop_map(|(user, room)| Deed::Ban(user, room)),
        3 => (room.clone(), any::<bool>()).prop_map(|(room, open)| Deed::JoinRule(room, open)),
        2 => (room.clone(), any::<bool>()).prop_map(|(room, open)| Deed::History(room, open)),
        2 => (user.clone(), 0..NAMES.len()).prop_map(|(user, name)| Deed::Rename(user, name)),
        1 => (user.clone(), user).prop_map(|(one, other)| Deed::Ignore(one, other)),
        2 => (room.clone(), any::<bool>()).prop_map(|(room, shown)| Deed::Publish(room, shown)),
        2 => (1..USERS, any::<bool>()).prop_map(|(user, holds)| Deed::Lock(user, holds)),
        1 => (1..USERS, any::<bool>()).prop_map(|(user, holds)| Deed::Suspend(user, holds)),
        1 => (1..USERS).prop_map(Deed::Close),
        1 => room.clone().prop_map(Deed::Remove),
        1 => room.prop_map(Deed::Say),
        2 => Just(Deed::Look),
    ]
}

struct World {
    server: Homeserver,
    root: User,
    users: Vec<User>,
    rooms: Vec<OwnedRoomId>,
}

impl World {
    async fn new() -> Self {
        let server = server().await;
        let root = server.create_user(NewAccount { admin: true, .."root".into() }).await.unwrap();
        let mut users = Vec::new();
        for number in 0..USERS {
            users.push(server.create_user(&*format!("user{number}")).await.unwrap());
        }
        let mut rooms = Vec::new();
        for _ in 0..ROOMS {
            rooms.push(public_room(&users[0], "12").await.id().to_owned());
        }
        Self { server, root, users, rooms }
    }

    fn room(&self, user: usize, room: usize) -> Room {
        self.users[user].room(&self.rooms[room])
    }

    /// The first user made the rooms and rules them.
    async fn set(&self, room: usize, kind: StateEventType, key: &str, value: &str) {
        let _ = self.room(0, room).set_state(kind, "", field(key, value)).await;
    }

    async fn act(&self, deed: Deed) {
        match deed {
            Deed::Join(user, room) => drop(self.room(user, room).join(None).await),
            Deed::Leave(user, room) => drop(self.room(user, room).leave(None).await),
            Deed::Ban(user, room) => {
                drop(self.room(0, room).ban(self.users[user].id(), None).await);
            }
            Deed::JoinRule(room, open) => {
                let rule = if open { "public" } else { "invite" };
                self.set(room, StateEventType::RoomJoinRules, "join_rule", rule).await;
            }
            Deed::History(room, open) => {
                let visibility = if open { "world_readable" } else { "shared" };
                let kind = StateEventType::RoomHistoryVisibility;
                self.set(room, kind, "history_visibility", visibility).await;
            }
            Deed::Publish(room, shown) => {
                let wish = if shown { Visibility::Public } else { Visibility::Private };
                drop(self.room(0, room).set_visibility(wish).await);
            }
            Deed::Say(room) => drop(self.room(0, room).send_text("hello").await),
            Deed::Look => drop(self.users[0].find_users("a", None).await),
            Deed::Remove(room) => drop(self.server.remove_room(&self.rooms[room]).await),
            Deed::Lock(user, holds) => self.restrict(user, Restriction::Lock, holds).await,
            Deed::Suspend(user, holds) => self.restrict(user, Restriction::Suspension, holds).await,
            Deed::Rename(..) | Deed::Ignore(..) | Deed::Close(_) => self.change_user(deed).await,
        }
    }

    async fn restrict(&self, user: usize, what: Restriction, holds: bool) {
        drop(self.root.restrict(self.users[user].id(), what, holds).await);
    }

    async fn change_user(&self, deed: Deed) {
        match deed {
            Deed::Rename(user, name) => {
                let (field, name) = (ProfileField::DISPLAY_NAME, NAMES[name].into());
                drop(self.users[user].set_profile_field(field, name).await);
            }
            Deed::Ignore(user, other) => {
                let list = json!({ "ignored_users": { self.users[other].id().as_str(): {} } });
                let kind = "m.ignored_user_list";
                drop(self.users[user].set_account_data(None, kind, raw(&list)).await);
            }
            Deed::Close(user) => drop(self.users[user].deactivate(Remains::Keep).await),
            _ => {}
        }
    }

    async fn is_in(&self, user: &User, room: &OwnedRoomId) -> bool {
        let view = self.server.core.store.view().await.unwrap();
        let row = view.get(&MEMBERSHIPS, &(user.id.clone(), room.clone())).await.unwrap();
        row.is_some_and(|row| row.kind == MembershipKind::Join)
    }

    async fn is_open(&self, room: &OwnedRoomId) -> bool {
        let core = &self.server.core;
        let view = core.store.view().await.unwrap();
        let Ok(head) = load_head(&view, room).await else { return false };
        let kinds = [StateEventType::RoomJoinRules, StateEventType::RoomHistoryVisibility];
        let slots = kinds.map(|kind| (kind, String::new()));
        let state = current_slots(&view, core, &head, &slots).await.unwrap();
        let says = |slot: usize, word: &str| {
            let event = state.get(&slots[slot].0, "");
            event.is_some_and(|event| event.content().get().contains(word))
        };
        says(0, JoinRuleKind::Public.as_str()) || says(1, "world_readable")
    }

    /// Whether `me` finds `other`, by looking at every room.
    async fn may_find(&self, me: &User, other: &User) -> bool {
        let view = self.server.core.store.view().await.unwrap();
        let account = view.get(&ACCOUNTS, &(other.id.clone(),)).await.unwrap().unwrap();
        let ignored = Ignored::by(&view, &other.id).await.unwrap();
        if account.deactivated.is_some() || account.locked || ignored.contains(&me.id) {
            return false;
        }
        for room in &self.rooms {
            let shared = me.id != other.id && self.is_in(me, room).await;
            if self.is_in(other, room).await && (shared || self.is_open(room).await) {
                return true;
            }
        }
        false
    }

    async fn check_users(&self) {
        for me in &self.users {
            for term in TERMS {
                let mut expected = BTreeSet::new();
                for other in &self.users {
                    let name = other.face().await.unwrap().displayname.unwrap_or_default();
                    let name = name.replace('Á', "A").to_lowercase();
                    let name = format!("{} {name}", other.id.localpart());
                    let fits = term
                        .split(' ')
                        .all(|word| name.split(' ').any(|own| own.starts_with(word)));
                    if fits && self.may_find(me, other).await {
                        expected.insert(other.id.clone());
                    }
                }
                let found = me.find_users(term, None).await.unwrap().results;
                let found: BTreeSet<_> = found.into_iter().map(|user| user.user_id).collect();
                assert_eq!(found, expected, "{} looks for {term}", me.id);
            }
        }
    }

    async fn check_rooms(&self) {
        let view = self.server.core.store.view().await.unwrap();
        let mut expected = Vec::new();
        for room in &self.rooms {
            let published = view.get(&PUBLISHED_ROOMS, &(room.clone(),)).await.unwrap();
            let Ok(head) = load_head(&view, room).await else { continue };
            if published.is_some() && head.row.joined > 0 {
                expected.push((head.row.joined, room.clone()));
            }
        }
        expected.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(&other.1)));
        let page = self.server.public_rooms(&PublicRoomsQuery::default()).await.unwrap();
        assert_eq!(page.total_room_count_estimate, expected.len() as u64);
        let listed = page.chunk.into_iter().map(|room| (room.num_joined_members, room.room_id));
        assert_eq!(listed.collect::<Vec<_>>(), expected);
    }
}

async fn check(deeds: Vec<Deed>) {
    let world = World::new().await;
    for deed in deeds {
        world.act(deed).await;
    }
    world.check_users().await;
    world.check_rooms().await;
    world.server.shutdown().await;
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn the_directories_show_what_looking_at_everything_would(
        deeds in prop::collection::vec(deed(), 1..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(check(deeds));
    }
}
