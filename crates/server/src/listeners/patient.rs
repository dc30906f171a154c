//! Connections on which nobody waits for ever until a client reads.

use std::{
    future::{Future as _, Ready, ready},
    io,
    pin::Pin,
    task::{Context, Poll},
};

use axum_server::accept::Accept;
use tertulia_http::{Place, Places};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{Sleep, sleep},
};

use super::{
    Patience,
    asked::{Asked, Counting},
};

/// Takes connections as [`Patient`] streams that send at once what is small. An address that has
/// all connections it may have gets no more.
#[derive(Clone, Debug)]
pub(super) struct PatientAcceptor {
    pub(super) patience: Patience,
    pub(super) places: Option<Places>,
}

impl<S> Accept<TcpStream, S> for PatientAcceptor {
    type Stream = Patient<TcpStream>;
    type Service = Counting<S>;
    type Future = Ready<io::Result<(Self::Stream, Counting<S>)>>;

    fn accept(&self, stream: TcpStream, service: S) -> Self::Future {
        let asked = Asked::default();
        let accept = || {
            let place = self.place(&stream)?;
            stream.set_nodelay(true)?;
            Ok(Patient { _place: place, ..Patient::new(stream, self.patience, asked.clone()) })
        };
        ready(accept().map(|stream| (stream, Counting::new(service, asked))))
    }
}

impl PatientAcceptor {
    fn place(&self, stream: &TcpStream) -> io::Result<Option<Place>> {
        let Some(places) = &self.places else {
            return Ok(None);
        };
        let address = stream.peer_addr()?.ip();
        places.take(address).map(Some).ok_or_else(|| io::ErrorKind::QuotaExceeded.into())
    }
}

/// A stream that breaks off when nothing of what is to be sent is taken for some time, and ends when
/// nothing is asked.
#[derive(Debug)]
pub(super) struct Patient<S> {
    stream: S,
    patience: Patience,
    /// The end of the patience, while nothing is taken.
    end: Option<Pin<Box<Sleep>>>,
    asked: Asked,
    /// How many requests were answered when it fell idle, and when that is too long.
    idle: Option<(u64, Pin<Box<Sleep>>)>,
    _place: Option<Place>,
}

impl<S> Patient<S> {
    pub(super) fn new(stream: S, patience: Patience, asked: Asked) -> Self {
        Self { stream, patience, end: None, asked, idle: None, _place: None }
    }

    /// Passes on what became of sending, or that it takes too long.
    fn watch(
        &mut self,
        sent: Poll<io::Result<usize>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if sent.is_ready() {
            self.end = None;
            return sent;
        }
        let end = self.end.get_or_insert_with(|| Box::pin(sleep(self.patience.taking)));
        end.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    /// Whether nothing was asked for too long.
    fn is_forgotten(&mut self, context: &mut Context<'_>) -> bool {
        let Some(answered) = self.asked.idle() else {
            self.idle = None;
            return false;
        };
        if self.idle.as_ref().is_none_or(|(before, _)| *before != answered) {
            self.idle = Some((answered, Box::pin(sleep(self.patience.idle))));
        }
        self.idle.as_mut().is_some_and(|(_, end)| end.as_mut().poll(context).is_ready())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.is_forgotten(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(sent, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(sent, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    // A socket holds nothing back that would have to be flushed.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::{task::Waker, time::Duration};

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const AN_HOUR: Duration = Duration::from_secs(3_600);

    fn patient<S>(stream: S, taking: Duration) -> Patient<S> {
        Patient::new(stream, Patience { taking, ..Patience::USUAL }, Asked::default())
    }

    #[tokio::test]
    async fn who_takes_nothing_is_given_up() {
        let (ours, _theirs) = duplex(16);
        let mut ours = patient(ours, Duration::from_millis(1));
        ours.write_all(&[0; 16]).await.unwrap();
        let error = ours.write_all(&[0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn who_takes_a_little_is_waited_for_anew() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = patient(ours, AN_HOUR);
        for _ in 0..3 {
            let mut context = Context::from_waker(Waker::noop());
            while Pin::new(&mut ours).poll_write(&mut context, &[0]).is_ready() {}
            assert!(ours.end.is_some(), "the clock runs while nothing is taken");
            theirs.read_exact(&mut [0]).await.unwrap();
            assert!(Pin::new(&mut ours).poll_write(&mut context, &[0]).is_ready());
            assert!(ours.end.is_none(), "and stops when something was");
        }
    }

    #[tokio::test]
    async fn what_is_sent_arrives_and_what_arrives_is_read() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = patient(ours, AN_HOUR);
        ours.write_all(b"ping").await.unwrap();
        let slices = [io::IoSlice::new(b"po"), io::IoSlice::new(b"ng")];
        assert!(ours.write_vectored(&slices).await.unwrap() >= 2);
        ours.shutdown().await.unwrap();
        let mut told = String::new();
        theirs.read_to_string(&mut told).await.unwrap();
        assert!(told.starts_with("pingpo"), "{told}");
        theirs.write_all(b"back").await.unwrap();
        drop(theirs);
        let mut told = String::new();
        ours.read_to_string(&mut told).await.unwrap();
        assert_eq!(told, "back");
    }
}
