//! Who may invite a user (client-server API, "Invite permission"; MSC4155 for lists of users and servers).

use ruma::UserId;
use serde::Deserialize;
use serde_json::Value;

/// What becomes of an invite, as the one who is invited wishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Welcome {
    /// It is told.
    #[default]
    Told,
    /// It is sent as if it were, and not told.
    Ignored,
    /// It is refused.
    Blocked,
}

/// What a user has decided about invites: the content of `m.invite_permission_config`.
#[derive(Clone, Debug, Default)]
pub struct InvitePermission {
    /// By users, then by servers. The first that matches decides.
    lists: Vec<(By, Welcome, Vec<String>)>,
    otherwise: Welcome,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    User,
    Server,
}

/// The lists of a configuration. If one of them is no list of texts, none of them counts.
#[derive(Debug, Deserialize)]
#[serde(default)]
struct Lists {
    enabled: bool,
    allowed_users: Vec<String>,
    ignored_users: Vec<String>,
    blocked_users: Vec<String>,
    allowed_servers: Vec<String>,
    ignored_servers: Vec<String>,
    blocked_servers: Vec<String>,
}

impl Default for Lists {
    fn default() -> Self {
        Self {
            enabled: true,
            allowed_users: vec![],
            ignored_users: vec![],
            blocked_users: vec![],
            allowed_servers: vec![],
            ignored_servers: vec![],
            blocked_servers: vec![],
        }
    }
}

impl InvitePermission {
    /// Reads a configuration. What cannot be read of it decides nothing.
    pub fn read(content: &str) -> Self {
        let content: Value = serde_json::from_str(content).unwrap_or_default();
        let blocks = content.get("default_action").and_then(Value::as_str) == Some("block");
        let otherwise = if blocks { Welcome::Blocked } else { Welcome::Told };
        let lists: Lists = serde_json::from_value(content).unwrap_or_default();
        if !lists.enabled {
            return Self { lists: vec![], otherwise };
        }
        let lists = vec![
            (By::User, Welcome::Told, lists.allowed_users),
            (By::User, Welcome::Ignored, lists.ignored_users),
            (By::User, Welcome::Blocked, lists.blocked_users),
            (By::Server, Welcome::Told, lists.allowed_servers),
            (By::Server, Welcome::Ignored, lists.ignored_servers),
            (By::Server, Welcome::Blocked, lists.blocked_servers),
        ];
        Self { lists, otherwise }
    }

    /// What becomes of an invite by `inviter`.
    pub fn of(&self, inviter: &UserId) -> Welcome {
        let server = inviter.server_name().host();
        let matches = |by: By, patterns: &[String]| {
            let text = match by {
                By::User => inviter.as_str(),
                By::Server => server,
            };
            patterns.iter().any(|pattern| is_like(pattern, text))
        };
        let decides = self.lists.iter().find(|(by, _, patterns)| matches(*by, patterns));
        decides.map_or(self.otherwise, |(_, welcome, _)| *welcome)
    }
}

/// Whether `text` is as `pattern` says, where `*` stands for any run of characters and `?` for any one.
fn is_like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where the last star stands, and how much of the text it has taken.
    let mut star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(wanted) if *wanted == b'?' || wanted.eq_ignore_ascii_case(&text[t]) => {
                p += 1;
                t += 1;
            }
            _ => {
                let Some((at, taken)) = star else { return false };
                star = Some((at, taken + 1));
                (p, t) = (at + 1, taken + 1);
            }
        }
    }
    pattern[p..].iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Welcome::*, *};

    #[track_caller]
    fn check(content: Value, expected: &[(&str, Welcome)]) {
        let permission = InvitePermission::read(&content.to_string());
        for (inviter, welcome) in expected {
            let inviter = UserId::parse(*inviter).unwrap();
            assert_eq!(permission.of(&inviter), *welcome, "{inviter} {content}");
        }
    }

    #[test]
    fn all_invites_are_told_or_all_are_blocked() {
        check(json!({}), &[("@a:x", Told)]);
        check(json!({ "default_action": "block" }), &[("@a:x", Blocked)]);
        for unknown in [json!("allow"), json!("ignore"), json!(7), json!(null), json!(["block"])] {
            check(json!({ "default_action": unknown }), &[("@a:x", Told)]);
        }
        check(json!([]), &[("@a:x", Told)]);
        check(json!("block"), &[("@a:x", Told)]);
    }

    #[test]
    fn users_decide_before_servers_and_allowing_before_ignoring_before_blocking() {
        check(
            json!({
                "allowed_users": ["@good:bad.org"], "ignored_users": ["@dull:*"],
                "blocked_users": ["@dull:here", "@spam?:*"],
                "allowed_servers": ["good.org"], "ignored_servers": ["dull.org"],
                "blocked_servers": ["*"],
            }),
            &[
                ("@good:bad.org", Told),
                ("@dull:here", Ignored),
                ("@dull:good.org", Ignored),
                ("@spam1:good.org", Blocked),
                ("@spam:good.org", Told),
                ("@a:good.org", Told),
                ("@a:good.org:8448", Told),
                ("@a:dull.org", Ignored),
                ("@a:elsewhere", Blocked),
            ],
        );
    }

    #[test]
    fn lists_go_before_what_holds_otherwise() {
        let content = json!({ "default_action": "block", "allowed_servers": ["x"] });
        check(content, &[("@a:x", Told), ("@a:y", Blocked)]);
    }

    #[test]
    fn lists_that_are_switched_off_or_cannot_be_read_decide_nothing() {
        check(json!({ "enabled": false, "blocked_servers": ["*"] }), &[("@a:x", Told)]);
        check(json!({ "blocked_servers": ["*"], "blocked_users": "*" }), &[("@a:x", Told)]);
        check(json!({ "blocked_servers": [7] }), &[("@a:x", Told)]);
        check(json!({ "blocked_servers": ["*"], "other": 7 }), &[("@a:x", Blocked)]);
    }

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("**", "abc", true),
            ("a*c", "abbbc", true),
            ("a*c", "abbb", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("?", "", false),
            ("*.org", "x.org", true),
            ("*.ORG", "x.org", true),
            ("*a*b", "aab", true),
            ("*ab", "aab", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b2b3", false),
        ] {
            assert_eq!(is_like(pattern, text), expected, "{pattern} {text}");
        }
        let hostile = "*a".repeat(1_000);
        assert!(!is_like(&hostile, &"a".repeat(255)));
    }
}
