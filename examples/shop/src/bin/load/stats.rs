//! What happened, by phase and step.

use crate::client::NoAnswer;
use crate::histogram::Histogram;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A request of the journey.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    List,
    Search,
    Product,
    SignUp,
    LogIn,
    AddToCart,
    Cart,
    Checkout,
    Order,
}

impl Step {
    /// In the order of the journey.
    pub(crate) const ALL: [Self; 9] = [
        Self::List,
        Self::Search,
        Self::Product,
        Self::SignUp,
        Self::LogIn,
        Self::AddToCart,
        Self::Cart,
        Self::Checkout,
        Self::Order,
    ];

    /// Method and route.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::List => "GET /products",
            Self::Search => "GET /search",
            Self::Product => "GET /products/{id}",
            Self::SignUp => "POST /users",
            Self::LogIn => "POST /sessions",
            Self::AddToCart => "POST /cart/items",
            Self::Cart => "GET /cart",
            Self::Checkout => "POST /orders",
            Self::Order => "GET /orders/{id}",
        }
    }
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Success,
    /// 409: sold out, or the like. The shop works as it should.
    Conflict,
    /// Any other status.
    Status(u16),
    NoAnswer(NoAnswer),
}

/// The requests of one step in one phase.
#[derive(Clone)]
pub(crate) struct Requests {
    pub(crate) successes: u64,
    pub(crate) conflicts: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) connect: u64,
    pub(crate) timeout: u64,
    pub(crate) broken: u64,
    /// Of everything but refused connections, whose haste would flatter the rest.
    pub(crate) latency: Histogram,
}

impl Requests {
    pub(crate) fn new() -> Self {
        let (statuses, latency) = (BTreeMap::new(), Histogram::new());
        Self { successes: 0, conflicts: 0, statuses, connect: 0, timeout: 0, broken: 0, latency }
    }

    pub(crate) fn record(&mut self, outcome: Outcome, latency: Duration) {
        match outcome {
            Outcome::Success => self.successes += 1,
            Outcome::Conflict => self.conflicts += 1,
            // A status has three digits, so there are at most 900 entries.
            Outcome::Status(status) => *self.statuses.entry(status).or_default() += 1,
            Outcome::NoAnswer(NoAnswer::Connect) => self.connect += 1,
            Outcome::NoAnswer(NoAnswer::Timeout) => self.timeout += 1,
            Outcome::NoAnswer(NoAnswer::Broken) => self.broken += 1,
        }
        if outcome != Outcome::NoAnswer(NoAnswer::Connect) {
            self.latency.record(latency);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.successes += other.successes;
        self.conflicts += other.conflicts;
        for (status, count) in &other.statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        self.connect += other.connect;
        self.timeout += other.timeout;
        self.broken += other.broken;
        self.latency.add(&other.latency);
    }

    pub(crate) fn errors(&self) -> u64 {
        self.statuses.values().sum::<u64>() + self.connect + self.timeout + self.broken
    }

    pub(crate) fn total(&self) -> u64 {
        self.successes + self.conflicts + self.errors()
    }
}

/// The journeys of one phase.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Journeys {
    pub(crate) begun: u64,
    pub(crate) ordered: u64,
    pub(crate) left: u64,
    pub(crate) failed: u64,
    /// Arrived when as many as allowed were under way.
    pub(crate) dropped: u64,
}

#[derive(Clone)]
pub(crate) struct PhaseStats {
    pub(crate) journeys: Journeys,
    /// In the order of [`Step::ALL`].
    pub(crate) steps: [Requests; Step::ALL.len()],
}

/// Everything that happened, and what happened since somebody last asked.
pub(crate) struct Stats {
    phases: Vec<Mutex<PhaseStats>>,
    recent: Mutex<Requests>,
    outage: Mutex<Option<Instant>>,
}

impl Stats {
    pub(crate) fn new(phases: usize) -> Self {
        let empty = || PhaseStats { journeys: Journeys::default(), steps: std::array::from_fn(|_| Requests::new()) };
        Self {
            phases: (0..phases).map(|_| Mutex::new(empty())).collect(),
            recent: Mutex::new(Requests::new()),
            outage: Mutex::default(),
        }
    }

    pub(crate) fn request(&self, phase: usize, step: Step, outcome: Outcome, latency: Duration) {
        self.notice(outcome);
        self.phase(phase).steps[step as usize].record(outcome, latency);
        lock(&self.recent).record(outcome, latency);
    }

    pub(crate) fn journey(&self, phase: usize, change: impl FnOnce(&mut Journeys)) {
        change(&mut self.phase(phase).journeys);
    }

    pub(crate) fn take_recent(&self) -> Requests {
        std::mem::replace(&mut lock(&self.recent), Requests::new())
    }

    pub(crate) fn snapshot(&self) -> Vec<PhaseStats> {
        self.phases.iter().map(|phase| lock(phase).clone()).collect()
    }

    /// Says once that nobody answers, and once that somebody does again.
    fn notice(&self, outcome: Outcome) {
        let mut outage = lock(&self.outage);
        match outcome {
            Outcome::NoAnswer(NoAnswer::Connect) if outage.is_none() => {
                *outage = Some(Instant::now());
                eprintln!("load: the shop does not answer; errors are counted, and customers keep coming");
            }
            Outcome::NoAnswer(_) => {}
            _ => {
                if let Some(since) = outage.take() {
                    eprintln!("load: the shop answers again, after {:.1} s", since.elapsed().as_secs_f64());
                }
            }
        }
    }

    fn phase(&self, phase: usize) -> MutexGuard<'_, PhaseStats> {
        lock(&self.phases[phase])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
