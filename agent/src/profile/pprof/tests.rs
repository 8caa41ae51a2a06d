//! Profiles that tests write, and what becomes of damaged ones.

use proptest::prelude::{Just, ProptestConfig, any, prop_oneof};

use super::*;
use write::{bytes, gzip, message, number, profile, two};

/// The same that the tests of the whole agent serve.
#[path = "../../../tests/support/pprof.rs"]
pub(crate) mod write;

/// The stacks by their names.
fn stacks(profile: &Pprof) -> Vec<(String, u64)> {
    let name = |at: &u32| profile.names[*at as usize].clone();
    profile.stacks.iter().map(|(stack, nanos)| (stack.iter().map(name).collect::<Vec<_>>().join(";"), *nanos)).collect()
}

#[test]
fn stacks_are_read_from_the_root_with_their_cpu_time() {
    let read = read(&profile(2.5, &[("main;work::h0123456789abcdef;leaf", 30), ("main", 10)])).unwrap();
    assert_eq!((read.seconds, read.period), (2.5, 1_000_000));
    assert_eq!(stacks(&read), [("main;work;leaf".to_owned(), 30_000_000), ("main".to_owned(), 10_000_000)]);
}

#[test]
fn names_cannot_break_lines_or_stacks_and_have_a_bound() {
    for (raw, name) in [
        ("a;b\nc", "a,b c"),
        ("\u{1}", NAMELESS),
        ("<T as F>::f::h0123456789abcdef", "<T as F>::f"),
        ("f::hello", "f::hello"),
    ] {
        assert_eq!(tidy(raw.as_bytes()), name);
    }
    let long = tidy("é".repeat(1000).as_bytes());
    assert!(long.len() <= MAX_NAME + '…'.len_utf8() && long.ends_with('…'), "{long}");
    assert_eq!(tidy(&[0xff, b'a']), "\u{fffd}a");
}

#[test]
fn what_is_no_cpu_profile_is_refused_with_the_reason() {
    let why = |bytes: &[u8]| read(bytes).unwrap_err().0;
    assert!(why(b"<!doctype html>").contains("gzip"));
    assert!(why(&gzip(b"")).contains("how long"));
    assert!(why(&profile(0.0, &[])).contains("how long"));
    assert!(why(&profile(1e6, &[])).contains("how long"));
    let whole = profile(1.0, &[("main", 1)]);
    assert!(why(&whole[..whole.len() - 9]).contains("gzip"), "a stream that was cut");
    // A heap profile: bytes and objects.
    let mut heap = message(1.0, &[("main", 1)]);
    let unit = heap.windows(11).position(|window| window == b"nanoseconds").unwrap();
    heap[unit..unit + 11].copy_from_slice(b"bytes      ");
    let samples = heap.windows(7).position(|window| window == b"samples").unwrap();
    heap[samples..samples + 7].copy_from_slice(b"objects");
    assert!(why(&gzip(&heap)).contains("no CPU time"));
}

#[test]
fn a_bomb_is_not_unpacked() {
    let bomb = gzip(&vec![0; 40 << 20]);
    assert!(bomb.len() < 1 << 20);
    assert!(read(&bomb).unwrap_err().0.contains("too long"));
}

#[test]
fn frames_that_a_few_bytes_stand_for_have_a_bound() {
    // One location with many lines, in a stack that has it many times, in many samples.
    let mut message = message(1.0, &[("main", 1)]);
    let mut location = Vec::new();
    number(&mut location, 1, 99);
    (0..10_000).for_each(|_| bytes(&mut location, 4, &two(5, 1)));
    bytes(&mut message, 4, &location);
    let mut sample = Vec::new();
    bytes(&mut sample, 1, &[99; 1000]);
    bytes(&mut sample, 2, &[1, 1]);
    (0..100).for_each(|_| bytes(&mut message, 2, &sample));
    let read = parse(&message).unwrap();
    assert!(read.stacks.len() == 101 && read.stacks.iter().all(|(stack, _)| stack.len() <= MAX_DEPTH));
    (0..20_000).for_each(|_| bytes(&mut message, 2, &sample));
    assert!(parse(&message).unwrap_err().0.contains("too many frames"));
}

proptest::proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = read(&bytes);
        let _ = read(&gzip(&bytes));
    }

    #[test]
    fn damage_anywhere_is_survived_by_every_stage(
        at in any::<usize>(),
        byte in prop_oneof![Just(0), Just(0xff), any::<u8>()],
        cut in any::<usize>(),
    ) {
        let mut message = message(1.0, &[("main;a;b", 5), ("main;a", 3), ("main;c 12;d_[k]", 2)]);
        let place = at % message.len();
        message[place] = byte;
        message.truncate(message.len() - cut % 20);
        if let Ok(profile) = parse(&message) {
            let comparison = crate::profile::compare::Comparison::new(std::slice::from_ref(&profile), &profile);
            crate::profile::flame::graph(&comparison, "a");
            crate::profile::flame::difference(&comparison, "b");
            let grown = crate::profile::growth::functions(&comparison);
            proptest::prop_assert!(grown.is_empty(), "equal profiles differ: {grown:?}");
        }
    }
}
