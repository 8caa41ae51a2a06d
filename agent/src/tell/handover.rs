//! What becomes of what waits for a destination that is none any more.

use super::{Channel, Teller};
use crate::incident::Incidents;

/// A destination that is none any more.
#[derive(Clone, Debug)]
pub(super) struct Handover {
    old: String,
    /// Who goes on with what it was told: the other address of a kind that has one.
    new: Option<String>,
}

impl Teller {
    /// Notes which of these are no destinations any more.
    pub(super) fn hand_over(&mut self, old: impl IntoIterator<Item = String>) {
        for old in old {
            if self.destinations.iter().any(|at| at.key == old) {
                continue;
            }
            let channel = Channel::of_key(&old).filter(|channel| *channel != Channel::Alertmanager);
            let new = self.destinations.iter().find(|at| Some(at.channel) == channel).map(|at| at.key.clone());
            self.handovers.push(Handover { old, new });
        }
    }

    /// Lets the incidents know, and counts what nobody waits for any more. True if one of them changed by it.
    pub(super) fn end_handovers(&mut self, incidents: &mut Incidents) -> bool {
        let mut is_news = false;
        for Handover { old, new } in std::mem::take(&mut self.handovers) {
            // The settings may have changed back meanwhile.
            if self.destinations.iter().any(|at| at.key == old) {
                continue;
            }
            for incident in incidents.all_mut() {
                let untold = incident.untold(&old, false);
                if !incident.told.hand_over(&old, new.as_deref()) {
                    continue;
                }
                (incident.unsaved, is_news) = (true, true);
                if new.is_none()
                    && let Some(channel) = Channel::of_key(&old)
                {
                    self.health.of(channel).forgotten += untold;
                }
            }
        }
        is_news
    }
}

impl Channel {
    /// The kind of the destination with this key.
    fn of_key(key: &str) -> Option<Self> {
        let is_its = |channel: &Self| key.strip_prefix(channel.as_str()).is_some_and(|rest| rest.starts_with('-'));
        Self::ALL.into_iter().find(is_its)
    }
}
