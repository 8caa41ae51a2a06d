//! Samples in the forms that others read.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use pprof::Report;
use pprof::flamegraph;
use pprof::protos::Message as _;

use super::ProfileError;

/// pprof's protobuf, compressed.
pub(super) fn protobuf(report: &Report) -> Result<Vec<u8>, ProfileError> {
    let message = report.pprof()?.encode_to_vec();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&message).and_then(|()| encoder.finish()).map_err(failed)
}

/// One line for each stack, from the outermost function to the innermost: `thread;main;work 42`.
pub(super) fn folded(report: &Report) -> String {
    // Stacks that differ only where no name tells them apart become one line.
    let mut stacks: BTreeMap<String, isize> = BTreeMap::new();
    for (stack, count) in &report.data {
        let mut line = clean(&stack.thread_name_or_id());
        for symbol in stack.frames.iter().rev().flat_map(|inlined| inlined.iter().rev()) {
            line.push(';');
            line.push_str(&clean(&symbol.name()));
        }
        *stacks.entry(line).or_default() += count;
    }
    let mut text = String::new();
    for (stack, count) in stacks {
        let _ = writeln!(text, "{stack} {count}");
    }
    text
}

/// An SVG that a browser shows.
pub(super) fn flame_graph(report: &Report) -> Result<Vec<u8>, ProfileError> {
    let stacks = folded(report);
    let timing = &report.timing;
    let said = format!("{:.1} s at {} Hz", timing.duration.as_secs_f64(), timing.frequency);
    if stacks.is_empty() {
        return Ok(format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" width="800" height="40"><text x="10" y="25">No samples in {said}: the process used hardly any CPU.</text></svg>"#
        )
        .into_bytes());
    }
    let mut options = flamegraph::Options::default();
    options.title = "CPU".to_owned();
    options.subtitle = Some(said);
    let mut svg = Vec::new();
    flamegraph::from_lines(&mut options, stacks.lines(), &mut svg).map_err(failed)?;
    Ok(svg)
}

/// A name without what separates names.
fn clean(name: &str) -> String {
    name.replace(';', ",").replace(['\n', '\r'], " ")
}

fn failed(error: impl std::fmt::Display) -> ProfileError {
    ProfileError::Failed(error.to_string())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use pprof::{Frames, Symbol};

    use super::*;

    fn report(stacks: &[(&str, &[&str], isize)]) -> Report {
        let mut report = Report { data: Default::default(), timing: Default::default() };
        report.timing.duration = Duration::from_millis(1500);
        report.timing.frequency = 99;
        for (number, (thread, names, count)) in stacks.iter().enumerate() {
            let symbol = |name: &&str| {
                vec![Symbol { name: Some(name.as_bytes().to_vec()), addr: None, lineno: None, filename: None }]
            };
            let frames = Frames {
                frames: names.iter().map(symbol).collect(),
                thread_name: (*thread).to_owned(),
                thread_id: u64::try_from(number).unwrap(),
                sample_timestamp: SystemTime::UNIX_EPOCH,
            };
            report.data.insert(frames, *count);
        }
        report
    }

    #[test]
    fn stacks_are_folded_from_the_outside_in_and_separators_in_names_do_not_separate() {
        let report = report(&[
            ("main", &["work<[u8; 4]>", "main"], 2),
            ("main", &["work<[u8; 4]>", "main"], 3),
            ("a;b", &["idle"], 1),
        ]);
        assert_eq!(folded(&report), "a,b;idle 1\nmain;main;work<[u8, 4]> 5\n");
    }

    #[test]
    fn a_graph_of_nothing_says_so() {
        let svg = String::from_utf8(flame_graph(&report(&[])).unwrap()).unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("No samples in 1.5 s at 99 Hz"), "{svg}");
        let svg = flame_graph(&report(&[("main", &["work"], 7)])).unwrap();
        assert!(String::from_utf8(svg).unwrap().contains("work (7 samples, 100.00%)"));
    }
}
