//! Registration with a secret that the operator shares, for servers whose registration is closed to others.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::client::{Client, Result};

const PATH: &str = "/_synapse/admin/v1/register";

/// Registers a user by the shared secret; the answer is the one of an ordinary registration.
pub async fn register(client: &Client, secret: &str, name: &str, password: &str) -> Result<Value> {
    let answer: Value = client.get(PATH, &[]).await?;
    let nonce = answer["nonce"].as_str().unwrap_or_default();
    let mac = proof(secret, nonce, name, password);
    client
        .post(PATH, &json!({ "nonce": nonce, "username": name, "password": password, "admin": false, "mac": mac }))
        .await
}

/// HMAC-SHA1 of nonce, name, password and role, joined by NUL, in hexadecimal: what proves that one knows the secret.
fn proof(secret: &str, nonce: &str, name: &str, password: &str) -> String {
    let mut mac =
        Hmac::<Sha1>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update([nonce, name, password, "notadmin"].join("\0").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_proof_is_what_other_servers_compute() {
        // From `printf 'n\0alice\0pass\0notadmin' | openssl dgst -sha1 -hmac secret`.
        assert_eq!(
            proof("secret", "n", "alice", "pass"),
            "7f7e2980171ce28d1597cb711cc28fdef7cd0ab1"
        );
    }
}
