//! What must hold after the server was killed and started again.

use std::collections::{BTreeMap, HashMap, HashSet};

use anyhow::{Context, bail, ensure};
use futures_util::future::try_join_all;
use serde_json::Value;
use tertulia_bench::api::{Towards, log_in};
use tertulia_bench::timeline::Event;

use crate::actor::{Actor, KIND};
use crate::ledger::Login;
use crate::view::{RoomView, View};

/// All events of a room, oldest first, with the text of each.
struct History {
    ids: Vec<String>,
    texts: HashMap<String, String>,
}

/// Nothing acknowledged is missing, nothing is doubled, and all clients agree.
pub async fn check(actors: &mut [Actor], rooms: &[String]) -> anyhow::Result<()> {
    try_join_all(actors.iter_mut().map(retry)).await?;
    let reader = &actors[0];
    let histories = try_join_all(rooms.iter().map(|room| History::read(reader, room))).await?;
    let histories: HashMap<&str, History> =
        rooms.iter().map(String::as_str).zip(histories).collect();
    check_messages(actors, &histories)?;
    let histories = &histories;
    try_join_all(actors.iter_mut().map(|actor| check_actor(actor, histories))).await?;
    Ok(())
}

/// What was under way is sent again; a retried transaction gives the first event.
async fn retry(actor: &mut Actor) -> anyhow::Result<()> {
    let unanswered =
        (0..actor.ledger.sent.len()).filter(|&index| actor.ledger.sent[index].event.is_none());
    for index in unanswered.collect::<Vec<_>>() {
        actor.repeat(index).await.context("retrying what was under way")?;
    }
    for index in actor.some_sent() {
        let again = actor.repeat(index).await.context("retrying what was acknowledged")?;
        let sent = &actor.ledger.sent[index];
        ensure!(sent.event.as_ref() == Some(&again), "{sent:?} became {again} when it was retried");
    }
    Ok(())
}

impl History {
    /// Pages from the end to the creation.
    async fn read(reader: &Actor, room: &str) -> anyhow::Result<History> {
        let (mut events, mut from) = (Vec::<Event>::new(), None::<String>);
        loop {
            let page = reader.account.messages(room, from.as_deref(), Towards::Past, 500).await;
            let page = page.with_context(|| format!("reading the history of {room}"))?;
            events.extend(page.chunk);
            match page.end {
                Some(end) => from = Some(end),
                None => break,
            }
        }
        events.reverse();
        let first = events.first().map(|event| event.kind.as_str());
        ensure!(
            first == Some("m.room.create"),
            "{room} begins with {first:?} instead of its creation"
        );
        let texts = events
            .iter()
            .filter_map(|event| Some((event.event_id.clone(), event.text()?)))
            .collect();
        Ok(History { ids: events.into_iter().map(|event| event.event_id).collect(), texts })
    }

    fn check_unique(&self, room: &str) -> anyhow::Result<()> {
        let ids: HashSet<_> = self.ids.iter().collect();
        ensure!(ids.len() == self.ids.len(), "an event stands twice in {room}");
        let texts: HashSet<_> = self.texts.values().collect();
        ensure!(texts.len() == self.texts.len(), "a message was stored twice in {room}");
        Ok(())
    }
}

/// Every message is in its room's history under the ID that was acknowledged, with its text, once.
fn check_messages(actors: &[Actor], histories: &HashMap<&str, History>) -> anyhow::Result<()> {
    for (room, history) in histories {
        history.check_unique(room)?;
    }
    for sent in actors.iter().flat_map(|actor| &actor.ledger.sent) {
        let id = sent.event.as_deref().context("a message was retried without an answer")?;
        let text = histories[sent.room.as_str()].texts.get(id);
        ensure!(text == Some(&sent.text), "{sent:?} is stored as {text:?}");
    }
    Ok(())
}

async fn check_actor(actor: &mut Actor, histories: &HashMap<&str, History>) -> anyhow::Result<()> {
    let user = actor.account.user.clone();
    check_views(actor, histories).await.with_context(|| format!("the sync of {user}"))?;
    check_files(actor).await.with_context(|| format!("the files of {user}"))?;
    check_logins(actor).await.with_context(|| format!("the devices of {user}"))?;
    check_password(actor).await.with_context(|| format!("the password of {user}"))
}

