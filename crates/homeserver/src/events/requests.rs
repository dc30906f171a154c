//! Requests on the pages of those who ask and who are asked: a projection of invites and knocks, and of
//! the memberships that answer them.

mod counts;
mod hidden;

use ruma::{
    OwnedUserId, RoomId, UserId,
    events::{StateEventType, room::member::MembershipState},
};
use serde::Deserialize;
use tertulia_protocol::{Pdu, RequestKind, RequestState, Summary, Welcome};
use tertulia_storage::{Descending, Direction, Position, Tx};

pub use self::counts::RequestCounts;
use self::{counts::is_unread, hidden::on_page};
pub(crate) use self::{
    counts::{KIND, count, request_counts},
    hidden::reconsider,
};
use super::{
    EventCache, Head, Invitations, current_power, current_rows,
    members::{Asking, MemberContent},
    roster,
};
use crate::{
    Result,
    core::Core,
    schema::{
        ACCOUNTS, HIDDEN_REQUESTS, MembershipKind, OPEN_REQUESTS, OpenRequest, REQUESTS,
        RequestBox, RequestPage, RequestRow,
    },
};

/// How many of those who may let people in are told of a knock.
const MOST_TOLD: usize = 20;
/// How many characters of a reason are kept, and of the name of a room.
const TEXT: usize = 500;
/// The longest address of a picture that is kept, in bytes.
const ADDRESS: usize = 1_000;
/// How many that wait in a room are looked at when somebody leaves it.
const MOST_LEFT: usize = 100;

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

impl Moved<'_> {
    fn by_themself(&self) -> bool {
        self.because.sender() == self.user
    }

    fn time(&self) -> u64 {
        self.because.origin_server_ts().get().into()
    }

    /// What is asked, where it asks.
    fn kind(&self) -> RequestKind {
        match self.content.membership {
            Some(MembershipKind::Knock) => RequestKind::Knock,
            _ if self.asking.direct => RequestKind::Friend,
            _ => RequestKind::Group,
        }
    }

    /// Whether it asks again what waits already; another may ask the same, or the same one something else.
    fn repeats(&self, open: &OpenRequest) -> bool {
        let asker = open.pages.iter().find(|page| page.page == RequestBox::Sent);
        let asker = asker.zip(self.event).map(|(page, event)| page.user == event.sender());
        open.kind() == self.kind() && asker == Some(true)
    }

    /// Whether it is told to whom it asks, who did not want to hear of it when it was asked first.
    fn is_heard_at_last(&self, open: &OpenRequest) -> bool {
        let stands = open.pages.iter().any(|page| page.page == RequestBox::Received);
        let invite = open.kind() != RequestKind::Knock;
        invite && !stands && !open.hidden && !self.asking.unwelcome
    }
}

/// Ends the request that a membership answers, and begins the one that it is.
pub(super) async fn note(tx: &mut Tx, core: &Core, head: &Head, moved: Moved<'_>) -> Result<()> {
    let key = (head.room.clone(), moved.user.clone());
    let state = moved.content.membership.map(|kind| MembershipState::from(kind.name()));
    if let Some(open) = tx.get_guarded(&OPEN_REQUESTS, &key).await? {
        let mut after = RequestState::after(open.kind(), state.as_ref(), moved.by_themself());
        if after == RequestState::Waiting {
            match moved.repeats(&open) {
                true if !moved.is_heard_at_last(&open) => return Ok(()),
                // It is one request, which stands on both pages now.
                true => take_back(tx, &open).await?,
                false => after = RequestState::Void,
            }
        }
        close(tx, &head.room, moved.user, &open, after, moved.time()).await?;
    }
    use MembershipKind::{Invite, Join, Knock};
    match (moved.content.membership, moved.event) {
        (Some(Invite | Knock), Some(event)) => begin(tx, core, head, &moved, event).await,
        (Some(Join), _) => Ok(()),
        _ if head.row.invited > 0 => end_those_of(tx, head, &moved).await,
        _ => Ok(()),
    }
}

