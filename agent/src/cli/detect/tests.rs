use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::rc::Rc;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

fn hist(input: &[u8]) -> (String, Result<(), String>) {
    let mut output = Vec::new();
    let outcome = hist::run(input, &mut output, &mut Words(false)).map_err(|error| error.to_string());
    (String::from_utf8(output).unwrap(), outcome)
}

fn point(input: &[u8]) -> (String, Result<(), String>) {
    let mut output = Vec::new();
    let outcome = point::run(input, &mut output, &mut Words(false)).map_err(|error| error.to_string());
    (String::from_utf8(output).unwrap(), outcome)
}

fn mistake(input: &str) -> String {
    hist(input.as_bytes()).1.unwrap_err()
}

const HEADER: &str = "timestamp,le_0.1,le_0.5,le_+Inf,sum\n";

/// Counters of a route with 20 requests a second, of which `slow` take longer than 100 ms from the 1200th second on.
fn route(slow: u64) -> String {
    let mut rows = HEADER.to_owned();
    let (mut fast, mut all, mut sum) = (0, 0, 0.0);
    for second in (0..1500).step_by(5) {
        let slow = if second < 1200 { 1 } else { 5 * slow };
        (fast, all, sum) = (fast + 100 - slow, all + 100, sum + 0.3 * slow as f64 + 0.05 * (100 - slow) as f64);
        writeln!(rows, "{},{fast},{all},{all},{sum}", 1_767_225_600 + second).unwrap();
    }
    rows
}

#[test]
fn a_slow_route_is_flagged_and_a_steady_one_is_not() {
    let (steady, _) = hist(route(0).replace(",0\n", "\n").as_bytes());
    assert!(steady.lines().count() == 300 && steady.lines().all(|line| line.ends_with(",0")), "{steady}");
    let (slow, outcome) = hist(route(10).as_bytes());
    assert_eq!(outcome, Ok(()));
    let lines: Vec<_> = slow.lines().collect();
    assert!(lines[0].starts_with("1767225600,0.0000,0"), "{}", lines[0]);
    assert!(lines[..240].iter().all(|line| line.ends_with(",0")));
    assert!(lines[299].ends_with(",1"), "{}", lines[299]);
}

#[test]
fn dates_quotes_and_a_missing_sum_are_read() {
    let input =
        "\u{feff}\"timestamp\",\"le_0.1\",le_+Inf\r\n2026-01-01 00:00,1,1\r\n\r\n2026-01-01T00:00:05Z, 2 ,2\r\n";
    assert_eq!(
        hist(input.as_bytes()),
        ("2026-01-01 00:00,0.0000,0\n2026-01-01T00:00:05Z,0.0000,0\n".to_owned(), Ok(()))
    );
}

#[test]
fn mistakes_name_line_column_and_fix() {
    let row = |row: &str| mistake(&format!("{HEADER}{row}\n"));
    assert_eq!(row("5,1,x,3,1"), "stdin:2: column 3: `x` is no number; write one such as 12.5");
    assert_eq!(row("5,1,-2,3,1"), "stdin:2: column 3: `-2` is no count of requests; counters are 0 or more");
    assert_eq!(row("5,1,2"), "stdin:2: 3 columns where the header has 5; write one value for each");
    assert!(row("soon,1,2,3,1").starts_with("stdin:2: column 1: `soon` is no time; write UNIX seconds"));
    assert!(mistake("").starts_with("stdin: empty; begin with the header"));
    assert!(mistake("5,1,2\n").starts_with("stdin:1: column 1: `5` should be `timestamp`; the header is"));
    assert!(mistake("timestamp,value\n").contains("column 2: `value` is no column of a histogram"));
    assert!(mistake("timestamp,le_2,le_1,le_+Inf\n").contains("column 3: `le_1` is not above the bound before it"));
    assert!(mistake("timestamp,le_2\n").starts_with("stdin:1: there is no `le_+Inf`"));
    let (output, outcome) = hist(b"timestamp,le_+Inf\n1,1\n2,\xff\n");
    assert_eq!(output, "1,0.0000,0\n");
    assert_eq!(outcome, Err("stdin:3: byte 3 of the line is not UTF-8; save the file as UTF-8".to_owned()));
}

