//! The addresses that the server listens on: HTTP and HTTPS, HTTP/1.1 and HTTP/2.

mod asked;
mod patient;

use std::{future::Future, io, net::SocketAddr, time::Duration};

use anyhow::{Context as _, anyhow};
use axum::{Router, extract::connect_info::IntoMakeServiceWithConnectInfo};
use axum_server::{Handle, Server, tls_rustls::RustlsAcceptor};
use tertulia_http::Places;
use tokio::{net::TcpSocket, task::JoinSet};
use tracing::{info, warn};

use self::patient::PatientAcceptor;
use crate::{settings::Listener, tls::Tls};

/// How many connections may wait to be taken.
const BACKLOG: u32 = 1024;

/// How long clients are waited for.
#[derive(Clone, Copy, Debug)]
struct Patience {
    /// Until the head of a request has come: so long may a connection be kept on which nothing is asked.
    head: Duration,
    /// Until something of what is to be sent was taken. A file as a whole may be taken as slowly as it likes.
    taking: Duration,
    /// Until one that talks HTTP/2 has said that it is still there. It is asked after the same time.
    sign_of_life: Duration,
    /// Until something is asked again, on a connection whose client does show signs of life.
    idle: Duration,
}

impl Patience {
    /// That of a server at work.
    const USUAL: Self = Self {
        head: Duration::from_secs(90),
        taking: Duration::from_secs(120),
        sign_of_life: Duration::from_secs(30),
        idle: Duration::from_secs(300),
    };
}

/// Addresses that are ours, on which nobody is heard yet.
pub(crate) struct Listeners(Vec<Bound>);

struct Bound {
    socket: TcpSocket,
    address: SocketAddr,
    tls: Option<Tls>,
}

impl Listeners {
    /// Takes possession of all addresses, and reads all certificates.
    pub(crate) fn bind(listeners: &[Listener]) -> anyhow::Result<Self> {
        listeners.iter().map(Bound::new).collect::<Result<_, _>>().map(Self)
    }

    /// Begins to serve on all addresses at once. Each client has so many `places` for connections.
    pub(crate) fn serve(self, router: &Router, places: Option<&Places>) -> anyhow::Result<Serving> {
        let mut serving = Serving { handle: Handle::new(), tls: Vec::new(), tasks: JoinSet::new() };
        for bound in self.0 {
            serving.tls.extend(bound.tls.clone());
            let handle = serving.handle.clone();
            let acceptor = PatientAcceptor { patience: Patience::USUAL, places: places.cloned() };
            serving.tasks.spawn(bound.serve(router.clone(), handle, acceptor)?);
        }
        Ok(serving)
    }
}

impl Bound {
    fn new(listener: &Listener) -> anyhow::Result<Self> {
        let tls = Tls::of(listener)?;
        let bind = || -> io::Result<_> {
            let socket =
                if listener.address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            // So that a server can be started again while connections of the old one are fading away.
            socket.set_reuseaddr(true)?;
            socket.bind(listener.address)?;
            let address = socket.local_addr()?;
            Ok((socket, address))
        };
        let (socket, address) = bind().map_err(|error| unusable(listener.address, &error))?;
        Ok(Self { socket, address, tls })
    }

    fn serve(
        self,
        router: Router,
        handle: Handle<SocketAddr>,
        acceptor: PatientAcceptor,
    ) -> anyhow::Result<impl Future<Output = io::Result<()>> + Send + use<>> {
        let patience = acceptor.patience;
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        let listener =
            self.socket.listen(BACKLOG).map_err(|error| unusable(self.address, &error))?;
        let mut server =
            Server::from_listener(listener).handle(handle).first_request_timeout(patience.head);
        server.http_builder().http1().header_read_timeout(patience.head);
        let mut http2 = server.http_builder().http2();
        http2.keep_alive_interval(patience.sign_of_life).keep_alive_timeout(patience.sign_of_life);
        let service = router.into_make_service_with_connect_info::<SocketAddr>();
        info!(address = format!("{scheme}://{}", self.address), "listening");
        Ok(accept(server, self.tls, acceptor, service))
    }
}

async fn accept(
    server: Server<SocketAddr>,
    tls: Option<Tls>,
    plain: PatientAcceptor,
    service: IntoMakeServiceWithConnectInfo<Router, SocketAddr>,
) -> io::Result<()> {
    match tls {
        Some(tls) => {
            server.acceptor(RustlsAcceptor::new(tls.config()).acceptor(plain)).serve(service).await
        }
        None => server.acceptor(plain).serve(service).await,
    }
}

fn unusable(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::AddrInUse => {
            anyhow!(
                "{address} is in use: stop the program that listens there, or set another address in `listeners`"
            )
        }
        io::ErrorKind::PermissionDenied => {
            anyhow!(
                "{address} may not be used by this user: set a port above 1023 in `listeners`, or allow it"
            )
        }
        _ => anyhow!(
            "{address} cannot be listened on ({error}): set an address of this machine in `listeners`"
        ),
    }
}

/// Listeners at work.
pub(crate) struct Serving {
    handle: Handle<SocketAddr>,
    tls: Vec<Tls>,
    tasks: JoinSet<io::Result<()>>,
}

impl Serving {
    /// Reads all certificates again; one that does not read stays as it was.
    pub(crate) fn reload_certificates(&self) {
        for tls in &self.tls {
            match tls.reload() {
                Ok(()) => info!("the certificate was read again"),
                Err(error) => warn!("the old certificate stays: {error:#}"),
            }
        }
    }

    /// Ends if a listener fails.
    pub(crate) async fn failed(&mut self) -> anyhow::Error {
        match self.tasks.join_next().await {
            Some(Ok(Err(error))) => anyhow!(error).context("a listener failed"),
            _ => anyhow!("a listener ended"),
        }
    }

    /// Takes no more connections, and waits until the requests at hand are answered, but no longer than `patience`.
    pub(crate) async fn close(mut self, patience: Duration) -> anyhow::Result<()> {
        self.handle.graceful_shutdown(Some(patience));
        while let Some(ended) = self.tasks.join_next().await {
            ended.context("a listener panicked")?.context("a listener failed")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