/// Ends the friend requests of one who has left the room that they asked into: whoever accepted now would
/// find nobody there, and be nobody's friend.
async fn end_those_of(tx: &mut Tx, head: &Head, moved: &Moved<'_>) -> Result<()> {
    let state = match moved.by_themself() {
        true => RequestState::Withdrawn,
        false => RequestState::Void,
    };
    let asked = RequestPage { user: moved.user.clone(), page: RequestBox::Sent };
    let prefix = (head.room.clone(),);
    for ((room, subject), open) in
        tx.scan(&OPEN_REQUESTS, &prefix, Direction::Forward, MOST_LEFT).await?
    {
        if open.kind() == RequestKind::Friend && open.pages.contains(&asked) {
            tx.guard(&OPEN_REQUESTS, &(room.clone(), subject.clone()));
            close(tx, &room, &subject, &open, state, moved.time()).await?;
        }
    }
    Ok(())
}

/// Ends the request of or to a user of whom a room keeps nothing.
pub(crate) async fn void(tx: &mut Tx, room: &RoomId, user: &UserId, at: u64) -> Result<()> {
    let key = (room.to_owned(), user.to_owned());
    match tx.get_guarded(&OPEN_REQUESTS, &key).await? {
        Some(open) => close(tx, room, user, &open, RequestState::Void, at).await,
        None => Ok(()),
    }
}

async fn begin(
    tx: &mut Tx,
    core: &Core,
    head: &Head,
    moved: &Moved<'_>,
    event: &Pdu,
) -> Result<()> {
    let row = row(tx, core, head, moved, event).await?;
    let Told { mut pages, hidden } = told(tx, core, head, moved, &row).await?;
    let mut open = Vec::new();
    for page in pages.drain(..) {
        if is_open(tx, &page.user).await? {
            tx.put(&REQUESTS, &on_page(&page, moved.position), &row);
            count(tx, &page.user, |counts| counts.add(page.page, true)).await?;
            open.push(page);
        }
    }
    let hidden = hidden && is_open(tx, moved.user).await?;
    if hidden {
        let key = (moved.user.clone(), Descending(moved.position));
        tx.put(&HIDDEN_REQUESTS, &key, &row);
    }
    if hidden || !open.is_empty() {
        let open = OpenRequest { kind: row.kind, at: moved.position, pages: open, hidden };
        tx.put(&OPEN_REQUESTS, &(head.room.clone(), moved.user.clone()), &open);
    }
    Ok(())
}

/// Whether somebody has an account here that was not closed, and will not be before the commit.
async fn is_open(tx: &Tx, user: &UserId) -> Result<bool> {
    let account = tx.get_guarded(&ACCOUNTS, &(user.to_owned(),)).await?;
    Ok(account.is_some_and(|account| account.deactivated.is_none()))
}

/// The request that a member event is.
async fn row(
    tx: &Tx,
    core: &Core,
    head: &Head,
    moved: &Moved<'_>,
    event: &Pdu,
) -> Result<RequestRow> {
    let (room_name, room_avatar) = called(tx, core, head).await?;
    Ok(RequestRow {
        kind: moved.kind() as u8,
        room: head.room.clone(),
        subject: moved.user.clone(),
        asker: event.sender().to_owned(),
        reason: reason(event),
        asked: event.origin_server_ts().get().into(),
        state: RequestState::Waiting as u8,
        ended: None,
        room_name,
        room_avatar,
    })
}

/// How a room is called, and its picture.
async fn called(tx: &Tx, core: &Core, head: &Head) -> Result<(Option<String>, Option<String>)> {
    let slots = [StateEventType::RoomName, StateEventType::RoomAvatar];
    let rows = current_rows(tx, head, &slots.map(|kind| (kind, String::new()))).await?;
    let told = rows.into_iter().flatten().filter(|row| !row.redacted);
    let ids: Vec<_> = told.map(|row| row.event).collect();
    let events = core.local::<EventCache>().load_many(tx, &head.rules, &ids).await?;
    let events = events.into_iter().flatten().collect();
    let summary = Summary::of(&head.rules.authorization, &events);
    let avatar = summary.avatar_url.filter(|url| url.len() <= ADDRESS);
    Ok((summary.name.as_deref().and_then(text), avatar))
}

