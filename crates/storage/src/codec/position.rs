use std::fmt;

/// Positions from here up are not known yet: they are counted from the first one the transaction takes.
const HERE: u64 = 1 << 63;

/// A place in the log: one that is known, or the n-th that the running transaction takes.
///
/// Inside a [`Command`](crate::Command) a new position is only a promise (`is_here`); the commit puts the number into
/// every key and value that holds it. Afterwards [`Committed::at`](crate::Committed::at) tells what it became.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Position(u64);

impl Position {
    /// Before everything: the first entry of a log stands at position 1.
    pub const ZERO: Self = Self(0);
    /// Behind everything that can be known.
    pub const MAX: Self = Self(HERE - 1);

    /// The position with this number. Numbers of 2^63 and above stand for [`here`](Self::here).
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The `n`-th position that a transaction takes, counted from 0.
    pub const fn here(n: u64) -> Self {
        Self(HERE | n)
    }

    /// The number as it is stored; meaningless outside a transaction while [`is_here`](Self::is_here).
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Whether this is a promise that only the commit can redeem.
    pub const fn is_here(self) -> bool {
        self.0 >= HERE
    }

    /// The position after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// What this position is once `here(0)` is known to be `first`.
    #[must_use]
    pub const fn resolved(self, first: Self) -> Self {
        if self.is_here() { Self(first.0 + (self.0 - HERE)) } else { self }
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_here() { write!(f, "here+{}", self.0 - HERE) } else { write!(f, "{}", self.0) }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
