//! Filters that clients name by an ID instead of repeating them.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ruma::{
    OwnedUserId,
    api::client::filter::{EventFormat, FilterDefinition},
    serde::Raw,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tertulia_storage::{Command, Partition, Tx};

use super::partition;
use crate::{
    Error, Result, User,
    schema::{FILTER_COUNTS, FILTERS},
    users,
};

/// The most bytes of a filter.
const MAX_SIZE: usize = 64 * 1024;
/// The most filters of a user. Clients have one or two.
const MAX_COUNT: u32 = 1_000;

impl User {
    /// Stores a filter, with all that the client wrote into it, and tells its ID. The same filter
    /// has the same ID.
    ///
    /// # Errors
    ///
    /// [`Error::NoFilter`] for what is none, [`Error::BodyTooLarge`] beyond 64 KiB,
    /// [`Error::TooMany`] beyond 1,000 filters.
    pub async fn create_filter(&self, filter: &Raw<FilterDefinition>) -> Result<String> {
        check(&filter.deserialize().map_err(no_filter)?)?;
        let plain: Value = filter.deserialize_as_unchecked().map_err(no_filter)?;
        let json = plain.to_string();
        if json.len() > MAX_SIZE {
            return Err(Error::BodyTooLarge("filter"));
        }
        let (user, id) = (self.id.clone(), id(&json));
        self.core.store.write(CreateFilter { user, id: id.clone(), json }).await?;
        Ok(id)
    }

    /// The filter that [`User::create_filter`] gave this ID.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if it gave none.
    pub async fn filter(&self, id: &str) -> Result<Raw<FilterDefinition>> {
        let view = self.core.store.view().await?;
        let row = view.get(&FILTERS, &(self.id.clone(), id.to_owned())).await?;
        let (json,) = row.ok_or(Error::NotFound("filter"))?;
        Ok(Raw::from_json_string(json).expect("filters are stored as JSON"))
    }
}

/// Refuses a filter that asks for what there is not.
///
/// # Errors
///
/// [`Error::NoFilter`].
pub(crate) fn check(filter: &FilterDefinition) -> Result<()> {
    match &filter.event_format {
        EventFormat::Client | EventFormat::Federation => Ok(()),
        other => Err(no_filter(format_args!("there is no event format `{other}`"))),
    }
}

pub(crate) fn no_filter(error: impl ToString) -> Error {
    Error::NoFilter(error.to_string())
}

/// What a filter is called. It never begins with `{`, by which sync knows filters given in full.
fn id(json: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(&Sha256::digest(json)[..15])
}

struct CreateFilter {
    user: OwnedUserId,
    id: String,
    json: String,
}

impl Command for CreateFilter {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let key = (self.user.clone(), self.id.clone());
        if tx.get_guarded(&FILTERS, &key).await?.is_some() {
            return Ok(());
        }
        users::refuse_closed(tx, &self.user).await?;
        let counter = (self.user.clone(),);
        let (count,) = tx.get_guarded(&FILTER_COUNTS, &counter).await?.unwrap_or_default();
        if count >= MAX_COUNT {
            return Err(Error::TooMany("filters"));
        }
        tx.put(&FILTER_COUNTS, &counter, &(count + 1,));
        tx.put(&FILTERS, &key, &(self.json.clone(),));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_of_a_filter_is_made_of_what_it_says() {
        let all = id("{}");
        assert_eq!(all, id("{}"));
        assert_ne!(all, id(r#"{"event_fields":["type"]}"#));
        assert_eq!(all, "RBNvo1WzZ4oRRq0W9-hk");
        assert!(all.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
    }
}
