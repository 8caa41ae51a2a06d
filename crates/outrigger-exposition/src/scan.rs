//! Searches for single bytes, eight bytes at a time: the standard library keeps its own to itself.

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGHS: u64 = ONES << 7;

/// The position of the first `needle`.
pub(crate) fn find(bytes: &[u8], needle: u8) -> Option<usize> {
    // Lines are long: what has none is passed over by blocks, which the compiler makes vectors of.
    let (blocks, _) = bytes.as_chunks::<32>();
    let has = |block: &[u8; 32]| block.iter().fold(false, |found, &byte| found | (byte == needle));
    let passed = 32 * blocks.iter().take_while(|block| !has(block)).count();
    let rest = bytes.get(passed..).unwrap_or_default();
    let found = find_by(rest, |word| zeros(word ^ (ONES * u64::from(needle))), |byte| byte == needle);
    found.map(|position| passed + position)
}

/// The position of the first `one` or `other`.
#[inline]
pub(crate) fn find_either(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    find_by(
        bytes,
        |word| zeros(word ^ (ONES * u64::from(one))) | zeros(word ^ (ONES * u64::from(other))),
        |byte| byte == one || byte == other,
    )
}

/// The position of the first backslash, line feed or, if `quotes`, double quote.
#[inline]
pub(crate) fn find_special(bytes: &[u8], quotes: bool) -> Option<usize> {
    let quote = if quotes { b'"' } else { b'\\' };
    let same = |word, needle| zeros(word ^ (ONES * u64::from(needle)));
    find_by(
        bytes,
        |word| same(word, b'\\') | same(word, b'\n') | same(word, quote),
        |byte| byte == b'\\' || byte == b'\n' || byte == quote,
    )
}

#[inline(always)]
fn find_by(bytes: &[u8], hits: impl Fn(u64) -> u64, is_hit: impl Fn(u8) -> bool) -> Option<usize> {
    let (words, tail) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let hits = hits(u64::from_le_bytes(*word));
        if hits != 0 {
            return Some(index * 8 + hits.trailing_zeros() as usize / 8);
        }
    }
    if tail.is_empty() {
        return None;
    }
    // The last eight bytes, some of them for the second time, if there are eight.
    if let Some((before, word)) = bytes.split_last_chunk::<8>() {
        let hits = hits(u64::from_le_bytes(*word));
        return (hits != 0).then(|| before.len() + hits.trailing_zeros() as usize / 8);
    }
    tail.iter().position(|&byte| is_hit(byte))
}

/// The high bit of every byte that is zero (Mycroft's test). Above the first such byte bits may be set wrongly, below
/// it never, so the lowest one can be trusted.
#[inline(always)]
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & HIGHS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_plain_search() {
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..10_000 {
            // Neighbouring values, where borrows between bytes would show.
            let bytes: Vec<u8> =
                (0..rng.usize(..100)).map(|_| b"\t\n\x0b!\"#[\\]\x00\x80\xff"[rng.usize(..12)]).collect();
            assert_eq!(find(&bytes, b'\n'), bytes.iter().position(|&byte| byte == b'\n'), "{bytes:?}");
            let either = bytes.iter().position(|byte| b"\"\\".contains(byte));
            assert_eq!(find_either(&bytes, b'"', b'\\'), either, "{bytes:?}");
            for (quotes, set) in [(true, &b"\"\\\n"[..]), (false, b"\\\n")] {
                let special = bytes.iter().position(|byte| set.contains(byte));
                assert_eq!(find_special(&bytes, quotes), special, "{bytes:?}");
            }
        }
    }
}
