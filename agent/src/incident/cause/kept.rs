//! What is usual, kept across a restart of the agent: an incident right after it has its cause all the same.

use std::collections::VecDeque;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::meter::Key;
use super::reading::Reading;
use super::usual::Usual;
use super::{Evidence, GUARD, MAX_KEYS};
use crate::time;

/// Intervals are kept together up to this length, which still shows how they swing.
const PIECE_SECONDS: f64 = 10.0;
/// The most pieces that are kept: each is as long as that, but the last one.
const MAX_PIECES: usize = 2 * (GUARD.as_secs() / 10) as usize;
/// Beside the keys that are told apart, one for the rest of each kind.
const MOST_KEYS: usize = MAX_KEYS + 32;

/// What is kept of the evidence. What an open incident had brought so far is summed up anew, as far as it is recent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct KeptEvidence {
    keys: Vec<Key>,
    usual: Usual,
    /// Intervals that are no part of the usual yet.
    recent: Vec<Reading>,
    cost: f64,
    #[serde(with = "time::maybe", default)]
    restarted_at: Option<SystemTime>,
    #[serde(with = "time::maybe", default)]
    learnt_until: Option<SystemTime>,
    #[serde(with = "time::maybe", default)]
    held_since: Option<SystemTime>,
}

impl Evidence {
    /// What another agent needs to go on from here; nothing where a page's figures have left nothing that can be written.
    pub(crate) fn keep(&self) -> Option<KeptEvidence> {
        let mut recent: Vec<Reading> = Vec::new();
        for reading in &self.recent {
            match recent.last_mut() {
                Some(last) if last.seconds + reading.seconds <= PIECE_SECONDS => last.add(reading.clone()),
                _ => recent.push(reading.clone()),
            }
        }
        let kept = KeptEvidence {
            keys: self.keys.clone(),
            usual: self.usual.clone(),
            recent,
            cost: self.cost,
            restarted_at: self.restarted_at,
            learnt_until: self.learnt_until,
            held_since: self.held_since,
        };
        kept.is_sound().then_some(kept)
    }

    /// Goes on from what was kept; learns anew if that is damaged.
    pub(crate) fn restore(kept: KeptEvidence) -> Self {
        if !kept.is_sound() {
            return Self::default();
        }
        let index = kept.keys.iter().cloned().enumerate().map(|(id, key)| (key, id)).collect();
        Self {
            index,
            keys: kept.keys,
            usual: kept.usual,
            recent: VecDeque::from(kept.recent),
            cost: kept.cost,
            restarted_at: kept.restarted_at,
            learnt_until: kept.learnt_until,
            held_since: kept.held_since,
            ..Self::default()
        }
    }
}

impl KeptEvidence {
    fn is_sound(&self) -> bool {
        let keys = self.keys.len();
        let bounded = keys <= MOST_KEYS && self.recent.len() <= MAX_PIECES;
        bounded
            && self.cost.is_finite()
            && self.usual.is_sound(keys)
            && self.recent.iter().all(|reading| reading.is_sound(keys))
    }
}
