//! What the store keeps of the content repository.

use std::fmt;

use ruma::OwnedUserId;
use tertulia_protocol::{Resizing, ThumbnailSize};
use tertulia_storage::{Field, KeyError, KeyPart, Reader, ValueError, Writer, record};

use super::unknown;

/// A file of the content repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRow {
    /// Who uploaded it; nobody for a file that came from another server.
    pub uploader: Option<OwnedUserId>,
    /// The type its uploader gave.
    pub content_type: Option<String>,
    /// The name its uploader gave.
    pub name: Option<String>,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
    /// When it was stored, in milliseconds since 1970.
    pub created: u64,
    /// Where its bytes lie.
    pub blob: BlobId,
    /// When it was last read, to within an hour, in milliseconds since 1970.
    pub last_read: Option<u64>,
    /// Since when it is known that its bytes are gone, in milliseconds since 1970.
    pub missing: Option<u64>,
}
record!(
    MediaRow = 2 { uploader, content_type, name, size, sha256, created, blob }
    since 2 { last_read = None, missing = None }
);

/// A URI that was told before its file has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingMedia {
    /// Who asked for it, and may upload.
    pub creator: OwnedUserId,
    /// Until when the upload has to begin, in milliseconds since 1970.
    pub expires: u64,
}
record!(PendingMedia = 1 { creator, expires });

/// What a user has in the content repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MediaUse {
    /// How many bytes the user's files have together.
    pub bytes: u64,
    /// The IDs that wait for their files, and until when.
    pub pending: Vec<(String, u64)>,
}
record!(MediaUse = 1 { bytes, pending });

/// The name of a blob: a file's bytes, wherever they lie. The server draws it by chance, so that
/// nothing an uploader says is part of a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlobId(u128);

impl BlobId {
    /// The blob of this number.
    pub const fn from_number(number: u128) -> Self {
        Self(number)
    }

    /// The blob that is shown as `name`.
    pub fn parse(name: &str) -> Option<Self> {
        let id = Self(u128::from_str_radix(name, 16).ok()?);
        (id.to_string() == name).then_some(id)
    }

    /// The number that [`BlobId::from_number`] reads.
    pub const fn number(self) -> u128 {
        self.0
    }
}

/// 32 hexadecimal digits.
impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl KeyPart for BlobId {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(&self.number().to_be_bytes(), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        Ok(Self::from_number(u128::from_be_bytes(KeyPart::read(input)?)))
    }
}

impl Field for BlobId {
    fn write(&self, out: &mut Writer) {
        Field::write(&self.number().to_be_bytes(), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(Self::from_number(u128::from_be_bytes(Field::read(input)?)))
    }
}

/// What a thumbnail shall be like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ThumbnailKind {
    /// Its size; none if the picture keeps its own.
    pub size: Option<ThumbnailSize>,
    /// Whether it moves, if the picture does.
    pub animated: bool,
}

/// Width, height, method and movement. No size has the width 0.
impl KeyPart for ThumbnailKind {
    fn write(&self, out: &mut Writer) {
        let (width, height, method) = self.size.map_or((0, 0, 0), |size| {
            let method = match size.resizing {
                Resizing::Crop => 0,
                Resizing::Scale => 1_u8,
            };
            (size.width, size.height, method)
        });
        KeyPart::write(&width, out);
        KeyPart::write(&height, out);
        KeyPart::write(&method, out);
        KeyPart::write(&u8::from(self.animated), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        let (width, height): (u32, u32) = (KeyPart::read(input)?, KeyPart::read(input)?);
        let resizing = match <u8 as KeyPart>::read(input)? {
            0 => Resizing::Crop,
            1 => Resizing::Scale,
            _ => return Err(KeyError::Invalid),
        };
        let animated = match <u8 as KeyPart>::read(input)? {
            0 => false,
            1 => true,
            _ => return Err(KeyError::Invalid),
        };
        let size = (width > 0).then_some(ThumbnailSize { width, height, resizing });
        Ok(Self { size, animated })
    }
}

/// What became of the wish for a thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThumbnailRow {
    /// The version of the thumbnailer. What one could not do another may try.
    pub maker: u8,
    /// What came of it.
    pub outcome: ThumbnailOutcome,
}
record!(ThumbnailRow = 1 { maker, outcome });

/// What came of the wish for a thumbnail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ThumbnailOutcome {
    /// It was made.
    Made(Drawing),
    /// The picture is small enough itself.
    Original,
    /// The picture has too many pixels.
    TooLarge,
    /// The file is no picture that the server can read.
    Unreadable,
}

