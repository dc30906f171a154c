//! A room's state comes anew from elsewhere, and the room goes on.

use ruma::{OwnedEventId, OwnedRoomId, RoomVersionId, UserId, events::StateEventType};
use serde_json::json;
use tertulia_protocol::{Draft, Incoming, Pdu, Purpose, Verified};
use tertulia_storage::{
    LocalEngine, Memory, MemoryEngine,
    testing::{FailingEngine, Fault},
};

use super::{
    admit_tests::{Scene, bob, member, open_levels, state, text},
    history::{current_state, state_of},
    *,
};
use crate::{
    Error, Homeserver, Room, Session,
    schema::{EventMeta, GENERATION_MEMBERS, GENERATIONS, MEMBERS, STATE, Stage, Verdict},
    sync::{SyncRequest, Update},
    testing::{field, user},
};

const WHOLE: Extent = Extent::Whole;

/// What the tests here do with a room of another generation.
impl Scene {
    /// The room's state: what is in each slot.
    async fn now(&self) -> FullState {
        let view = self.server.core.store.view().await.unwrap();
        current_state(&view, self.head().await.base()).await.unwrap()
    }

    async fn before(&self, id: &OwnedEventId) -> FullState {
        let view = self.server.core.store.view().await.unwrap();
        state_of(&view, self.room.id(), self.meta(id).await.before).await.unwrap()
    }

    /// Another generation of the room's state, with these events in it.
    async fn write(&self, events: &[OwnedEventId]) -> NextGeneration {
        let next = self.server.next_generation(self.room.id()).await.unwrap();
        assert_eq!(next.write(events).await.unwrap(), [] as [OwnedEventId; 0]);
        next
    }

    async fn set_topic(&self, topic: &str) -> OwnedEventId {
        let kind = StateEventType::RoomTopic;
        self.room.set_state(kind, "", field("topic", topic)).await.unwrap()
    }

    /// Admits an event of `sender` and tells what the server made of it.
    async fn judged(&self, prev: &[OwnedEventId], draft: Draft) -> (OwnedEventId, Admitted) {
        let event = self.build(prev, draft).await;
        (event.event_id().clone(), self.admit(event).await)
    }

    /// An event that `told` allows, whatever the server thinks of it.
    async fn allowed(&self, prev: &[OwnedEventId], draft: Draft, told: &[OwnedEventId]) -> Pdu {
        let told = self.load(told).await.into_iter().collect();
        self.build_on(prev, draft, &told).await.unwrap()
    }
}

fn by(sender: &str, draft: Draft) -> Draft {
    Draft { sender: UserId::parse(sender).unwrap().to_owned(), ..draft }
}

fn join(user: &str) -> Draft {
    by(user, member(user, "join"))
}

fn ids(state: &FullState) -> Vec<OwnedEventId> {
    state.values().cloned().collect()
}

fn slot(kind: &str, key: &str) -> (String, String) {
    (kind.to_owned(), key.to_owned())
}

/// A room with a topic that `@carol:y` has joined, and its state with hers or without.
async fn told_in_part() -> (Scene, FullState, Vec<OwnedEventId>) {
    let scene = Scene::new("11").await;
    open_levels(&scene).await;
    scene.set_topic("of old").await;
    let (_, joined) = scene.judged(&scene.tips().await, join("@carol:y")).await;
    assert_eq!(joined, Admitted::Accepted);
    let whole = scene.now().await;
    let mut part = whole.clone();
    part.remove(&slot("m.room.topic", ""));
    part.remove(&slot("m.room.member", "@carol:y"));
    (scene, whole, ids(&part))
}

