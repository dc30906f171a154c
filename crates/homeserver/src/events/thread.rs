//! Threads: which one an event is in (client-server API, "Threaded read receipts").

use ruma::{EventId, OwnedEventId};
use serde::Deserialize;
use tertulia_protocol::push::Relation;
use tertulia_storage::View;

use crate::{Result, schema::EVENTS};

/// How far up the relations of an event its thread is looked for.
const MAX_HOPS: usize = 3;

/// The root of the thread that an event is in, by itself or by what it relates to.
pub(crate) async fn thread_root(view: &View, event: &EventId) -> Result<Option<OwnedEventId>> {
    match view.get(&EVENTS, &(event.to_owned(),)).await? {
        Some(json) => thread_of(view, relation(&json)).await,
        None => Ok(None),
    }
}

/// The root of the thread that an event of this relation is in.
pub(super) async fn thread_of(
    view: &View,
    mut relation: Option<Relation>,
) -> Result<Option<OwnedEventId>> {
    for _ in 0..MAX_HOPS {
        let Some(Relation { rel_type, event_id }) = relation else { return Ok(None) };
        if rel_type.as_deref() == Some("m.thread") {
            return Ok(Some(event_id));
        }
        let parent = view.get(&EVENTS, &(event_id,)).await?;
        relation = parent.and_then(|json| self::relation(&json));
    }
    Ok(None)
}

/// What an event says it relates to.
fn relation(event: &[u8]) -> Option<Relation> {
    #[derive(Deserialize)]
    struct Event {
        content: Content,
    }
    #[derive(Deserialize)]
    struct Content {
        #[serde(rename = "m.relates_to")]
        relation: Relation,
    }
    let event: Event = serde_json::from_slice(event).ok()?;
    Some(event.content.relation)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_an_event_relates_to_is_read_from_its_content() {
        let check = |content: Value, expected: Option<(Option<&str>, &str)>| {
            let event = json!({ "content": content }).to_string();
            let found = relation(event.as_bytes());
            let found = found.as_ref().map(|it| (it.rel_type.as_deref(), it.event_id.as_str()));
            assert_eq!(found, expected, "{content}");
        };
        check(json!({}), None);
        check(json!({ "m.relates_to": 7 }), None);
        check(json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$a" } } }), None);
        let thread = json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": "$a" } });
        check(thread, Some((Some("m.thread"), "$a")));
        check(json!({ "m.relates_to": { "event_id": "$a" } }), Some((None, "$a")));
    }
}
