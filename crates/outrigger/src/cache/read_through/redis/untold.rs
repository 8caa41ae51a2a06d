//! The invalidations that Redis has not acknowledged.

use std::collections::HashMap;

/// As many are kept; more become one that invalidates everything.
const LIMIT: usize = 1_024;

/// Keys stay until Redis has said that it knows them: who looks something up meanwhile must not believe it.
#[derive(Debug, Default)]
pub(super) struct Untold {
    /// With the number of the last call for each: an answer speaks for the calls before its question alone.
    keys: HashMap<String, u64>,
    calls: u64,
}

impl Untold {
    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Keeps the key of an invalidation; `all` is the one that stands for every other.
    pub(super) fn keep(&mut self, key: String, all: impl FnOnce() -> String) {
        self.calls += 1;
        if self.keys.len() < LIMIT || self.keys.contains_key(&key) {
            self.keys.insert(key, self.calls);
        } else {
            self.keys.clear();
            self.keys.insert(all(), self.calls);
        }
    }

    pub(super) fn keys(&self) -> impl ExactSizeIterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// How many calls there have been: to be asked when Redis is told, and said when it has answered.
    pub(super) fn calls(&self) -> u64 {
        self.calls
    }

    pub(super) fn told(&mut self, calls: u64) {
        self.keys.retain(|_, call| *call > calls);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> String {
        "all".to_owned()
    }

    #[test]
    fn an_answer_speaks_for_what_was_told_and_not_for_what_came_after() {
        let mut untold = Untold::default();
        untold.keep("a".to_owned(), all);
        untold.keep("b".to_owned(), all);
        let calls = untold.calls();
        assert_eq!(untold.keys().len(), 2, "they stay until there is an answer");
        untold.keep("a".to_owned(), all);
        untold.told(calls);
        assert_eq!(untold.keys().collect::<Vec<_>>(), ["a"], "it changed again");
        untold.told(untold.calls());
        assert!(untold.is_empty());
    }

    #[test]
    fn too_many_become_one_of_everything() {
        let mut untold = Untold::default();
        for key in 0..LIMIT {
            untold.keep(key.to_string(), all);
        }
        untold.keep("0".to_owned(), all);
        assert_eq!(untold.keys().len(), LIMIT);
        untold.keep("more".to_owned(), all);
        assert_eq!(untold.keys().collect::<Vec<_>>(), ["all"]);
    }
}
