//! One change of an incident, as it is told.

use serde::{Deserialize, Serialize};

use crate::incident::Severity;

/// What an incident became.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Turn {
    Opened,
    Reopened,
    Updated,
    /// More than it was told to be. The webhook learns of it by an update.
    Graver,
    Resolved,
}

impl Turn {
    /// Whether it fires from here on.
    pub(super) fn begins(self) -> bool {
        matches!(self, Self::Opened | Self::Reopened)
    }

    /// Whether it comes in between a beginning and an end.
    pub(super) fn is_between(self) -> bool {
        matches!(self, Self::Updated | Self::Graver)
    }
}

/// One change of an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) turn: Turn,
    /// Which of the incident's beginnings and ends it is, or comes after; from 1.
    pub(crate) sequence: u32,
    /// Which update it is, from 1; none for all else.
    pub(crate) update: u32,
    /// How grave the incident is told to be: of an alert, which of them it is.
    pub(crate) severity: Severity,
}

impl Event {
    /// `opened`, `reopened`, `updated`, `graver` or `resolved`.
    pub(crate) fn state(self) -> &'static str {
        match self.turn {
            Turn::Opened => "opened",
            Turn::Reopened => "reopened",
            Turn::Updated => "updated",
            Turn::Graver => "graver",
            Turn::Resolved => "resolved",
        }
    }

    /// The same for each attempt to tell this change, in this agent and the next.
    pub(crate) fn key(self, id: &str) -> String {
        let (state, sequence) = (self.state(), self.sequence);
        match self.turn {
            Turn::Updated => format!("{id}/{state}/{sequence}.{}", self.update),
            Turn::Opened | Turn::Reopened | Turn::Graver | Turn::Resolved => format!("{id}/{state}/{sequence}"),
        }
    }
}
