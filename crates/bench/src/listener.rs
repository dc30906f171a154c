//! Users whose sync is open all the time.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::{Mutex, mpsc};
use tokio::task::{AbortHandle, JoinSet};

use crate::api::Account;
use crate::crowd::AT_ONCE;
use crate::ledger::{Heard, Sent};
use crate::timeline::Update;

/// What a listener asks for: whole timelines, and of the members only those who speak.
const FILTER: &str = r#"{"room":{"timeline":{"limit":1000},"state":{"lazy_load_members":true}},"presence":{"types":[]}}"#;
/// How long a sync may stay open, in milliseconds.
const OPEN: u32 = 30_000;
/// A sync with nothing in it that comes back earlier was not held open.
const SOON: Duration = Duration::from_millis(100);
/// How often in a row that may happen: a server may have news that this listener does not read.
const PATIENCE: u32 = 5;
/// How many answers may lie unread before the next sync waits.
const UNREAD: usize = 16;

/// One answer to a listener's sync.
#[derive(Debug)]
pub struct Told {
    /// When the listener asked.
    pub asked: Instant,
    /// When it had the answer.
    pub at: Instant,
    /// The messages in it, by room, in the server's order.
    pub messages: Vec<(String, Heard)>,
}

/// A user whose sync is open from now until this is dropped: each answer is followed by the next sync at once.
#[derive(Debug)]
pub struct Listener {
    answers: Mutex<mpsc::Receiver<anyhow::Result<Told>>>,
    task: AbortHandle,
}

impl Listener {
    /// Brings the account up to date and opens its sync.
    pub async fn open(account: Account) -> anyhow::Result<Listener> {
        let since = up_to_date(&account).await?;
        let (answer, answers) = mpsc::channel(UNREAD);
        let task = tokio::spawn(listen(account.clone(), since, answer)).abort_handle();
        settle(&account).await?;
        Ok(Listener { answers: Mutex::new(answers), task })
    }

    /// Opens the syncs of all these accounts.
    pub async fn open_all(accounts: &[Account]) -> anyhow::Result<Vec<Listener>> {
        let opened = stream::iter(accounts.to_vec()).map(Listener::open).buffered(AT_ONCE);
        opened.try_collect().await
    }

    /// The next answer.
    pub async fn next(&self) -> anyhow::Result<Told> {
        self.answers.lock().await.recv().await.context("a listener ended")?
    }