#[tokio::test]
async fn a_state_known_in_part_judges_until_all_of_it_comes() {
    let (scene, mut whole, part) = told_in_part().await;
    scene.write(&part).await.renew(Extent::Partial).await.unwrap();
    let head = scene.head().await.row;
    assert_eq!((head.generation, head.partial, head.joined), (1, true, 2));
    assert_eq!(ids(&scene.now().await), part);

    let tips = scene.tips().await;
    let hers = by("@carol:y", text("who is she?"));
    let hers = scene.allowed(&tips, hers, &ids(&whole)).await;
    assert_eq!(scene.admit(hers).await, Admitted::Rejected, "a stranger, by what is known");
    let (early, admitted) = scene.judged(&tips, text("judged by a part")).await;
    assert_eq!(admitted, Admitted::Accepted);
    let name = state("m.room.name", "", &json!({ "name": "new" }));
    let (name, admitted) = scene.judged(&scene.tips().await, name).await;
    assert_eq!(admitted, Admitted::Accepted);

    scene.write(&ids(&whole)).await.renew(WHOLE).await.unwrap();
    whole.insert(slot("m.room.name", ""), name.clone());
    let head = scene.head().await.row;
    assert_eq!((head.generation, head.partial, head.joined), (2, false, 3));
    assert_eq!(scene.now().await, whole, "with what happened meanwhile");
    assert_eq!(ids(&scene.before(&early).await), part, "what it was judged by");

    let hers = by("@carol:y", text("one of us"));
    let (_, admitted) = scene.judged(&scene.tips().await, hers).await;
    assert_eq!(admitted, Admitted::Accepted);
    let (late, admitted) = scene.judged(&[early], by("@carol:y", text("late"))).await;
    assert_eq!(admitted, Admitted::Accepted, "the branch is known in whole, too");
    whole.remove(&slot("m.room.name", ""));
    assert_eq!(scene.before(&late).await, whole);
    assert_eq!(scene.tips().await.len(), 2);
}

#[tokio::test]
async fn branches_go_on_from_another_base() {
    for version in ["1", "2", "11", "12"] {
        let scene = Scene::new(version).await;
        open_levels(&scene).await;
        let missing = scene.now().await;
        scene.set_topic("unknown to others").await;
        let fork = scene.tips().await;
        let mut ends = Vec::new();
        for (kind, key) in [("m.room.name", ""), ("org.example.side", "")] {
            let draft = state(kind, key, &json!({ "name": kind }));
            ends.push(scene.judged(&fork, draft).await.0);
        }
        let now = scene.now().await;
        let next = scene.server.next_generation(scene.room.id()).await.unwrap();
        next.write(&ids(&missing)).await.unwrap();
        next.write(&ends).await.unwrap();
        next.renew(WHOLE).await.unwrap();
        let mut expected = now;
        expected.remove(&slot("m.room.topic", ""));
        assert_eq!(scene.now().await, expected, "version {version}");
        let (left, admitted) = scene.judged(&ends[..1], text("on one side")).await;
        assert_eq!(admitted, Admitted::Accepted);
        let side = scene.before(&left).await;
        assert_eq!(side.get(&slot("m.room.name", "")), Some(&ends[0]));
        assert_eq!(side.get(&slot("org.example.side", "")), None, "it never saw the other");
        scene.room.send_text("both").await.unwrap();
        assert_eq!(scene.tips().await.len(), 1);
        assert_eq!(scene.now().await, expected, "version {version}");
    }
}

