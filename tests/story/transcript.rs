//! What is written down of the story: a text to read, and beside it all that the pages had, to compare.

use std::{collections::HashMap, fmt::Write as _};

use serde_json::Value;

/// What is written down of the story.
#[derive(Default)]
pub(crate) struct Transcript {
    /// The story to read.
    pub(crate) text: String,
    /// Every page and every event in full, with names for what chance has chosen.
    minutes: Vec<String>,
    names: Names,
}

impl Transcript {
    pub(crate) fn chapter(&mut self, title: &str) {
        let gap = if self.text.is_empty() { "" } else { "\n" };
        writeln!(self.text, "{gap}# {title}").expect("a text takes everything");
    }

    /// What somebody does.
    pub(crate) fn step(&mut self, what: &str) {
        writeln!(self.text, "\n{what}").expect("a text takes everything");
        self.minutes.push(what.to_owned());
    }

    /// What comes of it.
    pub(crate) fn note(&mut self, what: &str) {
        writeln!(self.text, "    {what}").expect("a text takes everything");
    }

    /// What stands on a page.
    pub(crate) fn page(&mut self, title: &str, lines: &[String]) {
        match lines {
            [] => self.note(&format!("{title}: none")),
            _ => self.note(&format!("{title}:")),
        }
        for line in lines {
            self.note(&format!("    {line}"));
        }
    }

    /// Notes down all of something that somebody was told.
    pub(crate) fn minute(&mut self, what: &str, told: &Value) {
        let told = self.names.given(told.clone());
        self.minutes.push(format!("{what}: {told:#}"));
    }

    /// Panics where it is another than the `other`.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, how: &str) {
        let both = self.minutes.iter().zip(&other.minutes);
        if let Some((mine, theirs)) = both.into_iter().find(|(mine, theirs)| mine != theirs) {
            panic!("{how}, it is\n{mine}\nand otherwise\n{theirs}");
        }
        assert_eq!(self.minutes.len(), other.minutes.len(), "{how}");
        assert_same_lines(&self.text, &other.text, how);
    }
}

/// Panics at the first line where a text is another.
#[track_caller]
pub(crate) fn assert_same_lines(text: &str, other: &str, how: &str) {
    let (mut lines, mut others) = (text.lines(), other.lines());
    for number in 1.. {
        let (line, other) = (lines.next(), others.next());
        assert_eq!(line, other, "{how}, in line {number}");
        if line.is_none() {
            return;
        }
    }
}

/// Names for IDs that chance has chosen, in the order in which they appear.
#[derive(Default)]
struct Names {
    known: HashMap<String, String>,
    counts: HashMap<&'static str, usize>,
}

impl Names {
    fn of(&mut self, id: &str) -> String {
        let kind = match id.chars().next() {
            Some('!') => "room",
            Some('$') => "event",
            _ if id.starts_with("mxc://") => "file",
            _ => "id",
        };
        if let Some(name) = self.known.get(id) {
            return name.clone();
        }
        let count = self.counts.entry(kind).or_default();
        *count += 1;
        let name = format!("{kind} {count}");
        self.known.insert(id.to_owned(), name.clone());
        name
    }

    /// The same with names.
    fn given(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) if text.starts_with(['!', '$']) || text.starts_with("mxc://") => {
                self.of(&text).into()
            }
            Value::Array(list) => list.into_iter().map(|value| self.given(value)).collect(),
            Value::Object(fields) => {
                let named = |(key, value): (String, Value)| match (key.as_str(), value) {
                    // How old an event is, and what its sender's session calls it, is another's for each reader.
                    ("unsigned", _) => (key, Value::Null),
                    ("id", Value::String(id)) => (key, self.of(&id).into()),
                    (_, value) => (key, self.given(value)),
                };
                fields.into_iter().map(named).collect()
            }
            value => value,
        }
    }
}

/// The lines of a page, by what it is.
pub(crate) mod lines {
    use super::*;

    pub(crate) fn account(page: &Value) -> Vec<String> {
        let profile = &page["profile"];
        let emails = list(&page["emails"]).map(text).collect::<Vec<_>>().join(", ");
        let picture = if profile["avatar_url"].is_string() { ", with a picture" } else { "" };
        let sessions = count(&page["sessions"], "session");
        vec![format!("{}{picture}, {emails}, {sessions}", text(&profile["displayname"]))]
    }

