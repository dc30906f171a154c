//! Favourites between our own API and clients that keep bookmarks as MSC4438 tells them to, by account data and nothing else.
//!
//! matrix-js-sdk writes them, on two devices; matrix-nio, which writes no account data, watches. What a client has written our API
//! shows at once; what our API keeps and drops the clients see by their own syncs.

use anyhow::{Context, ensure};
use futures_util::future::{try_join, try_join_all};
use serde_json::{Value, json};

use crate::client::Client;
use crate::people::{Cast, Kind, Own, Person, order};

/// How often two devices write at once.
const ROUNDS: usize = 8;
const UNSTABLE: &str = "unstable";
const STABLE: &str = "stable";
const NAME: &str = "The orchard";
/// No bookmarks.
const NONE: [&str; 0] = [];

/// Erin keeps what Frank says. She has two devices with matrix-js-sdk, one with matrix-nio, and uses our API.
#[derive(Debug)]
struct Shelf<'a> {
    erin: &'a Person,
    tablet: Client,
    watcher: Client,
    frank: Own,
    room: String,
}

/// All of it.
pub async fn tell(cast: &Cast<'_>) -> anyhow::Result<()> {
    for names in [UNSTABLE, STABLE] {
        let erin = cast.person(Kind::Sdk, &format!("erin-{names}")).await?;
        let shelf = Shelf::new(cast, &erin, names).await?;
        shelf.kinds(names).await.context("one of each kind")?;
        shelf.interrupted(names).await.context("a bookmark that was begun")?;
        shelf.removed(names).await.context("a bookmark that is removed")?;
        shelf.at_once(names).await.context("two devices at once")?;
        shelf.arranged(names).await.context("another order")?;
        shelf.redacted(names).await.context("a message that is redacted")?;
        println!(
            "matrix-js-sdk kept and removed bookmarks under the {names} names, seen as favourites"
        );
    }
    let erin = cast.person(Kind::Sdk, "erin").await?;
    let shelf = Shelf::new(cast, &erin, "both").await?;
    shelf.kept_by_our_api().await.context("a favourite of our API")?;
    shelf.kept_by_both().await.context("a message that was kept twice")?;
    shelf.kept_at_once().await.context("our API and two devices at once")?;
    println!("favourites of our API were seen as bookmarks by matrix-js-sdk and matrix-nio");
    Ok(())
}

