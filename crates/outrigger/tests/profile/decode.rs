//! A reader of pprof's protobuf, written from its description alone: the numbers of the fields, and who refers to whom.

use std::collections::HashMap;
use std::io::Read;

/// A profile as somebody else reads it.
pub(crate) struct Profile {
    pub(crate) sample_types: Vec<(String, String)>,
    /// The functions of each stack, the innermost first, and what was measured.
    pub(crate) samples: Vec<(Vec<String>, Vec<u64>)>,
    pub(crate) period: u64,
    pub(crate) duration_nanos: u64,
}

impl Profile {
    /// Reads a compressed profile; whatever is not as described fails.
    pub(crate) fn read(compressed: &[u8]) -> Self {
        let mut bytes = Vec::new();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut bytes).expect("gzip");
        let top = fields(&bytes);
        let strings: Vec<String> =
            top.iter().filter(|field| field.0 == 6).map(|field| field.1.text().to_owned()).collect();
        assert_eq!(strings.first().map(String::as_str), Some(""), "the first string is empty");
        let string = |index: u64| strings[usize::try_from(index).unwrap()].clone();
        let functions: HashMap<u64, String> =
            messages(&top, 5).map(|function| (number(&function, 1), string(number(&function, 2)))).collect();
        // A location has a line for each function that was inlined there, the innermost first.
        let locations: HashMap<u64, Vec<String>> = messages(&top, 4)
            .map(|location| {
                let lines = messages(&location, 4).map(|line| functions[&number(&line, 1)].clone()).collect();
                (number(&location, 1), lines)
            })
            .collect();
        let samples = messages(&top, 2)
            .map(|sample| {
                let stack = numbers(&sample, 1).iter().flat_map(|id| locations[id].clone()).collect();
                (stack, numbers(&sample, 2))
            })
            .collect();
        let sample_types = messages(&top, 1).map(|kind| (string(number(&kind, 1)), string(number(&kind, 2)))).collect();
        Self { sample_types, samples, period: number(&top, 12), duration_nanos: number(&top, 10) }
    }
}

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    fn bytes(&self) -> &'a [u8] {
        let Self::Bytes(bytes) = self else { panic!("a number where bytes belong") };
        bytes
    }

    fn text(&self) -> &'a str {
        std::str::from_utf8(self.bytes()).expect("UTF-8")
    }
}

type Fields<'a> = Vec<(u64, Value<'a>)>;

fn fields(mut bytes: &[u8]) -> Fields<'_> {
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let tag = varint(&mut bytes);
        let value = match tag & 7 {
            0 => Value::Number(varint(&mut bytes)),
            2 => {
                let length = usize::try_from(varint(&mut bytes)).unwrap();
                let (value, rest) = bytes.split_at(length);
                bytes = rest;
                Value::Bytes(value)
            }
            other => panic!("wire type {other} does not occur in profiles"),
        };
        fields.push((tag >> 3, value));
    }
    fields
}

fn messages<'a>(fields: &Fields<'a>, wanted: u64) -> impl Iterator<Item = Fields<'a>> {
    fields.iter().filter(move |field| field.0 == wanted).map(|field| self::fields(field.1.bytes()))
}

fn number(fields: &Fields<'_>, wanted: u64) -> u64 {
    numbers(fields, wanted).first().copied().unwrap_or(0)
}

/// Repeated numbers, packed or not.
fn numbers(fields: &Fields<'_>, wanted: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    for (_, value) in fields.iter().filter(|field| field.0 == wanted) {
        match value {
            Value::Number(number) => numbers.push(*number),
            Value::Bytes(packed) => {
                let mut packed = *packed;
                while !packed.is_empty() {
                    numbers.push(varint(&mut packed));
                }
            }
        }
    }
    numbers
}

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first().expect("a number that ends");
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than ten bytes")
}
