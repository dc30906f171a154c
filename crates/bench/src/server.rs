//! A server that we start, watch and end ourselves.

use std::io;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;

/// Why a server is not ready.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its process could not be started or watched.
    #[error("the server's process: {0}")]
    Process(#[from] io::Error),
    /// It ended instead of serving.
    #[error("the server ended with {0} before it answered")]
    Ended(ExitStatus),
    /// It neither ended nor answered.
    #[error("the server did not answer within {0:?}")]
    Silent(Duration),
    /// It was asked to end and went on.
    #[error("the server was still there {0:?} after SIGTERM")]
    Stubborn(Duration),
}

/// A running server. Dropping it kills it, so that no test leaves one behind.
#[derive(Debug)]
pub struct Server {
    child: Child,
}

impl Server {
    /// Starts `command` and waits until `/versions` at `url` answers 200; the time that took is returned, too.
    pub async fn start(
        mut command: Command,
        url: &str,
        patience: Duration,
    ) -> Result<(Server, Duration), Error> {
        let started = Instant::now();
        let mut server = Server { child: command.spawn()? };
        let client = Client::new(url);
        while started.elapsed() < patience {
            if client.get_bytes("/_matrix/client/versions").await.is_ok() {
                return Ok((server, started.elapsed()));
            }
            if let Some(status) = server.child.try_wait()? {
                return Err(Error::Ended(status));
            }
            // There is nothing to await: a port that nobody listens on says no more than that.
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        Err(Error::Silent(patience))
    }

    /// Starts `command` and waits for nothing.
    pub fn launch(mut command: Command) -> Result<Server, Error> {
        Ok(Server { child: command.spawn()? })
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it with SIGKILL and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to end with SIGTERM; the answer is how it ended and after how long.
    pub async fn stop(mut self, patience: Duration) -> Result<(ExitStatus, Duration), Error> {
        let asked = Instant::now();
        kill_process(Pid::from_child(&self.child), Signal::TERM).map_err(io::Error::from)?;
        while asked.elapsed() < patience {
            if let Some(status) = self.child.try_wait()? {
                return Ok((status, asked.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Err(Error::Stubborn(patience))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A port on loopback that nobody listens on at this moment.
pub fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_is_reported_as_such() {
        let url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let error =
            Server::start(shell("exit 3"), &url, Duration::from_secs(10)).await.unwrap_err();
        assert!(matches!(error, Error::Ended(status) if status.code() == Some(3)), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_never_answers_is_given_up() {
        let url = format!("http://127.0.0.1:{}", free_port().unwrap());
        let error = Server::start(shell("exec sleep 60"), &url, Duration::from_millis(20))
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Silent(_)), "{error}");
    }

    #[tokio::test]
    async fn a_server_that_is_asked_to_end_ends() {
        let server = Server::launch(shell("exec sleep 60")).unwrap();
        let (status, _) = server.stop(Duration::from_secs(10)).await.unwrap();
        assert!(!status.success());
    }

    #[test]
    fn a_killed_server_is_gone() {
        Server::launch(shell("exec sleep 60")).unwrap().kill().unwrap();
    }
}
