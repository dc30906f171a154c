//! What messages say: the contents that a room's conveniences send (client-server API, "Instant
//! Messaging", "Event replacements", "Rich replies", "Threading").

use ruma::{EventId, OwnedMxcUri, UserId};
use serde_json::{Map, Value, json};

use crate::JsonObject;

/// A file that a message shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedFile {
    /// Where it lies.
    pub url: OwnedMxcUri,
    /// How it is called.
    pub name: String,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Width and height of a picture.
    pub dimensions: Option<(u32, u32)>,
    /// A smaller picture of it.
    pub thumbnail: Option<SharedThumbnail>,
    /// What is said of it.
    pub caption: Option<String>,
}

/// The smaller picture of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SharedThumbnail {
    /// Where it lies.
    pub url: OwnedMxcUri,
    /// Its media type.
    pub content_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// Its width and height.
    pub dimensions: (u32, u32),
}

/// A plain text.
pub fn text(body: &str) -> JsonObject {
    spoken("m.text", body)
}

/// What a bot says: other bots do not answer.
pub fn notice(body: &str) -> JsonObject {
    spoken("m.notice", body)
}

fn spoken(msgtype: &str, body: &str) -> JsonObject {
    object(json!({ "msgtype": msgtype, "body": body }))
}

/// A picture that is shown where it was sent.
pub fn image(file: SharedFile) -> JsonObject {
    shared("m.image", file)
}

/// A file; what is heard or watched can be played where it was sent.
pub fn file(file: SharedFile) -> JsonObject {
    let msgtype = match file.content_type.split('/').next() {
        Some("audio") => "m.audio",
        Some("video") => "m.video",
        _ => "m.file",
    };
    shared(msgtype, file)
}

fn shared(msgtype: &str, file: SharedFile) -> JsonObject {
    let mut info = info(&file.content_type, file.size, file.dimensions);
    if let Some(SharedThumbnail { url, content_type, size, dimensions }) = file.thumbnail {
        info.insert("thumbnail_url".to_owned(), json!(url));
        let thumbnail = self::info(&content_type, size, Some(dimensions));
        info.insert("thumbnail_info".to_owned(), thumbnail.into());
    }
    // Where both are given, the body is what is said of the file.
    let body = file.caption.as_ref().unwrap_or(&file.name);
    object(json!({
        "msgtype": msgtype,
        "body": body,
        "filename": file.name,
        "url": file.url,
        "info": info,
    }))
}

fn info(content_type: &str, size: u64, dimensions: Option<(u32, u32)>) -> JsonObject {
    let mut info = object(json!({ "mimetype": content_type, "size": size }));
    if let Some((width, height)) = dimensions {
        info.insert("w".to_owned(), width.into());
        info.insert("h".to_owned(), height.into());
    }
    info
}

/// What makes the message `target` say `body` from now on; of a file that it shows, that is the
/// caption. `original` is what the message was first.
pub fn edit(original: &JsonObject, target: &EventId, body: &str) -> JsonObject {
    let mut new = original.clone();
    for outdated in ["m.relates_to", "m.new_content", "m.mentions", "format", "formatted_body"] {
        new.remove(outdated);
    }
    if new.contains_key("url") && !new.contains_key("filename") {
        let name = new.get("body").cloned().unwrap_or_default();
        new.insert("filename".to_owned(), name);
    }
    new.insert("body".to_owned(), body.into());
    // Clients that know no edits show the whole as a message of its own.
    let mut content = new.clone();
    content.insert("body".to_owned(), format!("* {body}").into());
    // Nobody is told again.
    content.insert("m.mentions".to_owned(), json!({}));
    content.insert("m.new_content".to_owned(), new.into());
    relate(content, json!({ "rel_type": "m.replace", "event_id": target }))
}

/// `key`, usually an emoji, said of the event `target`.
pub fn reaction(target: &EventId, key: &str) -> JsonObject {
    let relation = json!({ "rel_type": "m.annotation", "event_id": target, "key": key });
    relate(Map::new(), relation)
}

/// `content` as an answer to `target`, whose `author` is told; nobody is, if that is who answers.
pub fn reply(content: JsonObject, target: &EventId, author: Option<&UserId>) -> JsonObject {
    let content = mentioning(content, author);
    relate(content, json!({ "m.in_reply_to": { "event_id": target } }))
}

/// `content` in the thread that begins at `root` and whose newest event is `latest`; clients that
/// know no threads show it as an answer to that.
pub fn in_thread(content: JsonObject, root: &EventId, latest: &EventId) -> JsonObject {
    relate(
        content,
        json!({
            "rel_type": "m.thread",
            "event_id": root,
            "is_falling_back": true,
            "m.in_reply_to": { "event_id": latest },
        }),
    )
}

fn mentioning(mut content: JsonObject, user: Option<&UserId>) -> JsonObject {
    let mentions = match user {
        Some(user) => json!({ "user_ids": [user] }),
        None => json!({}),
    };
    content.insert("m.mentions".to_owned(), mentions);
    content
}

fn relate(mut content: JsonObject, relation: Value) -> JsonObject {
    content.insert("m.relates_to".to_owned(), relation);
    content
}

