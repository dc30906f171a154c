//! Messages as those see them who keep them.

use serde::Deserialize;
use serde_json::value::RawValue;
use tertulia_protocol::Bookmark;
use tertulia_storage::Tx;

use crate::{
    ClientEvent, Error, Result, User,
    schema::{EVENT_META, SnapshotRow},
};

/// A message as one sees it who is about to keep it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    row: SnapshotRow,
}

impl Seen {
    /// The message of a bookmark, if the user may see it.
    pub(super) async fn by(user: &User, bookmark: &Bookmark) -> Result<Option<Self>> {
        match user.room(&bookmark.room_id).event(&bookmark.event_id).await {
            Ok(event) => Ok(Some(Self::of(&event))),
            Err(Error::Storage(error)) => Err(error.into()),
            Err(_) => Ok(None),
        }
    }

    /// The message as it is told, in its newest form.
    pub(crate) fn of(event: &ClientEvent) -> Self {
        let unsigned = event.unsigned();
        let edit = unsigned.relations.as_ref().and_then(|bundle| bundle.replace.as_ref());
        let content = match edit {
            Some(edit) => new_content(edit.content()),
            None => event.content().get().to_owned(),
        };
        let content = Some(content).filter(|_| unsigned.redacted_because.is_none());
        let row = SnapshotRow {
            room: event.room().to_owned(),
            event: event.id().to_owned(),
            event_type: event.kind().to_string(),
            sender: event.sender().to_owned(),
            msgtype: content.as_deref().and_then(msgtype_of),
            edit: edit.map(|edit| edit.id().to_owned()),
            content,
        };
        Self { row }
    }

    /// Whether it is the message of a bookmark.
    pub(super) fn is_of(&self, bookmark: &Bookmark) -> bool {
        self.row.room == bookmark.room_id && self.row.event == bookmark.event_id
    }

    /// What may be kept of it: nothing if its room was removed meanwhile, and not what it says if it was
    /// redacted. The commit fails if that changes.
    pub(super) async fn row(&self, tx: &Tx) -> Result<Option<SnapshotRow>> {
        let mut row = self.row.clone();
        for event in std::iter::once(&self.row.event).chain(&self.row.edit) {
            let key = (self.row.room.clone(), event.clone());
            let Some(meta) = tx.get_guarded(&EVENT_META, &key).await? else { return Ok(None) };
            if meta.redacted_by.is_some() {
                row.content = None;
            }
        }
        Ok(Some(row))
    }

    /// Whether the message is still there.
    pub(crate) async fn is_there(&self, tx: &Tx) -> Result<bool> {
        Ok(self.row(tx).await?.is_some())
    }

    /// Whether it says nothing any more.
    pub(crate) fn is_redacted(&self) -> bool {
        self.row.content.is_none()
    }

    /// What the message says.
    pub(crate) fn text(&self) -> Option<String> {
        text_of(self.row.content.as_deref()?)
    }

    /// The message's own `msgtype`, if it can be read.
    pub(crate) fn msgtype(&self) -> Option<&str> {
        self.row.msgtype.as_deref()
    }
}

/// What an edit makes of a message; of one that is encrypted, what its readers decrypt.
fn new_content(edit: &RawValue) -> String {
    #[derive(Deserialize)]
    struct Edit<'a> {
        #[serde(rename = "m.new_content", borrow)]
        new_content: Option<&'a RawValue>,
    }
    let read: Option<Edit<'_>> = serde_json::from_str(edit.get()).ok();
    read.and_then(|read| read.new_content).unwrap_or(edit).get().to_owned()
}

#[derive(Default, Deserialize)]
struct Content {
    #[serde(default, deserialize_with = "text")]
    body: Option<String>,
    #[serde(default, deserialize_with = "text")]
    msgtype: Option<String>,
}

/// A text, where somebody may have written something else.
fn text<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Option<String>, D::Error> {
    Ok(match serde_json::Value::deserialize(input)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    })
}

/// What is to be read in a message of this content.
pub(crate) fn text_of(content: &str) -> Option<String> {
    serde_json::from_str::<Content>(content).unwrap_or_default().body
}

fn msgtype_of(content: &str) -> Option<String> {
    serde_json::from_str::<Content>(content).unwrap_or_default().msgtype
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::raw;

    #[test]
    fn what_clients_write_into_content_is_read_as_far_as_it_makes_sense() {
        let check = |content: &str, body: Option<&str>, msgtype: Option<&str>| {
            assert_eq!(text_of(content).as_deref(), body, "{content}");
            assert_eq!(msgtype_of(content).as_deref(), msgtype, "{content}");
        };
        check(r#"{"body":"hi","msgtype":"m.text"}"#, Some("hi"), Some("m.text"));
        check(r#"{"body":7,"msgtype":"m.text"}"#, None, Some("m.text"));
        check(r#"{"body":"hi","msgtype":null}"#, Some("hi"), None);
        check("{}", None, None);
        check("[]", None, None);
    }

    #[test]
    fn an_edit_makes_its_new_content_or_is_itself_what_is_decrypted() {
        let edit = raw(&json!({ "body": "* new", "m.new_content": { "body": "new" } }));
        assert_eq!(new_content(&edit), r#"{"body":"new"}"#);
        let encrypted = raw(&json!({ "ciphertext": "abc" }));
        assert_eq!(new_content(&encrypted), encrypted.get());
    }
}
