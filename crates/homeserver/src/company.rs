//! Who is in rooms with whom.

use std::{ops::Bound, sync::Arc};

use ruma::{OwnedRoomId, OwnedUserId, RoomId, UserId};
use tertulia_storage::{Direction, View};

use crate::{
    Result,
    schema::{MEMBERSHIPS, Membership, MembershipKind},
};

/// How many memberships are read at once.
const STEP: usize = 200;
/// In how many rooms a user can be for each of them to be asked for with each of many others.
const FEW: usize = 16;
/// With how many others these are asked for at once.
const TOGETHER: usize = 100;

/// The rooms a user is in, to ask who shares one of them. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Company {
    /// In the order of their IDs.
    rooms: Arc<[OwnedRoomId]>,
}

impl Company {
    /// The rooms `user` is in.
    pub(crate) async fn of(view: &View, user: &UserId) -> Result<Self> {
        let (mut rooms, mut stays) = (Vec::new(), Stays::of(view, user));
        while let Some(page) = stays.next().await? {
            rooms.extend(page);
        }
        Ok(Self::in_rooms(rooms.into()))
    }

    /// That of one who is in these rooms, which are in the order of their IDs.
    pub(crate) fn in_rooms(rooms: Arc<[OwnedRoomId]>) -> Self {
        debug_assert!(rooms.is_sorted());
        Self { rooms }
    }

    /// The rooms, in the order of their IDs.
    pub(crate) fn rooms(&self) -> &[OwnedRoomId] {
        &self.rooms
    }

    /// Whether the user is in this room.
    fn is_in(&self, room: &RoomId) -> bool {
        self.rooms.binary_search_by(|own| (**own).cmp(room)).is_ok()
    }

    /// Which of `others` are in one of the rooms, too.
    pub(crate) async fn among(&self, view: &View, others: &[OwnedUserId]) -> Result<Vec<bool>> {
        if self.rooms.is_empty() {
            return Ok(vec![false; others.len()]);
        }
        let mut among = Vec::with_capacity(others.len());
        if self.rooms.len() <= FEW {
            for others in others.chunks(TOGETHER) {
                among.extend(self.among_few(view, others).await?);
            }
            return Ok(among);
        }
        for other in others {
            among.push(self.has(view, other).await?);
        }
        Ok(among)
    }

    /// As [`Company::among`], by asking for each of the rooms with each of them.
    async fn among_few(&self, view: &View, others: &[OwnedUserId]) -> Result<Vec<bool>> {
        let of = |other: &OwnedUserId| {
            let other = other.clone();
            self.rooms.iter().map(move |room| (other.clone(), room.clone()))
        };
        let keys: Vec<_> = others.iter().flat_map(of).collect();
        let rows = view.get_many(&MEMBERSHIPS, &keys).await?;
        let is_in = |row: &Membership| row.kind == MembershipKind::Join;
        let is_in_one = |rows: &[Option<Membership>]| rows.iter().flatten().any(is_in);
        Ok(rows.chunks(self.rooms.len()).map(is_in_one).collect())
    }

    /// Whether `other` is in one of the rooms, by looking through theirs.
    pub(crate) async fn has(&self, view: &View, other: &UserId) -> Result<bool> {
        let mut stays = Stays::of(view, other);
        while let Some(page) = stays.next().await? {
            if page.iter().any(|room| self.is_in(room)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The rooms in which `other` is, too.
    pub(crate) async fn shared(&self, view: &View, other: &UserId) -> Result<Vec<OwnedRoomId>> {
        let (mut shared, mut stays) = (Vec::new(), Stays::of(view, other));
        while let Some(page) = stays.next().await? {
            shared.extend(page.into_iter().filter(|room| self.is_in(room)));
        }
        Ok(shared)
    }
}

/// Goes through the rooms a user is in.
pub(crate) struct Stays<'a> {
    view: &'a View,
    user: &'a UserId,
    last: Option<OwnedRoomId>,
    ended: bool,
}

impl<'a> Stays<'a> {
    pub(crate) fn of(view: &'a View, user: &'a UserId) -> Self {
        Self { view, user, last: None, ended: false }
    }

    /// Some more of the rooms; none after all.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<OwnedRoomId>>> {
        if self.ended {
            return Ok(None);
        }
        let own = (self.user.to_owned(),);
        let from = self.last.take().map(|room| (self.user.to_owned(), room));
        let from = from.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let forward = Direction::Forward;
        let rows = self.view.scan_from(&MEMBERSHIPS, &own, from, forward, STEP).await?;
        self.ended = rows.len() < STEP;
        self.last = rows.last().map(|((_, room), _)| room.clone());
        let joined = rows.into_iter().filter(|(_, row)| row.kind == MembershipKind::Join);
        Ok(Some(joined.map(|((_, room), _)| room).collect()))
    }
}

#[cfg(test)]
mod tests {
    use ruma::{RoomVersionId, user_id};

    use super::*;
    use crate::{
        NewRoom,
        testing::{public_room, server, user},
    };

    #[tokio::test]
    async fn company_is_found_among_few_and_among_many_rooms() {
        let server = server().await;
        let [alice, bob, carol] = ["alice", "bob", "carol"].map(|name| user(&server, name));
        let wish = NewRoom::new(alice.id().to_owned(), RoomVersionId::V12);
        let room = alice.create_room(wish).await.unwrap();
        room.invite(bob.id(), None, false).await.unwrap();
        bob.room(room.id()).join(None).await.unwrap();
        let view = server.core.store.view().await.unwrap();
        let few = Company::of(&view, &alice.id).await.unwrap();
        let others = (0..1_000).map(|number| OwnedRoomId::try_from(format!("!{number}:x")));
        let mut rooms: Vec<_> = others.map(Result::unwrap).chain([room.id().to_owned()]).collect();
        rooms.sort();
        let many = Company::in_rooms(rooms.into());
        let nobody = user_id!("@nobody:y").to_owned();
        let others = [bob.id.clone(), carol.id.clone(), nobody];
        for company in [few, many] {
            assert_eq!(company.among(&view, &others).await.unwrap(), [true, false, false]);
            assert_eq!(company.among(&view, &[]).await.unwrap(), [false; 0]);
            assert_eq!(company.shared(&view, &bob.id).await.unwrap(), [room.id().to_owned()]);
        }
        let none = Company::of(&view, &carol.id).await.unwrap();
        assert_eq!(none.among(&view, &others).await.unwrap(), [false; 3]);
    }

    #[tokio::test]
    async fn of_many_others_each_gets_the_own_answer() {
        let server = server().await;
        let alice = user(&server, "alice");
        let rooms = [public_room(&alice, "12").await, public_room(&alice, "11").await];
        let others: Vec<_> =
            (0..2 * TOGETHER + 1).map(|n| user(&server, &format!("u{n}"))).collect();
        for n in (0..others.len()).step_by(7) {
            others[n].room(rooms[n % 2].id()).join(None).await.unwrap();
        }
        let view = server.core.store.view().await.unwrap();
        let company = Company::of(&view, &alice.id).await.unwrap();
        let ids: Vec<_> = others.iter().map(|other| other.id.clone()).collect();
        let expected: Vec<_> = (0..others.len()).map(|n| n % 7 == 0).collect();
        assert_eq!(company.among(&view, &ids).await.unwrap(), expected);
    }
}
