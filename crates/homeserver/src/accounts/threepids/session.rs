//! A session of proving an address as a machine: what becomes of it when somebody asks for it again, shows
//! something, or comes to use it. Time is given to it; what is right is found out elsewhere.

use crate::{
    Error, Result,
    mail::CODE_LIFETIME_MS,
    schema::{Proving, ThreepidSession},
};

/// For how long an address that was proven can be used, in milliseconds: one may still have to choose a name.
const USE_MS: u64 = 60 * 60_000;

/// So many wrong codes make the right one void.
const MOST_WRONG: u32 = 5;

/// Who asks for another mail when the code is good for less than this gets another code.
const REST_MS: u64 = 5 * 60_000;

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its code and its link are good.
    Waiting,
    /// The address was proven.
    Validated,
    /// Too many wrong codes were shown.
    Void,
    /// Its time is over.
    Over,
}

/// What is to be done for one who asks for a session that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Nothing: a request was repeated, or the address is proven.
    Nothing,
    /// The same mail is to be sent again.
    Remind,
    /// Another session begins in its place.
    Anew,
}

/// What was shown in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    /// What the mail says.
    Right,
    /// A code that is not the mail's.
    WrongCode,
    /// A link that is not the mail's, which nobody guesses.
    WrongLink,
}

impl ThreepidSession {
    /// How it stands at `now`.
    pub(super) fn standing(&self, now: u64) -> Standing {
        let is_over = |since: u64, lifetime| now.saturating_sub(since) >= lifetime;
        match self.validated {
            Some(validated) if is_over(validated, USE_MS) => Standing::Over,
            Some(_) => Standing::Validated,
            None if is_over(self.created, CODE_LIFETIME_MS) => Standing::Over,
            None if self.wrong >= MOST_WRONG => Standing::Void,
            None => Standing::Waiting,
        }
    }

    /// From when on it can be forgotten.
    pub(crate) fn until(&self) -> u64 {
        let (since, lifetime) =
            self.validated.map_or((self.created, CODE_LIFETIME_MS), |since| (since, USE_MS));
        since.saturating_add(lifetime)
    }

    /// What to do for one who asks for the `attempt`-th time. No attempt up to the last one has a mail sent, so
    /// that a request that is repeated sends one mail.
    pub(super) fn ask(&self, attempt: u64, now: u64) -> Asked {
        let rest = CODE_LIFETIME_MS.saturating_sub(now.saturating_sub(self.created));
        match self.standing(now) {
            Standing::Over => Asked::Anew,
            Standing::Validated => Asked::Nothing,
            _ if attempt <= self.attempt => Asked::Nothing,
            Standing::Waiting if rest >= REST_MS => Asked::Remind,
            Standing::Waiting | Standing::Void => Asked::Anew,
        }
    }

    /// Notes what was shown; the outer error is for what is not to be noted.
    ///
    /// # Errors
    ///
    /// [`Error::CodeExpired`]; or inside, once it is noted, [`Error::WrongCode`].
    pub(super) fn show(&mut self, shown: Shown, now: u64) -> Result<Result<()>> {
        match (self.standing(now), shown) {
            (Standing::Over | Standing::Void, _) => Err(Error::CodeExpired),
            (Standing::Validated, Shown::Right) => Ok(Ok(())),
            (Standing::Validated, _) | (_, Shown::WrongLink) => Err(Error::WrongCode),
            (Standing::Waiting, Shown::Right) if !self.hollow => {
                self.validated = Some(now);
                Ok(Ok(()))
            }
            (Standing::Waiting, _) => {
                self.wrong += 1;
                Ok(Err(Error::WrongCode))
            }
        }
    }

