//! How an entry lies in Redis: a version, the clock, two times, the tags, the value.

use std::time::Duration;

/// An entry as bytes have it. Times are of the system's clock: milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The clock of invalidations before the load.
    pub(super) stamp: u64,
    pub(super) fresh_until: u64,
    pub(super) stale_until: u64,
    pub(super) tags: Vec<&'a str>,
    /// `None` is a remembered absence.
    pub(super) value: Option<&'a [u8]>,
}

const VERSION: u8 = 1;
const ABSENT: u8 = 0;
const PRESENT: u8 = 1;

impl<'a> Entry<'a> {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, if self.value.is_some() { PRESENT } else { ABSENT }];
        for number in [self.stamp, self.fresh_until, self.stale_until] {
            bytes.extend(number.to_be_bytes());
        }
        bytes.extend(length(self.tags.len()));
        for tag in &self.tags {
            bytes.extend(length(tag.len()));
            bytes.extend(tag.as_bytes());
        }
        bytes.extend(self.value.unwrap_or_default());
        bytes
    }

    /// `None` for what another version, or something else, has written.
    pub(super) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes;
        let [VERSION, presence] = take::<2>(&mut rest)? else { return None };
        let mut number = || take::<8>(&mut rest).map(u64::from_be_bytes);
        let (stamp, fresh_until, stale_until) = (number()?, number()?, number()?);
        let tags = (0..u16::from_be_bytes(take(&mut rest)?))
            .map(|_| {
                let length = usize::from(u16::from_be_bytes(take(&mut rest)?));
                let (tag, after) = rest.split_at_checked(length)?;
                rest = after;
                std::str::from_utf8(tag).ok()
            })
            .collect::<Option<Vec<_>>>()?;
        let value = match presence {
            PRESENT => Some(rest),
            ABSENT if rest.is_empty() => None,
            _ => return None,
        };
        Some(Self { stamp, fresh_until, stale_until, tags, value })
    }
}

/// Tags are few and short: the one who writes sees to that.
fn length(length: usize) -> [u8; 2] {
    u16::try_from(length).unwrap_or(u16::MAX).to_be_bytes()
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

/// Milliseconds since 1970 that lie so far ahead.
pub(super) fn ahead(now: u64, by: Duration) -> u64 {
    now.saturating_add(u64::try_from(by.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn entries_come_back_as_they_went(
            numbers: [u64; 3],
            tags in prop::collection::vec("\\PC{0,12}", 0..5),
            value in prop::option::of(prop::collection::vec(any::<u8>(), 0..40)),
        ) {
            let [stamp, fresh_until, stale_until] = numbers;
            let tags = tags.iter().map(String::as_str).collect();
            let entry = Entry { stamp, fresh_until, stale_until, tags, value: value.as_deref() };
            let bytes = entry.encode();
            prop_assert_eq!(Entry::decode(&bytes), Some(entry));
        }

        #[test]
        fn foreign_bytes_are_no_entry_and_no_panic(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            if let Some(entry) = Entry::decode(&bytes) {
                prop_assert_eq!(entry.encode(), bytes);
            }
        }
    }
}