#[test]
fn a_value_that_never_was_is_flagged_and_mistakes_are_named() {
    let mut rows = "timestamp,value\n".to_owned();
    for minute in 0..3000_u32 {
        let value = if minute == 2900 { 90.0 } else { 20.0 + f64::from(minute * 7919 % 101) / 20.0 };
        writeln!(rows, "{},{value}", 1_767_225_600 + 60 * minute).unwrap();
    }
    let (output, outcome) = point(rows.as_bytes());
    assert_eq!((outcome, output.lines().count()), (Ok(()), 3000));
    assert!(output.lines().nth(2900).unwrap().ends_with(",1"), "{:?}", output.lines().nth(2900));

    let mistake = |row: &str| point(format!("timestamp,value\n{row}\n").as_bytes()).1.unwrap_err();
    assert_eq!(mistake("5"), "stdin:2: there is no value; write `timestamp,value`");
    assert_eq!(mistake("5,6,7"), "stdin:2: column 3: there are two columns only, `timestamp,value`");
    assert_eq!(mistake("5,x"), "stdin:2: column 2: `x` is no number; write one such as 12.5");
    assert!(point(b"time,value\n").1.unwrap_err().starts_with("stdin:1: the header is `timestamp,value`"));
}

/// Hands out one row at a time, and looks at what was answered before each.
struct Pipe {
    rows: Vec<Vec<u8>>,
    answered: Rc<RefCell<Vec<usize>>>,
    output: Rc<RefCell<Vec<u8>>>,
}

impl Read for Pipe {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.answered.borrow_mut().push(self.output.borrow().iter().filter(|byte| **byte == b'\n').count());
        if self.rows.is_empty() {
            return Ok(0);
        }
        let row = self.rows.remove(0);
        buffer[..row.len()].copy_from_slice(&row);
        Ok(row.len())
    }
}

struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn each_row_is_answered_before_the_next_is_waited_for() {
    let rows = [HEADER, "1,1,1,1,1\n", "2,1,1,1,1\n", "3,1,1,1,1\n"].map(|row| row.as_bytes().to_vec()).to_vec();
    let (answered, output) = (Rc::default(), Rc::<RefCell<Vec<u8>>>::default());
    let pipe = Pipe { rows, answered: Rc::clone(&answered), output: Rc::clone(&output) };
    hist::run(pipe, io::BufWriter::new(Shared(output)), &mut Words(false)).unwrap();
    assert_eq!(*answered.borrow(), [0, 0, 1, 2, 3]);
}

/// Recorded figures as `explain` reads them: the row of each interval by a function of column and interval.
fn recording(intervals: usize, value: impl Fn(usize, usize) -> f64) -> String {
    let mut text = "component,shop,stock,shop,stock\nmetric,latency,latency,requests,requests\n\
                    statistic,Average,Average,Sum,Sum\nunix_timestamp,,,,\n"
        .to_owned();
    for interval in 0..intervals {
        let values = [0, 1, 2, 3].map(|column| value(column, interval).to_string());
        writeln!(text, "{},{}", 1000 + 300 * interval, values.join(",")).unwrap();
    }
    text
}

