//! Friends between our own API and clients that know nothing of friends: they invite, join, leave and forget.
//!
//! What such a client does is seen right by our API at once, for both of the two; what our API does the client sees by its own
//! syncs.

use anyhow::{Context, ensure};
use futures_util::future::try_join;
use serde_json::{Value, json};

use crate::people::{Cast, Kind, Own, Person, request};

/// How often both ask each other at once.
const ROUNDS: usize = 12;
/// How often a client writes `m.direct` twice while the server does.
const WRITES: usize = 12;

/// Two: one with a client that others published, and one with our own API only.
#[derive(Debug)]
struct Two<'a> {
    stock: &'a Person,
    own: Own,
}

/// All of it, for each of the clients.
pub async fn tell(cast: &Cast<'_>) -> anyhow::Result<()> {
    for kind in Kind::ALL {
        let stock = cast.person(kind, kind.short()).await?;
        let mut count = 0;
        let mut two = async || {
            count += 1;
            let own = cast.own(&format!("{}-friend-{count}", kind.short())).await?;
            anyhow::Ok(Two { stock: &stock, own })
        };
        let name = kind.name();
        two().await?.asked_and_accepted().await.context("accepting by joining")?;
        two().await?.asked_and_refused().await.context("refusing by leaving")?;
        two().await?.asked_and_taken_back().await.context("an invite that goes")?;
        two().await?.parted_by_the_client().await.context("deleting by leaving")?;
        println!("{name} accepted, refused and deleted friends of our API");
        two().await?.asks_and_is_accepted().await.context("an invite that is accepted")?;
        two().await?.asks_and_is_refused().await.context("an invite that is refused")?;
        two().await?.asks_and_takes_back().await.context("an invite that is taken back")?;
        two().await?.asks_one_who_asks_back().await.context("asking one who has asked")?;
        println!("our API accepted, refused and deleted friends of {name}");
        two().await?.asks_without_having_looked().await.context("two rooms")?;
        let mut met = 0;
        for _ in 0..ROUNDS {
            met += usize::from(two().await?.ask_at_once().await.context("asking at once")?);
        }
        println!("{name} and our API asked at once {ROUNDS} times, {met} times in one room");
        if kind == Kind::Sdk {
            let mut others = Vec::new();
            for _ in 0..3 * WRITES {
                others.push(two().await?.own);
            }
            lists_race(&stock, &others).await.context("m.direct")?;
            println!("{name} wrote m.direct {} times while the server did", 2 * WRITES);
            two().await?.lists_a_room().await.context("a room that a client lists")?;
            two().await?.ignores().await.context("ignoring")?;
        }
    }
    between_clients(cast).await.context("between the clients")?;
    Ok(())
}

