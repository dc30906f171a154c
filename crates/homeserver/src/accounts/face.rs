//! How a user is called and looks, in single words: the two fields of a profile that rooms show.

use ruma::{MxcUri, OwnedMxcUri};
use serde_json::Value;

use super::ProfileField;
use crate::{Error, NewFile, Result, User};

impl User {
    /// The name that the user goes by; none if they chose none.
    ///
    /// # Errors
    ///
    /// Those of [`User::profile`].
    pub async fn nickname(&self) -> Result<Option<String>> {
        self.face_field(ProfileField::DISPLAY_NAME).await
    }

    /// The picture of the user; none if they chose none.
    ///
    /// # Errors
    ///
    /// Those of [`User::profile`].
    pub async fn avatar_url(&self) -> Result<Option<OwnedMxcUri>> {
        Ok(self.face_field(ProfileField::AVATAR_URL).await?.map(OwnedMxcUri::from))
    }

    /// Calls the user so; `None` takes the name back. It shows in the user's rooms soon after.
    ///
    /// # Errors
    ///
    /// Those of [`User::set_profile_field`].
    pub async fn set_nickname(&self, name: Option<&str>) -> Result<()> {
        self.set_face_field(ProfileField::DISPLAY_NAME, name).await
    }

    /// Shows an uploaded picture as the user's; `None` takes it back.
    ///
    /// # Errors
    ///
    /// Those of [`User::set_profile_field`].
    pub async fn set_avatar_url(&self, picture: Option<&MxcUri>) -> Result<()> {
        self.set_face_field(ProfileField::AVATAR_URL, picture.map(MxcUri::as_str)).await
    }

    /// Uploads a picture and shows it as the user's; tells where it lies.
    ///
    /// # Errors
    ///
    /// Those of [`User::upload_file`] and [`User::set_profile_field`]; [`Error::Invalid`] if the file is
    /// no picture.
    pub async fn set_avatar(&self, picture: impl Into<NewFile> + Send) -> Result<OwnedMxcUri> {
        let media = self.upload_file(picture).await?;
        if !media.content_type().is_some_and(|kind| kind.starts_with("image/")) {
            return Err(Error::Invalid("the picture"));
        }
        let uri = media.uri();
        self.set_avatar_url(Some(&uri)).await?;
        Ok(uri)
    }

    async fn face_field(&self, field: ProfileField) -> Result<Option<String>> {
        let value = self.profile().await?.remove(field.as_str());
        Ok(value.and_then(|value| value.as_str().map(ToOwned::to_owned)))
    }

    async fn set_face_field(&self, field: ProfileField, text: Option<&str>) -> Result<()> {
        match text {
            Some(text) => self.set_profile_field(field, Value::from(text)).await,
            None => self.delete_profile_field(field).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{carried, public_room, server};

    #[tokio::test]
    async fn a_name_and_a_picture_show_in_rooms() {
        let server = server().await;
        let alice = server.create_user("alice").await.unwrap();
        assert_eq!(
            (alice.nickname().await.unwrap(), alice.avatar_url().await.unwrap()),
            (None, None)
        );
        let room = public_room(&alice, "11").await;
        alice.set_nickname(Some("Alicia")).await.unwrap();
        let picture = NewFile::from_bytes("me.png", &b"\x89PNG\r\n\x1a\n"[..]);
        let uri = alice.set_avatar(picture).await.unwrap();
        assert_eq!(alice.nickname().await.unwrap().as_deref(), Some("Alicia"));
        assert_eq!(alice.avatar_url().await.unwrap(), Some(uri.clone()));
        carried(&server).await;
        let shown = room.joined_members().await.unwrap().remove(0);
        assert_eq!(shown.displayname.as_deref(), Some("Alicia"));
        assert_eq!(shown.avatar_url.as_deref(), Some(uri.as_str()));
    }

    #[tokio::test]
    async fn both_are_taken_back_and_no_other_file_becomes_a_face() {
        let server = server().await;
        let alice = server.create_user("alice").await.unwrap();
        alice.set_nickname(Some("Alicia")).await.unwrap();
        alice.set_avatar_url(Some(ruma::mxc_uri!("mxc://x/a"))).await.unwrap();
        let text = alice.set_avatar(NewFile::from_bytes("a.txt", "a")).await.unwrap_err();
        assert!(matches!(text, Error::Invalid(_)), "{text}");
        assert_eq!(alice.avatar_url().await.unwrap().unwrap(), "mxc://x/a");
        alice.set_nickname(None).await.unwrap();
        alice.set_avatar_url(None).await.unwrap();
        assert_eq!(alice.profile().await.unwrap(), Default::default());
        let long = "a".repeat(257);
        let refused = alice.set_nickname(Some(&long)).await.unwrap_err();
        assert!(matches!(refused, Error::Invalid(_)), "{refused}");
    }
}
