//! Reading a CPU profile in pprof's format: a gzip stream of one protobuf message.
//!
//! What is read comes from others, so it may be anything: the size of the message, the number of its entries, the depth of
//! its stacks and the frames that all of them have together are bounded, and so is what a byte of it can become in memory.
//! The format is that of <https://github.com/google/pprof/blob/main/proto/profile.proto>; what is not needed is skipped.

mod wire;

use std::collections::HashMap;
use std::io::Read as _;

use flate2::read::GzDecoder;

use wire::{Field, Wire};

/// The most bytes of a message.
const MAX_MESSAGE: usize = 16 << 20;
/// The most entries of each of its tables.
const MAX_ENTRIES: usize = 200_000;
/// The most frames of a stack; those nearest to its root are kept.
const MAX_DEPTH: usize = 256;
/// The most frames of all stacks together.
const MAX_FRAMES: usize = 1_000_000;
/// The most bytes of a function's name. Generic Rust has names of thousands.
const MAX_NAME: usize = 256;
/// The longest time that a profile can have been taken over, in seconds.
const LONGEST: f64 = 3600.0;
/// What stands for code that the profile has no name for.
const NAMELESS: &str = "[no symbol]";

/// A CPU profile.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Pprof {
    /// How long it was taken over.
    pub(crate) seconds: f64,
    /// CPU time that a sample stands for, in nanoseconds; nought where the profile does not say.
    pub(crate) period: u64,
    /// The names of functions.
    pub(crate) names: Vec<String>,
    /// The stacks, from the root to the leaf by the places of their names, each with its CPU time in nanoseconds.
    pub(crate) stacks: Vec<(Vec<u32>, u64)>,
}

/// Why bytes are no CPU profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Reads a profile.
pub(crate) fn read(gzip: &[u8]) -> Result<Pprof, Malformed> {
    let mut message = Vec::new();
    let inflated = GzDecoder::new(gzip).take(MAX_MESSAGE as u64 + 1).read_to_end(&mut message);
    inflated.map_err(|_| Malformed("it is no gzip stream"))?;
    if message.len() > MAX_MESSAGE {
        return Err(Malformed("it is too long once it is unpacked"));
    }
    parse(&message)
}

/// The tables of a message; samples come after them, wherever they stand.
#[derive(Default)]
struct Tables<'a> {
    types: Vec<(u64, u64)>,
    strings: Vec<&'a [u8]>,
    /// Names of functions by their id.
    functions: HashMap<u64, u64>,
    /// The functions of each location by its id, as a range of `lines`: the innermost first.
    locations: HashMap<u64, (usize, usize)>,
    lines: Vec<u64>,
    samples: Vec<&'a [u8]>,
    duration: u64,
    period_type: (u64, u64),
    period: u64,
}

fn parse(message: &[u8]) -> Result<Pprof, Malformed> {
    let tables = Tables::read(message)?;
    let seconds = tables.duration as f64 / 1e9;
    if !(seconds > 0.0 && seconds <= LONGEST) {
        return Err(Malformed("it does not say how long it was taken over"));
    }
    let (value, scale) = tables.cpu_time().ok_or(Malformed("it holds no CPU time"))?;
    let mut profile = Pprof { seconds, period: tables.period_in_nanos(), ..Pprof::default() };
    let mut names = Names::default();
    let mut frames = 0;
    let (mut locations, mut values) = (Vec::new(), Vec::new());
    for sample in &tables.samples {
        locations.clear();
        values.clear();
        let mut wire = Wire(sample);
        while let Some((number, field)) = wire.next()? {
            match number {
                1 => field.numbers(MAX_ENTRIES, &mut locations)?,
                2 => field.numbers(MAX_ENTRIES, &mut values)?,
                _ => {}
            }
        }
        // A negative value is of a difference of two profiles.
        let value = values.get(value).and_then(|value| i64::try_from(*value).ok()).unwrap_or(0);
        let nanos = u64::try_from(value).unwrap_or(0).saturating_mul(scale);
        if nanos == 0 {
            continue;
        }
        let stack = tables.stack(&locations, &mut names);
        frames += stack.len();
        if frames > MAX_FRAMES {
            return Err(Malformed("its stacks have too many frames"));
        }
        profile.stacks.push((stack, nanos));
    }
    profile.names = names.names;
    Ok(profile)
}

impl<'a> Tables<'a> {
    fn read(message: &'a [u8]) -> Result<Self, Malformed> {
        let mut tables = Self::default();
        let mut wire = Wire(message);
        while let Some((number, field)) = wire.next()? {
            match (number, field) {
                (1, Field::Bytes(bytes)) => tables.types.push(value_type(bytes)?),
                (2, Field::Bytes(bytes)) => tables.samples.push(bytes),
                (4, Field::Bytes(bytes)) => tables.location(bytes)?,
                (5, Field::Bytes(bytes)) => {
                    let (id, name) = pair(bytes, 1, 2)?;
                    tables.functions.insert(id, name);
                }
                (6, Field::Bytes(bytes)) => tables.strings.push(bytes),
                (10, Field::Number(nanos)) => tables.duration = nanos,
                (11, Field::Bytes(bytes)) => tables.period_type = value_type(bytes)?,
                (12, Field::Number(period)) => tables.period = period,
                _ => {}
            }
            let sizes = [tables.types.len(), tables.samples.len(), tables.strings.len(), tables.functions.len()];
            let most = sizes.into_iter().chain([tables.locations.len(), tables.lines.len()]).max();
            if most.is_some_and(|most| most > MAX_ENTRIES) {
                return Err(Malformed("it has too many entries"));
            }
        }
        Ok(tables)
    }

