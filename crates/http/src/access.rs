//! Which endpoints are open to users from whom administrators have taken something for a while
//! ("Account moderation").

use http::Method;
use tertulia::{Error, Standing};

/// What one may do whose account is locked.
const WHILE_LOCKED: &[&str] =
    &["POST /_matrix/client/v3/logout", "POST /_matrix/client/v3/logout/all"];

/// What one may not do who is suspended: to speak, to meet others, to change how one looks. Events
/// of others are not redacted either, which is asked where events are.
const NOT_WHILE_SUSPENDED: &[&str] = &[
    "POST /_matrix/client/v3/createRoom",
    "POST /_matrix/client/v3/join/{roomIdOrAlias}",
    "POST /_matrix/client/v3/knock/{roomIdOrAlias}",
    "POST /_matrix/client/v3/rooms/{roomId}/join",
    "POST /_matrix/client/v3/rooms/{roomId}/invite",
    "POST /_matrix/client/v3/rooms/{roomId}/kick",
    "POST /_matrix/client/v3/rooms/{roomId}/ban",
    "POST /_matrix/client/v3/rooms/{roomId}/unban",
    "POST /_matrix/client/v3/rooms/{roomId}/upgrade",
    "PUT /_matrix/client/v3/rooms/{roomId}/send/{eventType}/{txnId}",
    "PUT /_matrix/client/v3/rooms/{roomId}/state/{eventType}/{stateKey}",
    "PUT /_matrix/client/v3/rooms/{roomId}/typing/{userId}",
    "PUT /_matrix/client/v3/profile/{userId}/{keyName}",
    "DELETE /_matrix/client/v3/profile/{userId}/{keyName}",
    "PUT /_matrix/client/v3/directory/room/{roomAlias}",
    "PUT /_matrix/client/v3/directory/list/room/{roomId}",
    "POST /_matrix/media/v3/upload",
    "POST /_matrix/media/v1/create",
    "PUT /_matrix/media/v3/upload/{serverName}/{mediaId}",
];

/// To whom an endpoint is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Access {
    while_locked: bool,
    not_while_suspended: bool,
}

impl Access {
    /// That of an endpoint that is served at these paths.
    pub(crate) fn of<'a>(method: &Method, paths: impl Iterator<Item = &'a str>) -> Self {
        let names: Vec<_> = paths.map(|path| nameless(&format!("{method} {path}"))).collect();
        let is_in = |list: &[&str]| list.iter().any(|endpoint| names.contains(&nameless(endpoint)));
        Self { while_locked: is_in(WHILE_LOCKED), not_while_suspended: is_in(NOT_WHILE_SUSPENDED) }
    }

    /// Refuses those to whom the endpoint is not open now.
    pub(crate) fn check(self, standing: Standing) -> Result<(), Error> {
        if standing.locked && !self.while_locked {
            return Err(Error::Locked);
        }
        if standing.suspended && self.not_while_suspended {
            return Err(Error::Suspended);
        }
        Ok(())
    }
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

    #[track_caller]
    fn check(endpoint: &str, while_locked: bool, while_suspended: bool) {
        let access = of(endpoint);
        let locked = access.check(Standing { locked: true, suspended: false });
        assert_eq!(locked.is_ok(), while_locked, "{endpoint}");
        let suspended = access.check(Standing { locked: false, suspended: true });
        assert_eq!(suspended.is_ok(), while_suspended, "{endpoint}");
        assert!(access.check(Standing::default()).is_ok());
    }

    #[test]
    fn a_locked_user_may_log_out() {
        check("POST /_matrix/client/v3/logout", true, true);
        check("POST /_matrix/client/v3/logout/all", true, true);
        check("GET /_matrix/client/v3/logout", false, true);
    }

    #[test]
    fn a_suspended_user_may_read_and_leave() {
        for endpoint in [
            "GET /_matrix/client/v3/sync",
            "GET /_matrix/client/v3/rooms/{room_id}/messages",
            "POST /_matrix/client/v3/rooms/{room_id}/leave",
            "PUT /_matrix/client/v3/rooms/{room_id}/redact/{event_id}/{txn_id}",
            "DELETE /_matrix/client/v3/devices/{device_id}",
            "POST /_matrix/client/v3/account/deactivate",
        ] {
            check(endpoint, false, true);
        }
    }

    #[test]
    fn a_suspended_user_may_not_speak_or_meet_others() {
        for endpoint in [
            "PUT /_matrix/client/v3/rooms/{room_id}/send/{event_type}/{txn_id}",
            "PUT /_matrix/client/v3/profile/{user_id}/{field}",
            "POST /_matrix/client/v3/join/{room_id_or_alias}",
        ] {
            check(endpoint, false, false);
        }
    }
}