    /// When the listener was told this message, which was acknowledged at `acknowledged` and must be what it hears next.
    pub async fn hear(&self, sent: &Sent, acknowledged: Instant) -> anyhow::Result<Instant> {
        loop {
            let told = self.next().await?;
            match told.messages.as_slice() {
                [] => ensure!(told.asked <= acknowledged, "a sync was not told {}", sent.event),
                [(_, heard)] if heard.event == sent.event && heard.text == sent.text => {
                    return Ok(told.at);
                }
                others => bail!("a sync told {others:?} instead of {}", sent.event),
            }
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Users who have nothing to hear and whose syncs are open until this is dropped.
#[derive(Debug, Default)]
pub struct Idlers(JoinSet<anyhow::Error>);

impl Idlers {
    /// Opens the syncs of all these accounts.
    pub async fn open(accounts: &[Account]) -> anyhow::Result<Idlers> {
        let idlers = RefCell::new(JoinSet::new());
        let open = |account: Account| {
            let idlers = &idlers;
            async move {
                let since = up_to_date(&account).await?;
                idlers.borrow_mut().spawn(idle(account.clone(), since));
                settle(&account).await
            }
        };
        let opened = stream::iter(accounts.to_vec()).map(open).buffered(AT_ONCE);
        opened.try_collect::<()>().await?;
        Ok(Idlers(idlers.into_inner()))
    }

    /// None of them has been told anything, and all their syncs are open.
    pub fn check(&mut self) -> anyhow::Result<()> {
        match self.0.try_join_next() {
            Some(outcome) => Err(outcome?.context("an idle sync ended")),
            None => Ok(()),
        }
    }
}

/// Takes one round trip. Syncs that were sent before it are open by then, as far as one can know from outside.
pub async fn settle(account: &Account) -> anyhow::Result<()> {
    tokio::task::yield_now().await;
    account.client.get_bytes("/_matrix/client/versions").await?;
    Ok(())
}

async fn up_to_date(account: &Account) -> anyhow::Result<String> {
    let update = account.sync(None, Some(FILTER), 0).await.context("a listener's first sync")?;
    Ok(update.next_batch)
}

async fn listen(account: Account, mut since: String, answers: mpsc::Sender<anyhow::Result<Told>>) {
    loop {
        let asked = Instant::now();
        let update = account.sync(Some(&since), Some(FILTER), OPEN).await;
        let told = update.map_err(anyhow::Error::from).and_then(|update| {
            since.clone_from(&update.next_batch);
            told(&update, asked)
        });
        let failed = told.is_err();
        if answers.send(told).await.is_err() || failed {
            return;
        }
    }
}

async fn idle(account: Account, mut since: String) -> anyhow::Error {
    let mut in_a_row = 0;
    while in_a_row < PATIENCE {
        let asked = Instant::now();
        match account.sync(Some(&since), Some(FILTER), OPEN).await {
            Err(error) => return error.into(),
            Ok(update) if !update.rooms.join.is_empty() => return anyhow!("it was told of rooms"),
            Ok(update) => since = update.next_batch,
        }
        in_a_row = if asked.elapsed() < SOON { in_a_row + 1 } else { 0 };
    }
    anyhow!("it comes back at once, with nothing")
}

fn told(update: &Update, asked: Instant) -> anyhow::Result<Told> {
    let mut messages = Vec::new();
    for (room, news) in &update.rooms.join {
        ensure!(!news.timeline.limited, "a sync was cut short: it lost messages");
        let heard = news.timeline.events.iter().filter_map(Heard::of);
        messages.extend(heard.map(|heard| (room.clone(), heard)));
    }
    Ok(Told { asked, at: Instant::now(), messages })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::Stub;

    const TEXT: &str = "hello";

    fn sent() -> Sent {
        Sent { text: TEXT.into(), event: "$1".into() }
    }

    /// A listener that has been answered with these events, the first of which was asked for before an acknowledgement.
    async fn hear(answers: &[&[&str]]) -> Result<(), String> {
        let (sender, receiver) = mpsc::channel(UNREAD);
        let (before, acknowledged) = (Instant::now(), Instant::now() + Duration::from_secs(1));
        for (number, events) in answers.iter().enumerate() {
            let asked = before + Duration::from_secs(2 * number as u64);
            let heard = |event: &&str| Heard { event: (*event).to_owned(), text: TEXT.to_owned() };
            let messages = events.iter().map(|event| ("!r".to_owned(), heard(event))).collect();
            sender.send(Ok(Told { asked, at: asked, messages })).await.unwrap();
        }
        drop(sender);
        let task = tokio::spawn(std::future::ready(())).abort_handle();
        let listener = Listener { answers: Mutex::new(receiver), task };
        listener.hear(&sent(), acknowledged).await.map(drop).map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_message_is_what_a_listener_hears_next() {
        assert_eq!(hear(&[&["$1"]]).await, Ok(()));
        assert_eq!(hear(&[&[], &["$1"]]).await, Ok(()));
        assert!(hear(&[&["$0"]]).await.unwrap_err().contains("instead of $1"));
        assert!(hear(&[&["$1", "$1"]]).await.unwrap_err().contains("instead of $1"));
        assert_eq!(hear(&[]).await.unwrap_err(), "a listener ended");
    }

    #[tokio::test]
    async fn a_sync_that_began_after_the_acknowledgement_tells_the_message() {
        assert_eq!(hear(&[&[], &[], &["$1"]]).await.unwrap_err(), "a sync was not told $1");
    }

    fn update(timeline: Value) -> Update {
        let rooms = json!({ "join": { "!r": { "timeline": timeline } } });
        serde_json::from_value(json!({ "next_batch": "t", "rooms": rooms })).unwrap()
    }

    #[test]
    fn only_messages_are_heard() {
        let event = |kind| json!({ "event_id": "$1", "sender": "@a:x", "type": kind, "content": { "body": TEXT } });
        let events = [event("m.room.member"), event("m.room.message")];
        let told = told(&update(json!({ "events": events })), Instant::now()).unwrap();
        let heard = Heard { event: "$1".into(), text: TEXT.into() };
        assert_eq!(told.messages, [("!r".to_owned(), heard)]);
    }

    #[test]
    fn a_timeline_that_was_cut_has_lost_messages() {
        assert!(told(&update(json!({ "limited": true })), Instant::now()).is_err());
    }

    /// The token after the one that a sync goes on from, and the message that comes with it.
    fn numbered(request: &str) -> (u16, Value) {
        let since = request.split(['&', '?']).find_map(|part| part.strip_prefix("since=s"));
        let next = since.map_or(0, |since| since.parse::<u32>().unwrap() + 1);
        let event = json!({ "event_id": format!("${next}"), "sender": "@a:x", "type": "m.room.message", "content": { "body": TEXT } });
        let rooms = json!({ "join": { "!r": { "timeline": { "events": [event] } } } });
        (200, json!({ "next_batch": format!("s{next}"), "rooms": rooms }))
    }

    #[tokio::test]
    async fn each_sync_goes_on_where_the_last_one_ended() {
        let stub = Stub::serve(numbered).await;
        let listener = Listener::open(stub.account()).await.unwrap();
        for expected in ["$1", "$2", "$3"] {
            let told = listener.next().await.unwrap();
            assert_eq!(told.messages[0].1.event, expected);
            assert!(told.asked <= told.at);
        }
        let asked = stub.asked();
        assert!(asked[0].contains("timeout=0") && !asked[0].contains("since="), "{asked:?}");
        assert!(asked[1].contains("timeout=30000&since=s0"), "{asked:?}");
    }

    #[tokio::test]
    async fn a_listener_that_nobody_hears_stops_asking() {
        let stub = Stub::serve(numbered).await;
        let listener = Listener::open(stub.account()).await.unwrap();
        listener.next().await.unwrap();
        for _ in 0..100 {
            settle(&stub.account()).await.unwrap();
        }
        let syncs = stub.asked().iter().filter(|line| line.contains("/sync")).count();
        assert!(syncs <= UNREAD + 4, "{syncs} syncs");
    }

    #[tokio::test]
    async fn a_sync_that_fails_is_told_and_is_the_last() {
        let answer = |request: &str| {
            let first = !request.contains("since=");
            if first { (200, json!({ "next_batch": "s" })) } else { (500, json!({})) }
        };
        let stub = Stub::serve(answer).await;
        let listener = Listener::open(stub.account()).await.unwrap();
        assert!(listener.next().await.unwrap_err().to_string().contains("refused with 500"));
        assert_eq!(listener.next().await.unwrap_err().to_string(), "a listener ended");
    }

    /// What an idle sync ends with, at a server that answers so.
    async fn idled(answer: (u16, Value)) -> String {
        let stub = Stub::serve(move |_| answer.clone()).await;
        idle(stub.account(), "s".into()).await.to_string()
    }

    #[tokio::test]
    async fn whoever_has_nothing_to_hear_must_not_be_woken() {
        let nothing = (200, json!({ "next_batch": "s" }));
        assert_eq!(idled(nothing).await, "it comes back at once, with nothing");
        let news = (200, json!({ "next_batch": "s", "rooms": { "join": { "!r": {} } } }));
        assert_eq!(idled(news).await, "it was told of rooms");
        assert!(idled((500, json!({}))).await.contains("refused with 500"));
    }

    #[tokio::test]
    async fn listeners_that_cannot_begin_are_not_opened() {
        let stub = Stub::serve(|_| (403, json!({}))).await;
        assert!(Listener::open_all(&[stub.account()]).await.is_err());
        assert!(Idlers::open(&[stub.account()]).await.is_err());
        assert!(Listener::open_all(&[]).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn an_idle_sync_that_ends_is_noticed() {
        let mut idlers = Idlers::default();
        assert!(idlers.check().is_ok());
        idlers.0.spawn(async { anyhow!("told") });
        tokio::task::yield_now().await;
        assert_eq!(format!("{:#}", idlers.check().unwrap_err()), "an idle sync ended: told");
    }
}