impl Two<'_> {
    /// Our API asks, the client accepts.
    async fn asked_and_accepted(&self) -> anyhow::Result<()> {
        let room = self.own_asks("we met at the fair").await?;
        self.are("asked", "asking").await?;
        self.stock.order("accept", json!({ "room": room })).await?;
        self.asked(Some("we met at the fair"), "accepted", "accepted").await?;
        self.are_friends(&room).await
    }

    /// Our API asks, the client refuses in both ways that there are, and accepts at last.
    async fn asked_and_refused(&self) -> anyhow::Result<()> {
        let room = self.own_asks("please").await?;
        for (how, reason) in [("leave", "pretty please"), ("leave_for_good", "it is about work")] {
            self.stock.order(how, json!({ "room": room })).await?;
            self.are("stranger", "stranger").await?;
            // Whoever asked learns only that it does not wait any more.
            self.asked(None, "void", "refused").await?;
            ensure!(self.own_asks(reason).await? == room, "a new room was made to ask again");
            self.are("asked", "asking").await?;
        }
        self.stock.order("accept", json!({ "room": room })).await?;
        self.are_friends(&room).await
    }

    /// Our API takes its request back.
    async fn asked_and_taken_back(&self) -> anyhow::Result<()> {
        let room = self.own_asks("never mind").await?;
        self.own.post(&format!("/friends/{}/withdraw", self.stock.id()), json!({})).await?;
        self.stock.order("await_out", json!({ "room": room })).await?;
        self.asked(Some("never mind"), "withdrawn", "withdrawn").await?;
        self.are("stranger", "stranger").await
    }

    /// The client leaves and forgets; they make up, and our API parts.
    async fn parted_by_the_client(&self) -> anyhow::Result<()> {
        let room = self.own_asks("let us try").await?;
        self.stock.order("accept", json!({ "room": room })).await?;
        self.are_friends(&room).await?;
        self.stock.order("leave_for_good", json!({ "room": room })).await?;
        self.are("stranger", "stranger").await?;
        self.client_lists(&room, false).await?;
        // Who is still in the room keeps it in the list.
        let kept = self.own.account_data("m.direct").await?;
        ensure!(names(&kept, self.stock.id(), &room) == 1, "{kept} has lost the room");
        ensure!(self.own_asks("again?").await? == room, "a new room was made to ask again");
        self.stock.order("accept", json!({ "room": room })).await?;
        self.are_friends(&room).await?;
        self.own_parts(&room).await
    }

    /// The client begins a direct chat, our API accepts.
    async fn asks_and_is_accepted(&self) -> anyhow::Result<()> {
        let room = self.stock.ask("ask", json!({ "user": self.own.id() })).await?;
        self.are("asking", "asked").await?;
        self.client_lists(&room, true).await?;
        let id = self.asks(None, "waiting", "waiting").await?;
        self.own.post(&format!("/requests/{id}/accept"), json!({})).await?;
        self.client_sees(&room, "join").await?;
        self.asks(None, "accepted", "accepted").await?;
        self.are_friends(&room).await
    }

    /// Our API refuses, accepts when it is asked again, and parts.
    async fn asks_and_is_refused(&self) -> anyhow::Result<()> {
        let (user, other) = (self.own.id(), self.stock.id());
        let reason = json!({ "user": user, "reason": "from work" });
        let room = self.stock.ask("ask", reason).await?;
        self.are("asking", "asked").await?;
        self.asks(Some("from work"), "waiting", "waiting").await?;
        self.own.post(&format!("/friends/{other}/refuse"), json!({})).await?;
        self.client_sees(&room, "leave").await?;
        self.asks(Some("from work"), "void", "refused").await?;
        self.are("stranger", "stranger").await?;
        let again = json!({ "room": room, "user": user, "reason": "from your class" });
        self.stock.order("ask_in", again).await?;
        self.are("asking", "asked").await?;
        self.own_accepts(&room).await?;
        self.are_friends(&room).await?;
        self.own_parts(&room).await
    }

    /// The client takes its invite back: by removing who was invited, or, where they have as much power, by leaving.
    async fn asks_and_takes_back(&self) -> anyhow::Result<()> {
        let user = self.own.id();
        for reason in [Some("by mistake"), None] {
            let mut asked = json!({ "user": user });
            asked
                .as_object_mut()
                .expect("an object")
                .extend(reason.map(|reason| ("reason".to_owned(), json!(reason))));
            let room = self.stock.ask("ask", asked).await?;
            self.are("asking", "asked").await?;
            self.asks(reason, "waiting", "waiting").await?;
            match reason {
                Some(_) => {
                    self.stock.order("take_back", json!({ "room": room, "user": user })).await?
                }
                None => self.stock.order("leave_for_good", json!({ "room": room })).await?,
            };
            self.are("stranger", "stranger").await?;
            self.asks(reason, "withdrawn", "withdrawn").await?;
            let path = format!("/friends/{}/accept", self.stock.id());
            let accepted = self.own.post(&path, json!({})).await;
            ensure!(accepted.is_err(), "a request that was taken back was accepted");
        }
        Ok(())
    }

    /// To ask one who has asked is to accept.
    async fn asks_one_who_asks_back(&self) -> anyhow::Result<()> {
        let room = self.stock.ask("ask", json!({ "user": self.own.id() })).await?;
        let answer = self.own.post("/friends", json!({ "user": self.stock.id() })).await?;
        ensure!(
            answer == json!({ "status": "friend", "room_id": room }),
            "asking back gave {answer}"
        );
        self.client_sees(&room, "join").await?;
        self.are_friends(&room).await
    }

    /// The client begins a direct chat with one who asks already: so there are two rooms, and it is one friendship.
    async fn asks_without_having_looked(&self) -> anyhow::Result<()> {
        let theirs = self.own_asks("me first").await?;
        let room = self.stock.ask("ask", json!({ "user": self.own.id() })).await?;
        self.two_rooms(&theirs, &room).await
    }

    /// Both ask at once. True if it came to one room.
    async fn ask_at_once(&self) -> anyhow::Result<bool> {
        let (user, other) = (self.own.id(), self.stock.id());
        let asked = json!({ "user": other, "reason": "at once" });
        let (room, answer) = try_join(
            self.stock.ask("ask", json!({ "user": user })),
            self.own.post("/friends", asked),
        )
        .await?;
        let theirs = answer["room_id"].as_str().context("a request has a room")?;
        if theirs != room {
            return self.two_rooms(theirs, &room).await.map(|()| false);
        }
        self.client_sees(&room, "join").await?;
        self.are_friends(&room).await?;
        Ok(true)
    }

    /// Each has asked the other in a room of their own. Whoever accepts is a friend; so is the other; and both are once, also when
    /// both are in both rooms. To part is to leave both.
    async fn two_rooms(&self, theirs: &str, mine: &str) -> anyhow::Result<()> {
        self.are("asking", "asking").await?;
        self.own_accepts(mine).await?;
        self.are_friends(mine).await?;
        self.stock.order("accept", json!({ "room": theirs })).await?;
        self.are_friends(mine).await?;
        for room in [theirs, mine] {
            self.client_lists(room, true).await?;
            self.own_lists(room, true).await?;
        }
        self.own.delete(&format!("/friends/{}", self.stock.id())).await?;
        for room in [theirs, mine] {
            self.client_sees(room, "leave").await?;
            self.own_lists(room, false).await?;
        }
        self.are("stranger", "stranger").await
    }

    /// What a client lists of itself is direct for its user as long as they list it, and is not the server's to remove.
    async fn lists_a_room(&self) -> anyhow::Result<()> {
        let (user, other) = (self.own.id(), self.stock.id());
        let room = self.stock.ask("create_room", json!({ "invite": user })).await?;
        self.are("stranger", "stranger").await?;
        let listed = json!({ "room": room, "user": user });
        self.stock.order("list_direct", listed).await?;
        self.own.post("/groups/join", json!({ "group": room })).await?;
        self.client_sees(&room, "join").await?;
        // The server follows the list after it was written: see when the room becomes the client's chat with the other.
        let path = format!("/friends/{user}");
        while self.stock.own.get(&path, &[]).await?["status"] != "friend" {}
        self.are("stranger", "friend").await?;
        // Neither what happens in the room nor in another changes the list.
        let request = self.own_asks("in a room of our own").await?;
        self.stock.order("accept", json!({ "room": request })).await?;
        self.client_lists(&request, true).await?;
        self.own.0.leave(&room).await?;
        self.client_sees(&room, "leave").await?;
        self.own.delete(&format!("/friends/{other}")).await?;
        self.client_sees(&request, "leave").await?;
        let list = self.stock.own.account_data("m.direct").await?;
        for room in [&room, &request] {
            ensure!(names(&list, user, room) == 1, "{room} is not in {list}");
        }
        // Nor does the server list again what the client does not want there.
        self.stock.order("unlist_direct", json!({ "room": room })).await?;
        self.own_asks("again").await?;
        let list = self.stock.own.account_data("m.direct").await?;
        ensure!(names(&list, user, &room) == 0, "{room} is again in {list}");
        Ok(())
    }

    /// Whom the client ignores it does not hear, and they cannot tell. When that ends, they are heard.
    async fn ignores(&self) -> anyhow::Result<()> {
        let (user, other) = (self.own.id(), self.stock.id());
        self.stock.order("ignore", json!({ "users": [user] })).await?;
        let asked = json!({ "user": other, "reason": "do you hear me?" });
        let answer = self.own.post("/friends", asked).await?;
        ensure!(answer["status"] == "asked", "asking gave {answer}");
        self.are("asked", "stranger").await?;
        let page = self.stock.own.get("/requests/received", &[]).await?;
        ensure!(!page.to_string().contains(user), "one who is ignored is heard: {page}");
        self.stock.order("ignore", json!({ "users": [] })).await?;
        self.are("asked", "asking").await?;
        self.asked(Some("do you hear me?"), "waiting", "waiting").await?;
        self.stock.own.post(&format!("/friends/{user}/accept"), json!({})).await?;
        let room = answer["room_id"].as_str().context("a request has a room")?;
        self.client_sees(room, "join").await?;
        self.are_friends(room).await
    }

    /// Our API asks; the client sees an invite to a direct chat, and the reason.
    async fn own_asks(&self, reason: &str) -> anyhow::Result<String> {
        let asked = json!({ "user": self.stock.id(), "reason": reason });
        let answer = self.own.post("/friends", asked).await?;
        ensure!(answer["status"] == "asked", "asking gave {answer}");
        let room = answer["room_id"].as_str().context("a request has a room")?;
        let wanted = json!({ "sender": self.own.id(), "reason": reason });
        let invite = self.stock.order("await_invite", wanted).await?;
        ensure!(invite == json!({ "room": room, "direct": true }), "the client sees {invite}");
        self.asked(Some(reason), "waiting", "waiting").await?;
        // So does it see, if it knows of them, how many requests wait.
        let counts = self.stock.own.get("/requests/received", &[]).await?["counts"].clone();
        let counts = json!({ "kind": "org.tertulia.requests", "content": counts });
        self.stock.order("await_account_data", counts).await?;
        Ok(room.to_owned())
    }

    /// Our API's newest request to the client is such a one for who asks, and for who is asked.
    async fn asked(
        &self,
        reason: Option<&str>,
        sent: &str,
        received: &str,
    ) -> anyhow::Result<String> {
        request(&self.own, &self.stock.own, "friend", reason, [sent, received]).await
    }

    /// So is the client's newest to our API.
    async fn asks(
        &self,
        reason: Option<&str>,
        sent: &str,
        received: &str,
    ) -> anyhow::Result<String> {
        request(&self.stock.own, &self.own, "friend", reason, [sent, received]).await
    }

    async fn own_accepts(&self, room: &str) -> anyhow::Result<()> {
        let path = format!("/friends/{}/accept", self.stock.id());
        let answer = self.own.post(&path, json!({})).await?;
        ensure!(answer["room_id"] == room, "accepting gave {answer}");
        self.client_sees(room, "join").await
    }

    /// Our API deletes the friend; the client sees them leave, and stays where it is.
    async fn own_parts(&self, room: &str) -> anyhow::Result<()> {
        self.own.delete(&format!("/friends/{}", self.stock.id())).await?;
        self.client_sees(room, "leave").await?;
        self.are("stranger", "stranger").await?;
        self.own_lists(room, false).await?;
        self.client_lists(room, true).await
    }

    /// The client sees the other come or go.
    async fn client_sees(&self, room: &str, membership: &str) -> anyhow::Result<()> {
        let seen = json!({ "room": room, "user": self.own.id(), "membership": membership });
        self.stock.order("await_membership", seen).await.map(drop)
    }

    /// The client's syncs tell the room in its user's list, or not.
    async fn client_lists(&self, room: &str, listed: bool) -> anyhow::Result<()> {
        let seen = json!({ "room": room, "user": self.own.id(), "listed": listed });
        self.stock.order("await_direct", seen).await.map(drop)
    }

    /// So do those of the other.
    async fn own_lists(&self, room: &str, listed: bool) -> anyhow::Result<()> {
        let wished = |list: &Value| names(list, self.stock.id(), room) == usize::from(listed);
        self.own.await_account_data("m.direct", wished).await.map(drop)
    }

    /// What our API says at once that each is to the other: what the client's user is to the other first.
    async fn are(&self, to_own: &str, to_stock: &str) -> anyhow::Result<()> {
        are(&self.own, &self.stock.own, [to_own, to_stock]).await
    }

    /// They are friends, in this room, wherever that shows: once in the friends and in the direct chats of both, once in the
    /// list of direct rooms of both.
    async fn are_friends(&self, room: &str) -> anyhow::Result<()> {
        are_friends(&self.own, &self.stock.own, room).await?;
        self.own_lists(room, true).await?;
        self.client_lists(room, true).await?;
        let list = self.stock.order("directs", json!({})).await?;
        ensure!(names(&list, self.own.id(), room) == 1, "the client has {list}");
        Ok(())
    }
}

