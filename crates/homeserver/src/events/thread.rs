//! Threads: which one an event is in (client-server API, "Threaded read receipts").

use ruma::{EventId, OwnedEventId};
use serde::Deserialize;
use serde_json::value::RawValue;
use tertulia_protocol::{Relation, RelationKind};
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
        let Some(known) = relation else { return Ok(None) };
        if known.kind() == RelationKind::Thread {
            return Ok(Some(known.event_id));
        }
        let parent = view.get(&EVENTS, &(known.event_id,)).await?;
        relation = parent.and_then(|json| self::relation(&json));
    }
    Ok(None)
}

/// What an event says it relates to.
fn relation(event: &[u8]) -> Option<Relation> {
    #[derive(Deserialize)]
    struct Event<'a> {
        #[serde(borrow)]
        content: &'a RawValue,
    }
    let event: Event<'_> = serde_json::from_slice(event).ok()?;
    Relation::of(event.content)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_an_event_relates_to_is_read_from_its_content() {
        let check = |content: Value, expected: Option<&str>| {
            let event = json!({ "content": content }).to_string();
            let found = relation(event.as_bytes());
            assert_eq!(found.as_ref().map(|it| it.event_id.as_str()), expected, "{content}");
        };
        check(json!({}), None);
        check(json!({ "m.relates_to": { "m.in_reply_to": { "event_id": "$a" } } }), None);
        check(json!({ "m.relates_to": { "rel_type": "m.thread", "event_id": "$a" } }), Some("$a"));
        check(json!({ "m.relates_to": { "event_id": "$a" } }), None);
    }
}
