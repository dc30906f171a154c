//! What the two clients live through.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, ensure};
use futures_util::future::{try_join, try_join4};
use rand::Rng;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tertulia_bench::server::Server;
use tertulia_tests::program::Program;

use crate::client::Client;

/// How many messages each sends while the server dies.
const MANY: u64 = 300;
/// How many of them were acknowledged when it is killed.
const BEFORE: u64 = 20;
/// The smallest image there is.
const IMAGE: &str = "89504e470d0a1a0a0000000d4948445200000001000000010804000000b51c0c020000000b4944415478da6364f80f\
                     00010501012718e3660000000049454e44ae426082";

/// Alice, Bob, and the server between them.
#[derive(Debug)]
pub struct Story<'a> {
    program: &'a Program,
    server: Server,
    alice: Client,
    bob: Client,
}

/// The room that they are in, and what is in it.
#[derive(Debug)]
struct Chat {
    room: String,
    alice: String,
    bob: String,
    /// The texts of all messages.
    texts: HashSet<String>,
}

/// A file, and what it has to be when it comes back.
struct Sample {
    path: PathBuf,
    digest: String,
}

/// A message as a client holds it: its ID and its text.
type Message = (String, String);

impl<'a> Story<'a> {
    /// Starts the server.
    pub async fn begin(
        program: &'a Program,
        alice: Client,
        bob: Client,
    ) -> anyhow::Result<Story<'a>> {
        let (server, _) = program.start(program.command()?).await?;
        Ok(Story { program, server, alice, bob })
    }

    /// The story, from the registration to the last page of history.
    pub async fn tell(mut self) -> anyhow::Result<()> {
        let mut chat = self.meet().await?;
        println!("both are in a room");
        self.talk(&mut chat).await?;
        self.notice(&chat).await?;
        self.show(&mut chat).await?;
        println!("text, emoji, typing, receipts, an image and a file have arrived");
        let file = self.survive(&mut chat).await?;
        println!("the server was killed and started again; the clients have sent everything");
        self.compare(&chat).await?;
        println!(
            "both hold the same {} messages, each once, and find them in the history",
            chat.texts.len()
        );
        ensure!(file, "the file that was being uploaded came back as another");
        Ok(())
    }

    /// Both register; Alice creates a room and invites Bob.
    async fn meet(&self) -> anyhow::Result<Chat> {
        let register = |name: &str| json!({ "name": name, "password": "correct horse battery" });
        let alice = self.alice.ask("register", register("alice")).await?;
        let bob = self.bob.ask("register", register("bob")).await?;
        let room = self.alice.ask("create_room", json!({ "invite": bob })).await?;
        let joined = self.bob.ask("join_invited", json!({})).await?;
        ensure!(joined == room, "Bob was invited to {joined}, not to {room}");
        self.alice.order("await_member", json!({ "room": room, "user": bob })).await?;
        Ok(Chat { room, alice, bob, texts: HashSet::new() })
    }

    async fn talk(&self, chat: &mut Chat) -> anyhow::Result<()> {
        for text in ["Hello, Bob", "How are you? 🦀 ¡Qué alegría! 👩‍👩‍👧‍👦"] {
            self.pass(chat, &self.alice, &self.bob, text).await?;
        }
        for text in ["Hello, Alice", "😀"] {
            self.pass(chat, &self.bob, &self.alice, text).await?;
        }
        Ok(())
    }

    /// One says something, the other hears it.
    async fn pass(
        &self,
        chat: &mut Chat,
        from: &Client,
        to: &Client,
        text: &str,
    ) -> anyhow::Result<()> {
        let said = json!({ "room": chat.room, "text": text });
        let (sent, heard) =
            try_join(from.ask("say", said.clone()), to.ask("await_text", said)).await?;
        ensure!(sent == heard, "{text:?} was sent as {sent} and heard as {heard}");
        chat.texts.insert(text.to_owned());
        Ok(())
    }

    /// Typing and receipts, both ways.
    async fn notice(&self, chat: &Chat) -> anyhow::Result<()> {
        let sides = [
            (&self.alice, &self.bob, &chat.alice, "😀"),
            (&self.bob, &self.alice, &chat.bob, "Hello, Bob"),
        ];
        for (one, other, user, text) in sides {
            one.order("type", json!({ "room": chat.room, "typing": true })).await?;
            other.order("await_typing", json!({ "room": chat.room, "user": user })).await?;
            one.order("type", json!({ "room": chat.room, "typing": false })).await?;
            let event = one.ask("await_text", json!({ "room": chat.room, "text": text })).await?;
            one.order("read", json!({ "room": chat.room, "event": event })).await?;
            other
                .order("await_receipt", json!({ "room": chat.room, "user": user, "event": event }))
                .await?;
        }
        Ok(())
    }

    /// Bob sends an image, Alice a file.
    async fn show(&self, chat: &mut Chat) -> anyhow::Result<()> {
        let image = self.sample("image.png", hex::decode(IMAGE)?)?;
        let file = self.sample("file.bin", random(1_000_000))?;
        let sides = [
            (&self.bob, &self.alice, image, "m.image", "image/png"),
            (&self.alice, &self.bob, file, "m.file", "application/octet-stream"),
        ];
        for (from, to, sample, kind, mimetype) in sides {
            let sent = json!({ "room": chat.room, "path": sample.path, "kind": kind, "mimetype": mimetype });
            let sent = from.order("send_file", sent).await?;
            to.order("await_text", json!({ "room": chat.room, "text": sample.name() })).await?;
            ensure!(
                sample.is_at(to, &sent["uri"]).await?,
                "{} came back as another file",
                sample.name()
            );
            chat.texts.insert(sample.name());
        }
        Ok(())
    }

    /// Both send, Alice uploads, the server is killed and started again. True if the file arrived as it was.
    async fn survive(&mut self, chat: &mut Chat) -> anyhow::Result<bool> {
        let file = self.sample("large.bin", random(20_000_000))?;
        let many = |prefix| json!({ "room": chat.room, "prefix": prefix, "count": MANY });
        let upload = json!({ "room": chat.room, "path": file.path, "kind": "m.file", "mimetype": "x/y", "hold": true });
        let (alice, bob) = (&self.alice, &self.bob);
        let (program, server) = (self.program, &mut self.server);
        let (_, _, sent, ()) = try_join4(
            alice.order("say_many", many("Alice says")),
            bob.order("say_many", many("Bob says")),
            alice.order("send_file", upload),
            die_and_rise(program, server, alice, bob),
        )
        .await?;
        chat.texts
            .extend((0..MANY).flat_map(|n| [format!("Alice says {n}"), format!("Bob says {n}")]));
        chat.texts.insert(file.name());
        file.is_at(bob, &sent["uri"]).await
    }

    /// Both hold the same messages in the same order, each once; and both find them by paginating.
    async fn compare(&self, chat: &Chat) -> anyhow::Result<()> {
        let held = json!({ "room": chat.room, "count": chat.texts.len() });
        let alice: Vec<Message> =
            serde_json::from_value(self.alice.order("held", held.clone()).await?)?;
        let bob: Vec<Message> = serde_json::from_value(self.bob.order("held", held).await?)?;
        ensure!(alice == bob, "they hold different messages: {}", difference(&alice, &bob));
        let ids: HashSet<_> = alice.iter().map(|(id, _)| id).collect();
        ensure!(ids.len() == alice.len(), "a message is held twice");
        let texts: HashSet<_> = alice.iter().map(|(_, text)| text.clone()).collect();
        ensure!(
            texts == chat.texts && alice.len() == texts.len(),
            "{} messages for {} texts",
            alice.len(),
            texts.len()
        );
        for client in [&self.alice, &self.bob] {
            let history = client.order("history", json!({ "room": chat.room })).await?;
            ensure!(
                history["first"] == "m.room.create",
                "the room begins with {}",
                history["first"]
            );
            let messages: Vec<Message> = serde_json::from_value(history["messages"].clone())?;
            ensure!(messages == alice, "the history differs: {}", difference(&alice, &messages));
        }
        Ok(())
    }

    fn sample(&self, name: &str, bytes: Vec<u8>) -> anyhow::Result<Sample> {
        let path = self.program.file(name);
        let digest = hex::encode(Sha256::digest(&bytes));
        fs::write(&path, bytes).with_context(|| format!("writing {}", path.display()))?;
        Ok(Sample { path, digest })
    }
}

