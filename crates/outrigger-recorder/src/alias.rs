//! From a key as it is spelled to its cell: what the macros hit each time.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::RwLock;

use metrics::Key;
use outrigger_exposition::Kind;

use crate::cell::Cell;
use crate::lock::{read, write};

/// Known spellings of keys. At most one key has the place of a hash, so keys made to collide cost no more than the
/// longer way through their family; and a series has a few at most, so this is bounded by the number of series.
#[derive(Debug, Default)]
pub(crate) struct Aliases {
    shards: [RwLock<HashMap<u64, Alias, BuildHasherDefault<Identity>>>; SHARDS],
}

#[derive(Debug)]
struct Alias {
    key: Key,
    cell: Cell,
}

/// Threads that look up different series seldom meet at a lock's counter.
const SHARDS: usize = 16;

impl Aliases {
    /// The cell of a key that was seen before.
    #[inline]
    pub(crate) fn get(&self, key: &Key, kind: Kind) -> Option<Cell> {
        let shard = read(self.shard(key.get_hash()));
        let alias = shard.get(&key.get_hash())?;
        (alias.cell.kind() == kind && is_same(&alias.key, key)).then(|| alias.cell.clone())
    }

    /// False when the place is taken, or the key says a label twice: such keys may be equal and mean different series.
    pub(crate) fn insert(&self, key: &Key, cell: &Cell) -> bool {
        if key.labels().enumerate().any(|(index, label)| key.labels().take(index).any(|it| it.key() == label.key())) {
            return false;
        }
        let mut shard = write(self.shard(key.get_hash()));
        let is_free = !shard.contains_key(&key.get_hash());
        if is_free {
            shard.insert(key.get_hash(), Alias { key: key.clone(), cell: cell.clone() });
        }
        is_free
    }

    pub(crate) fn remove(&self, hash: u64) {
        let alias = write(self.shard(hash)).remove(&hash);
        drop(alias);
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<HashMap<u64, Alias, BuildHasherDefault<Identity>>> {
        // Neither the lowest nor the highest bits: the map itself uses those.
        &self.shards[(hash >> 40) as usize % SHARDS]
    }
}

/// Whether two keys of one hash are equal. Nearly always they are in the same order.
#[inline]
fn is_same(known: &Key, key: &Key) -> bool {
    let in_order = || {
        let mut labels = known.labels().zip(key.labels());
        labels.all(|(one, other)| is_same_text(one.key(), other.key()) && is_same_text(one.value(), other.value()))
    };
    is_same_text(known.name(), key.name()) && (known.labels().len() == key.labels().len() && in_order() || known == key)
}

/// A program's own text stands in the same place each time, and need not be read.
#[inline]
fn is_same_text(known: &str, text: &str) -> bool {
    std::ptr::eq(known, text) || known == text
}

/// The key's own hash is good enough.
#[derive(Debug, Default)]
struct Identity(u64);

impl Hasher for Identity {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
