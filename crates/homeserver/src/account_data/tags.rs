//! Tags: how a user sorts rooms. They are the room account data `m.tag`.

use ruma::{
    OwnedRoomId, OwnedUserId, RoomId,
    events::tag::{TagInfo, Tags},
};
use serde_json::{Map, Value, json};
use tertulia_storage::{Command, Partition, Tx};

use super::{TAG, check_size, load, partition, put};
use crate::{
    Error, Result, User,
    schema::{ACCOUNT_DATA, Scope},
};

/// The most bytes of a tag's name.
const MAX_NAME: usize = 255;

impl User {
    /// The tags the user gave a room.
    pub async fn tags(&self, room: &RoomId) -> Result<Tags> {
        let view = self.core.store.view().await?;
        let datum = load(&view, &self.id, Scope::Room(room.to_owned()), TAG).await?;
        let tags = tags(datum.map(|datum| datum.content).as_deref());
        let readable = tags.into_iter().filter_map(|(name, tag)| {
            let tag: TagInfo = serde_json::from_value(tag).ok()?;
            Some((name.into(), tag))
        });
        Ok(readable.collect())
    }

    /// Gives a room a tag, or another place within it.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] if the name is empty or longer than 255 bytes.
    pub async fn set_tag(&self, room: &RoomId, name: &str, tag: &TagInfo) -> Result<()> {
        if name.is_empty() || name.len() > MAX_NAME {
            return Err(Error::Invalid("the name of the tag"));
        }
        let tag = serde_json::to_value(tag).expect("a tag is JSON");
        self.change_tag(room, name, Some(tag)).await
    }

    /// Takes a tag from a room. One that the room does not have is gone already.
    pub async fn remove_tag(&self, room: &RoomId, name: &str) -> Result<()> {
        self.change_tag(room, name, None).await
    }

    async fn change_tag(&self, room: &RoomId, name: &str, tag: Option<Value>) -> Result<()> {
        let (user, room, name) = (self.id.clone(), room.to_owned(), name.to_owned());
        self.core.store.write(ChangeTag { user, room, name, tag }).await?;
        Ok(())
    }
}

/// The tags in the content of `m.tag`. A client may have set it to anything.
fn tags(content: Option<&str>) -> Map<String, Value> {
    let content = content.and_then(|content| serde_json::from_str(content).ok());
    match content.unwrap_or(Value::Null).get_mut("tags").map(Value::take) {
        Some(Value::Object(tags)) => tags,
        _ => Map::new(),
    }
}

struct ChangeTag {
    user: OwnedUserId,
    room: OwnedRoomId,
    name: String,
    tag: Option<Value>,
}

impl Command for ChangeTag {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let scope = Scope::Room(self.room.clone());
        let key = (self.user.clone(), scope.clone(), TAG.to_owned());
        let stored = tx.get_guarded(&ACCOUNT_DATA, &key).await?.map(|datum| datum.content);
        let mut tags = tags(stored.as_deref());
        let before = match &self.tag {
            Some(tag) => tags.insert(self.name.clone(), tag.clone()),
            None => tags.remove(&self.name),
        };
        if self.tag.is_none() && before.is_none() {
            return Ok(());
        }
        let content = json!({ "tags": tags }).to_string();
        check_size(&content)?;
        put(tx, &self.user, &scope, TAG, content).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(content: Option<&str>, expected: &[&str]) {
        let names: Vec<String> = tags(content).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, expected, "{content:?}");
    }

    #[test]
    fn whatever_a_client_set_as_tags_reads_as_tags() {
        check(None, &[]);
        check(Some("{}"), &[]);
        check(Some(r#"{"tags":{}}"#), &[]);
        check(Some(r#"{"tags":7}"#), &[]);
        check(Some("7"), &[]);
        check(Some(r#"{"tags":{"u.b":{},"m.favourite":{"order":0.1}}}"#), &["m.favourite", "u.b"]);
    }
}
