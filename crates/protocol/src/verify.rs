//! Hashes and signatures of events from elsewhere, checked once.

use ruma::{
    CanonicalJsonObject, CanonicalJsonValue, OwnedServerName,
    canonical_json::redact_in_place,
    events::TimelineEventType,
    room_version_rules::RoomVersionRules,
    serde::Base64,
    signatures::{
        PublicKeyMap, Verified as Matches, required_server_signatures_to_verify_event, verify_event,
    },
};

use crate::{Known, Malformed, Needs, Pdu, canonical::canonical_object};

/// An event whose form and signatures are right, and whose content is what its hash promises.
#[derive(Clone, Debug)]
pub struct Verified {
    pdu: Pdu,
}

impl Verified {
    /// Trusts an event that was signed here or read from the own store.
    pub fn trusted(pdu: Pdu) -> Self {
        Self { pdu }
    }

    /// The event. If its content was not what its hash promises, it is redacted.
    pub fn pdu(&self) -> &Pdu {
        &self.pdu
    }

    /// Takes the event out.
    pub fn into_pdu(self) -> Pdu {
        self.pdu
    }
}

/// Why an event from elsewhere is as if it had never come.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// It is no event of the room's version.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// A server that must have signed it has not.
    #[error("not signed as it must be: {0}")]
    Unsigned(String),
    /// The server that sent it has no access to the room.
    #[error("{0} is denied access to the room")]
    Denied(OwnedServerName),
}

/// Checks form, signatures and hash of an event from elsewhere.
///
/// The outer error names the keys that must be loaded: those with which the servers that must have signed it did.
pub fn verify(
    json: &str,
    rules: &RoomVersionRules,
    known: &Known,
) -> Result<Result<Verified, Dropped>, Needs> {
    let parsed = canonical_object(json).and_then(|object| {
        let pdu = Pdu::from_object(object.clone(), rules)?;
        Ok((object, pdu))
    });
    let (object, pdu) = match parsed {
        Ok(parsed) => parsed,
        Err(malformed) => return Ok(Err(malformed.into())),
    };
    let mut rules = rules.clone();
    // Only a membership lets somebody in; elsewhere the key is content like any other.
    rules.signatures.check_join_authorised_via_users_server &=
        *pdu.kind() == TimelineEventType::RoomMember;
    let servers = match required_server_signatures_to_verify_event(&object, &rules.signatures) {
        Ok(servers) => servers,
        Err(error) => return Ok(Err(Dropped::Unsigned(error.to_string()))),
    };
    let keys = keys_for(&object, &pdu, servers.into_iter(), &rules, known)?;
    Ok(match verify_event(&keys, &object, &rules) {
        Ok(Matches::All) => Ok(Verified { pdu }),
        Ok(Matches::Signatures) => redacted(object, &rules),
        Err(error) => Err(Dropped::Unsigned(error.to_string())),
    })
}

/// The event as it is taken when somebody on the way has changed its content.
fn redacted(
    mut object: CanonicalJsonObject,
    rules: &RoomVersionRules,
) -> Result<Verified, Dropped> {
    redact_in_place(&mut object, &rules.redaction, None).expect("a parsed event has a type");
    let pdu = Pdu::from_object(object, rules)?;
    Ok(Verified { pdu })
}

/// The keys with which `servers` signed, as far as they were valid when the event was sent.
fn keys_for(
    object: &CanonicalJsonObject,
    pdu: &Pdu,
    servers: impl Iterator<Item = OwnedServerName>,
    rules: &RoomVersionRules,
    known: &Known,
) -> Result<PublicKeyMap, Needs> {
    let (mut keys, mut needs) = (PublicKeyMap::new(), Needs::default());
    for server in servers {
        let mut usable = std::collections::BTreeMap::new();
        for id in key_ids(object, &server) {
            match known.key(&server, id) {
                None => {
                    needs.keys.insert((server.clone(), id.to_owned()));
                }
                Some(Some(key))
                    if !rules.enforce_key_validity || key.valid_until >= pdu.origin_server_ts() =>
                {
                    usable.insert(id.to_owned(), Base64::new(key.key.clone()));
                }
                Some(_) => {}
            }
        }
        keys.insert(server.to_string(), usable);
    }
    if needs.is_empty() { Ok(keys) } else { Err(needs) }
}

/// The IDs of the ed25519 keys with which a server signed; a few suffice.
fn key_ids<'a>(
    object: &'a CanonicalJsonObject,
    server: &OwnedServerName,
) -> impl Iterator<Item = &'a str> {
    let signatures = object.get("signatures").and_then(CanonicalJsonValue::as_object);
    let own = signatures.and_then(|all| all.get(server.as_str())?.as_object());
    let ids = own.into_iter().flat_map(|own| own.keys().map(String::as_str));
    ids.filter(|id| id.starts_with("ed25519:")).take(8)
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