/// Kills the server while both are sending and half a file is on its way, and starts it again.
async fn die_and_rise(
    program: &Program,
    server: &mut Server,
    alice: &Client,
    bob: &Client,
) -> anyhow::Result<()> {
    alice.until(|progress| progress.half && progress.said >= BEFORE).await?;
    bob.until(|progress| progress.said >= BEFORE).await?;
    let command = program.command()?;
    server.kill()?;
    let said = [alice.progress().said, bob.progress().said];
    ensure!(
        said.iter().all(|said| *said < MANY),
        "they had sent everything before the server was killed: {said:?}"
    );
    println!("killed after {} and {} of {MANY} messages", said[0], said[1]);
    (*server, _) = program.start(command).await?;
    alice.order("server_is_back_again", json!({})).await?;
    Ok(())
}

impl Sample {
    fn name(&self) -> String {
        self.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    async fn is_at(&self, client: &Client, uri: &Value) -> anyhow::Result<bool> {
        Ok(client.ask("download", json!({ "uri": uri })).await? == self.digest)
    }
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    rand::rng().fill_bytes(&mut bytes);
    bytes
}

/// The first place where two lists differ, in words.
fn difference(one: &[Message], other: &[Message]) -> String {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    format!(
        "{} and {} of them, number {same} is {:?} and {:?}",
        one.len(),
        other.len(),
        one.get(same),
        other.get(same)
    )
}
