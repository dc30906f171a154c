//! Rooms of every version to try events on.

use std::sync::LazyLock;

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedRoomId, OwnedServerName, OwnedUserId, RoomVersionId,
    owned_room_id, owned_server_name, owned_user_id, room_version_rules::RoomVersionRules, uint,
};
use tertulia_protocol::{
    AppendError, AuthState, Draft, Known, NewRoom, Pdu, Preset, Signer, Tip, append, auth_slots,
    create,
};

const VERSIONS: [RoomVersionId; 12] = [
    RoomVersionId::V1,
    RoomVersionId::V2,
    RoomVersionId::V3,
    RoomVersionId::V4,
    RoomVersionId::V5,
    RoomVersionId::V6,
    RoomVersionId::V7,
    RoomVersionId::V8,
    RoomVersionId::V9,
    RoomVersionId::V10,
    RoomVersionId::V11,
    RoomVersionId::V12,
];

static ROOMS: LazyLock<[Room; 12]> = LazyLock::new(|| VERSIONS.map(|version| Room::new(&version)));

/// The room of the version that `choice` falls on.
pub(crate) fn room(choice: u8) -> &'static Room {
    &ROOMS[usize::from(choice) % VERSIONS.len()]
}

/// A public room of `@a:x`, as it was made.
pub(crate) struct Room {
    pub(crate) rules: RoomVersionRules,
    pub(crate) events: Vec<Pdu>,
    pub(crate) state: AuthState,
    id: Option<OwnedRoomId>,
    signer: Signer,
}

impl Room {
    fn new(version: &RoomVersionId) -> Self {
        let rules = version.rules().expect("versions 1 to 12 are known");
        let has_own_id = !rules.authorization.room_create_event_id_as_room_id;
        let mut room = Self {
            rules,
            events: Vec::new(),
            state: AuthState::default(),
            id: has_own_id.then(|| owned_room_id!("!room:x")),
            signer: Signer::from_seed(Self::server(), &[7; 32], "1").expect("a key is 32 bytes"),
        };
        let mut wishes = NewRoom::new(Self::creator(), version.clone());
        wishes.preset = Preset::PublicChat;
        for draft in create(&wishes).expect("the version is known") {
            let event = room.append(draft).expect("a new room is by the rules");
            room.id = Some(event.room_id().to_owned());
            room.state.insert(event.clone());
            room.events.push(event);
        }
        room
    }

    /// Who made the room.
    pub(crate) fn creator() -> OwnedUserId {
        owned_user_id!("@a:x")
    }

    /// The server of the room.
    pub(crate) fn server() -> OwnedServerName {
        owned_server_name!("x")
    }

    /// What the server would append to the room.
    pub(crate) fn append(&self, draft: Draft) -> Result<Pdu, AppendError> {
        let slots = auth_slots(&self.rules, &draft).unwrap_or_default();
        let mut state = AuthState::default();
        let cited = self
            .events
            .iter()
            .filter(|event| event.slot().is_some_and(|slot| slots.contains(slot)));
        cited.for_each(|event| state.insert(event.clone()));
        let newest = self.events.last();
        let tip = Tip {
            room: self.id.as_deref(),
            rules: &self.rules,
            prev_events: &Vec::from_iter(newest.map(|event| event.event_id().clone())),
            depth: newest.map_or(0, Pdu::depth),
            state: &state,
            known: &self.known(),
        };
        append(&tip, draft, MilliSecondsSinceUnixEpoch(uint!(1)), &self.signer)
    }

    /// The events of the room, as what was looked up.
    pub(crate) fn known(&self) -> Known {
        self.events.iter().cloned().collect()
    }
}
