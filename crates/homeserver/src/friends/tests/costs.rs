//! What the list costs, in reads: with thousands of friends no more than with a page of them.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use tertulia_storage::{
    Batch, Command, Local, LocalEngine, Memory, Partition, Position, Reach, Row, RowRange, Rows, Tx,
};

use super::*;
use crate::schema::{DIRECT, DirectBy, HEADS, RoomHead};

/// A store that counts the rows that are asked for, and those that scans find.
#[derive(Clone, Default)]
struct Counting {
    memory: Memory,
    reads: Arc<AtomicUsize>,
}

struct CountingRows(Arc<dyn Rows>, Arc<AtomicUsize>);

impl Local for Counting {
    fn snapshot(&self) -> Arc<dyn Rows> {
        Arc::new(CountingRows(self.memory.snapshot(), self.reads.clone()))
    }

    fn write(&self, batch: Batch, sync: bool) -> tertulia_storage::Result<()> {
        self.memory.write(batch, sync)
    }

    fn sync(&self) -> tertulia_storage::Result<()> {
        self.memory.sync()
    }
}

impl Rows for CountingRows {
    fn get(
        &self,
        row: &[u8],
        reach: Reach,
    ) -> tertulia_storage::Result<Option<Option<bytes::Bytes>>> {
        self.1.fetch_add(1, SeqCst);
        self.0.get(row, reach)
    }

    fn scan(
        &self,
        range: &RowRange,
        direction: tertulia_storage::Direction,
        limit: usize,
        reach: Reach,
    ) -> tertulia_storage::Result<Option<Vec<Row>>> {
        let found = self.0.scan(range, direction, limit, reach)?;
        self.1.fetch_add(1 + found.as_ref().map_or(0, Vec::len), SeqCst);
        Ok(found)
    }
}

/// Makes friends of a user, so many as a commit bears, without all that leads to it.
struct Befriend(OwnedUserId, std::ops::Range<usize>);

impl Command for Befriend {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("user", self.0.as_str())
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        for n in self.1.clone() {
            let other: OwnedUserId = format!("@friend{n:05}:x").try_into().unwrap();
            let room: OwnedRoomId = format!("!room{n:05}:x").try_into().unwrap();
            let at = Position::new(1);
            let row = Membership {
                kind: MembershipKind::Join,
                event: ruma::owned_event_id!("$e"),
                at,
                since: at,
                before: None,
                joined: Some((at, None)),
                stretch: 0,
                forgotten: false,
                direct: true,
                unwelcome: false,
            };
            for user in [&self.0, &other] {
                tx.put(&MEMBERSHIPS, &(user.clone(), room.clone()), &row);
            }
            for by in DirectBy::ALL {
                tx.put(&DIRECT, &(self.0.clone(), other.clone(), room.clone(), by), &());
            }
            let head = RoomHead { last: at, state_at: at, joined: 2, ..RoomHead::of_version("12") };
            tx.put(&HEADS, &(room,), &head);
        }
        Ok(())
    }
}

/// How many reads the first page takes, and one in the middle, of a user with so many friends.
async fn reads(friends: usize) -> [usize; 2] {
    let store = Counting::default();
    let server = Homeserver::start("x", LocalEngine::start(store.clone()).unwrap()).await.unwrap();
    let [alice] = people(&server, ["alice"]).await;
    for first in (0..friends).step_by(90) {
        let some = Befriend(alice.id().to_owned(), first..friends.min(first + 90));
        server.core.store.write(some).await.unwrap();
    }
    listed(&server).await;
    let mut counts = [0; 2];
    let middle: OwnedUserId = format!("@friend{:05}:x", friends / 2).try_into().unwrap();
    for (count, after) in counts.iter_mut().zip([None, Some(&*middle)]) {
        let before = store.reads.load(SeqCst);
        let began = std::time::Instant::now();
        let page = alice.friends().list(after, 50).await.unwrap();
        *count = store.reads.load(SeqCst) - before;
        println!("{friends} friends: {} reads, {:?}", *count, began.elapsed());
        assert_eq!(page.friends.len(), 50);
        assert!(page.next.is_some());
    }
    counts
}

#[tokio::test]
async fn a_page_has_two_hundred_friends_at_most() {
    let server = server().await;
    let [alice] = people(&server, ["alice"]).await;
    for first in (0..270).step_by(90) {
        let some = Befriend(alice.id().to_owned(), first..first + 90);
        server.core.store.write(some).await.unwrap();
    }
    listed(&server).await;
    let page = alice.friends().list(None, usize::MAX).await.unwrap();
    assert_eq!(page.friends.len(), 200);
    let rest = alice.friends().list(page.next.as_deref(), usize::MAX).await.unwrap();
    assert_eq!((rest.friends.len(), rest.next), (70, None));
}

#[tokio::test]
async fn a_page_of_thousands_of_friends_costs_as_much_as_one_of_a_few() {
    let few = reads(150).await;
    let many = reads(5_000).await;
    assert_eq!(few, many);
    // For each friend: two rows of the index, two memberships and the user's own once more, the head, the
    // profile, the status, and to look for receipts and for events, of which there are none.
    assert!(many[0] <= 50 * 10 + 20, "{many:?}");
}
