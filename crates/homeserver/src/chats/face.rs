//! What a room shows to everyone in lists of chats, kept under the version of the room.

use std::sync::Arc;

use quick_cache::sync::Cache;
use ruma::{OwnedRoomId, OwnedUserId};
use tertulia_protocol::Summary;
use tertulia_storage::{Position, View};

use crate::{
    Result,
    core::Core,
    directory::summaries,
    events::{Head, member, members},
    schema::{Member, MembershipKind, Ordinal, TIMELINE, TimelineRow},
};

/// Of how many rooms the face is kept.
const ROOMS: usize = 20_000;
/// How many rows of the list of members are looked at.
const MEMBERS: usize = 8;

/// What a room shows to everyone.
#[derive(Debug)]
pub(super) struct Face {
    version: Version,
    pub(super) summary: Summary,
    /// Some who are in it or invited, in the order of their IDs.
    pub(super) members: Vec<(OwnedUserId, Member)>,
    /// What was said last, if anything was.
    pub(super) spoken: Option<TimelineRow>,
    /// Who said it.
    pub(super) speaker: Speaker,
}

/// Who said something in a room, as others see them.
#[derive(Debug)]
pub(super) enum Speaker {
    /// They are there, under this nickname if they have one.
    Here(Option<String>),
    /// They are not there any more.
    Gone,
}

/// A version of a room: its generation, its stretch, and where it last changed and something was said. A
/// redaction of what is shown changes it, too.
type Version = (u32, u32, Position, Position, Position);

fn version(head: &Head) -> Version {
    let row = &head.row;
    (row.generation, row.stretch, row.last, row.state_at, row.spoken)
}

/// The faces that were shown last.
struct Memory(Cache<OwnedRoomId, Arc<Face>>);

impl Default for Memory {
    fn default() -> Self {
        Self(Cache::new(ROOMS))
    }
}

/// The faces of some rooms, in their order.
pub(super) async fn faces(view: &View, core: &Core, heads: &[&Head]) -> Result<Vec<Arc<Face>>> {
    let memory = core.local::<Memory>();
    let known =
        |head: &&Head| memory.0.get(&head.room).filter(|face| face.version == version(head));
    let known: Vec<_> = heads.iter().map(known).collect();
    let missing = heads.iter().zip(&known).filter(|(_, known)| known.is_none());
    let missing: Vec<_> = missing.map(|(head, _)| *head).collect();
    let mut read = read(view, core, &missing).await?.into_iter();
    let known = heads.iter().zip(known).map(|(head, known)| match known {
        Some(face) => face,
        None => {
            let face = Arc::new(read.next().expect("each missing one was read"));
            memory.0.insert(head.room.clone(), face.clone());
            face
        }
    });
    Ok(known.collect())
}

async fn read(view: &View, core: &Core, heads: &[&Head]) -> Result<Vec<Face>> {
    let summaries = summaries(view, core, heads).await?;
    let place =
        |head: &&Head| (head.room.clone(), head.row.stretch, Ordinal::Live(head.row.spoken));
    let places: Vec<_> = heads.iter().map(place).collect();
    let spoken = view.get_many(&TIMELINE, &places).await?;
    let mut faces = Vec::with_capacity(heads.len());
    for ((head, summary), spoken) in heads.iter().zip(summaries).zip(spoken) {
        let mut members = members(view, head, None, MEMBERS).await?;
        // The beginning of a room is nothing that anybody said.
        let spoken = spoken.filter(|row| !row.is_state);
        let speaker = match &spoken {
            Some(row) => speaker(view, head, row, &members).await?,
            None => Speaker::Gone,
        };
        use MembershipKind::{Invite, Join};
        members.retain(|(_, row)| matches!(row.kind, Join | Invite));
        faces.push(Face { version: version(head), summary, members, spoken, speaker });
    }
    Ok(faces)
}

/// Who said something, looked for among `members` first.
async fn speaker(
    view: &View,
    head: &Head,
    said: &TimelineRow,
    members: &[(OwnedUserId, Member)],
) -> Result<Speaker> {
    let Some(push) = &said.push else { return Ok(Speaker::Gone) };
    let known = members.iter().find(|(user, _)| *user == push.sender);
    let row = match known {
        Some((_, row)) => Some(row.clone()),
        None => member(view, head, &push.sender).await?,
    };
    let here = row.filter(|row| row.kind == MembershipKind::Join);
    Ok(here.map_or(Speaker::Gone, |row| Speaker::Here(row.displayname)))
}
