//! Whose invites a user wants to be told of.

use ruma::UserId;
use tertulia_protocol::{InvitePermission, Welcome};
use tertulia_storage::{Tx, View};

use super::{Ignored, ignored::IGNORED_USER_LIST};
use crate::{
    Result,
    schema::{ACCOUNT_DATA, Scope},
};

/// The types of the account data that says so: the specification's, and those of the proposals
/// that came before. The first that is set counts.
const KINDS: [&str; 3] = [
    "m.invite_permission_config",
    "org.matrix.msc4380.invite_permission_config",
    "org.matrix.msc4155.invite_permission_config",
];

/// Whether account data of this type says whose invites a user wants to be told of.
pub(crate) fn says_who_is_welcome(kind: &str) -> bool {
    kind == IGNORED_USER_LIST || KINDS.contains(&kind)
}

/// Whose invites a user wants to be told of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Invitations {
    ignored: Ignored,
    permission: InvitePermission,
}

impl Invitations {
    /// What `user` has decided.
    pub(crate) async fn to(view: &View, user: &UserId) -> Result<Self> {
        let key = |kind: &str| (user.to_owned(), Scope::Global, kind.to_owned());
        let set = view.get_many(&ACCOUNT_DATA, &KINDS.map(key)).await?;
        let set = set.into_iter().flatten().next();
        let permission = set.map(|datum| InvitePermission::read(&datum.content));
        let permission = permission.unwrap_or_default();
        Ok(Self { ignored: Ignored::by(view, user).await?, permission })
    }

    /// The same, for a commit that holds only if `user` does not decide otherwise meanwhile.
    pub(super) async fn guarded(tx: &Tx, user: &UserId) -> Result<Self> {
        for kind in KINDS.into_iter().chain([IGNORED_USER_LIST]) {
            tx.guard(&ACCOUNT_DATA, &(user.to_owned(), Scope::Global, kind.to_owned()));
        }
        Self::to(tx, user).await
    }

    /// What becomes of an invite by `inviter`.
    pub(crate) fn by(&self, inviter: &UserId) -> Welcome {
        match self.ignored.contains(inviter) {
            true => Welcome::Ignored,
            false => self.permission.of(inviter),
        }
    }
}
