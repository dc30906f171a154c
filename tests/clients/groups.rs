//! Groups and chats of our own API, and rooms of clients that know nothing of either.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::people::{Cast, Kind, Own, Person, request};

/// One with a client that others published, and one with our own API only.
#[derive(Debug)]
struct Two<'a> {
    stock: &'a Person,
    own: Own,
}

/// All of it, for each of the clients.
pub async fn tell(cast: &Cast<'_>) -> anyhow::Result<()> {
    for kind in Kind::ALL {
        let stock = cast.person(kind, kind.short()).await?;
        let own = cast.own(&format!("{}-neighbour", kind.short())).await?;
        let two = Two { stock: &stock, own };
        two.group_of_ours().await.context("a group of our API")?;
        two.room_of_theirs(kind).await.context("a room of the client")?;
        println!("{} was in a group of our API, and our API in a room of its own", kind.name());
    }
    Ok(())
}

impl Two<'_> {
    /// The client is invited, comes, rises, goes, comes again, leads and is there when it ends.
    async fn group_of_ours(&self) -> anyhow::Result<()> {
        let room = self.founded().await?;
        self.asked("waiting", "waiting").await?;
        self.stock.order("accept", json!({ "room": room })).await?;
        self.asked("accepted", "accepted").await?;
        self.shows(&room, "The choir").await?;
        self.is(&room, "member", "owner").await?;
        self.rules(&room).await?;
        self.stock.order("leave", json!({ "room": room })).await?;
        self.is_left(&room).await?;
        self.invites(&room).await?;
        self.invited(&room, "The choir").await?;
        self.stock.order("leave", json!({ "room": room })).await?;
        self.asked("void", "refused").await?;
        self.invites(&room).await?;
        self.invited(&room, "The choir").await?;
        self.stock.order("accept", json!({ "room": room })).await?;
        let name = json!({ "name": "The choir of old" });
        self.own.0.set_state(&room, "m.room.name", "", &name).await?;
        self.shows(&room, "The choir of old").await?;
        let heir = json!({ "user_id": self.stock.id() });
        self.own.post(&format!("/groups/{room}/hand_over"), heir).await?;
        self.stock.order("await_level", json!({ "room": room, "level": 100 })).await?;
        self.is(&room, "owner", "admin").await?;
        self.stock.own.post(&format!("/groups/{room}/dissolve"), json!({})).await?;
        self.stock.order("await_out", json!({ "room": room })).await?;
        self.is_left(&room).await
    }

    /// Our API makes a group, and the client sees what it is invited to.
    async fn founded(&self) -> anyhow::Result<String> {
        let group = json!({
            "name": "The choir", "topic": "Every Tuesday", "avatar_url": avatar("choir"), "members": [self.stock.id()],
        });
        let group = self.own.post("/groups", group).await?;
        let room = group["room_id"].as_str().context("a group is a room")?.to_owned();
        self.invited(&room, "The choir").await?;
        let members = self.members(&self.own, &room).await?;
        let expected = json!([
            { "user_id": self.stock.id(), "role": "member", "invited": true },
            { "user_id": self.own.id(), "role": "owner", "invited": false },
        ]);
        ensure!(same(&members, &expected), "the members are {members}");
        Ok(room)
    }

    async fn invited(&self, room: &str, name: &str) -> anyhow::Result<()> {
        let invite = json!({ "room": room, "name": name });
        let invite = self.stock.order("await_group_invite", invite).await?;
        ensure!(invite == json!({ "direct": false }), "the client sees {invite}");
        Ok(())
    }

    /// What may be said changes by our API, and the client sees it.
    async fn rules(&self, room: &str) -> anyhow::Result<()> {
        let said = |text: &str| json!({ "room": room, "text": text });
        let only = |only: bool| json!({ "only": only });
        let announcements = format!("/groups/{room}/announcements");
        self.own.put(&announcements, only(true)).await?;
        let silenced = self.stock.order("is_silenced", json!({ "room": room })).await?;
        ensure!(silenced == true, "a member spoke where only admins and owners do");
        let role = format!("/groups/{room}/members/{}/role", self.stock.id());
        self.own.put(&role, json!({ "role": "admin" })).await?;
        self.stock.order("await_level", json!({ "room": room, "level": 50 })).await?;
        self.is(room, "admin", "owner").await?;
        self.stock.order("say", said("Now I may")).await?;
        self.own.put(&role, json!({ "role": "member" })).await?;
        self.stock.order("await_level", json!({ "room": room, "level": 0 })).await?;
        self.own.put(&announcements, only(false)).await?;
        self.stock.order("say", said("And so may all")).await?;
        let chat = self.chat(&self.own, room).await?;
        ensure!(chat["last_message"]["text"] == "And so may all", "the chat is {chat}");
        self.is(room, "member", "owner").await
    }

    /// The client makes a room, which is a group for our API; there they talk, read and mute.
    async fn room_of_theirs(&self, kind: Kind) -> anyhow::Result<()> {
        let wish = json!({ "name": "The garden", "invite": [self.own.id()] });
        let room = self.stock.ask("create_group", wish).await?;
        request(&self.stock.own, &self.own, "group", None, ["waiting", "waiting"]).await?;
        self.own.post("/groups/join", json!({ "group": room })).await?;
        let joined = json!({ "room": room, "user": self.own.id(), "membership": "join" });
        self.stock.order("await_membership", joined).await?;
        self.is(&room, "owner", "member").await?;
        let said = json!({ "room": room, "text": "The beans are ripe" });
        let event = self.stock.ask("say", said.clone()).await?;
        self.said(&self.own, &room, &event, 1).await?;
        self.said(&self.stock.own, &room, &event, 0).await?;
        let answer = json!({ "msgtype": "m.text", "body": "I come" });
        let event = self.own.0.send(&room, "m.room.message", "come", &answer).await?;
        self.said(&self.stock.own, &room, &event, 1).await?;
        self.said(&self.own, &room, &event, 0).await?;
        self.stock.order("await_text", json!({ "room": room, "text": "I come" })).await?;
        self.stock.order("read", json!({ "room": room, "event": event })).await?;
        self.said(&self.stock.own, &room, &event, 0).await?;
        self.muted(&room).await?;
        // The client removes the other, who has power over nobody.
        self.stock.order("take_back", json!({ "room": room, "user": self.own.id() })).await?;
        let groups = self.own.get("/groups", &[]).await?;
        ensure!(groups["chats"] == json!([]), "{} is seen after {groups}", kind.name());
        Ok(())
    }

    /// The client mutes the room and hears it again.
    async fn muted(&self, room: &str) -> anyhow::Result<()> {
        for (muted, unread) in [(true, 0), (false, 1)] {
            self.stock.order("mute", json!({ "room": room, "muted": muted })).await?;
            let chat = self.chat(&self.stock.own, room).await?;
            ensure!(chat["muted"] == muted, "the chat is {chat}");
            let text = json!({ "msgtype": "m.text", "body": format!("muted: {muted}") });
            let event = self.own.0.send(room, "m.room.message", &format!("{muted}"), &text).await?;
            self.said(&self.stock.own, room, &event, unread).await?;
            let seen = json!({ "room": room, "text": text["body"] });
            self.stock.order("await_text", seen).await?;
            self.stock.order("read", json!({ "room": room, "event": event })).await?;
        }
        Ok(())
    }

    /// The chat shows what was said last, and how much of it one has not read.
    async fn said(&self, who: &Own, room: &str, event: &str, unread: u64) -> anyhow::Result<()> {
        let chat = self.chat(who, room).await?;
        let is_so = chat["last_message"]["event_id"] == event
            && chat["last_message"]["kind"] == "text"
            && chat["unread"]["notification_count"] == unread;
        ensure!(is_so, "for {} the chat is {chat}, not with {unread} unread", who.id());
        Ok(())
    }

    /// One's chat, which is the newest of one's groups and chats.
    async fn chat(&self, who: &Own, room: &str) -> anyhow::Result<Value> {
        let chat = who.get(&format!("/chats/{room}"), &[]).await?;
        for path in ["/chats", "/groups"] {
            let page = who.get(path, &[("limit", "1")]).await?;
            ensure!(page["chats"] == json!([chat]), "{path} has {page}, not {chat}");
        }
        Ok(chat)
    }

    /// Both are in the group: the client's user as this, the other as that.
    async fn is(&self, room: &str, stock: &str, own: &str) -> anyhow::Result<()> {
        let expected = json!([
            { "user_id": self.stock.id(), "role": stock, "invited": false },
            { "user_id": self.own.id(), "role": own, "invited": false },
        ]);
        for (who, role) in [(&self.stock.own, stock), (&self.own, own)] {
            let members = self.members(who, room).await?;
            ensure!(same(&members, &expected), "the members are {members}, not {expected}");
            let chat = self.chat(who, room).await?;
            let is_so =
                chat["kind"] == "group" && chat["role"] == role && chat["member_count"] == 2;
            ensure!(is_so, "for {} the chat is {chat}, not as {role}", who.id());
        }
        Ok(())
    }

    /// The client's user is in the group no more.
    async fn is_left(&self, room: &str) -> anyhow::Result<()> {
        let page = self.stock.own.get("/groups", &[]).await?;
        ensure!(page["chats"] == json!([]), "{room} is left, and there is {page}");
        let seen = self.stock.own.get(&format!("/chats/{room}"), &[]).await;
        ensure!(seen.is_err(), "a group that was left is a chat");
        Ok(())
    }

    /// What has become of the invite into the group, for who sent and who got it.
    async fn asked(&self, sent: &str, received: &str) -> anyhow::Result<()> {
        request(&self.own, &self.stock.own, "group", None, [sent, received]).await.map(drop)
    }

    async fn invites(&self, room: &str) -> anyhow::Result<()> {
        let path = format!("/_matrix/client/v3/rooms/{room}/invite");
        let _: Value =
            self.own.0.client.post(&path, &json!({ "user_id": self.stock.id() })).await?;
        Ok(())
    }

    /// Members as our API lists them, without names and pictures.
    async fn members(&self, who: &Own, room: &str) -> anyhow::Result<Value> {
        let page = who.get(&format!("/groups/{room}/members"), &[]).await?;
        let members = page["members"].as_array().context("a page has members")?;
        let plain = |member: &Value| json!({ "user_id": member["user_id"], "role": member["role"], "invited": member["invited"] });
        Ok(members.iter().map(plain).collect())
    }

    /// The client comes to show the group as it is, with both in it.
    async fn shows(&self, room: &str, name: &str) -> anyhow::Result<()> {
        let mut members = [self.stock.id(), self.own.id()];
        members.sort_unstable();
        let group =
            json!({ "room": room, "name": name, "avatar": avatar("choir"), "members": members });
        self.stock.order("await_group", group).await.map(drop)
    }
}

fn avatar(name: &str) -> String {
    format!("mxc://localhost/{name}")
}

/// Whether two lists have the same in them, in whatever order.
fn same(one: &Value, other: &Value) -> bool {
    let sorted = |list: &Value| {
        let mut all: Vec<_> = list.as_array().into_iter().flatten().map(Value::to_string).collect();
        all.sort();
        all
    };
    sorted(one) == sorted(other)
}
