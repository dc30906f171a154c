//! Requests of those from whom a user does not want to hear. They are on no page of the user, and come onto it
//! when the user thinks otherwise and they still wait; those that are on it go the other way.

use ruma::{OwnedRoomId, OwnedUserId, UserId};
use tertulia_protocol::{RequestKind, RequestState, Welcome};
use tertulia_storage::{Descending, Direction, Position, Tx};

use super::counts::{count, is_unread};
use crate::{
    Result,
    events::Invitations,
    schema::{
        HIDDEN_REQUESTS, OPEN_REQUESTS, OpenRequest, REQUESTS, RequestBox, RequestPage, RequestRow,
    },
};

/// How many requests of a page are looked at, newest first.
const LOOK: usize = 500;
/// How many change places in one commit.
const STEP: usize = 50;

/// Where a request is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whereto {
    Page,
    Hidden,
}

/// Moves requests that wait to where `user`, who is asked, wants to have them now; tells whether there may be
/// more to move.
pub(crate) async fn reconsider(tx: &mut Tx, user: &UserId) -> Result<bool> {
    let invitations = Invitations::to(tx, user).await?;
    let hides = |row: &RequestRow| invitations.by(&row.asker) != Welcome::Told;
    let forward = Direction::Forward;
    let hidden = tx.scan(&HIDDEN_REQUESTS, &(user.to_owned(),), forward, LOOK).await?;
    let shown = tx.scan(&REQUESTS, &(user.to_owned(), RequestBox::Received), forward, LOOK).await?;
    let come = hidden.into_iter().filter(|(_, row)| !hides(row));
    let come = come.map(|((_, Descending(at)), row)| (at, row, Whereto::Page));
    let go = shown.into_iter().filter(|(_, row)| {
        row.state() == RequestState::Waiting && row.kind() != RequestKind::Knock && hides(row)
    });
    let go = go.map(|((.., Descending(at)), row)| (at, row, Whereto::Hidden));
    let moves: Vec<_> = come.chain(go).collect();
    let is_more = moves.len() > STEP;
    for (at, row, whereto) in moves.into_iter().take(STEP) {
        let key = (row.room.clone(), row.subject.clone());
        // An answer that comes at the same time goes first or waits.
        let open = tx.get_guarded(&OPEN_REQUESTS, &key).await?;
        if let Some(open) = open.filter(|open| open.at == at) {
            relocate(tx, user, &key, open, &row, whereto).await?;
        }
    }
    Ok(is_more)
}

async fn relocate(
    tx: &mut Tx,
    user: &UserId,
    key: &(OwnedRoomId, OwnedUserId),
    mut open: OpenRequest,
    row: &RequestRow,
    whereto: Whereto,
) -> Result<()> {
    let page = RequestPage { user: user.to_owned(), page: RequestBox::Received };
    open.pages.retain(|known| *known != page);
    open.hidden = whereto == Whereto::Hidden;
    let is_new = is_unread(tx, user, open.at).await?;
    let (shown, hidden) = (on_page(&page, open.at), (user.to_owned(), Descending(open.at)));
    match whereto {
        Whereto::Hidden => {
            tx.delete(&REQUESTS, &shown);
            tx.put(&HIDDEN_REQUESTS, &hidden, row);
            count(tx, user, |counts| counts.remove(page.page, is_new)).await?;
        }
        Whereto::Page => {
            tx.delete(&HIDDEN_REQUESTS, &hidden);
            tx.put(&REQUESTS, &shown, row);
            count(tx, user, |counts| counts.add(page.page, is_new)).await?;
            open.pages.push(page);
        }
    }
    tx.put(&OPEN_REQUESTS, key, &open);
    Ok(())
}

/// The key of a request on a page.
pub(super) fn on_page(
    page: &RequestPage,
    at: Position,
) -> (OwnedUserId, RequestBox, Descending<Position>) {
    (page.user.clone(), page.page, Descending(at))
}
