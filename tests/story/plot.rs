//! The story itself: what Alice, Bob and Carol do, one thing after another.

use std::{collections::HashMap, io::Cursor, time::Duration};

use image::{ImageFormat, Rgb, RgbImage};
use ruma::{EventId, MxcUri, OwnedEventId, OwnedRoomId, RoomId};
use serde_json::Value;
use tertulia::{Homeserver, MessageKind};
use tertulia_testkit::{DrivenClock, SmtpSink};

use crate::{
    transcript::{Transcript, lines},
    way::{Account, Aim, Answer, File, Group, News, Page, Person, Told, Way},
};

const PASSWORD: &str = "three old boats";
const NEW_PASSWORD: &str = "four new boats";

/// Tells the story.
pub(crate) async fn tell<W: Way>(stage: &Stage, way: &W) -> Transcript {
    let transcript = Transcript::default();
    let mut story = Story { way, stage, transcript, cast: Vec::new() };
    accounts(&mut story).await;
    profile(&mut story).await;
    let chat = friendship(&mut story).await;
    let said = talk(&mut story, &chat).await;
    group(&mut story, &chat).await;
    favourites(&mut story, &chat, &said).await;
    strangers(&mut story).await;
    refusals(&mut story, &chat, &said).await;
    parting(&mut story, &chat).await;
    assert_eq!(stage.sink.mails(), [], "nobody is sent what the story does not tell");
    story.transcript
}

async fn accounts<W: Way>(story: &mut Story<'_, W>) {
    story.transcript.chapter("Accounts");
    let alice = Account { name: "alice", nickname: "Alice", password: PASSWORD };
    let (session, code) = story.code(Aim::Register, "Alice", "alice@example.com").await;
    story.step("She registers, but mistypes the code, and another time types none.").await;
    let wrong = if code == "123456" { "123457" } else { "123456" };
    let way = story.way;
    story.refused(way.register(&alice, &session, Some(wrong)).await);
    story.refused(way.register(&alice, &session, None).await);
    story.step("She types the code, and registers.").await;
    let person = way.register(&alice, &session, Some(&code)).await.unwrap();
    story.joins("Alice", person);
    story.look_around().await;
    for (name, nickname) in [("bob", "Bob"), ("carol", "Carol")] {
        let (session, code) =
            story.code(Aim::Register, nickname, &format!("{name}@example.com")).await;
        story.step(&format!("{nickname} types the code, and registers in several steps.")).await;
        way.show_code(&session, &code).await.unwrap();
        let account = Account { name, nickname, password: PASSWORD };
        let person = way.register(&account, &session, None).await.unwrap();
        story.joins(nickname, person);
        story.look_around().await;
    }
    passwords(story).await;
}

async fn passwords<W: Way>(story: &mut Story<'_, W>) {
    let way = story.way;
    story.step("Alice logs in on her telephone, by her user name.").await;
    let mut telephone = way.log_in("alice", PASSWORD).await.unwrap();
    story.look_around().await;
    let (session, code) = story.code(Aim::ResetPassword, "Alice", "alice@example.com").await;
    story.step("Alice types the code, and sets a new password.").await;
    way.show_code(&session, &code).await.unwrap();
    way.reset_password(&session, NEW_PASSWORD).await.unwrap();
    story.mail("alice@example.com").await;
    let mut before = story.leaves("Alice");
    for (which, person) in [("computer", &mut before.person), ("telephone", &mut telephone)] {
        let refusal =
            person.ear().hear().await.expect_err("there is no news but that it is over").0;
        story.transcript.note(&format!("Alice's {which} is told: {refusal}"));
    }
    story.step("Alice logs in by her address, with the old password and with the new one.").await;
    story.refused(way.log_in("alice@example.com", PASSWORD).await);
    let person = way.log_in("alice@example.com", NEW_PASSWORD).await.unwrap();
    story.cast.insert(0, Actor { person, ..before });
    story.look_around().await;
}