/// On whose pages a request is to stand.
struct Told {
    pages: Vec<RequestPage>,
    /// Whether whoever is asked does not want to hear of it as long as they ignore who asks.
    hidden: bool,
}

/// The asker's page, and those of whoever can answer a request and wants to hear of it.
async fn told(
    tx: &Tx,
    core: &Core,
    head: &Head,
    moved: &Moved<'_>,
    row: &RequestRow,
) -> Result<Told> {
    let received = |user| RequestPage { user, page: RequestBox::Received };
    let mut pages = vec![RequestPage { user: row.asker.clone(), page: RequestBox::Sent }];
    let mut hidden = false;
    if row.kind() == RequestKind::Knock {
        pages.extend(answerers(tx, core, head).await?.into_iter().map(received));
    } else if core.is_local(moved.user.server_name()) && !moved.asking.unwelcome {
        let welcome = Invitations::guarded(tx, moved.user).await?.by(&row.asker);
        hidden = welcome != Welcome::Told;
        pages.extend((!hidden).then(|| received(moved.user.clone())));
    }
    pages.retain(|page| core.is_local(page.user.server_name()));
    Ok(Told { pages, hidden })
}

/// Those who are in a room and may let others in.
async fn answerers(tx: &Tx, core: &Core, head: &Head) -> Result<Vec<OwnedUserId>> {
    let mut answerers = Vec::new();
    for inviter in current_power(tx, core, head).await?.inviters().into_iter().take(MOST_TOLD) {
        let member = roster::member(tx, head, &inviter).await?;
        if member.is_some_and(|member| member.kind == MembershipKind::Join) {
            answerers.push(inviter);
        }
    }
    Ok(answerers)
}

/// Says on all pages what has become of a request.
async fn close(
    tx: &mut Tx,
    room: &RoomId,
    subject: &UserId,
    open: &OpenRequest,
    state: RequestState,
    ended: u64,
) -> Result<()> {
    tx.delete(&OPEN_REQUESTS, &(room.to_owned(), subject.to_owned()));
    if open.hidden {
        tx.delete(&HIDDEN_REQUESTS, &(subject.to_owned(), Descending(open.at)));
    }
    for page in &open.pages {
        end(tx, page, open.at, state, ended).await?;
    }
    Ok(())
}

/// Takes a request that waits off its pages, as if it had not been asked.
async fn take_back(tx: &mut Tx, open: &OpenRequest) -> Result<()> {
    for page in &open.pages {
        let key = on_page(page, open.at);
        if tx.get_guarded(&REQUESTS, &key).await?.is_some() {
            tx.delete(&REQUESTS, &key);
            let was_unread = is_unread(tx, &page.user, open.at).await?;
            count(tx, &page.user, |counts| counts.remove(page.page, was_unread)).await?;
        }
    }
    Ok(())
}

/// Says on one page what has become of a request.
async fn end(
    tx: &mut Tx,
    page: &RequestPage,
    at: Position,
    state: RequestState,
    ended: u64,
) -> Result<()> {
    let key = on_page(page, at);
    let Some(row) = tx.get_guarded(&REQUESTS, &key).await? else { return Ok(()) };
    let told = match page.page {
        RequestBox::Received => state,
        RequestBox::Sent => state.for_asker(),
    };
    tx.put(&REQUESTS, &key, &RequestRow { state: told as u8, ended: Some(ended), ..row });
    let was_unread = is_unread(tx, &page.user, at).await?;
    count(tx, &page.user, |counts| counts.remove(page.page, was_unread)).await
}

/// Why somebody asks.
fn reason(event: &Pdu) -> Option<String> {
    #[derive(Deserialize)]
    struct Content {
        reason: Option<String>,
    }
    text(&event.content_as::<Content>()?.reason?)
}

/// The beginning of a text, if there is anything to see.
fn text(text: &str) -> Option<String> {
    let text: String = text.chars().take(TEXT).collect();
    (!text.trim().is_empty()).then_some(text)
}