#[tokio::test]
async fn however_much_changes_while_it_is_written_nothing_is_lost() {
    let scene = Scene::new("12").await;
    let next = scene.write(&ids(&scene.now().await)).await;
    for n in 0..300 {
        let kind = StateEventType::from("org.example.number");
        scene.room.set_state(kind, &(n % 150).to_string(), field("n", "n")).await.unwrap();
    }
    scene.room.ban(&bob(), None).await.unwrap();
    let expected = scene.now().await;
    next.renew(WHOLE).await.unwrap();
    assert_eq!(scene.now().await, expected);
    assert_eq!(scene.head().await.row.joined, 1);
    assert_eq!(scene.room.joined_members().await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_not_here_must_be_admitted_first_and_what_was_rejected_holds_no_slot() {
    let (scene, whole, part) = told_in_part().await;
    let unknown = ruma::owned_event_id!("$unknown");
    let next = scene.server.next_generation(scene.room.id()).await.unwrap();
    let with_unknown: Vec<_> = part.iter().cloned().chain([unknown.clone()]).collect();
    assert_eq!(next.write(&with_unknown).await.unwrap(), [unknown]);
    next.write(&part).await.unwrap();
    next.renew(Extent::Partial).await.unwrap();
    let draft = by("@carol:y", state("m.room.name", "", &json!({ "name": "hers" })));
    let forged = scene.allowed(&scene.tips().await, draft, &ids(&whole)).await;
    assert_eq!(scene.admit(forged.clone()).await, Admitted::Rejected);
    let mut told = ids(&whole);
    told.push(forged.event_id().clone());
    scene.write(&told).await.renew(WHOLE).await.unwrap();
    assert_eq!(scene.now().await, whole);
}

#[tokio::test]
async fn a_redacted_face_does_not_come_back_with_a_base() {
    for written_before in [true, false] {
        let scene = Scene::new("11").await;
        let face = json!({ "membership": "join", "displayname": "Secret" });
        let kind = StateEventType::RoomMember;
        let member = scene.room.set_state(kind, "@alice:x", crate::testing::raw(&face)).await;
        let member = member.unwrap();
        let state = scene.now().await.into_values().collect::<Vec<_>>();
        if !written_before {
            scene.room.redact(&member, None, None).await.unwrap();
        }
        let next = scene.write(&state).await;
        if written_before {
            scene.room.redact(&member, None, None).await.unwrap();
        }
        next.renew(WHOLE).await.unwrap();
        let members = scene.room.joined_members().await.unwrap();
        let alice = members.iter().find(|member| member.user == "@alice:x").unwrap();
        assert_eq!(alice.displayname, None, "written before: {written_before}");
    }
}

#[tokio::test]
async fn a_redaction_that_comes_while_the_base_is_written_is_not_lost() {
    let scene = Scene::new("11").await;
    let (old, new) = (scene.set_topic("wrong").await, scene.set_topic("right").await);
    let mut told = ids(&scene.now().await);
    told.retain(|id| *id != new);
    told.push(old.clone());
    let next = scene.write(&told).await;
    scene.room.redact(&old, None, None).await.unwrap();
    next.renew(WHOLE).await.unwrap();
    let topic = scene.room.state_event(&StateEventType::RoomTopic, "").await.unwrap();
    assert_eq!((topic.id(), topic.content().get()), (&*old, "{}"));
    let view = scene.server.core.store.view().await.unwrap();
    let row = view.get(&STATE, &scene.head().await.slot("m.room.topic", "")).await.unwrap();
    assert!(row.unwrap().redacted);
}

#[tokio::test]
async fn a_generation_is_written_by_one_and_enters_once() {
    let scene = Scene::new("12").await;
    let told = ids(&scene.now().await);
    let (first, second) = (scene.write(&told).await, scene.write(&told).await);
    assert!(matches!(first.write(&told).await, Err(Error::NotFound(_))));
    assert!(matches!(first.renew(WHOLE).await, Err(Error::NotFound(_))));
    second.renew(WHOLE).await.unwrap();
    for refused in [second.renew(WHOLE).await, second.abandon().await] {
        assert!(matches!(refused, Err(Error::NotFound(_))));
    }
    first.abandon().await.unwrap();
    assert_eq!(scene.head().await.row.generation, 2, "a number is used once");
    scene.room.send_text("it goes on").await.unwrap();
}

#[tokio::test]
async fn what_is_abandoned_leaves_nothing_but_its_number() {
    let scene = Scene::new("12").await;
    for n in 0..400 {
        let kind = StateEventType::from("org.example.number");
        scene.room.set_state(kind, &n.to_string(), field("n", "n")).await.unwrap();
    }
    let rows = scene.memory.len();
    let next = scene.write(&ids(&scene.now().await)).await;
    assert!(scene.memory.len() > rows + 400);
    next.abandon().await.unwrap();
    assert_eq!(scene.memory.len(), rows + 1);
    assert!(scene.server.unfinished_generations().await.unwrap().is_empty());
}

/// Another server, which is told of a room.
struct Elsewhere {
    server: Homeserver,
    dan: Session,
    since: SyncRequest,
}

impl Elsewhere {
    async fn new() -> Self {
        let server = Homeserver::start("y", MemoryEngine::default()).await.unwrap();
        let (dan, _) = server.register("dan").await.unwrap();
        Self { server, dan, since: SyncRequest::default() }
    }

    fn room(&self, scene: &Scene) -> Room {
        self.dan.room(scene.room.id())
    }

    /// Lets dan join the room of `scene` in both places: there by an event like any other, here
    /// by the state before it.
    async fn join(&mut self, scene: &Scene, extent: Extent) -> OwnedEventId {
        let (prev, told) = (scene.tips().await, ids(&scene.now().await));
        let join = scene.build(&prev, join("@dan:y")).await;
        assert_eq!(scene.admit(join.clone()).await, Admitted::Accepted);
        let version = RoomVersionId::try_from("11").unwrap();
        self.server.know_room(scene.room.id(), &version).await.unwrap();
        let next = self.server.next_generation(scene.room.id()).await.unwrap();
        let mut cited = scene.load(&told).await;
        cited.sort_by_key(Pdu::depth);
        for event in cited {
            self.admit(event, Purpose::Cited).await;
        }
        assert_eq!(next.write(&told).await.unwrap(), [] as [OwnedEventId; 0]);
        let id = join.event_id().clone();
        next.arrive(incoming(join), extent).await.unwrap();
        id
    }

    async fn admit(&self, event: Pdu, purpose: Purpose) -> Admitted {
        let room = event.room_id().to_owned();
        let incoming = Incoming { event: Verified::trusted(event), purpose };
        self.server.admit(&room, incoming, None).await.unwrap()
    }

    async fn head(&self, scene: &Scene) -> crate::schema::RoomHead {
        let view = self.server.core.store.view().await.unwrap();
        load_head(&view, scene.room.id()).await.unwrap().row
    }

    async fn meta(&self, scene: &Scene, id: &OwnedEventId) -> EventMeta {
        let view = self.server.core.store.view().await.unwrap();
        let key = (scene.room.id().to_owned(), id.clone());
        view.get(&crate::schema::EVENT_META, &key).await.unwrap().unwrap()
    }

    async fn sync(&mut self) -> Update {
        let update = self.dan.sync(self.since.clone()).await.unwrap();
        self.since.since = Some(update.next_batch);
        update
    }

    async fn leave(&self, scene: &Scene) {
        self.room(scene).leave(None).await.unwrap();
        let gone = by("@dan:y", member("@dan:y", "leave"));
        let (_, left) = scene.judged(&scene.tips().await, gone).await;
        assert_eq!(left, Admitted::Accepted);
    }
}

fn incoming(event: Pdu) -> Incoming {
    let purpose = Purpose::Timeline { sent_by: ruma::owned_server_name!("y") };
    Incoming { event: Verified::trusted(event), purpose }
}

#[tokio::test]
async fn a_server_comes_into_a_room_by_the_state_before_its_join() {
    let (scene, mut there) = (Scene::new("11").await, Elsewhere::new().await);
    let topic = scene.set_topic("seen from afar").await;
    there.sync().await;
    let join = there.join(&scene, Extent::Partial).await;
    let head = there.head(&scene).await;
    assert_eq!((head.generation, head.stretch, head.partial, head.joined), (1, 1, true, 3));
    assert!(matches!(there.meta(&scene, &join).await.verdict, Verdict::Timeline { .. }));

    let told = there.sync().await;
    let room = &told.rooms.join[scene.room.id()];
    assert_eq!(room.timeline.events.len(), 1, "what was before is not here");
    assert!(room.state.events().len() >= 6);
    let shown = there.room(&scene).state_event(&StateEventType::RoomTopic, "").await.unwrap();
    assert_eq!(shown.id(), topic);
    there.room(&scene).send_text("hello").await.unwrap();
    let told = there.sync().await;
    let room = &told.rooms.join[scene.room.id()];
    assert_eq!((room.timeline.events.len(), room.state.events().len()), (1, 0));
}

#[tokio::test]
async fn who_comes_back_sees_the_room_of_now_and_keeps_what_was() {
    let (scene, mut there) = (Scene::new("11").await, Elsewhere::new().await);
    let first = there.join(&scene, WHOLE).await;
    there.room(&scene).send_text("then").await.unwrap();
    there.sync().await;
    there.leave(&scene).await;
    let old = there.room(&scene).state().await.unwrap().len();
    scene.set_topic("while nobody looked").await;
    let gone = there.room(&scene).state().await.unwrap();
    assert_eq!(gone.len(), old, "as it was on leaving");

    let again = there.join(&scene, WHOLE).await;
    let head = there.head(&scene).await;
    assert_eq!((head.generation, head.stretch, head.joined), (2, 2, 3));
    assert_eq!(head.extremities.len(), 1);
    assert_eq!(there.room(&scene).state().await.unwrap().len(), old + 1);
    let told = there.sync().await;
    let room = &told.rooms.join[scene.room.id()];
    assert_eq!(room.timeline.events.len(), 1);
    assert!(room.state.events().len() >= old, "the room is told in full");
    for (id, stretch) in [(first, 1), (again, 2)] {
        let Verdict::Timeline { stretch: in_stretch, .. } = there.meta(&scene, &id).await.verdict
        else {
            panic!("it is in the timeline");
        };
        assert_eq!(in_stretch, stretch);
        assert!(there.room(&scene).event(&id).await.is_ok());
    }
}

#[tokio::test]
async fn who_left_before_the_server_came_back_sees_the_old_room() {
    let (scene, mut there) = (Scene::new("11").await, Elsewhere::new().await);
    let (eve, _) = there.server.register("eve").await.unwrap();
    there.join(&scene, WHOLE).await;
    eve.room(scene.room.id()).join(None).await.unwrap();
    let old = scene.set_topic("old").await;
    there.admit(scene.load(&[old]).await.remove(0), Purpose::Cited).await;
    let seen = eve.room(scene.room.id()).send_text("I was here").await.unwrap();
    eve.room(scene.room.id()).leave(None).await.unwrap();
    let state = eve.room(scene.room.id()).state().await.unwrap().len();
    there.leave(&scene).await;
    scene.set_topic("new").await;
    there.join(&scene, WHOLE).await;
    let room = eve.room(scene.room.id());
    assert_eq!(room.state().await.unwrap().len(), state);
    assert!(matches!(
        room.state_event(&StateEventType::RoomTopic, "").await,
        Err(Error::NotFound(_))
    ));
    assert!(room.event(&seen).await.is_ok());
    let query = crate::MessagesQuery {
        from: None,
        to: None,
        towards: ruma::api::Direction::Backward,
        limit: 10,
        filter: EventFilter::of_types(&["m.room.message"]),
    };
    let page = room.messages(&query).await.unwrap();
    assert_eq!(crate::testing::bodies(&page.events), ["I was here"]);
}

#[tokio::test]
async fn a_room_that_does_not_let_the_server_in_stays_as_it_was() {
    let (scene, there) = (Scene::new("11").await, Elsewhere::new().await);
    let told = ids(&scene.now().await);
    let join = scene.build(&scene.tips().await, join("@dan:y")).await;
    let version = RoomVersionId::try_from("11").unwrap();
    there.server.know_room(scene.room.id(), &version).await.unwrap();
    let next = there.server.next_generation(scene.room.id()).await.unwrap();
    let mut cited = scene.load(&told).await;
    cited.sort_by_key(Pdu::depth);
    for event in cited {
        assert_eq!(there.admit(event.clone(), Purpose::Cited).await, Admitted::Outlier);
        if !event.is_at(&StateEventType::RoomJoinRules, "") {
            next.write(&[event.event_id().clone()]).await.unwrap();
        }
    }
    let refused = next.arrive(incoming(join), WHOLE).await;
    assert!(matches!(refused, Err(Error::Forbidden(_))));
    assert_eq!(there.head(&scene).await.generation, 0);
    assert_eq!(there.server.unfinished_generations().await.unwrap().len(), 1);
}

/// A room of the server with many users who come and go by its generations.
async fn crowd(server: &Homeserver, count: usize) -> (Room, Vec<OwnedEventId>, Vec<Session>) {
    let (alice, _) = server.register("alice").await.unwrap();
    let room = crate::testing::public_room(&alice, "12").await;
    let mut users = vec![alice];
    for n in 0..count {
        let (user, _) = server.register(format!("u{n:03}").as_str()).await.unwrap();
        user.room(room.id()).join(None).await.unwrap();
        users.push(user);
    }
    let told = room.state().await.unwrap().iter().map(|event| event.id().to_owned()).collect();
    (room, told, users)
}

#[tokio::test]
async fn the_lists_of_local_users_follow_however_many_they_are() {
    let server = Homeserver::start("x", MemoryEngine::default()).await.unwrap();
    let (room, told, users) = crowd(&server, 80).await;
    let mut since = Vec::new();
    for user in &users[1..] {
        since.push(user.sync(SyncRequest::default()).await.unwrap().next_batch);
        user.room(room.id()).leave(None).await.unwrap();
    }
    assert!(users[1].joined_rooms().await.unwrap().is_empty());
    let next = server.next_generation(room.id()).await.unwrap();
    next.write(&told).await.unwrap();
    // The base is as of now: nobody has left since.
    next.renew(WHOLE).await.unwrap();
    for (user, since) in users[1..].iter().zip(since) {
        assert_eq!(user.joined_rooms().await.unwrap(), [room.id()]);
        let request = SyncRequest { since: Some(since), ..SyncRequest::default() };
        let told = user.sync(request).await.unwrap();
        assert!(told.rooms.join.contains_key(room.id()));
        user.room(room.id()).send_text("back").await.unwrap();
    }
    assert_eq!(room.joined_members().await.unwrap().len(), 81);
    let view = server.core.store.view().await.unwrap();
    let forward = tertulia_storage::Direction::Forward;
    assert!(view.scan(&MEMBERS, &(), forward, 1).await.unwrap().is_empty(), "the old list is gone");
}

#[tokio::test]
async fn of_whom_the_whole_state_knows_nothing_has_left_of_whom_a_part_does_not_stays() {
    let server = Homeserver::start("x", MemoryEngine::default()).await.unwrap();
    let (room, mut told, users) = crowd(&server, 1).await;
    let mut since = users[1].sync(SyncRequest::default()).await.unwrap().next_batch;
    let kind = StateEventType::RoomMember;
    let gone = room.state_event(&kind, users[1].id().as_str()).await.unwrap();
    told.retain(|id| id != gone.id());
    for (extent, joined) in [(Extent::Partial, 1), (Extent::Partial, 1), (WHOLE, 0)] {
        let next = server.next_generation(room.id()).await.unwrap();
        next.write(&told).await.unwrap();
        next.renew(extent).await.unwrap();
        assert_eq!(users[1].joined_rooms().await.unwrap().len(), joined, "{extent:?}");
        let request = SyncRequest { since: Some(since), ..SyncRequest::default() };
        let told = users[1].sync(request).await.unwrap();
        since = told.next_batch;
        assert_eq!(told.rooms.leave.len(), 1 - joined, "{extent:?}");
        assert_eq!(room.joined_members().await.unwrap().len(), 1, "{extent:?}");
    }
}

/// A room that many users have left, and its state before they did.
async fn left_by_many(memory: &Memory) -> (OwnedRoomId, Vec<OwnedEventId>) {
    let server = Homeserver::start("x", MemoryEngine::over(memory.clone())).await.unwrap();
    let (room, told, users) = crowd(&server, MANY).await;
    for user in &users[1..] {
        user.room(room.id()).leave(None).await.unwrap();
    }
    server.shutdown().await;
    (room.id().to_owned(), told)
}

/// More than one page of a base.
const MANY: usize = 110;

/// Renews the room on a store that stops after the n-th write, and then goes on or gives up with
/// what is left. Tells how many writes there were.
async fn interrupted(
    before: &Memory,
    (room, told): &(OwnedRoomId, Vec<OwnedEventId>),
    stop: Option<usize>,
    gives_up: bool,
) -> usize {
    let memory = before.reopen();
    let local = FailingEngine::new(memory.clone(), stop.map_or(Fault::Never, Fault::StopAfter));
    let counts = local.counts();
    if let Ok(server) = Homeserver::start("x", LocalEngine::start(local).unwrap()).await {
        let renewed = renew(&server, room, told).await;
        assert_eq!(renewed.is_ok(), stop.is_none_or(|stop| stop >= counts.writes()));
    }
    let writes = counts.writes();
    let server = Homeserver::start("x", MemoryEngine::over(memory.crash())).await.unwrap();
    finish(&server, room, told, gives_up).await;
    writes
}

async fn renew(
    server: &Homeserver,
    room: &ruma::RoomId,
    told: &[OwnedEventId],
) -> crate::Result<()> {
    let next = server.next_generation(room).await?;
    next.write(told).await?;
    next.renew(WHOLE).await
}

/// What a server does that finds a generation unfinished: it goes on with it or gives it up.
async fn finish(server: &Homeserver, room: &ruma::RoomId, told: &[OwnedEventId], gives_up: bool) {
    let unfinished = server.unfinished_generations().await.unwrap();
    let view = server.core.store.view().await.unwrap();
    let entered = load_head(&view, room).await.unwrap().row.generation == 1;
    for next in &unfinished {
        assert_eq!(next.room(), room);
        if gives_up {
            next.abandon().await.unwrap();
        } else {
            next.write(told).await.unwrap();
            next.renew(WHOLE).await.unwrap();
        }
    }
    let view = server.core.store.view().await.unwrap();
    let head = load_head(&view, room).await.unwrap();
    let renewed = entered || !unfinished.is_empty() && !gives_up;
    assert_eq!(head.row.generation, u32::from(renewed));
    assert_eq!(head.row.joined, if renewed { MANY as u64 + 1 } else { 1 });
    let joined = user(server, "u000").joined_rooms().await.unwrap().len();
    assert_eq!(joined, usize::from(renewed));
    let forward = tertulia_storage::Direction::Forward;
    let (now, then) = (head.row.generation, 1 - head.row.generation);
    let old = view.scan(&MEMBERS, &(), forward, 1).await.unwrap().is_empty();
    let new = view.scan(&GENERATION_MEMBERS, &(), forward, 1).await.unwrap().is_empty();
    assert_eq!((old, new), (now == 1, then == 1), "one list is left");
    for (_, row) in view.scan(&GENERATIONS, &(), forward, 10).await.unwrap() {
        assert!(matches!(row.stage, Stage::Settled(_) | Stage::Dropped));
    }
}

#[tokio::test]
async fn a_server_that_stops_at_any_moment_goes_on_or_gives_up() {
    let memory = Memory::default();
    let room = left_by_many(&memory).await;
    let writes = interrupted(&memory, &room, None, false).await;
    assert!(writes > 6, "pages, entering, settling: only {writes} writes");
    for nth in 1..writes {
        for gives_up in [false, true] {
            interrupted(&memory, &room, Some(nth), gives_up).await;
        }
    }
}
