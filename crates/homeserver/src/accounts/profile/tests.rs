use ruma::user_id;
use serde_json::json;
use tertulia_storage::{
    Direction, LocalEngine, Memory,
    testing::{FailingEngine, Fault},
};

use super::*;
use crate::{
    Registration,
    schema::LOG,
    testing::{public_room, server_where},
};

async fn alice() -> User {
    let server = server_where(Registration::Open).await;
    server.create_user("alice").await.unwrap()
}

fn field(name: &str) -> ProfileField {
    ProfileField::parse(name).unwrap()
}

#[test]
fn names_of_fields_follow_the_grammar() {
    let longest = format!("org.{}", "a".repeat(251));
    for good in ["displayname", "avatar_url", "m.tz", "m.other", "org.example.a_b-c9", &longest] {
        assert_eq!(ProfileField::parse(good).unwrap().as_str(), good);
    }
    for bad in ["", "custom", "Org.example", "9.a", ".a", "_a.b", "org.exämple", "org.a b", "a/b"]
    {
        assert!(matches!(ProfileField::parse(bad), Err(Error::Invalid(_))), "{bad:?}");
    }
    let too_long = ProfileField::parse(&format!("{longest}a"));
    assert!(matches!(too_long, Err(Error::ProfileFieldTooLong)));
}

/// Sets a field and tells what it holds then.
async fn check(name: &str, value: Value, expected: Result<Option<Value>, ()>) {
    let alice = alice().await;
    let set = alice.set_profile_field(field(name), value.clone()).await;
    let kept = alice.profile().await.unwrap().remove(name);
    match expected {
        Ok(expected) => {
            set.unwrap();
            assert_eq!(kept, expected, "{name} {value}");
        }
        Err(()) => {
            assert!(matches!(set, Err(Error::Invalid(_))), "{name} {value}");
            assert_eq!(kept, None, "{name} {value}");
        }
    }
}

#[tokio::test]
async fn nobody_has_a_name_that_is_unseen_or_moves_others() {
    let alice = alice().await;
    for name in ["\u{200b}", "Al\nice", "\u{202e}ecilA"] {
        let set = alice.set_profile_field(ProfileField::DISPLAY_NAME, json!(name)).await;
        assert!(matches!(set, Err(Error::UnfitName(_))), "{name:?}");
    }
    assert!(alice.profile().await.unwrap().is_empty());
}

#[tokio::test]
async fn fields_take_the_values_the_specification_gives_them() {
    for name in ["displayname", "avatar_url", "m.tz"] {
        check(name, json!("some text"), Ok(Some(json!("some text")))).await;
        check(name, json!(7), Err(())).await;
        check(name, json!(["list"]), Err(())).await;
    }
    for name in ["displayname", "avatar_url"] {
        check(name, json!(""), Ok(None)).await;
        check(name, json!(null), Ok(None)).await;
    }
    for value in [json!(null), json!(1.5), json!("text"), json!({ "a": [1, {}] })] {
        check("org.example.field", value.clone(), Ok(Some(value))).await;
    }
}

#[tokio::test]
async fn what_goes_into_rooms_is_bounded() {
    let name = "é".repeat(256);
    check("displayname", json!(name), Ok(Some(json!(name)))).await;
    check("displayname", json!(format!("{name}!")), Err(())).await;
    check("avatar_url", json!("x".repeat(1_000)), Ok(Some(json!("x".repeat(1_000))))).await;
    check("avatar_url", json!("x".repeat(1_001)), Err(())).await;
}

#[tokio::test]
async fn fields_do_not_disturb_each_other() {
    let alice = alice().await;
    assert!(alice.profile().await.unwrap().is_empty());
    alice.set_profile_field(field("m.tz"), json!("Europe/Madrid")).await.unwrap();
    alice.set_profile_field(field("org.example.a"), json!(1)).await.unwrap();
    alice.set_profile_field(field("org.example.a"), json!(2)).await.unwrap();
    let expected = json!({ "m.tz": "Europe/Madrid", "org.example.a": 2 });
    assert_eq!(json!(alice.profile().await.unwrap()), expected);
    alice.delete_profile_field(field("org.example.a")).await.unwrap();
    alice.delete_profile_field(field("org.example.never")).await.unwrap();
    assert_eq!(json!(alice.profile().await.unwrap()), json!({ "m.tz": "Europe/Madrid" }));
}