impl<'a> Shelf<'a> {
    async fn new(cast: &Cast<'_>, erin: &'a Person, name: &str) -> anyhow::Result<Shelf<'a>> {
        let tablet = cast.device(Kind::Sdk, &erin.own, &format!("erin-{name}-tablet")).await?;
        let watcher = cast.device(Kind::Nio, &erin.own, &format!("erin-{name}-watcher")).await?;
        let frank = cast.own(&format!("frank-{name}")).await?;
        let group = json!({ "name": NAME, "members": [erin.id()] });
        let group = frank.post("/groups", group).await?;
        let room = group["room_id"].as_str().context("a group is a room")?.to_owned();
        erin.order("accept", json!({ "room": room })).await?;
        Ok(Shelf { erin, tablet, watcher, frank, room })
    }

    /// What a client keeps is a favourite of its kind, its room and its words.
    async fn kinds(&self, names: &str) -> anyhow::Result<()> {
        let messages = [
            ("text", "m.room.message", json!({ "msgtype": "m.text", "body": "Ripe pears today" })),
            ("image", "m.room.message", file("m.image", "pears.jpg")),
            ("file", "m.room.message", file("m.file", "harvest.ods")),
            ("audio", "m.room.message", file("m.audio", "wind.ogg")),
            ("video", "m.room.message", file("m.video", "picking.webm")),
            (
                "image",
                "m.sticker",
                json!({ "body": "A pear", "url": "mxc://localhost/pear", "info": {} }),
            ),
            (
                "other",
                "m.room.message",
                json!({ "msgtype": "m.location", "body": "The old tree", "geo_uri": "geo:1,2" }),
            ),
        ];
        let mut ids = Vec::new();
        for (number, (kind, event_type, content)) in messages.iter().enumerate() {
            let (id, event) = (format!("kind-{number}"), self.says(event_type, content).await?);
            self.erin.order("bookmark", self.bookmark(names, &id, &event)).await?;
            ids.insert(0, id.clone());
            let item = self.erin.order("item", json!({ "names": names, "bookmark": id })).await?;
            let favourite =
                self.favourite(&id).await.with_context(|| format!("the item is {item}"))?;
            let expected = json!({
                "id": id, "kind": kind, "room_id": self.room, "event_id": event, "sender": self.frank.id(), "room_name": NAME,
                "preview": content["body"], "message": { "type": event_type, "content": content }, "redacted": false,
            });
            for (field, value) in expected.as_object().into_iter().flatten() {
                ensure!(favourite[field] == *value, "{field} is not {value} in {favourite}");
            }
        }
        self.both_show(names, &ids).await?;
        let all: Vec<_> = ids.iter().map(String::as_str).collect();
        self.lists(&[], &all).await?;
        self.lists(&[("room_id", &self.room)], &all).await?;
        self.lists(&[("room_id", "!elsewhere:localhost")], &[]).await?;
        self.lists(&[("kind", "text")], &["kind-0"]).await?;
        self.lists(&[("kind", "image")], &["kind-5", "kind-1"]).await?;
        self.lists(&[("kind", "file")], &["kind-2"]).await?;
        self.lists(&[("words", "pear")], &["kind-5", "kind-1", "kind-0"]).await?;
        self.lists(&[("words", "pear ripe"), ("kind", "text")], &["kind-0"]).await?;
        let index = order(&self.tablet, "index", json!({ "names": names })).await?;
        let is_index = index["version"] == 1 && index["revision"].as_u64() >= Some(7);
        ensure!(is_index && index["bookmark_ids"] == json!(ids), "the index is {index}");
        self.clear(names, &ids).await
    }

    /// A client stops between item and index: the item is the truth.
    async fn interrupted(&self, names: &str) -> anyhow::Result<()> {
        let event = self.says_text("Half a bookmark").await?;
        self.erin.order("write_item", self.bookmark(names, "half", &event)).await?;
        self.lists(&[], &["half"]).await?;
        self.both_show(names, &["half"]).await?;
        // The other device finds it in the index, and has nothing to add.
        order(&self.tablet, "write_index", json!({ "names": names, "bookmark": "half" })).await?;
        self.both_show(names, &["half"]).await?;
        // So it is when the last device goes away half through with removing it.
        self.erin.order("remove_from_index", json!({ "names": names, "bookmark": "half" })).await?;
        self.lists(&[], &["half"]).await?;
        self.both_show(names, &["half"]).await?;
        order(&self.tablet, "tombstone", json!({ "names": names, "bookmark": "half" })).await?;
        self.lists(&[], &[]).await?;
        self.both_show(names, &NONE).await
    }

    /// Removed in each way that there is, and brought back.
    async fn removed(&self, names: &str) -> anyhow::Result<()> {
        let event = self.says_text("Come and go").await?;
        let bookmark = json!({ "names": names, "bookmark": "gone" });
        self.erin.order("bookmark", self.bookmark(names, "gone", &event)).await?;
        self.both_show(names, &["gone"]).await?;
        order(&self.tablet, "remove_bookmark", bookmark.clone()).await?;
        self.lists(&[], &[]).await?;
        ensure!(self.favourite("gone").await.is_err(), "a bookmark that was removed is there");
        self.both_show(names, &NONE).await?;
        self.erin.order("resurrect", bookmark.clone()).await?;
        self.lists(&[], &["gone"]).await?;
        let favourite = self.favourite("gone").await?;
        ensure!(favourite["message"]["content"]["body"] == "Come and go", "it is {favourite}");
        self.both_show(names, &["gone"]).await?;
        self.erin.order("empty_item", bookmark.clone()).await?;
        self.lists(&[], &[]).await?;
        self.both_show(names, &NONE).await?;
        self.erin.order("bookmark", self.bookmark(names, "gone", &event)).await?;
        self.erin.own.delete("/favourites/gone").await?;
        self.both_show(names, &NONE).await?;
        for client in [&self.erin.client, &self.tablet] {
            let item = order(client, "item", bookmark.clone()).await?;
            ensure!(item["deleted"] == true && item["event_id"] == event, "the item is {item}");
        }
        Ok(())
    }

    /// Two devices keep messages at once, each by its own idea of the index: none is lost.
    async fn at_once(&self, names: &str) -> anyhow::Result<()> {
        let mut ids = Vec::new();
        for round in 0..ROUNDS {
            let mine = self.says_text(&format!("Mine {round}")).await?;
            let other = self.says_text(&format!("The tablet's {round}")).await?;
            let here = self.bookmark(names, &format!("here-{round}"), &mine);
            let there = self.bookmark(names, &format!("there-{round}"), &other);
            let (here, there) = (
                order(&self.erin.client, "bookmark", here),
                order(&self.tablet, "bookmark", there),
            );
            try_join(here, there).await?;
            ids.extend([format!("here-{round}"), format!("there-{round}")]);
        }
        self.both_show_all(names, &ids).await?;
        // One removes while the other keeps.
        let event = self.says_text("One more").await?;
        let gone = json!({ "names": names, "bookmark": "here-0" });
        let one_more = order(&self.tablet, "bookmark", self.bookmark(names, "more", &event));
        try_join(order(&self.erin.client, "remove_bookmark", gone), one_more).await?;
        ids[0] = "more".to_owned();
        self.both_show_all(names, &ids).await?;
        // Both keep the same message, each with an ID of its own: it is one favourite.
        let same = self.says_text("The same").await?;
        let here = self.bookmark(names, "same-here", &same);
        let there = self.bookmark(names, "same-there", &same);
        try_join(
            order(&self.erin.client, "bookmark", here),
            order(&self.tablet, "bookmark", there),
        )
        .await?;
        let found = self.found(&[("words", "same")]).await?;
        ensure!(found.len() == 1 && found[0].starts_with("same-"), "{found:?} is one message");
        self.erin.own.delete(&format!("/favourites/{}", found[0])).await?;
        self.both_show_all(names, &ids).await?;
        self.clear(names, &ids).await
    }

    /// What a client writes into the index changes the order that clients show, and nothing else.
    async fn arranged(&self, names: &str) -> anyhow::Result<()> {
        for (id, text) in [("a", "First"), ("b", "Second"), ("c", "Third")] {
            let event = self.says_text(text).await?;
            self.erin.order("bookmark", self.bookmark(names, id, &event)).await?;
        }
        self.both_show(names, &["c", "b", "a"]).await?;
        for (written, shown) in [
            (vec!["b", "c", "a"], ["b", "c", "a"]),
            (vec!["a", "unknown", "b", "a"], ["c", "a", "b"]),
            (vec![], ["c", "b", "a"]),
        ] {
            order(&self.tablet, "arrange", json!({ "names": names, "ids": written })).await?;
            self.both_show(names, &shown).await?;
            self.lists(&[], &["c", "b", "a"]).await?;
        }
        self.clear(names, &["a", "b", "c"]).await
    }

    /// A message that was redacted is blank, wherever it is kept.
    async fn redacted(&self, names: &str) -> anyhow::Result<()> {
        let event = self.says_text("A secret").await?;
        self.erin.order("bookmark", self.bookmark(names, "secret", &event)).await?;
        self.lists(&[("words", "secret")], &["secret"]).await?;
        let path = format!("/_matrix/client/v3/rooms/{}/redact/{event}/1", self.room);
        let _: Value = self.frank.0.client.put(&path, &json!({})).await?;
        let favourite = self.favourite("secret").await?;
        let is_blank = favourite["redacted"] == true
            && favourite.get("preview").is_none()
            && favourite.get("message").is_none();
        ensure!(is_blank && favourite["event_id"] == event, "it is {favourite}");
        for client in [&self.erin.client, &self.tablet] {
            let blank = json!({ "names": names, "bookmark": "secret" });
            order(client, "await_no_preview", blank).await?;
        }
        self.lists(&[("words", "secret")], &[]).await?;
        self.both_show(names, &["secret"]).await?;
        self.clear(names, &["secret"]).await
    }

    /// Our API keeps and drops; the clients see item and index, and what they take away is gone.
    async fn kept_by_our_api(&self) -> anyhow::Result<()> {
        let event = self.says_text("Kept by us").await?;
        let favourite = self.keep(&event).await?;
        let id = favourite["id"].as_str().context("a favourite has an ID")?.to_owned();
        self.both_show(UNSTABLE, &[&*id]).await?;
        let bookmark = json!({ "names": UNSTABLE, "bookmark": id });
        let item = self.erin.order("item", bookmark.clone()).await?;
        let expected = json!({
            "version": 1, "bookmark_id": id, "uri": uri(&self.room, &event), "room_id": self.room, "event_id": event,
            "event_ts": favourite["sent"], "bookmarked_ts": favourite["kept"], "sender": self.frank.id(), "room_name": NAME,
            "body_preview": "Kept by us", "msgtype": "m.text",
        });
        ensure!(item == expected, "the item is {item}, not {expected}");
        self.watched(&id).await?;
        ensure!(self.keep(&event).await?["id"] == *id, "it was kept twice");
        self.erin.own.delete(&format!("/favourites/{id}")).await?;
        self.both_show(UNSTABLE, &NONE).await?;
        let item = order(&self.tablet, "item", bookmark.clone()).await?;
        ensure!(item["deleted"] == true, "the item is {item}");
        self.watched(&id).await?;
        // It comes back under the same ID, and a client removes it.
        ensure!(self.keep(&event).await?["id"] == *id, "it has another ID than before");
        self.both_show(UNSTABLE, &[&*id]).await?;
        self.erin.order("remove_bookmark", bookmark).await?;
        self.lists(&[], &[]).await?;
        self.both_show(UNSTABLE, &NONE).await
    }

    /// What a client keeps under either names is kept already for our API.
    async fn kept_by_both(&self) -> anyhow::Result<()> {
        for names in [UNSTABLE, STABLE] {
            let event = self.says_text(&format!("Kept under the {names} names")).await?;
            self.erin.order("bookmark", self.bookmark(names, "both", &event)).await?;
            ensure!(self.keep(&event).await?["id"] == "both", "it was kept twice");
            self.both_show(names, &["both"]).await?;
            self.erin.own.delete("/favourites/both").await?;
            self.both_show(names, &NONE).await?;
        }
        self.lists(&[], &[]).await
    }

    /// Our API and both devices keep at once: nothing is lost, and no message is kept twice.
    async fn kept_at_once(&self) -> anyhow::Result<()> {
        let mut events = Vec::new();
        for round in 0..ROUNDS {
            let texts = (0..3).map(|n| self.says_text_of(round, n));
            let said = try_join_all(texts).await?;
            let here = self.bookmark(UNSTABLE, &format!("here-{round}"), &said[0]);
            let there = self.bookmark(UNSTABLE, &format!("there-{round}"), &said[1]);
            let clients = try_join(
                order(&self.erin.client, "bookmark", here),
                order(&self.tablet, "bookmark", there),
            );
            // The client's first message is one of those that our API keeps meanwhile.
            let ours = try_join(self.keep(&said[2]), self.keep(&said[0]));
            try_join(clients, ours).await?;
            events.extend(said);
        }
        let page = self.erin.own.get("/favourites", &[("limit", "100")]).await?;
        let favourites = page["favourites"].as_array().context("a page has favourites")?;
        let mut kept: Vec<_> =
            favourites.iter().filter_map(|one| one["event_id"].as_str()).collect();
        kept.sort_unstable();
        events.sort_unstable();
        ensure!(kept == events, "{} favourites of {} messages", kept.len(), events.len());
        // Whatever bookmarks there are of each message, both devices have them all.
        let index = self.erin.own.account_data("org.matrix.msc4438.bookmarks.index").await?;
        let ids: Vec<String> = serde_json::from_value(index["bookmark_ids"].clone())?;
        self.both_show(UNSTABLE, &ids).await
    }

    fn bookmark(&self, names: &str, id: &str, event: &str) -> Value {
        json!({ "names": names, "bookmark": id, "room": self.room, "event": event })
    }

    /// Frank says something; each content is said once.
    async fn says(&self, event_type: &str, content: &Value) -> anyhow::Result<String> {
        let transaction = format!("{}-{event_type}", content["body"])
            .replace(|c: char| !c.is_alphanumeric(), "-");
        Ok(self.frank.0.send(&self.room, event_type, &transaction, content).await?)
    }

    async fn says_text(&self, text: &str) -> anyhow::Result<String> {
        self.says("m.room.message", &json!({ "msgtype": "m.text", "body": text })).await
    }

    async fn says_text_of(&self, round: usize, number: usize) -> anyhow::Result<String> {
        self.says_text(&format!("Number {number} of round {round}")).await
    }

    async fn keep(&self, event: &str) -> anyhow::Result<Value> {
        let kept = json!({ "room_id": self.room, "event_id": event });
        self.erin.own.post("/favourites", kept).await
    }

    async fn favourite(&self, id: &str) -> anyhow::Result<Value> {
        self.erin.own.get(&format!("/favourites/{id}"), &[]).await
    }

    /// The IDs of the favourites that our API lists, newest first.
    async fn found(&self, query: &[(&str, &str)]) -> anyhow::Result<Vec<String>> {
        let query = [query, &[("limit", "100")]].concat();
        let page = self.erin.own.get("/favourites", &query).await?;
        ensure!(page.get("next").is_none(), "there are more than expected");
        let favourites = page["favourites"].as_array().context("a page has favourites")?;
        let ids = favourites.iter().filter_map(|one| one["id"].as_str());
        Ok(ids.map(str::to_owned).collect())
    }

    async fn lists(&self, query: &[(&str, &str)], ids: &[&str]) -> anyhow::Result<()> {
        let found = self.found(query).await?;
        ensure!(found == ids, "{query:?} finds {found:?}, not {ids:?}");
        Ok(())
    }

    /// Both devices come to show these bookmarks, in this order.
    async fn both_show(&self, names: &str, ids: &[impl AsRef<str>]) -> anyhow::Result<()> {
        let ids: Vec<_> = ids.iter().map(AsRef::as_ref).collect();
        for client in [&self.erin.client, &self.tablet] {
            order(client, "await_bookmarks", json!({ "names": names, "ids": ids })).await?;
        }
        Ok(())
    }

    /// Both devices and our API have all of these, in whatever order the devices wrote.
    async fn both_show_all(&self, names: &str, ids: &[String]) -> anyhow::Result<()> {
        let mut wanted = ids.to_vec();
        wanted.sort();
        let mut found = self.found(&[]).await?;
        found.sort();
        ensure!(found == wanted, "the favourites are {found:?}, not {wanted:?}");
        for client in [&self.erin.client, &self.tablet] {
            let all = json!({ "names": names, "ids": wanted });
            order(client, "await_all_bookmarks", all).await?;
        }
        Ok(())
    }

    /// The device on matrix-nio is told item and index as they are.
    async fn watched(&self, id: &str) -> anyhow::Result<()> {
        for kind in ["bookmarks.index", &format!("bookmark.{id}")] {
            let kind = format!("org.matrix.msc4438.{kind}");
            let content = self.erin.own.account_data(&kind).await?;
            order(&self.watcher, "await_account_data", json!({ "kind": kind, "content": content }))
                .await?;
        }
        Ok(())
    }

    /// Our API drops them all.
    async fn clear(&self, names: &str, ids: &[impl AsRef<str>]) -> anyhow::Result<()> {
        for id in ids {
            self.erin.own.delete(&format!("/favourites/{}", id.as_ref())).await?;
        }
        self.lists(&[], &[]).await?;
        self.both_show(names, &NONE).await
    }
}

fn file(msgtype: &str, name: &str) -> Value {
    json!({ "msgtype": msgtype, "body": name, "url": format!("mxc://localhost/{}", name.replace('.', "")) })
}

/// "The canonical form used by this MSC".
fn uri(room: &str, event: &str) -> String {
    let encoded = |id: &str| id.replace('!', "%21").replace('$', "%24").replace(':', "%3A");
    format!("matrix:roomid/{}/e/{}", encoded(room), encoded(event))
}
