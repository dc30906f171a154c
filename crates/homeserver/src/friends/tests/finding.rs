//! People are found with what they are to who looks for them.

use tertulia_protocol::ContactPolicy;
use tertulia_storage::MemoryEngine;

use super::*;
use crate::{Directory, Settings};

/// A server where everyone finds everyone.
async fn open_server() -> Homeserver {
    let directory = Directory { all_users: true, ..Directory::default() };
    let settings = Settings { directory, ..Settings::default() };
    let builder = Homeserver::builder("x").unwrap().settings(settings);
    builder.start(MemoryEngine::default()).await.unwrap()
}

/// Who is found by these words, and as what.
async fn found(user: &User, words: &str, limit: usize) -> (Vec<String>, bool) {
    let found = user.friends().find(words, limit).await.unwrap();
    let people = found.people.iter().map(|found| {
        let status = match found.friendship {
            Stranger => "stranger",
            Asked(_) => "asked",
            Asking(_) => "asking",
            Friend(_) => "friend",
        };
        format!("{} {status}", found.user.user_id.localpart())
    });
    (people.collect(), found.limited)
}

#[tokio::test]
async fn who_is_found_is_shown_with_what_they_are_to_one() {
    let server = open_server().await;
    let names = ["anna", "anna-asked", "anna-asking", "anna-friend", "anna-stranger", "bob"];
    let [anna, asked, asking, friend, _stranger, bob] = people(&server, names).await;
    anna.friends().request(asked.id(), None).await.unwrap();
    asking.friends().request(anna.id(), None).await.unwrap();
    befriend(&anna, &friend).await;
    let all = ["anna-asked asked", "anna-asking asking", "anna-friend friend"];
    let mut all = all.map(str::to_owned).to_vec();
    all.push("anna-stranger stranger".to_owned());
    assert_eq!(found(&anna, "anna", 50).await, (all.clone(), false), "and not oneself");
    assert_eq!(found(&anna, "anna", 4).await, (all.clone(), false));
    assert_eq!(found(&anna, "anna", 3).await, (all[..3].to_vec(), true));
    assert_eq!(found(&anna, "anna", usize::MAX).await, (all, false));
    assert_eq!(found(&anna, "nobody", 50).await, (vec![], false));
    assert_eq!(found(&bob, "friend", 50).await, (vec!["anna-friend stranger".to_owned()], false));
}

#[tokio::test]
async fn who_is_not_welcome_is_a_stranger_who_asks() {
    let server = open_server().await;
    let [anna, bob] = people(&server, ["anna", "bob"]).await;
    anna.friends().set_contact_policy(ContactPolicy::Friends).await.unwrap();
    bob.friends().request(anna.id(), None).await.unwrap();
    assert_eq!(found(&anna, "bob", 50).await.0, ["bob stranger"]);
    assert_eq!(found(&bob, "anna", 50).await.0, ["anna asked"]);
}
