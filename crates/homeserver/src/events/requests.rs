//! Requests on the pages of those who ask and who are asked: a projection of invites and knocks, and of
//! the memberships that answer them.
//!
//! How many wait is told to clients as the account data [`KIND`], which only the server writes.

use ruma::{OwnedUserId, UserId, events::room::member::MembershipState};
use serde::{Deserialize, Serialize};
use tertulia_protocol::{Pdu, RequestKind, RequestState, Welcome};
use tertulia_storage::{Descending, Position, Tx};

use super::{
    Head, Invitations, current_power,
    members::{Asking, MemberContent},
    roster,
};
use crate::{
    Result,
    core::Core,
    log,
    schema::{
        ACCOUNT_DATA, ACCOUNT_DATA_CHANGES, ACCOUNTS, AccountDatum, Entry, MembershipKind,
        OPEN_REQUESTS, OpenRequest, REQUESTS, REQUESTS_SEEN, RequestBox, RequestPage, RequestRow,
        Scope,
    },
};

/// The account data that says how many requests wait.
pub(crate) const KIND: &str = "org.tertulia.requests";
/// How many of those who may let people in are told of a knock.
const MOST_TOLD: usize = 20;
/// How many characters of a reason are kept.
const REASON: usize = 500;

/// How many requests wait, as clients are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCounts {
    /// How many others ask the user.
    #[serde(default)]
    pub received: u64,
    /// How many of them the user has not looked at.
    #[serde(default)]
    pub unread: u64,
    /// How many the user asks.
    #[serde(default)]
    pub sent: u64,
}

/// A member event that may ask or answer.
pub(super) struct Moved<'a> {
    pub(super) user: &'a OwnedUserId,
    pub(super) content: &'a MemberContent,
    /// The event in force; none where there is none any more.
    pub(super) event: Option<&'a Pdu>,
    pub(super) asking: Asking,
    /// What led to it, and where.
    pub(super) because: &'a Pdu,
    pub(super) position: Position,
}

/// Ends the request that a membership answers, and begins the one that it is.
pub(super) async fn note(tx: &mut Tx, core: &Core, head: &Head, moved: Moved<'_>) -> Result<()> {
    let key = (head.room.clone(), moved.user.clone());
    let state = moved.content.membership.map(|kind| MembershipState::from(kind.name()));
    if let Some(open) = tx.get(&OPEN_REQUESTS, &key).await? {
        let kind = RequestKind::ALL.get(usize::from(open.kind)).copied();
        let by_themself = moved.because.sender() == moved.user;
        let kind = kind.unwrap_or(RequestKind::Group);
        let after = RequestState::after(kind, state.as_ref(), by_themself);
        if after == RequestState::Waiting {
            return Ok(());
        }
        tx.delete(&OPEN_REQUESTS, &key);
        let ended = moved.because.origin_server_ts().get().into();
        for page in &open.pages {
            end(tx, page, open.at, after, ended).await?;
        }
    }
    match (moved.content.membership, moved.event) {
        (Some(MembershipKind::Invite | MembershipKind::Knock), Some(event)) => {
            begin(tx, core, head, &moved, event).await
        }
        _ => Ok(()),
    }
}

async fn begin(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    moved: &Moved<'_>,
    event: &Pdu,
) -> Result<()> {
    let kind = match moved.content.membership {
        Some(MembershipKind::Knock) => RequestKind::Knock,
        _ if moved.asking.direct => RequestKind::Friend,
        _ => RequestKind::Group,
    };
    let row = RequestRow {
        kind: kind as u8,
        room: head.room.clone(),
        subject: moved.user.clone(),
        asker: event.sender().to_owned(),
        reason: reason(event),
        asked: event.origin_server_ts().get().into(),
        state: RequestState::Waiting as u8,
        ended: None,
    };
    let mut pages = Vec::new();
    for page in pages_of(tx, core, head, moved, &row).await? {
        let account = tx.get(&ACCOUNTS, &(page.user.clone(),)).await?;
        if account.is_none_or(|account| account.deactivated.is_some()) {
            continue;
        }
        let key = (page.user.clone(), page.page, Descending(moved.position));
        tx.put(&REQUESTS, &key, &row);
        count(tx, &page.user, |counts| match page.page {
            RequestBox::Received => {
                counts.received += 1;
                counts.unread += 1;
            }
            RequestBox::Sent => counts.sent += 1,
        })
        .await?;
        pages.push(page);
    }
    if !pages.is_empty() {
        let open = OpenRequest { kind: kind as u8, at: moved.position, pages };
        tx.put(&OPEN_REQUESTS, &(head.room.clone(), moved.user.clone()), &open);
    }
    Ok(())
}