    fn location(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let (mut id, start) = (0, self.lines.len());
        let mut wire = Wire(bytes);
        while let Some((number, field)) = wire.next()? {
            match (number, field) {
                (1, Field::Number(number)) => id = number,
                (4, Field::Bytes(line)) => self.lines.push(pair(line, 1, 2)?.0),
                _ => {}
            }
        }
        self.locations.insert(id, (start, self.lines.len()));
        Ok(())
    }

    fn string(&self, at: u64) -> &'a [u8] {
        usize::try_from(at).ok().and_then(|at| self.strings.get(at)).copied().unwrap_or_default()
    }

    /// Which of a sample's values is CPU time, and how many nanoseconds one of it is.
    fn cpu_time(&self) -> Option<(usize, u64)> {
        let unit = |(_, unit): (u64, u64)| nanoseconds(self.string(unit));
        let time = self.types.iter().enumerate().find_map(|(at, kind)| Some((at, unit(*kind)?)));
        time.or_else(|| {
            // Samples alone, each of which stands for a period.
            let at = self.types.iter().position(|(kind, _)| self.string(*kind) == b"samples")?;
            Some((at, self.period_in_nanos())).filter(|(_, period)| *period > 0)
        })
    }

    fn period_in_nanos(&self) -> u64 {
        let unit = nanoseconds(self.string(self.period_type.1)).unwrap_or(0);
        self.period.saturating_mul(unit)
    }

    /// A stack from its root to its leaf.
    fn stack(&self, locations: &[u64], names: &mut Names) -> Vec<u32> {
        let mut stack = Vec::with_capacity(locations.len().min(MAX_DEPTH));
        // The format has the leaf first, of locations as of what was inlined into one.
        for location in locations.iter().rev() {
            let (start, end) = self.locations.get(location).copied().unwrap_or_default();
            let functions = self.lines.get(start..end).unwrap_or_default();
            if functions.is_empty() {
                stack.push(names.number(NAMELESS.as_bytes()));
            }
            for function in functions.iter().rev() {
                let name = self.functions.get(function).map(|name| self.string(*name)).unwrap_or_default();
                stack.push(names.number(if name.is_empty() { NAMELESS.as_bytes() } else { name }));
                if stack.len() >= MAX_DEPTH {
                    return stack;
                }
            }
            if stack.len() >= MAX_DEPTH {
                break;
            }
        }
        stack
    }
}

/// Names of functions, each once.
#[derive(Default)]
struct Names {
    names: Vec<String>,
    numbers: HashMap<String, u32>,
    /// The same by what stands in the profile.
    raw: HashMap<Vec<u8>, u32>,
}

impl Names {
    fn number(&mut self, raw: &[u8]) -> u32 {
        let raw = raw.get(..4 * MAX_NAME).unwrap_or(raw);
        if let Some(number) = self.raw.get(raw) {
            return *number;
        }
        let name = tidy(raw);
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let names = &mut self.names;
        let number = *self.numbers.entry(name).or_insert_with_key(|name| {
            names.push(name.clone());
            next
        });
        self.raw.insert(raw.to_vec(), number);
        number
    }
}

/// A name that can stand in one line among others, is not too long, and stays the same from build to build.
fn tidy(raw: &[u8]) -> String {
    let text = String::from_utf8_lossy(raw);
    let text = without_hash(&text);
    let mut name = String::with_capacity(text.len());
    for character in text.chars() {
        if name.len() + character.len_utf8() > MAX_NAME {
            name.push('…');
            break;
        }
        // Semicolons separate frames.
        name.push(match character {
            ';' => ',',
            control if control.is_control() => ' ',
            other => other,
        });
    }
    let name = name.trim();
    if name.is_empty() { NAMELESS.to_owned() } else { name.to_owned() }
}

/// A Rust symbol without the hash that each build has anew: `f::h0123456789abcdef`.
fn without_hash(name: &str) -> &str {
    match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => path,
        _ => name,
    }
}

/// How many nanoseconds a unit of time has.
fn nanoseconds(unit: &[u8]) -> Option<u64> {
    match unit {
        b"nanoseconds" => Some(1),
        b"microseconds" => Some(1_000),
        b"milliseconds" => Some(1_000_000),
        b"seconds" => Some(1_000_000_000),
        _ => None,
    }
}

/// What a value is, and its unit: places in the table of strings.
fn value_type(bytes: &[u8]) -> Result<(u64, u64), Malformed> {
    pair(bytes, 1, 2)
}

/// Two numbers of a message; nought if they are absent.
fn pair(bytes: &[u8], first: u64, second: u64) -> Result<(u64, u64), Malformed> {
    let mut pair = (0, 0);
    let mut wire = Wire(bytes);
    while let Some((number, field)) = wire.next()? {
        if let Field::Number(value) = field {
            if number == first {
                pair.0 = value;
            } else if number == second {
                pair.1 = value;
            }
        }
    }
    Ok(pair)
}

#[cfg(test)]
pub(crate) mod tests;