async fn profile<W: Way>(story: &mut Story<'_, W>) {
    story.transcript.chapter("Profile");
    story.step("Alice shows a picture of herself, and calls herself Alice Liddell.").await;
    let alice = story.who("Alice");
    alice.set_avatar(&picture("alice.png", 32)).await.unwrap();
    alice.set_nickname("Alice Liddell").await.unwrap();
    story.look_around().await;
    story.step("Alice has another address, and proves it.").await;
    let session = story.who("Alice").ask_for_code("liddell@example.com").await.unwrap();
    let code = story.mail("liddell@example.com").await.expect("a code");
    story.who("Alice").change_email(&session, &code, NEW_PASSWORD).await.unwrap();
    story.mail("alice@example.com").await;
    story.look_around().await;
    story.step("Alice logs in by the old address, and by the new one.").await;
    story.refused(story.way.log_in("alice@example.com", NEW_PASSWORD).await);
    let elsewhere = story.way.log_in("liddell@example.com", NEW_PASSWORD).await.unwrap();
    story.look_around().await;
    story.step("Alice logs out there.").await;
    elsewhere.log_out().await.unwrap();
    story.look_around().await;
}

/// Tells the room for Alice and Bob.
async fn friendship<W: Way>(story: &mut Story<'_, W>) -> OwnedRoomId {
    story.transcript.chapter("Friends");
    story.step("Bob looks for Alice.").await;
    story.page("Bob", "search", Page::People("ali"), lines::people).await;
    story.step("Bob asks Alice to be friends.").await;
    story.who("Bob").befriend("alice", "We met at the river").await.unwrap();
    story.invited("Alice").await;
    story.look_around().await;
    story.step("Alice looks through her requests.").await;
    story.who("Alice").look_through().await.unwrap();
    story.look_around().await;
    story.step("Alice refuses.").await;
    let request = story.request("Alice").await;
    story.who("Alice").answer(&request, Answer::Refuse).await.unwrap();
    story.look_around().await;
    story.step("Bob asks again.").await;
    story.who("Bob").befriend("alice", "You lent me your book").await.unwrap();
    let chat = story.invited("Alice").await;
    story.look_around().await;
    story.step("Alice accepts.").await;
    let request = story.request("Alice").await;
    story.who("Alice").answer(&request, Answer::Accept).await.unwrap();
    story.member("Bob", &chat, "alice", "join").await;
    story.look_around().await;
    chat
}

/// What Alice and Bob said that Bob will keep.
struct Said {
    text: OwnedEventId,
    image: OwnedEventId,
    file: OwnedEventId,
}

async fn talk<W: Way>(story: &mut Story<'_, W>, chat: &RoomId) -> Said {
    story.transcript.chapter("Chat");
    story.step("Alice writes.").await;
    let text = story.who("Alice").say(chat, "Hello Bob, down here!").await.unwrap();
    story.hears("Bob", chat, &text).await;
    story.look_around().await;
    story.step("Bob answers with emoji.").await;
    let wave = story.who("Bob").say(chat, "👋🐇⏱️").await.unwrap();
    story.hears("Alice", chat, &wave).await;
    let reaction = story.who("Bob").react(chat, &text, "🎉").await.unwrap();
    story.hears("Alice", chat, &reaction).await;
    story.look_around().await;
    story.step("Alice shows a picture, which Bob opens.").await;
    let sea = picture("sea.png", 64);
    let image = story.who("Alice").send_image(chat, &sea).await.unwrap();
    story.opens("Bob", chat, &image, &sea).await;
    story.step("Alice sends a file, which Bob opens.").await;
    let notes = File {
        name: "notes.txt",
        content_type: "text/plain",
        bytes: "Why is a raven like a writing desk?\n".into(),
        size: None,
    };
    let file = story.who("Alice").send_file(chat, &notes).await.unwrap();
    story.opens("Bob", chat, &file, &notes).await;
    story.look_around().await;
    story.step("Bob has read all of it.").await;
    story.who("Bob").mark_read(chat, &file).await.unwrap();
    story.look_around().await;
    Said { text, image, file }
}

