//! Profiles: what users tell everyone about themselves.

use std::borrow::Cow;

use ruma::{OwnedUserId, UserId};
use serde_json::Value;
use tertulia_protocol::check_display_name;
use tertulia_storage::{Command, Direction, Json, Partition, Position, Tx};

use crate::{
    Error, Homeserver, Result, User, log,
    schema::{ACCOUNTS, Entry, MEMBERSHIPS, PROFILES, Profile},
    users,
};

/// The largest profile, as JSON (client-server API, "Profiles").
const LARGEST: usize = 64 * 1024;

/// The longest name of a field, in bytes.
const LONGEST_NAME: usize = 255;

/// The longest display name, in characters, and the longest avatar URI, in bytes: both are copied
/// into a member event of every room.
const LONGEST_DISPLAY_NAME: usize = 256;
const LONGEST_AVATAR_URL: usize = 1_000;

/// The name of a field of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProfileField(Cow<'static, str>);

impl ProfileField {
    /// How the user wants to be called.
    pub const DISPLAY_NAME: Self = Self(Cow::Borrowed("displayname"));

    /// The picture of the user.
    pub const AVATAR_URL: Self = Self(Cow::Borrowed("avatar_url"));

    /// Checks the name of a field.
    ///
    /// # Errors
    ///
    /// [`Error::ProfileFieldTooLong`], or [`Error::Invalid`] if it breaks the Common Namespaced
    /// Identifier Grammar.
    pub fn parse(name: &str) -> Result<Self> {
        if name.len() > LONGEST_NAME {
            return Err(Error::ProfileFieldTooLong);
        }
        let allowed = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
        let well_formed =
            name.starts_with(|first: char| first.is_ascii_lowercase()) && name.bytes().all(allowed);
        // Fields of the specification have short names; all others carry their owner's.
        let namespaced = is_in_rooms(name) || name.contains('.');
        if well_formed && namespaced {
            Ok(Self(Cow::Owned(name.to_owned())))
        } else {
            Err(Error::Invalid("the name of the profile field"))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is kept when a client sets the field to `value`; `None` empties the field.
    pub(super) fn check(&self, value: Value) -> Result<Option<Value>> {
        let text = match (self.as_str(), &value) {
            ("displayname" | "avatar_url", Value::Null) => return Ok(None),
            ("displayname" | "avatar_url" | "m.tz", Value::String(text)) => text,
            ("displayname" | "avatar_url" | "m.tz", _) => {
                return Err(Error::Invalid("the value of the profile field"));
            }
            _ => return Ok(Some(value)),
        };
        match self.as_str() {
            "displayname" if text.chars().count() > LONGEST_DISPLAY_NAME => {
                Err(Error::Invalid("a display name of more than 256 characters"))
            }
            "avatar_url" if text.len() > LONGEST_AVATAR_URL => {
                Err(Error::Invalid("an avatar URL of more than 1000 bytes"))
            }
            // Clients empty these two so; the proper way came with version 1.16.
            "displayname" | "avatar_url" if text.is_empty() => Ok(None),
            "displayname" => {
                check_display_name(text)?;
                Ok(Some(value))
            }
            _ => Ok(Some(value)),
        }
    }
}

/// Whether a field is copied into the user's member events.
fn is_in_rooms(field: &str) -> bool {
    matches!(field, "displayname" | "avatar_url")
}

impl Homeserver {
    /// The profile of a user; empty if they told nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if this server knows no such user.
    pub async fn profile(&self, user: &UserId) -> Result<Profile> {
        let view = self.core.store.view().await?;
        let key = (user.to_owned(),);
        if view.get(&ACCOUNTS, &key).await?.is_none() {
            return Err(Error::NotFound("user"));
        }
        Ok(view.get(&PROFILES, &key).await?.map(|Json(profile)| profile).unwrap_or_default())
    }
}

impl User {
    /// The user's profile; empty if they told nothing.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if the user has no account.
    pub async fn profile(&self) -> Result<Profile> {
        Homeserver { core: self.core.clone() }.profile(&self.id).await
    }

    /// Tells something about the user. A new display name or avatar shows in the user's rooms
    /// then; where it takes longer than a second, in the last of them soon after.
    ///
    /// # Errors
    ///
    /// [`Error::Invalid`] or [`Error::UnfitName`] if the field does not take such a value,
    /// [`Error::ProfileTooLarge`].
    pub async fn set_profile_field(&self, field: ProfileField, value: Value) -> Result<()> {
        self.refuse_suspended()?;
        let value = field.check(value)?;
        self.write_profile_field(field, value).await
    }

    /// Takes back what a field of the profile told.
    ///
    /// # Errors
    ///
    /// [`Error::Storage`] if that cannot be written.
    pub async fn delete_profile_field(&self, field: ProfileField) -> Result<()> {
        self.refuse_suspended()?;
        self.write_profile_field(field, None).await
    }

    async fn write_profile_field(&self, field: ProfileField, value: Option<Value>) -> Result<()> {
        let set = SetField { user: self.id.clone(), field, value };
        let set = self.core.store.write(set).await?;
        if let Some(position) = set.out
            && self.has_rooms().await?
        {
            users::carried(&self.core, set.at(position)).await;
        }
        Ok(())
    }

    /// Whether the user has, or had, to do with any room.
    async fn has_rooms(&self) -> Result<bool> {
        let (view, own) = (self.core.store.view().await?, (self.id.clone(),));
        let page = view.scan(&MEMBERSHIPS, &own, Direction::Forward, 1).await?;
        Ok(!page.is_empty())
    }
}

/// Sets or empties a field of a profile.
struct SetField {
    user: OwnedUserId,
    field: ProfileField,
    value: Option<Value>,
}

impl Command for SetField {
    /// Where the log tells rooms of it, if they are to show it.
    type Out = Option<Position>;
    type Error = Error;

    fn partition(&self) -> Partition {
        users::partition(&self.user)
    }

    async fn run(&self, tx: &mut Tx) -> Result<Option<Position>> {
        users::active_account(tx, &self.user).await?;
        let key = (self.user.clone(),);
        let Json(mut profile) = tx.get_guarded(&PROFILES, &key).await?.unwrap_or_default();
        let name = self.field.as_str();
        let before = match &self.value {
            Some(value) => profile.insert(name.to_owned(), value.clone()),
            None => profile.remove(name),
        };
        let is_new = before != self.value;
        if is_new {
            check_size(&profile)?;
            tx.put(&PROFILES, &key, &Json(profile));
        }
        // A room in which the face was redacted shows it again when it is set again.
        let shown = is_in_rooms(name) && (is_new || self.value.is_some());
        Ok(shown.then(|| log::record(tx, &Entry::Profile { user: self.user.clone() })))
    }
}

fn check_size(profile: &Profile) -> Result<()> {
    let json = serde_json::to_vec(profile).expect("JSON values are written as JSON");
    if json.len() > LARGEST { Err(Error::ProfileTooLarge) } else { Ok(()) }
}

#[cfg(test)]
mod tests;
