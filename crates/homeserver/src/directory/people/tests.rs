use ruma::{OwnedRoomId, owned_room_id};
use tertulia_storage::{Command, Partition, Tx};

use super::{super::common, *};
use crate::{
    Error, Homeserver, ProfileField,
    testing::{public_room, server},
};

async fn made(server: &Homeserver, name: &str) -> User {
    server.create_user(name).await.unwrap()
}

async fn call(user: &User, name: &str) {
    user.set_profile_field(ProfileField::DISPLAY_NAME, name.into()).await.unwrap();
}

async fn found(user: &User, term: &str) -> Vec<String> {
    let found = user.find_users(term, None).await.unwrap();
    found.results.into_iter().map(|user| user.user_id.localpart().to_owned()).collect()
}

/// All rows by which users are found.
async fn rows(server: &Homeserver) -> Vec<(bool, String)> {
    let view = server.core.store.view().await.unwrap();
    let rows = view.scan(&USER_WORDS, &(), Direction::Forward, 100).await.unwrap();
    rows.into_iter().map(|((open, word, _), ())| (open, word)).collect()
}

#[tokio::test]
async fn old_names_and_users_who_went_leave_nothing_behind() {
    let server = server().await;
    let (alice, bob) = (made(&server, "alice").await, made(&server, "bob").await);
    let row = |open: bool, word: &str| (open, word.to_owned());
    call(&alice, "Ana Maria").await;
    assert_eq!(found(&bob, "ana").await, [""; 0]);
    let all = ["alice", "ana", "bob", "maria"].map(|word| row(false, word));
    assert_eq!(rows(&server).await, all);
    let room = public_room(&alice, "12").await;
    call(&alice, "Eva").await;
    assert_eq!(found(&bob, "eva").await, ["alice"]);
    assert_eq!(rows(&server).await, [row(false, "bob"), row(true, "alice"), row(true, "eva")]);
    room.leave(None).await.unwrap();
    server.remove_user(alice.id()).await.unwrap();
    assert_eq!(rows(&server).await, [row(false, "bob")], "it is removed with all else");
    assert_eq!(found(&bob, "eva").await, [""; 0]);
    assert_eq!(rows(&server).await, [row(false, "bob")]);
}

#[tokio::test]
async fn all_words_of_a_search_have_to_fit_in_any_order() {
    let server = server().await;
    let (alice, bob) = (made(&server, "john.smith").await, made(&server, "bob").await);
    public_room(&alice, "12").await;
    call(&alice, "Tío Juan").await;
    for term in
        ["john", "smith", "john.smith", "smith john", "sm jo", "tio", "JUAN TI", "jo ju sm ti"]
    {
        assert_eq!(found(&bob, term).await, ["john.smith"], "{term}");
    }
    for term in ["john x", "mith", "juan pablo", "johns", "@john.smith:y", "@smith", "!!", "john:y"]
    {
        assert_eq!(found(&bob, term).await, [""; 0], "{term}");
    }
    for term in ["@john.smith:x", "@john.sm", "john.smith:x", "@JOHN.SMITH:X"] {
        assert_eq!(found(&bob, term).await, ["john.smith"], "{term}");
    }
}

#[test]
fn a_search_of_any_length_is_read_and_its_end_does_not_count() {
    let long = format!("{}ana", "é ".repeat(LONGEST));
    let term = Term::new(&long);
    assert_eq!(term.words, vec!["e"; WORDS]);
    assert_eq!(Term::new(&format!("ana{}", " ".repeat(1_000))).whole, "ana");
}

#[tokio::test]
async fn one_who_has_no_account_here_is_not_found() {
    let server = server().await;
    let (ghost, bob) = (crate::testing::user(&server, "ghost"), made(&server, "bob").await);
    public_room(&ghost, "12").await;
    assert_eq!(found(&bob, "ghost").await, [""; 0]);
}

/// Makes up users who are in no room and all have names that begin so.
struct Crowd {
    from: usize,
    open: bool,
}