/// What `two` are to each other: the second one to the first one first.
async fn are(one: &Own, other: &Own, expected: [&str; 2]) -> anyhow::Result<()> {
    let of = async |one: &Own, other: &Own| one.get(&format!("/friends/{}", other.id()), &[]).await;
    let (first, second) = try_join(of(one, other), of(other, one)).await?;
    ensure!(
        [&first["status"], &second["status"]] == expected,
        "for {} it is {first}, for {} {second}, and should be {expected:?}",
        one.id(),
        other.id()
    );
    for (user, other, expected) in [(one, other, expected[0]), (other, one, expected[1])] {
        let listed = listed(user, other.id()).await?;
        let is_right = listed.len() == usize::from(expected == "friend");
        ensure!(is_right, "the friends of {} have {listed:?}", user.id());
    }
    Ok(())
}

async fn are_friends(one: &Own, other: &Own, room: &str) -> anyhow::Result<()> {
    are(one, other, ["friend", "friend"]).await?;
    for (user, other) in [(one, other), (other, one)] {
        let listed = listed(user, other.id()).await?;
        ensure!(listed == [room], "the friends of {} have {listed:?}, not {room}", user.id());
        let chat = user.get(&format!("/chats/{room}"), &[]).await?;
        ensure!(chat["kind"] == "direct" && chat["friend"] == other.id(), "the chat is {chat}");
    }
    Ok(())
}

