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
const PKCS8_HEADER: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];

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
        own.insert(
            signature.id(),
            CanonicalJsonValue::String(signature.base64()),
        );
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
