//! What the user directory knows of a user, which goes when the user goes.

use ruma::UserId;
use tertulia_storage::Tx;

use crate::{
    Result,
    schema::{LISTED_USERS, USER_WORDS},
};

/// Lets the user directory forget `user`. The commit fails if it learns something meanwhile.
pub(crate) async fn delist(tx: &mut Tx, user: &UserId) -> Result<()> {
    let key = (user.to_owned(),);
    let Some(row) = tx.get_guarded(&LISTED_USERS, &key).await? else { return Ok(()) };
    for word in row.words {
        tx.delete(&USER_WORDS, &(row.open, word, user.to_owned()));
    }
    tx.delete(&LISTED_USERS, &key);
    Ok(())
}
