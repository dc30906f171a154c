//! The body of a large answer, written in pieces: none of it is moved to make room for more.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io::{self, Write},
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

/// How large a piece becomes.
const PIECE: usize = 64 << 10;

/// Bytes in the order in which they were written.
#[derive(Debug, Default)]
pub(crate) struct Pieces {
    full: VecDeque<Bytes>,
    last: Vec<u8>,
}

impl Pieces {
    fn begin(&mut self) {
        let full = std::mem::replace(&mut self.last, Vec::with_capacity(PIECE));
        if !full.is_empty() {
            self.full.push_back(full.into());
        }
    }

    /// All that was written, as the body of an answer whose length is known.
    pub(crate) fn into_body(mut self) -> Body {
        if self.full.is_empty() {
            return Body::from(self.last);
        }
        self.full.push_back(self.last.into());
        Body::new(Sending(self.full))
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes).map(|()| bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.last.len() + bytes.len() > PIECE {
            self.begin();
        }
        self.last.extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Pieces on their way out.
struct Sending(VecDeque<Bytes>);

impl http_body::Body for Sending {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.0.pop_front().map(|piece| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.iter().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt as _;

    use super::*;

    /// Writes so many times so many bytes, and reads them again.
    async fn check(times: usize, size: usize) {
        let (mut pieces, mut expected) = (Pieces::default(), Vec::new());
        for time in 0..times {
            let bytes = vec![u8::try_from(time % 251).unwrap(); size];
            pieces.write_all(&bytes).unwrap();
            expected.extend_from_slice(&bytes);
        }
        let body = pieces.into_body();
        assert_eq!(body.size_hint().exact(), Some(expected.len() as u64), "{times} × {size}");
        let read = body.collect().await.unwrap().to_bytes();
        assert!(read == expected, "{times} × {size}");
    }

    #[tokio::test]
    async fn what_was_written_is_sent_and_its_length_known() {
        for (times, size) in
            [(0, 0), (1, 1), (1, PIECE), (1, PIECE + 1), (3, PIECE), (2, 3 * PIECE), (40_000, 7)]
        {
            check(times, size).await;
        }
    }
}
