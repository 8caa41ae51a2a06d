//! The recent past of a route in blocks of time: twelve fine ones, and behind them twelve that merge six fine ones each.

use serde::{Deserialize, Serialize};

use crate::interval::MAX_WIDTH;

/// A fine block ends when it has both: less is too little to see anything in, so blocks of a quiet route are longer.
const BLOCK_SECONDS: f64 = 2.0;
const BLOCK_REQUESTS: u32 = 5;

pub(crate) const FINE: usize = 12;
const COARSE: usize = 12;
const FINE_PER_COARSE: u8 = 6;

/// How many of the newest blocks each window takes: at 2 s a block 6, 12, 24, 60, 108 and 168 s.
pub(crate) const WINDOWS: [usize; 6] = [3, 6, FINE, FINE + 3, FINE + 7, FINE + COARSE];

/// Requests of a stretch of time as tail counts: `tails[0]` are all requests, `tails[k]` those above the k-th bound.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    pub(crate) tails: &'a [u32],
    /// Seconds that the requests took together.
    pub(crate) spent: f64,
    /// Length of the stretch.
    pub(crate) seconds: f64,
}

/// The blocks, oldest dropped first. Memory is taken once, when the width is known.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct History {
    fine: Ring,
    coarse: Ring,
    /// Fine blocks in the newest coarse one.
    merged: u8,
}

impl History {
    pub(crate) fn new(width: usize) -> Self {
        Self { fine: Ring::new(FINE, width), coarse: Ring::new(COARSE, width), merged: 0 }
    }

    /// Adds to the newest block.
    pub(crate) fn add(&mut self, block: Block<'_>) {
        if self.fine.len == 0 {
            self.fine.open();
        }
        self.fine.add(block);
    }

    /// The newest block is long and full enough to be followed by another.
    pub(crate) fn is_block_complete(&self) -> bool {
        self.fine
            .block(0)
            .is_some_and(|block| block.seconds >= BLOCK_SECONDS && block.tails.first() >= Some(&BLOCK_REQUESTS))
    }

    /// The fine block that the next [`roll`](Self::roll) moves to the coarse ones.
    pub(crate) fn leaving(&self) -> Option<Block<'_>> {
        self.fine.block(FINE - 1)
    }

    /// Begins a new block.
    pub(crate) fn roll(&mut self) {
        if let Some(block) = self.fine.block(FINE - 1) {
            if self.coarse.len == 0 || self.merged == FINE_PER_COARSE {
                self.coarse.open();
                self.merged = 0;
            }
            self.coarse.add(block);
            self.merged += 1;
        }
        self.fine.open();
    }

    /// The blocks that [`leaving`](Self::leaving) has not named yet, newest first.
    pub(crate) fn staying(&self) -> impl Iterator<Item = Block<'_>> {
        self.fine.blocks().take(FINE - 1)
    }

    /// All blocks, newest first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        self.fine.blocks().chain(self.coarse.blocks())
    }

    /// Blocks that are held.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.fine.len + self.coarse.len)
    }

    /// The block of that age, 0 being the newest.
    pub(crate) fn block(&self, age: usize) -> Option<Block<'_>> {
        let fine = usize::from(self.fine.len);
        if age < fine { self.fine.block(age) } else { self.coarse.block(age - fine) }
    }

    pub(crate) fn clear(&mut self) {
        self.fine.len = 0;
        self.coarse.len = 0;
        self.merged = 0;
    }

    /// Whether the parts agree, for a state that comes from outside.
    pub(crate) fn is_sound(&self, width: usize) -> bool {
        self.fine.is_sound(FINE, width) && self.coarse.is_sound(COARSE, width) && self.merged <= FINE_PER_COARSE
    }
}

/// A ring of blocks in flat memory.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Ring {
    width: u8,
    newest: u8,
    len: u8,
    tails: Vec<u32>,
    spent: Vec<f32>,
    seconds: Vec<f32>,
}

impl Ring {
    fn new(capacity: usize, width: usize) -> Self {
        Self {
            // At most MAX_WIDTH.
            width: u8::try_from(width).unwrap_or(u8::MAX),
            newest: 0,
            len: 0,
            tails: vec![0; capacity * width],
            spent: vec![0.0; capacity],
            seconds: vec![0.0; capacity],
        }
    }

    fn capacity(&self) -> usize {
        self.seconds.len()
    }

    /// The block of that age, 0 being the newest.
    fn block(&self, age: usize) -> Option<Block<'_>> {
        if age >= usize::from(self.len) {
            return None;
        }
        // Both are below the capacity.
        let (newest, width) = (usize::from(self.newest), usize::from(self.width));
        let slot = if age <= newest { newest - age } else { newest + self.capacity() - age };
        Some(Block {
            tails: self.tails.get(slot * width..(slot + 1) * width)?,
            spent: self.spent.get(slot).copied()?.into(),
            seconds: self.seconds.get(slot).copied()?.into(),
        })
    }

    fn blocks(&self) -> impl Iterator<Item = Block<'_>> {
        (0..usize::from(self.len)).map_while(|age| self.block(age))
    }

    /// An empty newest block, in the place of the oldest when the ring is full.
    fn open(&mut self) {
        // At most COARSE.
        let capacity = u8::try_from(self.capacity()).unwrap_or(u8::MAX).max(1);
        self.newest = (self.newest + 1) % capacity;
        self.len = (self.len + 1).min(capacity);
        if let Some((tails, spent, seconds)) = self.newest_mut() {
            tails.fill(0);
            *spent = 0.0;
            *seconds = 0.0;
        }
    }

    fn add(&mut self, block: Block<'_>) {
        if let Some((tails, spent, seconds)) = self.newest_mut() {
            for (sum, count) in tails.iter_mut().zip(block.tails) {
                *sum = sum.saturating_add(*count);
            }
            *spent += block.spent as f32;
            *seconds += block.seconds as f32;
        }
    }

    fn newest_mut(&mut self) -> Option<(&mut [u32], &mut f32, &mut f32)> {
        let (slot, width) = (usize::from(self.newest), usize::from(self.width));
        Some((
            self.tails.get_mut(slot * width..(slot + 1) * width)?,
            self.spent.get_mut(slot)?,
            self.seconds.get_mut(slot)?,
        ))
    }

    fn is_sound(&self, capacity: usize, width: usize) -> bool {
        usize::from(self.width) == width
            && width <= MAX_WIDTH
            && self.seconds.len() == capacity
            && self.spent.len() == capacity
            && self.tails.len() == capacity * width
            && self.tails.chunks(width.max(1)).all(|tails| tails.is_sorted_by(|wide, narrow| wide >= narrow))
            && usize::from(self.newest) < capacity
            && usize::from(self.len) <= capacity
            && self.seconds.iter().chain(&self.spent).all(|value| value.is_finite() && *value >= 0.0)
    }
}
