//! Users, their devices and profiles.

use std::collections::BTreeMap;

use ruma::OwnedDeviceId;
use serde_json::Value;
use tertulia_storage::record;

/// An account of this server. Its row is the one to guard when anything of its user changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// When it was made, in milliseconds since 1970.
    pub created: u64,
    /// The password as a PHC string; none if one cannot log in with a password.
    pub password: Option<String>,
    /// Whether the user may administer the server.
    pub admin: bool,
    /// When it was closed for good, in milliseconds since 1970.
    pub deactivated: Option<u64>,
    /// Whether its user asked that what they wrote be hidden from those who come later.
    pub erased: bool,
    /// Whether nothing at all can be done with it for now.
    pub locked: bool,
    /// Whether its user may not speak or meet others for now.
    pub suspended: bool,
    /// Whether it is a guest's.
    pub guest: bool,
}

record!(Account = 2 { created, password, admin, deactivated, erased } since 2 {
    locked = false,
    suspended = false,
    guest = false,
});

/// A device of a user, and the one session on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRow {
    /// The SHA-256 of the session's access token.
    pub token: [u8; 32],
    /// What its user calls it.
    pub display_name: Option<String>,
    /// When it first logged in, in milliseconds since 1970.
    pub created: u64,
    /// The SHA-256 of the token that renews the session, where its access token expires.
    pub refresh: Option<[u8; 32]>,
    /// What was given out to renew the session with and was not used yet, oldest first.
    pub offered: Vec<TokenPair>,
}

record!(DeviceRow = 2 { token, display_name, created } since 2 { refresh = None, offered = Vec::new() });

/// An access token that expires and the one that renews its session then, each as its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TokenPair {
    /// That of the access token.
    pub access: [u8; 32],
    /// That of the refresh token.
    pub refresh: [u8; 32],
}

record!(TokenPair = 1 { access, refresh });

/// An access token that proves a session for a while.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpiringToken {
    /// The device whose session it proves.
    pub device: OwnedDeviceId,
    /// From when on it proves nothing, in milliseconds since 1970.
    pub expires: u64,
    /// Whether it is the token of its session; until then it is one on offer.
    pub in_use: bool,
}

record!(ExpiringToken = 1 { device, expires, in_use });

/// When and from where a device was last heard of, up to an hour ago.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// The address it called from.
    pub from: String,
}

record!(Sighting = 1 { at, from });

/// A user who was removed altogether.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemovedUser {
    /// When, in milliseconds since 1970.
    pub at: u64,
    /// Whether the user's rows are all gone already.
    pub finished: bool,
}

record!(RemovedUser = 1 { at, finished });

/// What a user tells everyone about themself: the name of each field and its value.
pub type Profile = BTreeMap<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::golden::{check, check_old, hex};

    #[test]
    fn accounts_keep_their_form() {
        let account = Account {
            created: 1_000,
            password: Some("$x".to_owned()),
            admin: true,
            deactivated: None,
            erased: false,
            locked: false,
            suspended: false,
            guest: false,
        };
        check(&account, hex("02e80701022478010000000000"));
        check_old(&account, hex("01e80701022478010000"));
        let closed = Account { password: None, deactivated: Some(2_000), erased: true, ..account };
        check(&closed, hex("02e807000101d00f01000000"));
        check_old(&closed, hex("01e807000101d00f01"));
        check(&Account { locked: true, ..closed.clone() }, hex("02e807000101d00f01010000"));
        check(&Account { suspended: true, ..closed.clone() }, hex("02e807000101d00f01000100"));
        check(&Account { guest: true, ..closed }, hex("02e807000101d00f01000001"));
    }

    #[test]
    fn devices_keep_their_form() {
        let device = DeviceRow {
            token: [7; 32],
            display_name: Some("phone".to_owned()),
            created: 1_000,
            refresh: None,
            offered: Vec::new(),
        };
        let token = "07".repeat(32);
        check(&device, hex(&format!("02{token}010570686f6e65e8070000")));
        check_old(&device, hex(&format!("01{token}010570686f6e65e807")));
        let nameless = DeviceRow { display_name: None, ..device };
        check(&nameless, hex(&format!("02{token}00e8070000")));
        check_old(&nameless, hex(&format!("01{token}00e807")));
        let pair = TokenPair { access: [8; 32], refresh: [9; 32] };
        let renewable = DeviceRow { refresh: Some([6; 32]), offered: vec![pair], ..nameless };
        let [access, refresh, own] = ["08", "09", "06"].map(|byte| byte.repeat(32));
        check(&renewable, hex(&format!("02{token}00e80701{own}0101{access}{refresh}")));
    }

    #[test]
    fn tokens_that_expire_keep_their_form() {
        let device: OwnedDeviceId = "PHONE".into();
        let token = ExpiringToken { device, expires: 1_000, in_use: false };
        check(&token, hex("010550484f4e45e80700"));
        check(&ExpiringToken { in_use: true, ..token }, hex("010550484f4e45e80701"));
    }

    #[test]
    fn sightings_keep_their_form() {
        let sighting = Sighting { at: 1_000, from: "::1".to_owned() };
        check(&sighting, hex("01e807033a3a31"));
    }

    #[test]
    fn notes_of_removed_users_keep_their_form() {
        check(&RemovedUser { at: 1_000, finished: false }, hex("01e80700"));
        check(&RemovedUser { at: 1_000, finished: true }, hex("01e80701"));
    }
}
