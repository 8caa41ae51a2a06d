//! At most so many messages a minute at one destination.

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::time::Time;

const MINUTE: Duration = Duration::from_secs(60);

/// When messages went to a destination of late. It is kept on disk, so that an agent that restarts in a loop floods nobody.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Rate(VecDeque<Time>);

impl Rate {
    /// Whether another message may go.
    pub(super) fn has_room(&mut self, limit: usize, now: SystemTime) -> bool {
        // One from the future was written before the clock was put right.
        self.0.retain(|sent| now.duration_since(sent.0).is_ok_and(|age| age < MINUTE));
        self.0.len() < limit
    }

    /// Notes that a message went. Whoever asked first bounds how many there are.
    pub(super) fn note(&mut self, now: SystemTime) {
        self.0.push_back(Time(now));
    }
}