/// The rooms by which `friend` stands in a user's friends.
async fn listed(user: &Own, friend: &str) -> anyhow::Result<Vec<String>> {
    let (mut rooms, mut from) = (Vec::new(), None::<String>);
    loop {
        let query: Vec<_> = from.as_deref().map(|from| ("from", from)).into_iter().collect();
        let page = user.get("/friends", &query).await?;
        let friends = page["friends"].as_array().context("a page has friends")?;
        let those = friends.iter().filter(|one| one["user_id"] == friend);
        rooms.extend(those.filter_map(|one| one["room_id"].as_str().map(str::to_owned)));
        match page["next"].as_str() {
            Some(next) => from = Some(next.to_owned()),
            None => return Ok(rooms),
        }
    }
}

/// How often a list of direct rooms names a room, if only with this user.
fn names(list: &Value, user: &str, room: &str) -> usize {
    let count = |rooms: &Value| {
        rooms.as_array().map_or(0, |rooms| rooms.iter().filter(|one| **one == *room).count())
    };
    let all: usize = list.as_object().map_or(0, |list| list.values().map(count).sum());
    // Elsewhere it would be wrong.
    if all == count(&list[user]) { all } else { usize::MAX }
}

/// The client writes all of its list, of which it knows by syncs, while the server adds to it: what the client's own invites make,
/// what it accepts, and what another device of the same user accepts.
async fn lists_race(stock: &Person, others: &[Own]) -> anyhow::Result<()> {
    let mut rooms = Vec::new();
    for three in others.chunks(3) {
        let [asked, asking, waiting] = three else { continue };
        let (request, other) = (asks(asking, stock).await?, asks(waiting, stock).await?);
        let begin = async {
            let room = stock.ask("ask", json!({ "user": asked.id() })).await?;
            stock.order("list_direct", json!({ "room": room, "user": asked.id() })).await?;
            stock.order("accept", json!({ "room": other })).await?;
            stock.order("list_direct", json!({ "room": other, "user": waiting.id() })).await?;
            anyhow::Ok(room)
        };
        let accept = format!("/friends/{}/accept", asking.id());
        let (room, _) = try_join(begin, stock.own.post(&accept, json!({}))).await?;
        rooms.extend([(asked.id(), room), (asking.id(), request), (waiting.id(), other)]);
    }
    let all = |list: &Value| rooms.iter().all(|(user, room)| names(list, user, room) == 1);
    stock.own.await_account_data("m.direct", all).await?;
    for (user, room) in &rooms {
        let seen = json!({ "room": room, "user": user, "listed": true });
        stock.order("await_direct", seen).await?;
    }
    let list = stock.order("directs", json!({})).await?;
    ensure!(all(&list), "the client has {list}");
    Ok(())
}

