//! The invariants of `fuzz_one` over mutations of the kept corpus.
//!
//! `OUTRIGGER_FUZZ_ITERATIONS` and `OUTRIGGER_FUZZ_SEED` override the defaults; a failure prints both what it takes to
//! repeat it and the input itself. `fuzz/` holds the libFuzzer target for longer runs over the same corpus.

#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::panic::{self, AssertUnwindSafe};
use std::{env, fs, path::Path};

use fastrand::Rng;
use outrigger_exposition::fuzz_one;

/// What turns one construct of a page into another.
const TOKENS: &[&str] = &[
    "# TYPE ",
    "# HELP ",
    "# UNIT ",
    "# EOF\n",
    "# ",
    " counter\n",
    " gauge\n",
    " histogram\n",
    " gaugehistogram\n",
    " summary\n",
    " info\n",
    " stateset\n",
    " unknown\n",
    "_total",
    "_created",
    "_bucket",
    "_sum",
    "_count",
    "_gsum",
    "_gcount",
    "_info",
    "_seconds",
    "{",
    "}",
    "{}",
    "le=\"",
    "le=\"+Inf\"",
    "quantile=\"0.5\"",
    "a=\"b\",",
    "\"",
    "\\",
    "\\\\",
    "\\n",
    "\\\"",
    "=",
    ",",
    " ",
    "\t",
    "\n",
    "\r",
    "NaN",
    "+Inf",
    "-Inf",
    "-0",
    "1e308",
    "9007199254740993",
    "9223372036854775807",
    "0.001",
    "1",
    " # {trace_id=\"x\"} 1 2",
    "é",
    "\u{2028}",
    "x",
    ":",
    "\"a.b\"",
];

#[test]
fn kept_pages() {
    for (name, page) in corpus() {
        println!("{name}");
        fuzz_one(&page);
    }
}

#[test]
fn mutations_of_kept_pages() {
    let iterations = number("OUTRIGGER_FUZZ_ITERATIONS").unwrap_or(if cfg!(debug_assertions) { 5_000 } else { 20_000 });
    let seed = number("OUTRIGGER_FUZZ_SEED").unwrap_or(0x6f75_7472_6967);
    println!("OUTRIGGER_FUZZ_SEED={seed} OUTRIGGER_FUZZ_ITERATIONS={iterations}");
    let corpus: Vec<Vec<u8>> = corpus().into_iter().map(|(_, page)| page).collect();
    let mut rng = Rng::with_seed(seed);
    for iteration in 0..iterations {
        let page = mutated(&corpus, &mut rng);
        if let Err(failure) = panic::catch_unwind(AssertUnwindSafe(|| fuzz_one(&page))) {
            eprintln!("OUTRIGGER_FUZZ_SEED={seed}, iteration {iteration}: b\"{}\"", page.escape_ascii());
            panic::resume_unwind(failure);
        }
    }
}

/// The kept pages with their names, sorted, so that a seed means the same everywhere.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let mut pages: Vec<_> = fs::read_dir(folder)
        .expect("the corpus folder")
        .map(|entry| entry.expect("an entry of the corpus"))
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("a kept page")))
        .collect();
    pages.sort();
    assert!(pages.len() >= 12, "only {} kept pages", pages.len());
    pages
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text:?} is not a whole number")))
}

/// A few lines of a kept page, changed in a few places: short pages reach the same code sooner than whole ones.
fn mutated(corpus: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut page = some_lines(&corpus[rng.usize(..corpus.len())], rng);
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(..=page.len());
        match rng.u8(..7) {
            0 if at < page.len() => page[at] ^= 1 << rng.u8(..8),
            1 if at < page.len() => drop(page.remove(at)),
            2 => drop(page.splice(at..(at + rng.usize(..20)).min(page.len()), [])),
            3 => drop(page.splice(at..at, some_lines(&corpus[rng.usize(..corpus.len())], rng))),
            4 => drop(page.splice(at..at, some_lines(&page.clone(), rng))),
            _ => drop(page.splice(at..at, TOKENS[rng.usize(..TOKENS.len())].bytes())),
        }
    }
    page
}

fn some_lines(page: &[u8], rng: &mut Rng) -> Vec<u8> {
    let lines: Vec<&[u8]> = page.split_inclusive(|&byte| byte == b'\n').collect();
    let start = rng.usize(..=lines.len());
    let end = (start + rng.usize(1..10)).min(lines.len());
    lines[start..end].concat()
}
