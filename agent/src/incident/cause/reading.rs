//! What intervals brought, and sums of them.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::meter::Amount;
use crate::time;

/// What one interval brought.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    #[serde(with = "time::maybe", default)]
    pub(super) at: Option<SystemTime>,
    pub(super) seconds: f64,
    pub(super) requests: f64,
    /// Seconds that the requests took together.
    pub(super) spent: f64,
    /// By key; what is not listed is nought.
    pub(super) amounts: Vec<(usize, Amount)>,
}

/// What is summed up since an incident's onset.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// The onset that it is summed up from.
    pub(super) since: Option<SystemTime>,
    pub(super) is_too_late: bool,
    pub(super) seconds: f64,
    pub(super) requests: f64,
    pub(super) spent: f64,
    pub(super) amounts: Vec<Amount>,
}

impl Reading {
    /// Appends a later one.
    pub(super) fn add(&mut self, later: Self) {
        self.at = later.at;
        self.seconds += later.seconds;
        self.requests += later.requests;
        self.spent += later.spent;
        for (id, amount) in later.amounts {
            match self.amounts.iter_mut().find(|(known, _)| *known == id) {
                Some((_, sum)) => sum.add(&amount),
                None => self.amounts.push((id, amount)),
            }
        }
    }

    /// Whether all of it can be kept, and its amounts belong to so many keys.
    pub(super) fn is_sound(&self, keys: usize) -> bool {
        let own = [self.seconds, self.requests, self.spent];
        let of = |amount: &Amount| [amount.calls, amount.seconds, amount.failed];
        let all = own.into_iter().chain(self.amounts.iter().flat_map(|(_, amount)| of(amount)));
        self.amounts.iter().all(|(id, _)| *id < keys) && all.into_iter().all(f64::is_finite)
    }
}

impl Sums {
    pub(super) fn add(&mut self, reading: &Reading) {
        self.seconds += reading.seconds;
        self.requests += reading.requests;
        self.spent += reading.spent;
        for (id, amount) in &reading.amounts {
            if self.amounts.len() <= *id {
                self.amounts.resize(id + 1, Amount::default());
            }
            if let Some(sum) = self.amounts.get_mut(*id) {
                sum.add(amount);
            }
        }
    }

    pub(super) fn amount(&self, id: usize) -> Amount {
        self.amounts.get(id).copied().unwrap_or_default()
    }
}
