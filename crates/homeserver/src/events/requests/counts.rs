//! How many requests wait, as the account data [`KIND`], which only the server writes.

use ruma::{OwnedUserId, UserId};
use serde::{Deserialize, Serialize};
use tertulia_storage::{Position, Tx, View};

use crate::{
    Result, log,
    schema::{ACCOUNT_DATA, AccountDatum, REQUESTS_SEEN, RequestBox, Scope},
};

/// The account data that says how many requests wait.
pub(crate) const KIND: &str = "org.tertulia.requests";

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

impl RequestCounts {
    /// One more waits.
    pub(super) fn add(&mut self, page: RequestBox, is_unread: bool) {
        match page {
            RequestBox::Received => {
                self.received += 1;
                self.unread += u64::from(is_unread);
            }
            RequestBox::Sent => self.sent += 1,
        }
    }

    /// One waits no more.
    pub(super) fn remove(&mut self, page: RequestBox, was_unread: bool) {
        match page {
            RequestBox::Received => {
                self.received = self.received.saturating_sub(1);
                self.unread = self.unread.saturating_sub(u64::from(was_unread));
            }
            RequestBox::Sent => self.sent = self.sent.saturating_sub(1),
        }
    }
}

/// Whether a request that came `at` a position is new to a user.
pub(super) async fn is_unread(view: &View, user: &UserId, at: Position) -> Result<bool> {
    let seen = view.get(&REQUESTS_SEEN, &(user.to_owned(),)).await?;
    Ok(seen.is_none_or(|(seen,)| at > seen))
}

/// How many requests of a user wait.
pub(crate) async fn request_counts(view: &View, user: &UserId) -> Result<RequestCounts> {
    let datum = view.get(&ACCOUNT_DATA, &key(user)).await?;
    Ok(datum.map(|datum| read(&datum)).unwrap_or_default())
}

fn key(user: &UserId) -> (OwnedUserId, Scope, String) {
    (user.to_owned(), Scope::Global, KIND.to_owned())
}

fn read(datum: &AccountDatum) -> RequestCounts {
    serde_json::from_str(&datum.content).unwrap_or_default()
}

/// Tells a user's clients how many requests wait, after a change of that.
pub(crate) async fn count(
    tx: &mut Tx,
    user: &UserId,
    change: impl FnOnce(&mut RequestCounts),
) -> Result<()> {
    let mut counts = request_counts(tx, user).await?;
    change(&mut counts);
    let content = serde_json::to_string(&counts).expect("numbers are JSON");
    log::set_account_data(tx, user, &Scope::Global, KIND, content).await.map(drop)
}
