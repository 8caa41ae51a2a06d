//! Bodies of answers.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};

/// Pieces of a page, each made when the connection has room for it.
///
/// Making one takes some ten microseconds, so it happens on the runtime's own thread; others get their turn after each.
#[cfg(feature = "recorder")]
pub(super) struct Pieces<P> {
    pieces: P,
    /// A piece was made since others had their turn.
    made: bool,
}

#[cfg(feature = "recorder")]
impl<P> Pieces<P> {
    pub(super) fn new(pieces: P) -> Self {
        Self { pieces, made: false }
    }
}

#[cfg(feature = "recorder")]
impl<P: Iterator<Item = Bytes> + Unpin> Body for Pieces<P> {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if std::mem::take(&mut self.made) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.made = true;
        Poll::Ready(self.pieces.next().map(|piece| Ok(Frame::data(piece))))
    }
}

/// The body that HEAD does not send: of unknown length, so that nothing claims it to be empty.
pub(super) struct Unsent;

impl Body for Unsent {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(None)
    }
}

#[cfg(all(test, feature = "recorder"))]
mod tests {
    use std::task::Waker;

    use super::*;

    #[test]
    fn others_get_their_turn_after_each_piece() {
        let mut body = Pieces::new([Bytes::from_static(b"a"), Bytes::from_static(b"b")].into_iter());
        let mut cx = Context::from_waker(Waker::noop());
        let mut turns = Vec::new();
        loop {
            match Pin::new(&mut body).poll_frame(&mut cx) {
                Poll::Ready(Some(Ok(frame))) => turns.push(frame.into_data().map_or(0, |data| data.len())),
                Poll::Ready(None) => break,
                Poll::Pending => turns.push(0),
            }
        }
        assert_eq!(turns, [1, 0, 1, 0]);
    }
}