/// On whose pages a request is to stand: the asker's, and those of whoever can answer it and wants to
/// hear of it.
async fn pages_of(
    tx: &Tx,
    core: &Core,
    head: &Head,
    moved: &Moved<'_>,
    row: &RequestRow,
) -> Result<Vec<RequestPage>> {
    let mut pages = vec![RequestPage { user: row.asker.clone(), page: RequestBox::Sent }];
    let mut answerers = Vec::new();
    if row.kind() != RequestKind::Knock {
        let welcome = Invitations::to(tx, moved.user).await?.by(&row.asker);
        let is_told = welcome == Welcome::Told && !moved.asking.unwelcome;
        answerers.extend(is_told.then(|| moved.user.clone()));
    } else {
        for inviter in current_power(tx, core, head).await?.inviters().into_iter().take(MOST_TOLD) {
            let member = roster::member(tx, head, &inviter).await?;
            if member.is_some_and(|member| member.kind == MembershipKind::Join) {
                answerers.push(inviter);
            }
        }
    }
    let received = |user| RequestPage { user, page: RequestBox::Received };
    pages.extend(answerers.into_iter().map(received));
    pages.retain(|page| core.is_local(page.user.server_name()));
    Ok(pages)
}

/// Says on one page what has become of a request.
async fn end(
    tx: &mut Tx,
    page: &RequestPage,
    at: Position,
    state: RequestState,
    ended: u64,
) -> Result<()> {
    let key = (page.user.clone(), page.page, Descending(at));
    let Some(row) = tx.get_guarded(&REQUESTS, &key).await? else { return Ok(()) };
    let told = match page.page {
        RequestBox::Received => state,
        RequestBox::Sent => state.for_asker(),
    };
    tx.put(&REQUESTS, &key, &RequestRow { state: told as u8, ended: Some(ended), ..row });
    let seen = tx.get(&REQUESTS_SEEN, &(page.user.clone(),)).await?;
    let was_unread = seen.is_none_or(|(seen,)| at > seen);
    count(tx, &page.user, |counts| match page.page {
        RequestBox::Received => {
            counts.received = counts.received.saturating_sub(1);
            counts.unread = counts.unread.saturating_sub(u64::from(was_unread));
        }
        RequestBox::Sent => counts.sent = counts.sent.saturating_sub(1),
    })
    .await
}

/// How many requests of a user wait.
pub(crate) async fn request_counts(
    tx: &tertulia_storage::View,
    user: &UserId,
) -> Result<RequestCounts> {
    let datum = tx.get(&ACCOUNT_DATA, &counts_key(user)).await?;
    Ok(datum.map(|datum| read_counts(&datum)).unwrap_or_default())
}

fn counts_key(user: &UserId) -> (OwnedUserId, Scope, String) {
    (user.to_owned(), Scope::Global, KIND.to_owned())
}

fn read_counts(datum: &AccountDatum) -> RequestCounts {
    serde_json::from_str(&datum.content).unwrap_or_default()
}

/// Tells a user's clients how many requests wait, after a change of that.
pub(crate) async fn count(
    tx: &mut Tx,
    user: &UserId,
    change: impl FnOnce(&mut RequestCounts),
) -> Result<()> {
    let key = counts_key(user);
    let old = tx.get_guarded(&ACCOUNT_DATA, &key).await?;
    let mut counts = old.as_ref().map(read_counts).unwrap_or_default();
    change(&mut counts);
    if let Some(old) = old {
        tx.delete(&ACCOUNT_DATA_CHANGES, &(key.0.clone(), old.at));
    }
    let (user, kind) = (user.to_owned(), KIND.to_owned());
    let at =
        log::record(tx, &Entry::AccountData { user: user.clone(), room: None, kind: kind.clone() });
    let content = serde_json::to_string(&counts).expect("numbers are JSON");
    tx.put(&ACCOUNT_DATA, &key, &AccountDatum { at, content });
    tx.put(&ACCOUNT_DATA_CHANGES, &(user, at), &(Scope::Global, kind));
    Ok(())
}

/// Why somebody asks.
fn reason(event: &Pdu) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        reason: Option<String>,
    }
    let reason = event.content_as::<Content>()?.reason?;
    let reason: String = reason.chars().take(REASON).collect();
    (!reason.trim().is_empty()).then_some(reason)
}