    /// Whether it lets somebody do this now.
    ///
    /// # Errors
    ///
    /// [`Error::AddressNotProven`].
    pub(super) fn check_proves(&self, any_of: &[Proving], now: u64) -> Result<()> {
        let is_proven = self.standing(now) == Standing::Validated && !self.hollow;
        if is_proven && any_of.contains(&self.proving) {
            Ok(())
        } else {
            Err(Error::AddressNotProven)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;
    const BEGAN: u64 = 1_000_000;

    fn session() -> ThreepidSession {
        ThreepidSession {
            word: "w".to_owned(),
            proving: Proving::Registration,
            address: "a@x.org".to_owned(),
            secret: [0; 32],
            attempt: 2,
            created: BEGAN,
            hollow: false,
            wrong: 0,
            validated: None,
        }
    }

    fn validated() -> ThreepidSession {
        ThreepidSession { validated: Some(BEGAN + MINUTE), ..session() }
    }

    fn void() -> ThreepidSession {
        ThreepidSession { wrong: MOST_WRONG, ..session() }
    }

    #[test]
    fn a_session_waits_and_is_over() {
        let check = |session: &ThreepidSession, minutes, expected| {
            assert_eq!(
                session.standing(BEGAN + minutes * MINUTE),
                expected,
                "{session:?} {minutes}"
            );
        };
        check(&session(), 0, Standing::Waiting);
        check(&session(), 14, Standing::Waiting);
        check(&session(), 15, Standing::Over);
        check(&void(), 14, Standing::Void);
        check(&void(), 15, Standing::Over);
        check(&validated(), 60, Standing::Validated);
        check(&validated(), 61, Standing::Over);
        assert_eq!(session().standing(0), Standing::Waiting, "a clock that went back ends nothing");
        for session in [session(), validated(), void()] {
            assert_ne!(session.standing(session.until() - 1), Standing::Over);
            assert_eq!(session.standing(session.until()), Standing::Over);
        }
    }

    #[test]
    fn a_repeated_request_sends_no_second_mail() {
        let check = |session: &ThreepidSession, attempt, minutes, expected| {
            let asked = session.ask(attempt, BEGAN + minutes * MINUTE);
            assert_eq!(asked, expected, "{session:?} {attempt} {minutes}");
        };
        for attempt in [0, 1, 2] {
            check(&session(), attempt, 1, Asked::Nothing);
            check(&void(), attempt, 1, Asked::Nothing);
            check(&session(), attempt, 15, Asked::Anew);
        }
        check(&session(), 3, 1, Asked::Remind);
        check(&session(), 3, 10, Asked::Remind);
        check(&session(), 3, 11, Asked::Anew);
        check(&void(), 3, 1, Asked::Anew);
        check(&validated(), 3, 30, Asked::Nothing);
        check(&validated(), 3, 61, Asked::Anew);
    }

    /// Shows things to `session`, and tells the last answer.
    fn show(session: &mut ThreepidSession, shown: &[Shown], at: u64) -> &'static str {
        let answer = shown.iter().map(|shown| session.show(*shown, at).flatten()).last();
        match answer.expect("something is shown") {
            Ok(()) => "proven",
            Err(Error::WrongCode) => "wrong",
            Err(Error::CodeExpired) => "expired",
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn what_the_mail_says_proves_the_address_in_time() {
        use Shown::{Right, WrongCode, WrongLink};
        let check = |session: &ThreepidSession, shown: &[Shown], minutes, expected| {
            let told = show(&mut session.clone(), shown, BEGAN + minutes * MINUTE);
            assert_eq!(told, expected, "{session:?} {shown:?} {minutes}");
        };
        check(&session(), &[Right], 14, "proven");
        check(&session(), &[Right], 15, "expired");
        check(&session(), &[WrongCode; 5], 1, "wrong");
        check(&session(), &[WrongCode; 6], 1, "expired");
        check(&session(), &[WrongCode, WrongCode, WrongCode, WrongCode, Right], 1, "proven");
        check(&void(), &[Right], 1, "expired");
        check(&session(), &[WrongLink; 100], 1, "wrong");
        check(&validated(), &[Right], 2, "proven");
        check(&validated(), &[WrongCode], 2, "wrong");
        check(&validated(), &[WrongLink], 2, "wrong");
    }

    #[test]
    fn a_hollow_session_looks_like_one_whose_code_nobody_knows() {
        use Shown::{Right, WrongCode};
        let mut hollow = ThreepidSession { hollow: true, ..session() };
        for shown in [[Right; 7], [WrongCode; 7]] {
            let (mut hollow, mut real) = (hollow.clone(), session());
            for (n, shown) in shown.iter().enumerate() {
                let told = show(&mut hollow, &[*shown], BEGAN);
                assert_eq!(told, show(&mut real, &[WrongCode], BEGAN), "{n}");
            }
        }
        hollow.validated = Some(BEGAN);
        assert!(hollow.check_proves(&[Proving::Registration], BEGAN).is_err());
    }

    #[test]
    fn only_what_was_proven_lets_one_do_what_it_was_proven_for() {
        use Proving::{Addition, Change, Password, Registration};
        let at = BEGAN + 2 * MINUTE;
        assert!(validated().check_proves(&[Registration], at).is_ok());
        assert!(validated().check_proves(&[Addition, Registration], at).is_ok());
        assert!(validated().check_proves(&[Password, Addition, Change], at).is_err());
        assert!(validated().check_proves(&[Registration], BEGAN + 61 * MINUTE).is_err());
        for session in [session(), void()] {
            let refused = session.check_proves(&[Registration], at);
            assert!(matches!(refused, Err(Error::AddressNotProven)));
        }
    }
}