/// The old client goes on from its token until it knows what a new one is told, and both know what was promised.
async fn check_views(actor: &mut Actor, histories: &HashMap<&str, History>) -> anyhow::Result<()> {
    while actor.view.sync(&actor.account).await.context("going on from the old token")? {}
    let fresh = View::fresh(&actor.account).await.context("beginning anew")?;
    let old = &actor.view;
    ensure!(
        old.account_data == fresh.account_data,
        "account data: {:?} {:?}",
        old.account_data,
        fresh.account_data
    );
    let number = |data: &BTreeMap<String, Value>| {
        data.get(KIND).and_then(|content| content["number"].as_u64())
    };
    actor.ledger.account_data.settle(number(&fresh.account_data)).context("account data")?;
    let key = (KIND.to_owned(), actor.name().to_owned());
    for page in &mut actor.ledger.rooms {
        let history = &histories[page.room.as_str()];
        let (old, fresh) = (&old.rooms[&page.room], fresh.rooms.get(&page.room));
        let fresh = fresh.with_context(|| format!("a new client is not told of {}", page.room))?;
        compare(old, fresh, history).with_context(|| page.room.clone())?;
        page.account_data.settle(number(&fresh.account_data)).context("account data of a room")?;
        page.receipt
            .settle(fresh.receipts.get(&actor.account.user).cloned())
            .context("a receipt")?;
        let state = fresh.state.get(&key).and_then(|id| history.texts.get(id));
        page.state.settle(state.cloned()).context("a piece of state")?;
    }
    Ok(())
}

fn compare(old: &RoomView, fresh: &RoomView, history: &History) -> anyhow::Result<()> {
    ensure!(
        history.ids.ends_with(&fresh.timeline),
        "a new client is told another timeline than the history"
    );
    if !history.ids.ends_with(&old.timeline) {
        bail!(
            "the old client was told another timeline: {}",
            difference(&old.timeline, &history.ids)
        );
    }
    ensure!(old.state == fresh.state, "the state differs: {:?} and {:?}", old.state, fresh.state);
    ensure!(
        old.receipts == fresh.receipts,
        "the receipts differ: {:?} and {:?}",
        old.receipts,
        fresh.receipts
    );
    ensure!(old.account_data == fresh.account_data, "the account data of the room differs");
    Ok(())
}

/// Where a timeline leaves the history, in words.
fn difference(timeline: &[String], history: &[String]) -> String {
    let start = history.iter().position(|id| Some(id) == timeline.first());
    let expected = start.map_or(&[][..], |start| &history[start..]);
    let same = timeline.iter().zip(expected).take_while(|(told, stored)| told == stored).count();
    let (told, stored) = (timeline.get(same), expected.get(same));
    format!(
        "event {same} of {} ({} stored) is {told:?}, stored is {stored:?}",
        timeline.len(),
        expected.len()
    )
}

async fn check_files(actor: &mut Actor) -> anyhow::Result<()> {
    for index in actor.some_uploads() {
        let upload = &actor.ledger.uploads[index];
        let bytes = actor.account.download(&upload.uri).await?;
        upload.check(&bytes)?;
    }
    Ok(())
}

/// Who was logged out stays out, who was not stays in. Only the newest are asked for: there are many.
async fn check_logins(actor: &mut Actor) -> anyhow::Result<()> {
    for Login { account, alive } in actor.ledger.logins.iter_mut().rev().take(5) {
        let seen = account.is_logged_in().await?;
        alive
            .settle(Some(seen))
            .with_context(|| format!("whether {} is logged in", account.device))?;
    }
    Ok(())
}

/// The password is the one that was acknowledged last, or the one that was under way; never both, never neither.
async fn check_password(actor: &mut Actor) -> anyhow::Result<()> {
    let known = [actor.ledger.password.acknowledged(), actor.ledger.password.under_way()];
    let mut right = Vec::new();
    for password in known.into_iter().flatten() {
        match log_in(&actor.account.client, &actor.account.user, password).await {
            Ok(_) => right.push(password.clone()),
            Err(error) if error.code() == Some("M_FORBIDDEN") => {}
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(right.len() == 1, "{} of the passwords that it may have are right", right.len());
    actor.ledger.password.settle(right.pop())
}