    pub(crate) fn chats(page: &Value) -> Vec<String> {
        list(&page["chats"]).map(chat).collect()
    }

    fn chat(row: &Value) -> String {
        let mut line = match (&row["name"], text(&row["kind"])) {
            (Value::String(name), "direct") => name.clone(),
            (Value::String(name), kind) => format!("{name} ({kind} of {})", row["member_count"]),
            (_, kind) => format!("a {kind} chat without a name"),
        };
        let last = &row["last_message"];
        if last.is_object() {
            write!(line, " | {}: {}", sender(last), text(&last["text"])).expect("a text");
        }
        match row["unread"]["notification_count"].as_u64() {
            Some(0) | None => {}
            Some(count) => write!(line, " | {count} unread").expect("a text"),
        }
        line
    }

    pub(crate) fn friends(page: &Value) -> Vec<String> {
        let friend =
            |row: &Value| format!("{} ({})", text(&row["displayname"]), text(&row["presence"]));
        list(&page["friends"]).map(friend).collect()
    }

    pub(crate) fn people(page: &Value) -> Vec<String> {
        let person =
            |row: &Value| format!("{} ({})", text(&row["displayname"]), text(&row["status"]));
        list(&page["people"]).map(person).collect()
    }

    pub(crate) fn received(page: &Value) -> Vec<String> {
        requests(page, "from")
    }

    pub(crate) fn sent(page: &Value) -> Vec<String> {
        requests(page, "to")
    }

    fn requests(page: &Value, direction: &str) -> Vec<String> {
        let request = |row: &Value| {
            let what = match text(&row["kind"]) {
                "friend" => "friendship".to_owned(),
                kind => format!("{kind} {}", text(&row["room_name"])),
            };
            let (who, state) = (text(&row["displayname"]), text(&row["state"]));
            let new = if row["unread"] == true { ", new" } else { "" };
            let reason = row["reason"].as_str().map(|reason| format!(" | {reason}"));
            format!("{what}, {direction} {who}{} | {state}{new}", reason.unwrap_or_default())
        };
        list(&page["requests"]).map(request).collect()
    }

    pub(crate) fn favourites(page: &Value) -> Vec<String> {
        let favourite = |row: &Value| {
            format!("{} by {}: {}", text(&row["kind"]), sender(row), text(&row["preview"]))
        };
        list(&page["favourites"]).map(favourite).collect()
    }

    pub(crate) fn members(page: &Value) -> Vec<String> {
        let member = |row: &Value| {
            let invited = if row["invited"] == true { ", invited" } else { "" };
            format!("{} ({}{invited})", text(&row["displayname"]), text(&row["role"]))
        };
        list(&page["members"]).map(member).collect()
    }

    /// What somebody reads of an event.
    pub(crate) fn event(event: &Value) -> String {
        let (sender, content) = (person(&event["sender"]), &event["content"]);
        let (body, info) = (text(&content["body"]), &content["info"]);
        match (text(&event["type"]), text(&content["msgtype"])) {
            (_, "m.text") => format!("{sender}: {body}"),
            (_, "m.image") => format!("{sender} shows {body}, {} x {}", info["w"], info["h"]),
            (_, "m.file") => format!("{sender} sends {body}, {} bytes", info["size"]),
            ("m.reaction", _) => format!("{sender}: {}", text(&content["m.relates_to"]["key"])),
            ("m.room.member", _) => membership(event),
            (kind, _) => format!("{sender} sends {kind}"),
        }
    }

    fn membership(event: &Value) -> String {
        let (who, content) = (person(&event["state_key"]), &event["content"]);
        match text(&content["membership"]) {
            "join" => format!("{who} is there as {}", text(&content["displayname"])),
            "leave" => format!("{who} is gone"),
            kind => format!("{who}: {kind}"),
        }
    }

    /// How the sender of a row is called.
    fn sender(row: &Value) -> &str {
        text(&row["sender_displayname"])
    }

    fn list(value: &Value) -> impl Iterator<Item = &Value> {
        value.as_array().into_iter().flatten()
    }

    fn text(value: &Value) -> &str {
        value.as_str().unwrap_or_default()
    }

    /// The first part of a user ID.
    fn person(id: &Value) -> &str {
        text(id).trim_start_matches('@').split(':').next().unwrap_or_default()
    }

    fn count(number: &Value, of: &str) -> String {
        let plural = if *number == 1 { "" } else { "s" };
        format!("{number} {of}{plural}")
    }
}