#[tokio::test]
async fn a_profile_has_at_most_64_kib() {
    let alice = alice().await;
    let frame = json!({ "org.example.a": "" }).to_string().len();
    let most = "x".repeat(LARGEST - frame);
    let too_much = json!(format!("{most}x"));
    let refused = alice.set_profile_field(field("org.example.a"), too_much).await;
    assert!(matches!(refused, Err(Error::ProfileTooLarge)));
    assert!(alice.profile().await.unwrap().is_empty());
    alice.set_profile_field(field("org.example.a"), json!(most)).await.unwrap();
    let refused = alice.set_profile_field(field("displayname"), json!("A")).await;
    assert!(matches!(refused, Err(Error::ProfileTooLarge)));
    alice.delete_profile_field(field("org.example.a")).await.unwrap();
    alice.set_profile_field(field("displayname"), json!("A")).await.unwrap();
}

#[tokio::test]
async fn only_what_rooms_show_is_told() {
    let alice = alice().await;
    let changes = [
        ("displayname", json!(""), 1), // nothing new since the account was made
        ("displayname", json!("Alice"), 2),
        ("displayname", json!("Alice"), 3), // news where it was redacted
        ("avatar_url", json!("mxc://example.org/a"), 4),
        ("m.tz", json!("Europe/Madrid"), 4),
        ("org.example.a", json!(1), 4),
        ("displayname", json!(""), 5),
        ("displayname", json!(""), 5),
    ];
    for (name, value, expected) in changes {
        alice.set_profile_field(field(name), value.clone()).await.unwrap();
        let view = alice.core.store.view().await.unwrap();
        let log = view.scan(&LOG, &(), Direction::Forward, 100).await.unwrap();
        let told = Entry::Profile { user: alice.id().to_owned() };
        let count = log.iter().filter(|(_, entry)| *entry == told).count();
        assert_eq!(count, expected, "{name} {value}");
    }
}

#[tokio::test]
async fn who_does_not_exist_has_no_profile() {
    let server = server_where(Registration::Open).await;
    for user in [user_id!("@bob:example.org"), user_id!("@bob:example.com")] {
        assert!(matches!(server.profile(user).await, Err(Error::NotFound("user"))), "{user}");
    }
}

/// What it costs a user of so many rooms to take another name and another picture: reads and rows written, while
/// nobody else does anything.
async fn cost_of_a_face(rooms: usize) -> [usize; 2] {
    let local = FailingEngine::new(Memory::default(), Fault::Never);
    let counts = local.counts();
    let engine = LocalEngine::start(local).unwrap();
    let server = Homeserver::start("example.org", engine).await.unwrap();
    let alice = server.create_user("alice").await.unwrap();
    for _ in 0..=rooms {
        public_room(&alice, "12").await;
    }
    server.stop_waiting();
    server.core.tasks.close();
    server.core.tasks.wait().await;
    let count = || [counts.reads(), counts.written()];
    let before = count();
    alice.set_nickname(Some("Alice 爱丽丝")).await.unwrap();
    alice.set_avatar_url(Some("mxc://example.org/face".into())).await.unwrap();
    let after = count();
    std::array::from_fn(|n| after[n] - before[n])
}

#[tokio::test]
async fn a_new_face_costs_its_request_the_same_in_however_many_rooms() {
    let (few, many) = (cost_of_a_face(0).await, cost_of_a_face(100).await);
    println!("{few:?} reads and rows written");
    assert_eq!(few, many);
    assert!(many[1] <= 8, "{many:?}");
}