async fn group<W: Way>(story: &mut Story<'_, W>, chat: &RoomId) {
    story.transcript.chapter("Group");
    story.step("Alice makes a group, and has Bob invited.").await;
    let bob = story.who("Bob").id().to_owned();
    let wish = Group { name: "Tea at four", topic: "Clean cups", members: &[&bob] };
    let tea = story.who("Alice").create_group(&wish).await.unwrap();
    assert_eq!(story.invited("Bob").await, tea);
    story.look_around().await;
    story.step("Bob comes.").await;
    let request = story.request("Bob").await;
    story.who("Bob").answer(&request, Answer::Accept).await.unwrap();
    story.member("Alice", &tea, "bob", "join").await;
    story.look_around().await;
    story.step("Alice invites Carol, who comes, too.").await;
    let carol = story.who("Carol").id().to_owned();
    story.who("Alice").invite(&tea, &carol, "There is plenty of room").await.unwrap();
    story.invited("Carol").await;
    let request = story.request("Carol").await;
    story.who("Carol").answer(&request, Answer::Accept).await.unwrap();
    for other in ["Alice", "Bob"] {
        story.member(other, &tea, "carol", "join").await;
    }
    story.look_around().await;
    story.step("They talk.").await;
    for (speaker, words) in
        [("Carol", "Have some wine"), ("Alice", "I don't see any wine"), ("Bob", "There isn't any")]
    {
        let event = story.who(speaker).say(&tea, words).await.unwrap();
        for listener in ["Alice", "Bob", "Carol"].into_iter().filter(|name| *name != speaker) {
            story.hears(listener, &tea, &event).await;
        }
    }
    story.look_around().await;
    story.step("Bob calls himself Robert, here and there.").await;
    story.who("Bob").set_nickname("Robert").await.unwrap();
    story.renamed("Alice", &tea, "Robert").await;
    story.renamed("Alice", chat, "Robert").await;
    story.look_around().await;
    story.members("Alice", &tea).await;
    story.step("Carol leaves, and learns no more of it.").await;
    story.who("Carol").leave(&tea).await.unwrap();
    story.is_out("Carol", &tea).await;
    story.member("Alice", &tea, "carol", "leave").await;
    story.members("Alice", &tea).await;
    let told = story.who("Carol").say(&tea, "Is there any cake?").await;
    story.refused(told);
    story.look_around().await;
}

async fn favourites<W: Way>(story: &mut Story<'_, W>, chat: &RoomId, said: &Said) {
    story.transcript.chapter("Favourites");
    story.step("Bob keeps a text, a picture and a file.").await;
    for event in [&said.text, &said.image, &said.file] {
        story.who("Bob").keep(chat, event).await.unwrap();
    }
    story.look_around().await;
    for kind in [MessageKind::Text, MessageKind::Image, MessageKind::File, MessageKind::Audio] {
        story.step(&format!("Bob looks for {kind:?}.")).await;
        story.page("Bob", "favourites", Page::FavouritesOf(kind), lines::favourites).await;
    }
}

