//! The README shows the program that stands here, and says how many lines Outrigger adds to it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

const SERVICE: &str = include_str!("../src/bin/service.rs");
const README: &str = include_str!("../../../README.md");

#[test]
fn the_readme_shows_the_service_as_it_is() {
    let program = SERVICE.split_once("\n\n").expect("a header").1;
    let main = program.split_once("/// A product: from Redis").expect("its handlers come last").0.trim_end();
    assert!(README.contains(main), "README.md shows another program than examples/features/src/bin/service.rs");
}

#[test]
fn everything_is_had_for_at_most_fifteen_lines() {
    let added = SERVICE.lines().filter(|line| !line.starts_with("//!") && line.contains("// +")).count();
    assert!((1..=15).contains(&added), "{added} lines are added");
    assert!(README.contains(&format!("{added} lines")), "README.md says another number than {added}");
}
