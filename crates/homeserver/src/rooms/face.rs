//! The face a user shows in rooms: the name and picture of the profile.

use serde_json::{Map, Value};
use tertulia_storage::Json;

use crate::{Result, core::User, schema::PROFILES};

/// The name and picture of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) displayname: Option<String>,
    pub(crate) avatar_url: Option<String>,
}

impl Face {
    /// As a member event shows it.
    pub(crate) fn into_content(self) -> Map<String, Value> {
        let fields = [("displayname", self.displayname), ("avatar_url", self.avatar_url)];
        let shown = fields.into_iter().filter_map(|(key, value)| Some((key, value?)));
        shown.map(|(key, value)| (key.to_owned(), value.into())).collect()
    }
}

impl User {
    /// The face the user shows in the rooms joined from now on.
    pub(crate) async fn face(&self) -> Result<Face> {
        let view = self.core.store.view().await?;
        let profile = view.get(&PROFILES, &(self.id.clone(),)).await?;
        let Json(profile) = profile.unwrap_or_default();
        let text = |field: &str| Some(profile.get(field)?.as_str()?.to_owned());
        Ok(Face { displayname: text("displayname"), avatar_url: text("avatar_url") })
    }
}
