//! A bot: a user who answers by itself. It comes wherever it is invited, obeys commands, and says who it is when
//! somebody mentions it.
//!
//! It lives in the same process as the server, and needs neither HTTP nor a password: it reads what happens to its
//! user as a stream, and acts by the same calls that serve the people's clients.
//!
//! Start it, make an account with a Matrix client at <http://127.0.0.1:8008>, and invite `@bot:localhost` to a room.

use std::error::Error;

use futures_util::TryStreamExt as _;
use tertulia::{
    ClientEvent, Homeserver, MemoryEngine, NewAccount, Registration, Settings, Updates, User,
    ruma::events::room::message::{MessageType, RoomMessageEventContent},
};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut settings = Settings::default();
    settings.registration = Registration::Open;
    let server = Homeserver::builder("localhost")?.settings(settings);
    let server = server.start(MemoryEngine::default()).await?;

    let bot = server.ensure_user(NewAccount::from("bot").with_display_name("The bot")).await?;
    tokio::spawn(live(bot.clone(), bot.updates()));

    let listener = TcpListener::bind("127.0.0.1:8008").await?;
    axum::serve(listener, tertulia_http::router(server)).await?;
    Ok(())
}

/// Answers to what happens until the server stops.
async fn live(bot: User, mut updates: Updates) -> tertulia::Result<()> {
    while let Some(update) = updates.try_next().await? {
        for room in update.invitations() {
            bot.room(room).join(None).await?;
        }
        for event in update.events() {
            // Somebody may have thrown the bot out meanwhile: that is no reason to end.
            if let Err(error) = answer(&bot, event).await {
                eprintln!("no answer to {}: {error}", event.id());
            }
        }
    }
    Ok(())
}

async fn answer(bot: &User, event: &ClientEvent) -> tertulia::Result<()> {
    let Some(said) = text_of(event).filter(|_| event.sender() != bot.id()) else { return Ok(()) };
    let room = bot.room(event.room());
    match obey(&said) {
        Some(words) => room.send_notice(&words).await?,
        None if said == "!members" => {
            let members = room.members().await?;
            room.send_notice(&format!("We are {}.", members.len())).await?
        }
        None if event.mentions(bot.id()) => room.reply(event.id(), "Say !help to me.").await?,
        None => return Ok(()),
    };
    Ok(())
}

/// What somebody says. Notices are what other bots say: to answer them would go on for ever.
fn text_of(event: &ClientEvent) -> Option<String> {
    match event.content_as::<RoomMessageEventContent>().ok()?.msgtype {
        MessageType::Text(text) => Some(text.body),
        _ => None,
    }
}

/// What the bot says to a command; none where it is no command that can be obeyed on the spot.
fn obey(said: &str) -> Option<String> {
    let mut words = said.split_whitespace();
    match words.next()? {
        "!help" => Some("I know !help, !add and !members.".to_owned()),
        "!add" => Some(match words.map(str::parse::<i64>).sum::<Result<i64, _>>() {
            Ok(sum) => sum.to_string(),
            Err(_) => "I can add whole numbers.".to_owned(),
        }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use tertulia::{NewGroup, Room};

    use super::*;

    /// A group of Alice and the bot, and what Alice is told.
    struct Talk {
        server: Homeserver,
        room: Room,
        updates: Updates,
        bot: User,
    }

    impl Talk {
        async fn begin() -> Self {
            let server = Homeserver::start("localhost", MemoryEngine::default()).await.unwrap();
            let bot = server.create_user("bot").await.unwrap();
            tokio::spawn(live(bot.clone(), bot.updates()));
            let alice = server.create_user("alice").await.unwrap();
            let updates = alice.updates();
            let group = NewGroup { members: vec![bot.id().to_owned()], ..NewGroup::default() };
            let room = alice.groups().create(group).await.unwrap();
            let mut talk = Self { server, room, updates, bot };
            talk.next(|event| event.state_key() == Some(event.sender().as_str())).await;
            talk
        }

        /// The next event of the bot that is of this kind.
        async fn next(&mut self, is: impl Fn(&ClientEvent) -> bool) -> ClientEvent {
            loop {
                let update = self.updates.try_next().await.unwrap().unwrap();
                let mut events = update.events().filter(|event| event.sender() == self.bot.id());
                if let Some(event) = events.find(|event| is(event)) {
                    return event.clone();
                }
            }
        }

        async fn say(&mut self, words: &str) -> String {
            self.room.send_text(words).await.unwrap();
            self.heard().await
        }

        async fn heard(&mut self) -> String {
            self.next(|event| event.body().is_some()).await.body().unwrap()
        }
    }

    #[tokio::test]
    async fn the_bot_comes_when_invited_and_obeys() {
        let mut talk = Talk::begin().await;
        assert_eq!(talk.say("!add 1 2 39").await, "42");
        assert_eq!(talk.say("!add one").await, "I can add whole numbers.");
        assert_eq!(talk.say("!members").await, "We are 2.");
        // Nobody answers to a notice, nor to what does not concern the bot.
        talk.room.send_notice("!help").await.unwrap();
        talk.room.send_text("good morning").await.unwrap();
        assert_eq!(talk.say("!help").await, "I know !help, !add and !members.");
    }

    #[tokio::test]
    async fn the_bot_answers_who_mentions_it_and_outlives_being_thrown_out() {
        let mut talk = Talk::begin().await;
        let said = talk.bot.room(talk.room.id()).send_notice("I am here").await.unwrap();
        assert_eq!(talk.heard().await, "I am here");
        talk.room.reply(&said, "who are you?").await.unwrap();
        assert_eq!(talk.heard().await, "Say !help to me.");
        talk.room.kick(talk.bot.id(), None).await.unwrap();
        talk.room.invite(talk.bot.id(), None, false).await.unwrap();
        talk.next(|event| event.state_key().is_some()).await;
        // Whoever comes back may be told once more what was said before, and the bot answers that once more.
        talk.room.send_text("!add 2 2").await.unwrap();
        talk.next(|event| event.body().as_deref() == Some("4")).await;
        talk.server.shutdown().await;
    }
}
