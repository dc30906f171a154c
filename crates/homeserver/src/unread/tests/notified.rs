//! What users were notified of, newest first, over their rooms.

use super::*;

/// The bodies of notifications; those that were read are marked.
async fn told(
    alice: &Session,
    from: Option<u64>,
    limit: usize,
    loud: bool,
) -> (Vec<String>, Option<u64>) {
    let told = alice.notifications(from, limit, loud).await.unwrap();
    let short = |one: &crate::Notification| {
        let content: Value = serde_json::from_str(one.event.content().get()).unwrap();
        let mark = if one.read { " read" } else { "" };
        format!("{}{mark}", content["body"].as_str().unwrap())
    };
    (told.notifications.iter().map(short).collect(), told.next)
}

fn says(body: &str) -> Value {
    json!({ "msgtype": "m.text", "body": body })
}

#[tokio::test]
async fn notifications_of_all_rooms_come_newest_first_in_pages() {
    let scene = Scene::new().await;
    let other = public_room(&scene.bob, "12").await;
    scene.alice.room(other.id()).join(None).await.unwrap();
    for n in 0..25 {
        scene.say(says(&format!("a{n}"))).await;
        let kind = TimelineEventType::RoomMessage;
        other.send(kind, raw(&says(&format!("b{n}"))), None).await.unwrap();
    }
    scene.say(json!({ "msgtype": "m.notice", "body": "beep" })).await;
    scene.send(&scene.alice, "m.room.message", says("mine")).await;
    let (mut all, mut from) = (Vec::new(), None);
    loop {
        let (page, next) = told(&scene.alice, from, 7, false).await;
        assert!(page.len() <= 7);
        all.extend(page);
        from = next;
        if from.is_none() {
            break;
        }
    }
    let expected = (0..25).rev().flat_map(|n| [format!("b{n}"), format!("a{n} read")]);
    assert_eq!(all, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn only_what_is_loud_is_told_if_that_is_asked_for() {
    let scene = Scene::new().await;
    scene.say(text()).await;
    let mention = scene.say(to_alice()).await;
    scene.say(text()).await;
    assert_eq!(told(&scene.alice, None, 10, true).await, (vec!["tea".to_owned()], None));
    scene.room.redact(&mention, None, None).await.unwrap();
    assert_eq!(told(&scene.alice, None, 10, true).await, (vec![], None));
}

#[tokio::test]
async fn nobody_is_notified_by_the_ignored_or_of_what_was_before_they_came() {
    let scene = Scene::new().await;
    scene.say(text()).await;
    let list = raw(&json!({ "ignored_users": { "@bob:x": {} } }));
    scene.alice.set_account_data(None, "m.ignored_user_list", list).await.unwrap();
    assert_eq!(told(&scene.alice, None, 10, false).await, (vec![], None));
    let (carol, _) = scene.server.register("carol").await.unwrap();
    carol.room(scene.room.id()).join(None).await.unwrap();
    assert_eq!(told(&carol, None, 10, false).await, (vec![], None));
}
