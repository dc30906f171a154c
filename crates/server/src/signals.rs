//! The signals that an operator sends.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that mean something to a server.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What an operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// SIGTERM or SIGINT.
    Stop,
    /// SIGHUP.
    Reload,
}

impl Signals {
    /// From here on the signals come to us instead of ending the process.
    pub(crate) fn listen() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next wish.
    pub(crate) async fn next(&mut self) -> Wish {
        tokio::select! {
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.hang_up.recv() => Wish::Reload,
        }
    }
}

#[cfg(test)]
mod tests {
    use rustix::process::{Signal as Number, getpid, kill_process};

    use super::*;

    #[tokio::test]
    async fn each_signal_is_a_wish() {
        let mut signals = Signals::listen().unwrap();
        for (number, wish) in
            [(Number::TERM, Wish::Stop), (Number::INT, Wish::Stop), (Number::HUP, Wish::Reload)]
        {
            kill_process(getpid(), number).unwrap();
            assert_eq!(signals.next().await, wish);
        }
    }
}
