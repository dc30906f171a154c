//! The names of users: which may be registered, and whom a client means by one.

use ruma::{OwnedUserId, ServerName, UserId};

use crate::{Error, Result};

/// The longest user ID, in bytes, with sigil and server name.
const LONGEST: usize = 255;

/// The ID that a new user called `name` gets.
///
/// Capitals become small letters, since no two users may differ only in case
/// (appendices, "User Identifiers").
///
/// # Errors
///
/// [`Error::InvalidUserName`], which says what is wrong with the name.
pub(crate) fn new_id(name: &str, server: &ServerName) -> Result<OwnedUserId> {
    let localpart = name.to_ascii_lowercase();
    if localpart.is_empty() {
        return Err(Error::InvalidUserName("is empty"));
    }
    if !localpart.bytes().all(is_allowed) {
        return Err(Error::InvalidUserName("may only hold a-z, 0-9 and the characters ._=-/+"));
    }
    let id = format!("@{localpart}:{server}");
    if id.len() > LONGEST {
        return Err(Error::InvalidUserName("is too long: the user ID may have 255 bytes"));
    }
    UserId::parse(id).map_err(|_| Error::InvalidUserName("makes no user ID"))
}

/// The local user that someone who logs in means by `name`: a whole ID or its first part, in any
/// case. `None` if no user of this server can be called so.
pub(crate) fn existing_id(name: &str, server: &ServerName) -> Option<OwnedUserId> {
    let localpart = match name.strip_prefix('@') {
        Some(rest) => rest.strip_suffix(server.as_str())?.strip_suffix(':')?,
        None => name,
    };
    new_id(localpart, server).ok()
}

fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'=' | b'-' | b'/' | b'+')
}

#[cfg(test)]
mod tests {
    use ruma::server_name;

    use super::*;

    fn check_new(name: &str, expected: Option<&str>) {
        let id = new_id(name, server_name!("example.org:8448"));
        assert_eq!(id.as_ref().ok().map(|id| id.as_str()), expected, "{name:?}");
        assert_eq!(expected.is_none(), matches!(id, Err(Error::InvalidUserName(_))), "{name:?}");
    }

    #[test]
    fn names_follow_the_grammar_and_lose_their_capitals() {
        check_new("alice", Some("@alice:example.org:8448"));
        check_new("Alice", Some("@alice:example.org:8448"));
        check_new("0", Some("@0:example.org:8448"));
        check_new("a.b_c=d-e/f+g", Some("@a.b_c=d-e/f+g:example.org:8448"));
        check_new("_bridge", Some("@_bridge:example.org:8448"));
        for name in ["", " ", "a b", "a:b", "@alice", "@alice:example.org:8448", "é", "a\0b"] {
            check_new(name, None);
        }
        for character in "!\"#$%&'()*,:;<>?@[\\]^`{|}~£\n".chars() {
            check_new(&format!("user{character}"), None);
        }
    }

    #[test]
    fn a_user_id_has_at_most_255_bytes() {
        let room = LONGEST - "@:example.org:8448".len();
        let longest = "a".repeat(room);
        check_new(&longest, Some(&format!("@{longest}:example.org:8448")));
        check_new(&"a".repeat(room + 1), None);
    }

    fn check_existing(name: &str, expected: Option<&str>) {
        let id = existing_id(name, server_name!("example.org"));
        assert_eq!(id.as_ref().map(|id| id.as_str()), expected, "{name:?}");
    }

    #[test]
    fn who_logs_in_may_give_the_whole_id_or_its_first_part() {
        check_existing("alice", Some("@alice:example.org"));
        check_existing("@alice:example.org", Some("@alice:example.org"));
        check_existing("@Alice:example.org", Some("@alice:example.org"));
        check_existing("ALICE", Some("@alice:example.org"));
    }

    #[test]
    fn others_users_and_impossible_names_mean_nobody() {
        for name in ["@alice:example.com", "@alice", "@:example.org", "@aliceexample.org", "", "é"]
        {
            check_existing(name, None);
        }
    }
}
