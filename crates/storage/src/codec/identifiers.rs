//! Matrix identifiers as parts of keys and values: their text, checked when it is read.

use ruma::{
    MilliSecondsSinceUnixEpoch, OwnedClientSecret, OwnedDeviceId, OwnedEventId, OwnedMxcUri,
    OwnedRoomAliasId, OwnedRoomId, OwnedRoomOrAliasId, OwnedServerName, OwnedServerSigningKeyId,
    OwnedTransactionId, OwnedUserId, RoomVersionId, UInt,
    events::{StateEventType, TimelineEventType},
};
use serde_json::value::RawValue;

use super::{
    Field, KeyError, KeyPart, Reader, ValueError, Writer,
    key::{read_text, write_text},
};

macro_rules! text {
    ($($id:ty),* $(,)?) => {$(
        impl KeyPart for $id {
            fn write(&self, out: &mut Writer) {
                write_text(self.as_str(), out);
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
                Self::try_from(read_text(input)?).map_err(|_| KeyError::Invalid)
            }
        }

        impl Field for $id {
            fn write(&self, out: &mut Writer) {
                out.sized(self.as_str().as_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
                let text = <String as Field>::read(input)?;
                Self::try_from(text).map_err(|_| ValueError::Invalid(format!("no {}", stringify!($id))))
            }
        }
    )*};
}
text!(
    OwnedRoomId,
    OwnedUserId,
    OwnedEventId,
    OwnedDeviceId,
    OwnedTransactionId,
    OwnedRoomAliasId,
    OwnedServerName,
    OwnedRoomOrAliasId,
    OwnedServerSigningKeyId,
    OwnedClientSecret,
    OwnedMxcUri,
    RoomVersionId,
);

macro_rules! event_type {
    ($($kind:ty),*) => {$(
        impl KeyPart for $kind {
            fn write(&self, out: &mut Writer) {
                write_text(&self.to_string(), out);
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
                Ok(Self::from(read_text(input)?))
            }
        }

        impl Field for $kind {
            fn write(&self, out: &mut Writer) {
                out.sized(self.to_string().as_bytes());
            }

            fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
                Ok(Self::from(<String as Field>::read(input)?))
            }
        }
    )*};
}
event_type!(StateEventType, TimelineEventType);

impl Field for UInt {
    fn write(&self, out: &mut Writer) {
        out.varint(u64::from(*self));
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        Self::try_from(input.varint()?)
            .map_err(|_| ValueError::Invalid("a number that is too large".into()))
    }
}

impl Field for MilliSecondsSinceUnixEpoch {
    fn write(&self, out: &mut Writer) {
        self.0.write(out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        UInt::read(input).map(Self)
    }
}

impl KeyPart for MilliSecondsSinceUnixEpoch {
    fn write(&self, out: &mut Writer) {
        KeyPart::write(&u64::from(self.0), out);
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, KeyError> {
        let stored = <u64 as KeyPart>::read(input)?;
        UInt::try_from(stored).map(Self).map_err(|_| KeyError::Invalid)
    }
}

/// JSON text as it came, checked when it is read.
impl Field for Box<RawValue> {
    fn write(&self, out: &mut Writer) {
        out.sized(self.get().as_bytes());
    }

    fn read(input: &mut Reader<'_>) -> Result<Self, ValueError> {
        let text = <String as Field>::read(input)?;
        RawValue::from_string(text).map_err(|error| ValueError::Invalid(error.to_string()))
    }
}