async fn strangers<W: Way>(story: &mut Story<'_, W>) {
    story.transcript.chapter("What cannot be");
    let way = story.way;
    let mallory = Account { name: "mallory", nickname: "Mallory", password: PASSWORD };
    story.step("Mallory wants to register with Bob's address, and Bob is told.").await;
    let session = way.ask_for_code(Aim::Register, "bob@example.com").await.unwrap();
    assert_eq!(story.mail("bob@example.com").await, None, "no code");
    story.refused(way.register(&mallory, &session, Some("123456")).await);
    story.step("Mallory wants a password for an address that nobody has.").await;
    let session = way.ask_for_code(Aim::ResetPassword, "mallory@example.com").await.unwrap();
    assert_eq!(story.mail("mallory@example.com").await, None, "no code");
    story.refused(way.show_code(&session, "123456").await);
    let (session, code) = story.code(Aim::Register, "Mallory", "mallory@example.com").await;
    let short = Account { password: "short", ..mallory };
    let taken = Account { name: "alice", ..mallory };
    let unseen = Account { nickname: "\u{200b}", ..mallory };
    story
        .step("Mallory wants a short password, Alice's name, and a nickname that nobody sees.")
        .await;
    for account in [short, taken, unseen] {
        story.refused(way.register(&account, &session, Some(&code)).await);
    }
    story.step("Mallory tries it in several steps.").await;
    for account in [short, taken] {
        story.refused(way.register(&account, &session, None).await);
    }
    story.look_around().await;
}

async fn refusals<W: Way>(story: &mut Story<'_, W>, chat: &RoomId, said: &Said) {
    story.step("Bob wants to be friends with himself, and with nobody.").await;
    for name in ["bob", "nobody", "Not A Name"] {
        let told = story.who("Bob").befriend(name, "Why not?").await;
        story.refused(told);
    }
    story.step("Alice answers a request that is over, and one that there never was.").await;
    let request = story.request("Alice").await;
    for request in [&*request, "12345", "x"] {
        let told = story.who("Alice").answer(request, Answer::Accept).await;
        story.refused(told);
    }
    story.step("Carol wants to be where she is not.").await;
    let bob = story.who("Bob").id().to_owned();
    let carol = story.who("Carol");
    let told = [
        carol.say(chat, "Hello?").await.map(drop),
        carol.react(chat, &said.text, "👀").await.map(drop),
        carol.mark_read(chat, &said.text).await,
        carol.keep(chat, &said.text).await,
        carol.invite(chat, &bob, "Come").await,
        carol.leave(chat).await,
        carol.see(Page::Members(chat)).await.map(drop),
        carol.delete_friend(&bob).await,
    ];
    for told in told {
        story.refused(told);
    }
    story.look_around().await;
}

async fn parting<W: Way>(story: &mut Story<'_, W>, chat: &RoomId) {
    story.transcript.chapter("Parting");
    story.step("Alice is Bob's friend no more.").await;
    let bob = story.who("Bob").id().to_owned();
    story.who("Alice").delete_friend(&bob).await.unwrap();
    story.member("Bob", chat, "alice", "leave").await;
    story.look_around().await;
    story.step("Bob writes to her all the same.").await;
    let told = story.who("Bob").say(chat, "Alice?").await;
    story.transcript.note(if told.is_ok() { "Nobody hears it." } else { "He cannot." });
    story.look_around().await;
}

/// What everyone finds who looks back later: on all pages, and in the files that they kept.
pub(crate) async fn look_back<W: Way>(way: &W) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for (user, password) in
        [("liddell@example.com", NEW_PASSWORD), ("bob", PASSWORD), ("carol", PASSWORD)]
    {
        let person = way.log_in(user, password).await.unwrap();
        for (title, page, _) in PAGES {
            let shown = person.see(page).await.unwrap();
            for favourite in shown["favourites"].as_array().into_iter().flatten() {
                let Some(uri) = favourite["message"]["content"]["url"].as_str() else { continue };
                let bytes = person.download(<&MxcUri>::from(uri)).await.unwrap();
                found.push((uri.to_owned(), bytes.to_vec().into()));
            }
            found.push((format!("{user}'s {title}"), shown));
        }
        person.log_out().await.unwrap();
    }
    found
}

/// Where the story happens.
pub(crate) struct Stage {
    pub(crate) server: Homeserver,
    pub(crate) sink: SmtpSink,
    pub(crate) clock: DrivenClock,
}

