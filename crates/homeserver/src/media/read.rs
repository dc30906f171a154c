//! When files were last read: noted in their rows, at most once an hour.

use ruma::OwnedServerName;
use tertulia_storage::{Command, Durability, Partition, Tx};

use super::Media;
use crate::{
    Error, Result,
    schema::{MEDIA, MediaRow},
};

/// How old what is written may become.
const WRITE_EVERY_MS: u64 = 60 * 60_000;

fn is_due(row: &MediaRow, now: u64) -> bool {
    row.last_read.is_none_or(|read| now.saturating_sub(read) >= WRITE_EVERY_MS)
}

impl Media {
    /// Notes that the file is read now. Costs no write, as a rule.
    pub(super) fn note_read(&self) {
        let now = self.core.now().get().into();
        if !is_due(&self.row, now) {
            return;
        }
        let (note, store) = (NoteRead { key: self.key.clone(), now }, self.core.store.clone());
        self.core.tasks.spawn(async move {
            if let Err(error) = store.write(note).await {
                tracing::warn!(%error, "could not note when a file was last read");
            }
        });
    }
}

/// Writes down when a file was last read, unless that was done meanwhile.
struct NoteRead {
    key: (OwnedServerName, String),
    now: u64,
}

impl Command for NoteRead {
    type Out = ();
    type Error = Error;

    fn partition(&self) -> Partition {
        Partition::of("media", &self.key.1)
    }

    fn durability(&self) -> Durability {
        Durability::Relaxed
    }

    async fn run(&self, tx: &mut Tx) -> Result<()> {
        let row = tx.get_guarded(&MEDIA, &self.key).await?;
        if let Some(row) = row.filter(|row| is_due(row, self.now)) {
            tx.put(&MEDIA, &self.key, &MediaRow { last_read: Some(self.now), ..row });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Label,
        testing::{server, user},
    };

    #[tokio::test]
    async fn a_reading_is_noted_at_most_once_an_hour() {
        let server = server().await;
        let uploaded = user(&server, "alice").upload(Label::default()).await.unwrap();
        let uri = uploaded.finish().await.unwrap();
        let (name, id) = uri.parts().unwrap();
        let last_read = async || server.media(name, id).await.unwrap().row.last_read;
        assert_eq!(last_read().await, None, "nobody has read it");
        let key = (name.to_owned(), id.to_owned());
        let note = |now| server.core.store.write(NoteRead { key: key.clone(), now });
        for (now, expected) in [
            (5, 5),
            (6, 5),
            (WRITE_EVERY_MS + 4, 5),
            (WRITE_EVERY_MS + 5, WRITE_EVERY_MS + 5),
            // A clock that was set back makes nothing older.
            (7, WRITE_EVERY_MS + 5),
        ] {
            note(now).await.unwrap();
            assert_eq!(last_read().await, Some(expected));
        }
        drop(server.media(name, id).await.unwrap().read(0).await.unwrap());
        server.core.stop.cancel();
        server.core.tasks.close();
        server.core.tasks.wait().await;
        assert_eq!(last_read().await.map(|at| at > 2 * WRITE_EVERY_MS), Some(true));
    }
}
