//! The server's name and signing key.

use std::fmt;

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName, ServerName,
    signatures::{Ed25519KeyPair, KeyPair as _, sign_json},
};

/// Signs in the name of one server.
pub struct Signer {
    server: OwnedServerName,
    key: Ed25519KeyPair,
}

/// The bytes are not an ed25519 key.
#[derive(Debug, thiserror::Error)]
#[error("the signing key cannot be read: {0}")]
pub struct InvalidKey(String);

/// What stands before the 32 bytes of an ed25519 seed in PKCS #8.
const PKCS8_HEADER: [u8; 16] =
    [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];

impl Signer {
    /// A signer with a key that is read already.
    pub fn new(server: OwnedServerName, key: Ed25519KeyPair) -> Self {
        Self { server, key }
    }

    /// A signer whose key is made from 32 secret bytes, called `ed25519:version`.
    pub fn from_seed(
        server: OwnedServerName,
        seed: &[u8; 32],
        version: impl Into<String>,
    ) -> Result<Self, InvalidKey> {
        let der = [&PKCS8_HEADER[..], seed].concat();
        let key = Ed25519KeyPair::from_der(&der, version.into());
        let key = key.map_err(|error| InvalidKey(error.to_string()))?;
        Ok(Self { server, key })
    }

    /// In whose name is signed.
    pub fn server(&self) -> &ServerName {
        &self.server
    }

    /// The ID of the key, such as `ed25519:1`.
    pub fn key_id(&self) -> String {
        format!("ed25519:{}", self.key.version())
    }

    /// The public half of the key.
    pub fn public_key(&self) -> [u8; 32] {
        self.key.public_key()
    }

    /// Adds this server's signature to any JSON object that is no event.
    pub fn sign_json(
        &self,
        object: &mut CanonicalJsonObject,
    ) -> Result<(), ruma::signatures::JsonError> {
        sign_json(self.server.as_str(), &self.key, object)
    }

    /// Adds this server's signature of `bytes` to those an event has.
    pub(crate) fn sign_into(&self, event: &mut CanonicalJsonObject, bytes: &str) {
        let signature = self.key.sign(bytes.as_bytes());
        let signatures = object_in(event, "signatures");
        let own = object_in(signatures, self.server.as_str());
        own.insert(signature.id(), CanonicalJsonValue::String(signature.base64()));
    }
}

/// The object under `key`, put there if there is none.
fn object_in<'a>(parent: &'a mut CanonicalJsonObject, key: &str) -> &'a mut CanonicalJsonObject {
    let value = parent.entry(key.to_owned()).or_default();
    if !value.is_object() {
        *value = CanonicalJsonValue::Object(CanonicalJsonObject::new());
    }
    value.as_object_mut().expect("it was made an object")
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, {})", self.server, self.key_id())
    }
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine as _, engine::general_purpose::GeneralPurpose,
        engine::general_purpose::GeneralPurposeConfig,
    };
    use ruma::room_version_rules::RoomVersionRules;
    use serde_json::{Value, json};

    use super::*;
    use crate::append::hash_and_sign;

    /// The signer of the specification's appendix "Cryptographic Test Vectors".
    fn signer() -> Signer {
        let lenient = GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(base64::engine::DecodePaddingMode::RequireNone);
        let engine = GeneralPurpose::new(&base64::alphabet::STANDARD, lenient);
        let seed = engine.decode("YJDBA9Xnr2sVqXD9Vj7XVUnmFZcZrlw8Md7kMW+3XA1").unwrap();
        let seed = seed.as_slice().try_into().unwrap();
        Signer::from_seed("domain".try_into().unwrap(), seed, "1").unwrap()
    }

    fn object(value: &Value) -> CanonicalJsonObject {
        serde_json::from_value(value.clone()).unwrap()
    }

    #[track_caller]
    fn check_json(value: &Value, signature: &str) {
        let mut object = object(value);
        signer().sign_json(&mut object).unwrap();
        let mut expected = value.clone();
        expected["signatures"] = json!({"domain": {"ed25519:1": signature}});
        assert_eq!(serde_json::to_value(&object).unwrap(), expected);
    }

    #[test]
    fn objects_are_signed_as_in_the_appendix() {
        let empty = "K8280/U9SSy9IVtjBuVeLr+HpOB4BQFWbg+UZaADMtTdGYI7Geitb76LTrr5QV/7Xg4ahLwYGYZzuHGZKM5ZAQ";
        check_json(&json!({}), empty);
        let two = "KqmLSbO39/Bzb0QIYE82zqLwsA+PDzYIpIRA2sRQ4sL53+sN6/fpNSoqE7BP7vBZhG6kYdD13EIMJpvhJI+6Bw";
        check_json(&json!({"one": 1, "two": "Two"}), two);
    }

    #[track_caller]
    fn check_event(event: &Value, hash: &str, signature: &str) {
        let mut object = object(event);
        hash_and_sign(&mut object, &RoomVersionRules::V1, &signer()).unwrap();
        let mut expected = event.clone();
        expected["hashes"] = json!({"sha256": hash});
        expected["signatures"] = json!({"domain": {"ed25519:1": signature}});
        assert_eq!(serde_json::to_value(&object).unwrap(), expected);
    }

    #[test]
    fn the_minimal_event_is_signed_as_in_the_appendix() {
        let event = json!({
            "room_id": "!x:domain", "sender": "@a:domain", "origin": "domain",
            "origin_server_ts": 1_000_000, "signatures": {}, "hashes": {}, "type": "X",
            "content": {}, "prev_events": [], "auth_events": [], "depth": 3,
            "unsigned": {"age_ts": 1_000_000},
        });
        check_event(
            &event,
            "5jM4wQpv6lnBo7CLIghJuHdW+s2CMBJPUOGOC89ncos",
            "KxwGjPSDEtvnFgU00fwFz+l6d2pJM6XBIaMEn81SXPTRl16AqLAYqfIReFGZlHi5KLjAWbOoMszkwsQma+lYAg",
        );
    }

    #[test]
    fn an_event_with_content_is_signed_as_in_the_appendix() {
        let event = json!({
            "content": {"body": "Here is the message content"}, "event_id": "$0:domain",
            "origin": "domain", "origin_server_ts": 1_000_000, "type": "m.room.message",
            "room_id": "!r:domain", "sender": "@u:domain", "signatures": {},
            "unsigned": {"age_ts": 1_000_000},
        });
        check_event(
            &event,
            "onLKD1bGljeBWQhWZ1kaP9SorVmRQNdN5aM2JYU2n/g",
            "Wm+VzmOUOz08Ds+0NTWb1d4CZrVsJSikkeRxh6aCcUwu6pNC78FunoD7KNWzqFn241eYHYMGCA5McEiVPdhzBA",
        );
    }

    #[test]
    fn a_signer_shows_no_secret() {
        assert_eq!(format!("{:?}", signer()), "Signer(domain, ed25519:1)");
    }
}