async fn asks(who: &Own, whom: &Person) -> anyhow::Result<String> {
    let answer = who.post("/friends", json!({ "user": whom.id() })).await?;
    Ok(answer["room_id"].as_str().context("a request has a room")?.to_owned())
}

/// What the two clients do among themselves our API sees on both sides.
async fn between_clients(cast: &Cast<'_>) -> anyhow::Result<()> {
    let nio = cast.person(Kind::Nio, "nio-alone").await?;
    let sdk = cast.person(Kind::Sdk, "sdk-alone").await?;
    for (one, other) in [(&nio, &sdk), (&sdk, &nio)] {
        let room = one.ask("ask", json!({ "user": other.id(), "reason": "hello" })).await?;
        are(&one.own, &other.own, ["asked", "asking"]).await?;
        let wanted = json!({ "sender": one.id(), "reason": "hello" });
        let invite = other.order("await_invite", wanted).await?;
        ensure!(invite == json!({ "room": room, "direct": true }), "the client sees {invite}");
        other.order("leave", json!({ "room": room })).await?;
        are(&one.own, &other.own, ["stranger", "stranger"]).await?;
        let again = json!({ "room": room, "user": other.id(), "reason": "hello again" });
        one.order("ask_in", again).await?;
        are(&one.own, &other.own, ["asked", "asking"]).await?;
        other.order("accept", json!({ "room": room })).await?;
        are_friends(&one.own, &other.own, &room).await?;
        for (user, friend) in [(one, other), (other, one)] {
            let seen = json!({ "room": room, "user": friend.id(), "listed": true });
            user.order("await_direct", seen).await?;
        }
        one.order("leave_for_good", json!({ "room": room })).await?;
        are(&one.own, &other.own, ["stranger", "stranger"]).await?;
        other.order("leave_for_good", json!({ "room": room })).await?;
    }
    println!("matrix-nio and matrix-js-sdk became friends and parted, seen by our API");
    Ok(())
}
