//! One change of an incident, as it is told.

use serde::{Deserialize, Serialize};

/// What an incident became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turn {
    Opened,
    Reopened,
    Updated,
    Resolved,
}

/// One change of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) turn: Turn,
    /// Which of the incident's beginnings and ends it is, or comes after; from 1.
    pub(crate) sequence: u32,
    /// Which update it is, from 1; none for beginnings and ends.
    pub(crate) update: u32,
}

impl Event {
    /// `opened`, `reopened`, `updated` or `resolved`.
    pub(crate) fn state(self) -> &'static str {
        match self.turn {
            Turn::Opened => "opened",
            Turn::Reopened => "reopened",
            Turn::Updated => "updated",
            Turn::Resolved => "resolved",
        }
    }

    /// The same for each attempt to tell this change, in this agent and the next.
    pub(crate) fn key(self, id: &str) -> String {
        let (state, sequence) = (self.state(), self.sequence);
        match self.turn {
            Turn::Updated => format!("{id}/{state}/{sequence}.{}", self.update),
            Turn::Opened | Turn::Reopened | Turn::Resolved => format!("{id}/{state}/{sequence}"),
        }
    }
}