impl Field for ThumbnailOutcome {
    fn write(&self, out: &mut Writer) {
        let tag: u8 = match self {
            Self::Made(_) => 0,
            Self::Original => 1,
            Self::TooLarge => 2,
            Self::Unreadable => 3,
        };
        Field::write(&tag, out);
        if let Self::Made(drawing) = self {
            Field::write(drawing, out);
        }
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Ok(match <u8 as Field>::read(input)? {
            0 => Self::Made(Field::read(input)?),
            1 => Self::Original,
            2 => Self::TooLarge,
            3 => Self::Unreadable,
            tag => return Err(unknown("outcome of a thumbnail", tag)),
        })
    }
}

/// A file that the server made itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drawing {
    /// Where its bytes lie.
    pub blob: BlobId,
    /// Its content type.
    pub content_type: String,
    /// Its length in bytes.
    pub size: u64,
    /// The SHA-256 of its bytes.
    pub sha256: [u8; 32],
}
record!(Drawing = 1 { blob, content_type, size, sha256 });

#[cfg(test)]
mod tests {
    use ruma::owned_user_id;
    use tertulia_storage::Value;

    use super::*;
    use crate::schema::golden::{check, check_key, hex};

    #[test]
    fn files_are_stored_as_they_were_first_released() {
        let media = MediaRow {
            uploader: Some(owned_user_id!("@a:x")),
            content_type: Some("a/b".to_owned()),
            name: None,
            size: 5,
            sha256: [0xcd; 32],
            created: 9,
            blob: BlobId::from_number(0xab),
            last_read: Some(300),
            missing: None,
        };
        let golden = [
            "02",
            "010440613a78",
            "0103612f62",
            "00",
            "05",
            &"cd".repeat(32),
            "09",
            "000000000000000000000000000000ab",
            "01ac02",
            "00",
        ];
        check(&media, hex(&golden.concat()));
        // A row of before the last two were written.
        let mut out = Writer::default();
        Value::write(&media, &mut out);
        let (mut before, _) = out.finish();
        before.truncate(before.len() - 4);
        before[0] = 1;
        let read = <MediaRow as Value>::read(&mut Reader::new(&before)).unwrap();
        assert_eq!(read, MediaRow { last_read: None, ..media });
        check(&PendingMedia { creator: owned_user_id!("@a:x"), expires: 9 }, hex("010440613a7809"));
        check(&MediaUse { bytes: 300, pending: vec![("a".to_owned(), 9)] }, hex("01ac0201016109"));
        check_key(&(BlobId::from_number(0xab),), hex("000000000000000000000000000000ab"));
    }

    #[test]
    fn thumbnails_are_stored_as_they_were_first_released() {
        let drawing = Drawing {
            blob: BlobId::from_number(0xab),
            content_type: "a/b".to_owned(),
            size: 5,
            sha256: [0xcd; 32],
        };
        let golden = [
            "0101",
            "0001",
            "000000000000000000000000000000ab",
            "03612f62",
            "05",
            &"cd".repeat(32),
        ];
        let row = |outcome| ThumbnailRow { maker: 1, outcome };
        check(&row(ThumbnailOutcome::Made(drawing)), hex(&golden.concat()));
        check(&row(ThumbnailOutcome::Original), hex("010101"));
        check(&row(ThumbnailOutcome::TooLarge), hex("010102"));
        check(&row(ThumbnailOutcome::Unreadable), hex("010103"));
        <ThumbnailRow as Value>::read(&mut Reader::new(&[1, 1, 4])).unwrap_err();
    }

    #[test]
    fn a_kind_of_thumbnail_is_its_size_and_whether_it_moves() {
        let kind = |width, height, resizing, animated| ThumbnailKind {
            size: Some(ThumbnailSize { width, height, resizing }),
            animated,
        };
        check_key(&(kind(32, 32, Resizing::Crop, true),), hex("00000020000000200001"));
        check_key(&(kind(320, 240, Resizing::Scale, false),), hex("00000140000000f00100"));
        check_key(&(ThumbnailKind { size: None, animated: true },), hex("00000000000000000001"));
        for wrong in [[2, 0], [0, 2]] {
            let bytes = [&[0; 8][..], &wrong].concat();
            <ThumbnailKind as KeyPart>::read(&mut Reader::new(&bytes)).unwrap_err();
        }
    }
}
