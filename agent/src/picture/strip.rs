//! A route's recent intervals, as pictures need them: bounded, and coarser when there are many.

use std::collections::VecDeque;

use crate::derive::Interval;

/// What a route did in some time.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Cell {
    /// When it ended, in seconds since the epoch.
    pub(crate) end: f64,
    /// Its length in seconds.
    pub(crate) seconds: f64,
    /// Requests in each bucket, not cumulative.
    pub(crate) counts: Vec<u64>,
    /// Requests that failed.
    pub(crate) failed: u64,
}

impl Cell {
    pub(crate) fn start(&self) -> f64 {
        self.end - self.seconds
    }

    pub(crate) fn requests(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// Takes in another one, which may lie anywhere.
    pub(super) fn add(&mut self, other: &Self) {
        let start = if self.seconds > 0.0 { self.start().min(other.start()) } else { other.start() };
        self.end = if self.seconds > 0.0 { self.end.max(other.end) } else { other.end };
        self.seconds = self.end - start;
        self.counts.resize(self.counts.len().max(other.counts.len()), 0);
        for (sum, count) in self.counts.iter_mut().zip(&other.counts) {
            *sum = sum.saturating_add(*count);
        }
        self.failed = self.failed.saturating_add(other.failed);
    }
}

/// The recent intervals of one route. When there are too many, neighbours become one: what is looked at from afar needs
/// no more.
#[derive(Clone, Debug)]
pub(crate) struct Strip {
    /// The most intervals that are kept.
    limit: usize,
    bounds: Vec<f64>,
    cells: VecDeque<Cell>,
}

impl Strip {
    /// One that keeps at most so many intervals.
    pub(crate) fn new(limit: usize) -> Self {
        Self { limit, bounds: Vec::new(), cells: VecDeque::new() }
    }

    /// Appends an interval that ended at `end`, and forgets what ended before `keep_from`.
    pub(crate) fn push(&mut self, bounds: &[f64], interval: &Interval, end: f64, keep_from: f64) {
        if self.bounds != bounds {
            // Requests of other buckets cannot be shown in one picture.
            *self = Self { bounds: bounds.to_vec(), ..Self::new(self.limit) };
        }
        while self.cells.front().is_some_and(|cell| cell.end < keep_from) {
            self.cells.pop_front();
        }
        if self.cells.len() >= self.limit {
            self.halve();
        }
        let (counts, failed) = (interval.delta.clone(), interval.failed);
        self.cells.push_back(Cell { end, seconds: interval.seconds, counts, failed });
    }

    /// Upper bounds of the buckets, in seconds.
    pub(crate) fn bounds(&self) -> &[f64] {
        &self.bounds
    }

    /// What was kept of the time between these two, oldest first.
    pub(crate) fn between(&self, from: f64, to: f64) -> Vec<Cell> {
        self.cells.iter().filter(|cell| cell.end > from && cell.start() < to).cloned().collect()
    }

    fn halve(&mut self) {
        let mut halved: VecDeque<Cell> = VecDeque::with_capacity(self.cells.len());
        for (number, cell) in std::mem::take(&mut self.cells).into_iter().enumerate() {
            match halved.back_mut() {
                Some(last) if number % 2 == 1 => last.add(&cell),
                _ => halved.push_back(cell),
            }
        }
        self.cells = halved;
    }
}
