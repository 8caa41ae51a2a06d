//! The memory that a page is written into, piece by piece.

use std::fmt;

use bytes::{Bytes, BytesMut};

/// The most bytes of one piece. With a piece being sent and one being written, a page takes less than 64 KiB.
pub(crate) const PIECE: usize = 31 * 1024;

/// Room for one piece. Two buffers take turns: while the consumer still has the piece before, the other one is filled;
/// and a buffer whose piece was dropped is used again, so a page of any length allocates twice.
#[derive(Debug, Default)]
pub(crate) struct Piece {
    buffer: BytesMut,
    other: BytesMut,
    /// A point that is longer than a piece is being written.
    unbounded: bool,
}

impl Piece {
    /// Sees to memory for a piece, unless something is left of the last one.
    pub(crate) fn prepare(&mut self) {
        if self.buffer.is_empty() && !self.buffer.try_reclaim(PIECE) {
            std::mem::swap(&mut self.buffer, &mut self.other);
            if self.buffer.is_empty() {
                self.buffer.reserve(PIECE);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.buffer.len()
    }

    /// Forgets what was written behind the first `len` bytes.
    pub(crate) fn truncate(&mut self, len: usize) {
        self.buffer.truncate(len);
    }

    /// Whether a piece may become longer than allowed; the rest then goes into the next ones.
    pub(crate) fn set_unbounded(&mut self, unbounded: bool) {
        self.unbounded = unbounded;
    }

    /// The piece as far as it is written; `None` if nothing is.
    pub(crate) fn take(&mut self) -> Option<Bytes> {
        let len = self.buffer.len().min(PIECE);
        (len > 0).then(|| self.buffer.split_to(len).freeze())
    }
}

impl fmt::Write for Piece {
    #[inline]
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.buffer.len() + text.len() > PIECE && !self.unbounded {
            return Err(fmt::Error);
        }
        self.buffer.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