#[test]
fn explain_names_the_callee_and_mistakes_their_place() {
    let folder = outrigger_testkit::Folder::new("explain");
    let usual = |column, interval| [0.1, 0.05, 100.0, 200.0][column] * (1.0 + 0.01 * (interval % 5) as f64);
    let slow =
        |column, interval| usual(column, interval) + if column < 2 && interval > 1 { [0.4, 0.2][column] } else { 0.0 };
    let explain = |case: &str, target: &str| {
        let command = explain::Explain {
            normal: folder.write("normal.csv", recording(40, usual)),
            case: folder.write("case.csv", case),
            graph: folder.write("graph.csv", ",shop,stock\nshop,0,1\nstock,0,\n"),
            target: target.to_owned(),
            metric: explain::Metric::Latency,
            words: false,
        };
        let mut output = Vec::new();
        explain::run(&command, &mut output).map_err(|error| error.to_string())?;
        Ok::<_, String>(String::from_utf8(output).unwrap())
    };
    assert_eq!(explain(&recording(5, slow), "shop").unwrap(), "stock\nshop\n");
    let strange = explain(&recording(5, slow), "shopp").unwrap_err();
    assert!(strange.ends_with("case.csv: there is no component `shopp`; did you mean `shop`?"), "{strange}");
    let wrong = explain(&recording(5, slow).replace("1300,", "1300,fast"), "shop").unwrap_err();
    assert!(
        wrong.contains("case.csv:6: column 2: `fast0.") && wrong.ends_with("is no number; write one such as 12.5"),
        "{wrong}"
    );
    let short = explain("a,b\nc,d\n", "shop").unwrap_err();
    assert!(
        short.ends_with("case.csv:3: the input ends where the header row of the statistics should follow"),
        "{short}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn no_input_is_too_strange(bytes in vec(any::<u8>(), 0..200), text in "[0-9,.a-z\"+\n-]{0,200}") {
        for input in [&bytes[..], text.as_bytes(), &[HEADER.as_bytes(), &bytes].concat(), &[HEADER.as_bytes(), text.as_bytes()].concat()] {
            prop_assert!(point(input).1.map_or_else(|message| message.starts_with("stdin"), |()| true));
            let (output, outcome) = hist(input);
            prop_assert!(output.lines().count() <= input.split(|byte| *byte == b'\n').count());
            let rows = || csv::Rows::new("file", input);
            for outcome in [explain::Table::read(rows()).map(drop), explain::read_graph(rows()).map(drop)] {
                prop_assert!(outcome.is_ok() || outcome.is_err_and(|error| error.to_string().starts_with("file:")));
            }
            prop_assert!(outcome.is_ok() || outcome.is_err_and(|message| message.starts_with("stdin")));
        }
    }

    #[test]
    fn any_values_are_answered_row_by_row(values in vec((any::<f64>(), any::<f64>()), 1..60)) {
        let rows: Vec<_> = values.iter().filter(|(at, _)| at.is_finite()).map(|(at, value)| format!("{at},{value}\n")).collect();
        let (output, outcome) = point(format!("timestamp,value\n{}", rows.concat()).as_bytes());
        prop_assert_eq!((outcome, output.lines().count()), (Ok(()), rows.len()));
        prop_assert!(output.lines().all(|line| line.split(',').nth(1).unwrap().parse::<f64>().unwrap().is_finite()), "{}", output);
    }

    /// Any numbers: restarts, clocks that go back, sums of nothing. One row out for each row in, finite, and the rows
    /// after it change none.
    #[test]
    fn one_row_in_is_one_row_out(
        rows in vec((-1e12..1e12, [0.0..1e18, 0.0..1e6, 0.0..1e3], prop_oneof![Just("".to_owned()), Just("inf".to_owned()), any::<f64>().prop_map(|sum| sum.to_string())]), 1..60),
        keep in 0.0..1.0,
    ) {
        let lines: Vec<_> = rows.iter().map(|(at, [a, b, c], sum): &(f64, [f64; 3], String)| format!("{at},{a},{b},{c},{sum}\n")).collect();
        let (output, outcome) = hist(format!("{HEADER}{}", lines.concat()).as_bytes());
        prop_assert_eq!(outcome, Ok(()));
        prop_assert_eq!(output.lines().count(), lines.len());
        for (line, (at, ..)) in output.lines().zip(&rows) {
            let fields: Vec<_> = line.split(',').collect();
            prop_assert_eq!(fields[0], at.to_string());
            prop_assert!(fields[1].parse::<f64>().unwrap().is_finite() && ["0", "1"].contains(&fields[2]), "{}", line);
        }
        let first = (keep * lines.len() as f64) as usize;
        let (prefix, _) = hist(format!("{HEADER}{}", lines[..first].concat()).as_bytes());
        prop_assert!(output.starts_with(&prefix));
    }
}
