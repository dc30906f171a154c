//! Which endpoints are open to those who have few: guests ("Guest Access"), and users whom administrators
//! have locked out ("Account moderation"). What suspended users may not do is the library's to refuse.

use http::Method;
use tertulia::{Error, Standing};

/// What one may do whose account is locked.
const WHILE_LOCKED: &[&str] =
    &["POST /_matrix/client/v3/logout", "POST /_matrix/client/v3/logout/all"];

/// What guests may do, as the specification has it; what one needs to come and go; and what says
/// the same as something that they may do.
const FOR_GUESTS: &[&str] = &[
    "GET /_matrix/client/v3/rooms/{roomId}/state",
    "GET /_matrix/client/v3/rooms/{roomId}/context/{eventId}",
    "GET /_matrix/client/v3/rooms/{roomId}/event/{eventId}",
    "GET /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "GET /_matrix/client/v3/rooms/{roomId}/messages",
    "GET /_matrix/client/v3/rooms/{roomId}/members",
    "GET /_matrix/client/v3/rooms/{roomId}/joined_members",
    "GET /_matrix/client/v3/rooms/{roomId}/initialSync",
    "GET /_matrix/client/v3/joined_rooms",
    "GET /_matrix/client/v3/sync",
    "GET /_matrix/client/v3/events",
    "GET /_matrix/client/v1/media/download/{serverName}/{mediaId}",
    "GET /_matrix/client/v1/media/download/{serverName}/{mediaId}/{fileName}",
    "GET /_matrix/client/v1/media/thumbnail/{serverName}/{mediaId}",
    "POST /_matrix/client/v3/rooms/{roomId}/join",
    "POST /_matrix/client/v3/join/{roomIdOrAlias}",
    "POST /_matrix/client/v3/rooms/{roomId}/leave",
    "PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}",
    "PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "PUT /_matrix/client/v3/sendToDevice/{eventType}/{txnId}",
    "PUT /_matrix/client/v3/profile/{userId}/{keyName}",
    "DELETE /_matrix/client/v3/profile/{userId}/{keyName}",
    "GET /_matrix/client/v3/devices",
    "GET /_matrix/client/v3/devices/{deviceId}",
    "PUT /_matrix/client/v3/devices/{deviceId}",
    "GET /_matrix/client/v3/account/whoami",
    "POST /_matrix/client/v3/keys/upload",
    "POST /_matrix/client/v3/keys/query",
    "POST /_matrix/client/v3/keys/claim",
    "GET /_matrix/client/v3/capabilities",
    "POST /_matrix/client/v3/user/{userId}/filter",
    "GET /_matrix/client/v3/user/{userId}/filter/{filterId}",
    "POST /_matrix/client/v3/logout",
    "POST /_matrix/client/v3/logout/all",
];

/// Where guests may change their display name, and nothing else.
const PROFILE: &str = "/_matrix/client/v3/profile/{userId}/{keyName}";

/// Where guests may change all state but memberships, which have endpoints of their own.
const STATE: &str = "/_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}";

/// To whom an endpoint is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    while_locked: bool,
    guests: Guests,
}

/// What guests may do at an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Guests {
    /// Nothing.
    #[default]
    Not,
    /// What everyone may.
    Welcome,
    /// What everyone may, if the path has this argument.
    Only(&'static str),
    /// What everyone may, unless the path has this argument.
    Except(&'static str),
}

impl Guests {
    fn of(method: &Method, names: &[String]) -> Self {
        let is = |path: &str| names.contains(&nameless(&format!("{method} {path}")));
        if !is_in(FOR_GUESTS, names) {
            return Self::Not;
        }
        match method {
            &Method::PUT | &Method::DELETE if is(PROFILE) => Self::Only("displayname"),
            &Method::PUT if is(STATE) => Self::Except("m.room.member"),
            _ => Self::Welcome,
        }
    }

    fn may<'a>(self, mut arguments: impl Iterator<Item = &'a str>) -> bool {
        match self {
            Self::Not => false,
            Self::Welcome => true,
            Self::Only(argument) => arguments.any(|given| given == argument),
            Self::Except(argument) => arguments.all(|given| given != argument),
        }
    }
}

impl Access {
    /// That of an endpoint that is served at these paths.
    pub(crate) fn of<'a>(method: &Method, paths: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<_> = paths.map(|path| nameless(&format!("{method} {path}"))).collect();
        Self { while_locked: is_in(WHILE_LOCKED, &names), guests: Guests::of(method, &names) }
    }

    /// Refuses those to whom the endpoint is not open now. The arguments are those of the path.
    pub(crate) fn check<'a>(
        self,
        standing: Standing,
        arguments: impl Iterator<Item = &'a str>,
    ) -> Result<(), Error> {
        if standing.locked && !self.while_locked {
            return Err(Error::Locked);
        }
        if standing.guest && !self.guests.may(arguments) {
            return Err(Error::GuestsForbidden);
        }
        Ok(())
    }
}

fn is_in(list: &[&str], names: &[String]) -> bool {
    list.iter().any(|endpoint| names.contains(&nameless(endpoint)))
}

/// An endpoint without the names of the parameters in its path, which are ruma's own.
fn nameless(endpoint: &str) -> String {
    let part = |part| if str::starts_with(part, '{') { "{}" } else { part };
    endpoint.split('/').map(part).collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(endpoint: &str) -> Access {
        let (method, path) = endpoint.split_once(' ').unwrap();
        let old = path.replace("/v3/", "/r0/");
        Access::of(&method.parse().unwrap(), [old.as_str(), path].into_iter())
    }

    #[test]
    fn a_locked_user_may_log_out() {
        let check = |endpoint: &str, open: bool| {
            let locked = Standing { locked: true, ..Standing::default() };
            assert_eq!(of(endpoint).check(locked, [].into_iter()).is_ok(), open, "{endpoint}");
            assert!(of(endpoint).check(Standing::default(), [].into_iter()).is_ok());
        };
        check("POST /_matrix/client/v3/logout", true);
        check("POST /_matrix/client/v3/logout/all", true);
        check("GET /_matrix/client/v3/logout", false);
        check("GET /_matrix/client/v3/sync", false);
    }

    #[track_caller]
    fn check_guest(endpoint: &str, arguments: &[&str], welcome: bool) {
        let guest = Standing { guest: true, ..Standing::default() };
        let checked = of(endpoint).check(guest, arguments.iter().copied());
        assert_eq!(checked.is_ok(), welcome, "{endpoint} {arguments:?}");
    }

    #[test]
    fn guests_may_do_what_the_specification_lists() {
        check_guest("GET /_matrix/client/v3/sync", &[], true);
        check_guest("POST /_matrix/client/v3/createRoom", &[], false);
        check_guest("POST /_matrix/client/v3/rooms/{room_id}/invite", &["!a"], false);
        check_guest("DELETE /_matrix/client/v3/devices/{device_id}", &["A"], false);
        let profile = "/_matrix/client/v3/profile/{user_id}/{field}";
        for method in ["PUT", "DELETE"] {
            let endpoint = format!("{method} {profile}");
            check_guest(&endpoint, &["@a:x", "displayname"], true);
            check_guest(&endpoint, &["@a:x", "avatar_url"], false);
        }
        let state = "PUT /_matrix/client/v3/rooms/{room_id}/state/{event_type}/{state_key}";
        check_guest(state, &["!a", "m.room.topic", ""], true);
        check_guest(state, &["!a", "m.room.member", "@a:x"], false);
    }
}