impl Command for Crowd {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("test", "")
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        for number in self.from..self.from + 200 {
            let user = OwnedUserId::try_from(format!("@crowd{number:04}:x")).unwrap();
            let words = vec![format!("crowd{number:04}")];
            let open = self.open;
            tx.put(&USER_WORDS, &(open, words[0].clone(), user.clone()), &());
            let row = ListedUser { open, displayname: None, avatar_url: None, words };
            tx.put(&LISTED_USERS, &(user,), &row);
        }
        Ok(())
    }
}

#[tokio::test]
async fn one_search_looks_at_so_many_users_and_no_more() {
    let server = server().await;
    let bob = made(&server, "bob").await;
    for from in (0..2 * OTHERS).step_by(200) {
        server.core.store.write(Crowd { from, open: false }).await.unwrap();
    }
    let nobody = bob.find_users("crowd", None).await.unwrap();
    assert_eq!(nobody, FoundUsers::default(), "whom bob shares no room with is not looked at");
    assert_eq!(bob.find_users("crowd0007", None).await.unwrap(), FoundUsers::default());
    for from in (5_000..5_000 + 2 * COMPARED).step_by(200) {
        server.core.store.write(Crowd { from, open: true }).await.unwrap();
    }
    let some = bob.find_users("crowd", Some(1_000)).await.unwrap();
    assert_eq!((some.results.len() as u64, some.limited), (MOST, true));
    let one = bob.find_users("crowd5007", Some(1)).await.unwrap();
    assert_eq!((one.results.len(), one.limited), (1, false));
}

#[tokio::test]
async fn the_rooms_of_two_users_are_told_in_pages() {
    let shared: Vec<_> = (0..2_500)
        .map(|number| OwnedRoomId::try_from(format!("!{number:04}:x")).unwrap())
        .collect();
    let (mut told, mut from) = (Vec::new(), None);
    loop {
        let page = common::page(shared.clone(), from.as_ref());
        assert_eq!(page.count, shared.len());
        told.extend(page.joined);
        let Some(token) = page.next_batch else { break };
        from = Some(common::read_token(&token).unwrap());
    }
    assert_eq!(told, shared);
    let none = common::page(Vec::new(), Some(&owned_room_id!("!r:x")));
    assert_eq!((none.joined.len(), none.next_batch), (0, None));
    for wrong in ["", "é", "!r:x"] {
        let refused = common::read_token(wrong).unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{wrong:?}");
    }
}

#[tokio::test]
async fn companions_are_found_however_many_others_have_such_names() {
    let server = server().await;
    let bob = made(&server, "bob").await;
    for from in (0..2 * OTHERS).step_by(200) {
        server.core.store.write(Crowd { from, open: false }).await.unwrap();
    }
    let wish = crate::NewRoom::new(bob.id().to_owned(), ruma::RoomVersionId::V12);
    let room = bob.create_room(wish).await.unwrap();
    for name in ["crowdy", "crowdz"] {
        let user = made(&server, name).await;
        room.invite(user.id(), None, false).await.unwrap();
        if name == "crowdz" {
            user.room(room.id()).join(None).await.unwrap();
        }
    }
    let some = bob.find_users("crowd", None).await.unwrap();
    let ids: Vec<_> = some.results.iter().map(|user| user.user_id.as_str()).collect();
    assert_eq!((ids, some.limited), (vec!["@crowdz:x"], false), "the other is only invited");
}

#[tokio::test]
async fn many_who_do_not_fit_hide_none_whom_everyone_finds() {
    let server = server().await;
    let bob = made(&server, "bob").await;
    for from in (0..3_000).step_by(200) {
        server.core.store.write(Crowd { from, open: true }).await.unwrap();
    }
    let last = made(&server, "crowdz").await;
    public_room(&last, "12").await;
    call(&last, "Eva").await;
    assert_eq!(found(&bob, "crowd ev").await, ["crowdz"]);
}