fn object(value: Value) -> JsonObject {
    match value {
        Value::Object(object) => object,
        other => unreachable!("{other} is written as an object"),
    }
}

#[cfg(test)]
mod tests {
    use ruma::{
        event_id,
        events::{reaction::ReactionEventContent, room::message::RoomMessageEventContent},
        owned_mxc_uri, user_id,
    };

    use super::*;

    /// The content is this, and clients written with ruma read it.
    #[track_caller]
    fn check(content: JsonObject, expected: Value) {
        let content = Value::Object(content);
        assert_eq!(content, expected);
        serde_json::from_value::<RoomMessageEventContent>(content).unwrap();
    }

    fn photograph() -> SharedFile {
        SharedFile {
            url: owned_mxc_uri!("mxc://x/a"),
            name: "sea.jpg".to_owned(),
            content_type: "image/jpeg".to_owned(),
            size: 9,
            dimensions: Some((3, 2)),
            thumbnail: None,
            caption: None,
        }
    }

    #[test]
    fn words_are_said_by_people_or_bots() {
        check(text("hi"), json!({ "msgtype": "m.text", "body": "hi" }));
        check(notice("hi"), json!({ "msgtype": "m.notice", "body": "hi" }));
    }

    #[test]
    fn a_picture_tells_all_that_is_known_of_it() {
        let thumbnail = SharedThumbnail {
            url: owned_mxc_uri!("mxc://x/b"),
            content_type: "image/png".to_owned(),
            size: 4,
            dimensions: (1, 1),
        };
        let caption = Some("the sea".to_owned());
        let info = json!({
            "mimetype": "image/jpeg", "size": 9, "w": 3, "h": 2, "thumbnail_url": "mxc://x/b",
            "thumbnail_info": { "mimetype": "image/png", "size": 4, "w": 1, "h": 1 },
        });
        check(
            image(SharedFile { thumbnail: Some(thumbnail), caption, ..photograph() }),
            json!({
                "msgtype": "m.image", "body": "the sea", "filename": "sea.jpg", "url": "mxc://x/a",
                "info": info,
            }),
        );
    }

    #[test]
    fn what_can_be_played_is_told_apart_from_other_files() {
        for (content_type, msgtype) in [
            ("application/pdf", "m.file"),
            ("image/jpeg", "m.file"),
            ("audio/ogg", "m.audio"),
            ("video/mp4", "m.video"),
        ] {
            let content_type = content_type.to_owned();
            let told = SharedFile { content_type: content_type.clone(), ..photograph() };
            let info = json!({ "mimetype": content_type, "size": 9, "w": 3, "h": 2 });
            check(
                file(told),
                json!({
                    "msgtype": msgtype, "body": "sea.jpg", "filename": "sea.jpg",
                    "url": "mxc://x/a", "info": info,
                }),
            );
        }
    }

    #[test]
    fn an_edited_text_says_the_new_words_and_nothing_of_the_old() {
        let mut original = reply(text("helo"), event_id!("$older"), Some(user_id!("@b:x")));
        original.insert("format".to_owned(), "org.matrix.custom.html".into());
        original.insert("formatted_body".to_owned(), "<b>helo</b>".into());
        check(
            edit(&original, event_id!("$a"), "hello"),
            json!({
                "msgtype": "m.text", "body": "* hello", "m.mentions": {},
                "m.new_content": { "msgtype": "m.text", "body": "hello" },
                "m.relates_to": { "rel_type": "m.replace", "event_id": "$a" },
            }),
        );
    }

    #[test]
    fn of_a_file_the_caption_is_edited() {
        let mut old = image(photograph());
        old.remove("filename");
        let edited = edit(&old, event_id!("$a"), "the sea");
        let new = &edited["m.new_content"];
        assert_eq!((&new["body"], &new["filename"]), (&json!("the sea"), &json!("sea.jpg")));
        assert_eq!(new["url"], "mxc://x/a");
        let named = edit(&image(photograph()), event_id!("$a"), "the sea");
        assert_eq!(named["m.new_content"]["filename"], "sea.jpg");
    }

    #[test]
    fn answers_name_what_they_answer_and_tell_its_author() {
        check(
            reply(text("yes"), event_id!("$a"), Some(user_id!("@b:x"))),
            json!({
                "msgtype": "m.text", "body": "yes", "m.mentions": { "user_ids": ["@b:x"] },
                "m.relates_to": { "m.in_reply_to": { "event_id": "$a" } },
            }),
        );
        assert_eq!(reply(text("yes"), event_id!("$a"), None)["m.mentions"], json!({}));
        check(
            in_thread(text("yes"), event_id!("$a"), event_id!("$b")),
            json!({
                "msgtype": "m.text", "body": "yes",
                "m.relates_to": {
                    "rel_type": "m.thread", "event_id": "$a", "is_falling_back": true,
                    "m.in_reply_to": { "event_id": "$b" },
                },
            }),
        );
    }

    #[test]
    fn a_reaction_reads_as_one() {
        let content = Value::Object(reaction(event_id!("$a"), "👍"));
        let read: ReactionEventContent = serde_json::from_value(content).unwrap();
        assert_eq!((read.relates_to.event_id.as_str(), &*read.relates_to.key), ("$a", "👍"));
    }
}
