//! Showing files in rooms.

use ruma::{OwnedEventId, events::TimelineEventType};
use tertulia_protocol::{
    JsonObject,
    message::{self, SharedFile, SharedThumbnail},
};

use crate::{
    Error, Media, NewFile, Result, Room,
    events::{current_power, load_head},
    schema::{MEMBERSHIPS, MembershipKind},
};

impl Room {
    /// Uploads a picture and shows it in the room, with its size and, if it is large, a smaller picture.
    ///
    /// ```
    /// # async fn show(room: tertulia::Room) -> tertulia::Result<()> {
    /// use tertulia::NewFile;
    ///
    /// room.send_image(NewFile::from_path("sea.jpg").with_caption("this morning")).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`User::upload_file`](crate::User::upload_file) and [`Room::send`];
    /// [`Error::Forbidden`] for one who may not send messages there, before anything is uploaded,
    /// [`Error::Invalid`] if the file is no picture.
    pub async fn send_image(&self, picture: impl Into<NewFile>) -> Result<OwnedEventId> {
        self.share(picture.into(), |media, file| {
            let is_picture = media.content_type().is_some_and(|kind| kind.starts_with("image/"));
            if is_picture { Ok(message::image(file)) } else { Err(Error::Invalid("the picture")) }
        })
        .await
    }

    /// Uploads a file and offers it in the room. What is heard or watched is shown so, by its media
    /// type; a picture stays a file.
    ///
    /// # Errors
    ///
    /// Those of [`Room::send_image`].
    pub async fn send_file(&self, file: impl Into<NewFile>) -> Result<OwnedEventId> {
        self.share(file.into(), |_, file| Ok(message::file(file))).await
    }

    async fn share(
        &self,
        file: NewFile,
        content: impl FnOnce(&Media, SharedFile) -> Result<JsonObject> + Send,
    ) -> Result<OwnedEventId> {
        self.check_may_speak().await?;
        let caption = file.caption().map(ToOwned::to_owned);
        let media = self.user().upload_file(file).await?;
        let shared = SharedFile { caption, ..self.describe(&media).await? };
        self.send_event(TimelineEventType::RoomMessage, &content(&media, shared)?).await
    }

    /// Refuses those who cannot send a message here: no file is to be uploaded for nothing.
    async fn check_may_speak(&self) -> Result<()> {
        let core = &self.user().core;
        let view = core.store.view().await?;
        let head = load_head(&view, self.id()).await?;
        let me = self.user().id();
        let membership = view.get(&MEMBERSHIPS, &(me.to_owned(), self.id().to_owned())).await?;
        let is_in = membership.is_some_and(|row| row.kind == MembershipKind::Join);
        let power = current_power(&view, core, &head).await?;
        if is_in && power.may_send(me, &TimelineEventType::RoomMessage, None) {
            return Ok(());
        }
        Err(Error::Forbidden("you may not send messages in this room".to_owned()))
    }

    /// All that there is to say of an uploaded file.
    async fn describe(&self, media: &Media) -> Result<SharedFile> {
        let dimensions = media.dimensions().await?;
        let thumbnail = match dimensions {
            Some(_) => media.upload_smaller(self.user()).await?,
            None => None,
        };
        let thumbnail = match thumbnail {
            Some(smaller) => shown_smaller(&smaller).await?,
            None => None,
        };
        Ok(SharedFile {
            url: media.uri(),
            name: media.name().unwrap_or("file").to_owned(),
            content_type: content_type(media),
            size: media.size(),
            dimensions,
            thumbnail,
            caption: None,
        })
    }
}

async fn shown_smaller(smaller: &Media) -> Result<Option<SharedThumbnail>> {
    let dimensions = smaller.dimensions().await?;
    Ok(dimensions.map(|dimensions| SharedThumbnail {
        url: smaller.uri(),
        content_type: content_type(smaller),
        size: smaller.size(),
        dimensions,
    }))
}

fn content_type(media: &Media) -> String {
    media.content_type().unwrap_or("application/octet-stream").to_owned()
}
