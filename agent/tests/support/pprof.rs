//! Profiles in pprof's format, as tests want them.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;

/// A message in pprof's format, with a millisecond of CPU time for each count: stacks from the root to the leaf.
pub(crate) fn message(seconds: f64, stacks: &[(&str, u64)]) -> Vec<u8> {
    let mut strings: Vec<String> = ["", "samples", "count", "cpu", "nanoseconds"].map(str::to_owned).into();
    let mut functions: Vec<u64> = Vec::new();
    let mut message = Vec::new();
    bytes(&mut message, 1, &two(1, 2));
    bytes(&mut message, 1, &two(3, 4));
    for (stack, millis) in stacks {
        let mut sample = Vec::new();
        let mut packed = Vec::new();
        for name in stack.split(';').rev() {
            let at = strings.iter().position(|string| string == name).unwrap_or_else(|| {
                strings.push(name.to_owned());
                strings.len() - 1
            }) as u64;
            if !functions.contains(&at) {
                functions.push(at);
            }
            varint(&mut packed, at);
        }
        bytes(&mut sample, 1, &packed);
        let mut values = Vec::new();
        varint(&mut values, *millis);
        varint(&mut values, *millis * 1_000_000);
        bytes(&mut sample, 2, &values);
        bytes(&mut message, 2, &sample);
    }
    for function in functions {
        bytes(&mut message, 5, &two(function, function));
        let mut location = Vec::new();
        number(&mut location, 1, function);
        bytes(&mut location, 4, &two(function, 7));
        bytes(&mut message, 4, &location);
    }
    strings.iter().for_each(|string| bytes(&mut message, 6, string.as_bytes()));
    number(&mut message, 10, (seconds * 1e9) as u64);
    bytes(&mut message, 11, &two(3, 4));
    number(&mut message, 12, 1_000_000);
    message
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A profile as a target serves it.
pub(crate) fn profile(seconds: f64, stacks: &[(&str, u64)]) -> Vec<u8> {
    gzip(&message(seconds, stacks))
}

pub(crate) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

pub(crate) fn number(out: &mut Vec<u8>, field: u64, value: u64) {
    varint(out, field << 3);
    varint(out, value);
}

pub(crate) fn bytes(out: &mut Vec<u8>, field: u64, value: &[u8]) {
    varint(out, field << 3 | 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value);
}

pub(crate) fn two(first: u64, second: u64) -> Vec<u8> {
    let mut out = Vec::new();
    number(&mut out, 1, first);
    number(&mut out, 2, second);
    out
}
