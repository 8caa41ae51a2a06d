//! What the CPU is used for while all is calm: a few short profiles of each target, the latest of them.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

/// A profile from when the target was calm, as the target gave it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Piece {
    /// When it was complete.
    pub(crate) at: SystemTime,
    pub(crate) bytes: Bytes,
}

/// The calm profiles of one target, the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Baseline {
    pieces: VecDeque<Piece>,
}

/// The most calm profiles of a target. With one each ten minutes they tell of the last hour.
pub(crate) const MAX_PIECES: usize = 6;
/// A calm profile that is longer than this is not kept.
pub(crate) const MAX_PIECE: usize = 1 << 20;
/// One that is older than this tells of another program, most likely.
const MAX_AGE: Duration = Duration::from_secs(7 * 86_400);

impl Baseline {
    /// Takes up a profile; the oldest goes when there are too many. Answers what went.
    pub(crate) fn add(&mut self, piece: Piece) -> Vec<Piece> {
        let after = self.pieces.iter().take_while(|other| other.at <= piece.at).count();
        self.pieces.insert(after, piece);
        let excess = self.pieces.len().saturating_sub(MAX_PIECES);
        self.pieces.drain(..excess).collect()
    }

    /// What was calm before an incident that began at `onset`. Where nothing is that old the oldest has to do: the onset of
    /// what grew slowly is long ago. Of the process that has been running since `started`, if there is any, and whether there
    /// is none: another process may be another build.
    pub(crate) fn before(&self, onset: SystemTime, started: Option<SystemTime>) -> (Vec<Piece>, bool) {
        let is_of_it = |piece: &&Piece| started.is_none_or(|started| piece.at >= started);
        let of_it: Vec<_> = self.pieces.iter().filter(is_of_it).collect();
        let is_earlier = of_it.is_empty() && !self.pieces.is_empty();
        let pieces = if is_earlier { self.pieces.iter().collect() } else { of_it };
        let before: Vec<_> = pieces.iter().filter(|piece| piece.at <= onset).map(|piece| (*piece).clone()).collect();
        let oldest = || pieces.first().map(|piece| (*piece).clone()).into_iter().collect();
        (if before.is_empty() { oldest() } else { before }, is_earlier)
    }

    /// Gives up what was taken after the onset of an incident, since that was not calm, unless nothing else is there; and
    /// what is too old. Answers what went.
    pub(crate) fn settle(&mut self, onset: SystemTime, now: SystemTime) -> Vec<Piece> {
        let is_old = |piece: &Piece| now.duration_since(piece.at).is_ok_and(|age| age > MAX_AGE);
        let keeps_one = self.pieces.iter().all(|piece| piece.at > onset);
        let mut gone = Vec::new();
        let mut kept = VecDeque::new();
        for (number, piece) in self.pieces.drain(..).enumerate() {
            let is_tainted = piece.at > onset && !(keeps_one && number == 0);
            if is_tainted || is_old(&piece) { gone.push(piece) } else { kept.push_back(piece) }
        }
        self.pieces = kept;
        gone
    }

    pub(crate) fn pieces(&self) -> impl Iterator<Item = &Piece> {
        self.pieces.iter()
    }

    pub(crate) fn len(&self) -> usize {
        self.pieces.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes.len()).sum()
    }

    /// Removes the oldest.
    pub(crate) fn pop(&mut self) -> Option<Piece> {
        self.pieces.pop_front()
    }
}

/// The name of the file that a piece is kept in: who it is of, and when it was taken.
pub(crate) fn file_name(target: &str, piece: &Piece) -> String {
    let millis = piece.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{}-{millis:x}{SUFFIX}", stem(target))
}

/// When the piece with this file name was taken, if it is one of this target.
pub(crate) fn taken_at(target: &str, file_name: &str) -> Option<SystemTime> {
    let millis = file_name.strip_suffix(SUFFIX)?.strip_prefix(&stem(target))?.strip_prefix('-')?;
    UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_str_radix(millis, 16).ok()?))
}

/// The end of the names of pieces.
pub(crate) const SUFFIX: &str = ".pb.gz";

/// A target's name as the beginning of a file's: it may hold slashes, and be long.
fn stem(target: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, target.as_bytes());
    digest.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}