/// The story as far as it was told.
struct Story<'a, W: Way> {
    way: &'a W,
    stage: &'a Stage,
    transcript: Transcript,
    cast: Vec<Actor<W::Person>>,
}

/// Somebody in the story.
struct Actor<P> {
    name: &'static str,
    person: P,
    /// What the server told that did not matter yet.
    told: Vec<News>,
    /// What was last written down of each page.
    seen: HashMap<&'static str, Vec<String>>,
}

/// The pages that everyone looks at after each step, and how they are written down.
type Lines = fn(&Value) -> Vec<String>;
const PAGES: [(&str, Page<'static>, Lines); 6] = [
    ("account", Page::Account, lines::account),
    ("requests received", Page::Received, lines::received),
    ("requests sent", Page::Sent, lines::sent),
    ("friends", Page::Friends, lines::friends),
    ("chats", Page::Chats, lines::chats),
    ("favourites", Page::Favourites, lines::favourites),
];

impl<W: Way> Story<'_, W> {
    /// Goes on ten seconds later.
    async fn step(&mut self, what: &str) {
        // Who has just been told something listens again: else chance would say how present they are.
        while self.stage.server.waiting_syncs() < self.cast.len() {
            tokio::task::yield_now().await;
        }
        self.stage.clock.advance(Duration::from_secs(10));
        self.transcript.step(what);
    }

    fn refused<T>(&mut self, told: Told<T>) {
        let refusal = told.err().expect("this is to be refused");
        self.transcript.note(&format!("Refused: {}", refusal.0));
    }

    fn joins(&mut self, name: &'static str, person: W::Person) {
        self.cast.push(Actor { name, person, told: Vec::new(), seen: HashMap::new() });
    }

    fn leaves(&mut self, name: &str) -> Actor<W::Person> {
        let at =
            self.cast.iter().position(|actor| actor.name == name).expect("somebody of the cast");
        self.cast.remove(at)
    }

    fn actor(&mut self, name: &str) -> &mut Actor<W::Person> {
        self.cast.iter_mut().find(|actor| actor.name == name).expect("somebody of the cast")
    }

    fn who(&mut self, name: &str) -> &W::Person {
        &self.actor(name).person
    }

    /// Lets a code be sent to one who is not logged in; tells the session and the code.
    async fn code(&mut self, aim: Aim, who: &str, email: &str) -> (String, String) {
        self.step(&match aim {
            Aim::Register => format!("{who} wants to register, and gives an address."),
            Aim::ResetPassword => {
                format!("{who} has forgotten the password, and gives an address.")
            }
        })
        .await;
        let session = self.way.ask_for_code(aim, email).await.unwrap();
        (session, self.mail(email).await.expect("a code"))
    }

    /// The mail that comes to an address; tells the code in it.
    async fn mail(&mut self, address: &str) -> Option<String> {
        let mail = self.stage.sink.take(address).await;
        let subject = mail.header("Subject").expect("a subject");
        self.transcript.note(&format!("Mail to {address}: {subject}"));
        mail.text().contains("Your code is").then(|| mail.code())
    }

    /// Everyone looks at all pages; what is new there is written down.
    async fn look_around(&mut self) {
        for Actor { name, person, seen, .. } in &mut self.cast {
            for (title, page, lines) in PAGES {
                let shown = person.see(page).await.unwrap();
                self.transcript.minute(&format!("{name}'s {title}"), &shown);
                let lines = lines(&shown);
                if seen.get(title).map(Vec::as_slice).unwrap_or_default() == lines {
                    continue;
                }
                self.transcript.page(&format!("{name}'s {title}"), &lines);
                seen.insert(title, lines);
            }
        }
    }

    /// What somebody finds on a page.
    async fn page(&mut self, name: &str, title: &str, page: Page<'_>, lines: Lines) {
        let (shown, title) = (self.who(name).see(page).await.unwrap(), format!("{name}'s {title}"));
        self.transcript.minute(&title, &shown);
        self.transcript.page(&title, &lines(&shown));
    }

    async fn members(&mut self, name: &str, group: &RoomId) {
        self.page(name, "group", Page::Members(group), lines::members).await;
    }

    /// The newest request that somebody received.
    async fn request(&mut self, name: &str) -> String {
        let page = self.who(name).see(Page::Received).await.unwrap();
        page["requests"][0]["id"].as_str().expect("a request").to_owned()
    }

    /// Waits until somebody is told of what `is_it`; what comes before is for later.
    async fn told<T>(&mut self, name: &str, mut is_it: impl FnMut(&News) -> Option<T>) -> T {
        let Actor { person, told, .. } = self.actor(name);
        for at in 0.. {
            if at == told.len() {
                told.push(person.ear().hear().await.unwrap());
            }
            if let Some(it) = is_it(&told[at]) {
                told.remove(at);
                return it;
            }
        }
        unreachable!("there are more numbers than news");
    }

    /// Somebody is told of an invitation; tells the room.
    async fn invited(&mut self, name: &str) -> OwnedRoomId {
        let room = self.told(name, |news| match news {
            News::Invitation { room } => Some(room.clone()),
            _ => None,
        });
        room.await
    }

    /// Somebody is told of an event in a room that `is_it`.
    async fn happens(&mut self, name: &str, at: &RoomId, is_it: impl Fn(&Value) -> bool) -> Value {
        let event = self.told(name, |news| match news {
            News::Event { room, event } if room == at && is_it(event) => Some(event.clone()),
            _ => None,
        });
        let event = event.await;
        self.transcript.minute(&format!("{name} hears"), &event);
        self.transcript.note(&format!("{name} hears: {}", lines::event(&event)));
        event
    }

    /// Somebody is told of an event that was sent.
    async fn hears(&mut self, name: &str, room: &RoomId, event: &EventId) -> Value {
        self.happens(name, room, |heard| heard["event_id"] == event.as_str()).await
    }

    /// Somebody is told what another is to a room.
    async fn member(&mut self, name: &str, room: &RoomId, user: &str, membership: &str) {
        let id = format!("@{user}:example.org");
        let is_it = |event: &Value| {
            event["state_key"] == *id && event["content"]["membership"] == membership
        };
        self.happens(name, room, is_it).await;
    }

    /// Somebody is told that they are in a room no more.
    async fn is_out(&mut self, name: &str, of: &RoomId) {
        let left = |news: &News| matches!(news, News::Left { room } if room == of).then_some(());
        self.told(name, left).await;
    }

    /// Somebody is told that another is called otherwise.
    async fn renamed(&mut self, name: &str, room: &RoomId, nickname: &str) {
        let is_it = |event: &Value| {
            event["type"] == "m.room.member" && event["content"]["displayname"] == nickname
        };
        self.happens(name, room, is_it).await;
    }

    /// Somebody is told of a file, and opens it.
    async fn opens(&mut self, name: &str, room: &RoomId, event: &EventId, file: &File) {
        let event = self.hears(name, room, event).await;
        let uri = <&MxcUri>::from(event["content"]["url"].as_str().expect("a file"));
        let bytes = self.who(name).download(uri).await.unwrap();
        assert_eq!(bytes, file.bytes);
        self.transcript.note(&format!("{name} has it, byte by byte."));
    }
}

/// A picture that nobody has drawn before.
fn picture(name: &'static str, width: u32) -> File {
    let height = width / 2;
    let colour = |x, y| Rgb([(x * 4) as u8, (y * 4) as u8, 128]);
    let mut bytes = Vec::new();
    let drawn = RgbImage::from_fn(width, height, colour);
    drawn.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).expect("a picture");
    File { name, content_type: "image/png", bytes: bytes.into(), size: Some((width, height)) }
}
