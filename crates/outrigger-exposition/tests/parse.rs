//! What the visitor is handed for short pages: one line of a page, one line of what it means.

use outrigger_exposition::Format::{OpenMetrics, Text};
use outrigger_exposition::{Escaped, Format, Kind, Labels, LineError, MAX_LINE, Sample, Visitor, parse};

/// Writes down what it is handed.
#[derive(Default)]
struct Log(Vec<String>);

impl Visitor for Log {
    fn kind(&mut self, name: &str, kind: Kind) {
        self.0.push(format!("type {name} {kind}"));
    }

    fn help(&mut self, name: &str, help: Escaped<'_>) {
        self.0.push(format!("help {name} {:?}", help.unescape()));
    }

    fn unit(&mut self, name: &str, unit: &str) {
        self.0.push(format!("unit {name} {unit:?}"));
    }

    fn sample(&mut self, sample: &Sample<'_>) {
        let mut line = format!("{}{} = {:?}", sample.name, braces(sample.labels), sample.value);
        if let Some(timestamp) = sample.timestamp_ms {
            line += &format!(" at {timestamp}");
        }
        if let Some(exemplar) = sample.exemplar {
            line += &format!(" like {} = {:?}", braces(exemplar.labels), exemplar.value);
            if let Some(timestamp) = exemplar.timestamp_ms {
                line += &format!(" at {timestamp}");
            }
        }
        self.0.push(line);
    }

    fn bad_line(&mut self, error: &LineError<'_>) {
        self.0.push(format!("bad {} {:?}", error.line, error.reason));
    }
}

fn braces(labels: Labels<'_>) -> String {
    let pairs: Vec<_> = labels.iter().map(|(name, value)| format!("{name}={:?}", value.unescape())).collect();
    format!("{{{}}}", pairs.join(","))
}

fn log(page: impl AsRef<[u8]>, format: Format) -> Vec<String> {
    let mut log = Log::default();
    parse(page.as_ref(), format, &mut log);
    log.0
}

/// Each page means the same in both formats.
fn check(cases: &[(&str, &[&str])]) {
    for format in [Text, OpenMetrics] {
        check_in(format, cases);
    }
}

fn check_in(format: Format, cases: &[(&str, &[&str])]) {
    for (page, expected) in cases {
        assert_eq!(log(page, format), *expected, "{format:?}: {page:?}");
    }
}

#[test]
fn samples() {
    check(&[
        ("", &[]),
        ("\n\n  \n\t\n", &[]),
        ("a 1", &["a{} = 1.0"]),
        ("a 1\n", &["a{} = 1.0"]),
        ("a 1\r\nb 2\r\n", &["a{} = 1.0", "b{} = 2.0"]),
        ("  a\t \t1  \n", &["a{} = 1.0"]),
        ("a{} 1", &["a{} = 1.0"]),
        ("a { } 1", &["a{} = 1.0"]),
        ("a{}1", &["a{} = 1.0"]),
        (r#"a{b="c"} 1"#, &[r#"a{b="c"} = 1.0"#]),
        (r#"a{b="c",} 1"#, &[r#"a{b="c"} = 1.0"#]),
        (r#"a { b = "c" , d = "e" , } 1"#, &[r#"a{b="c",d="e"} = 1.0"#]),
        (r#"a{b="",_c9="x"} 1"#, &[r#"a{b="",_c9="x"} = 1.0"#]),
        (r#"a{b="x,y={z}#\"\\\n "} 1"#, &[r#"a{b="x,y={z}#\"\\\n "} = 1.0"#]),
        (r#"a{b="\x\"} 1"} 2"#, &[r#"a{b="\\x\"} 1"} = 2.0"#]),
        ("a{b=\"日本\u{2028}\"} 1", &["a{b=\"日本\\u{2028}\"} = 1.0"]),
        ("_:a9:b_ 1", &["_:a9:b_{} = 1.0"]),
    ]);
}

#[test]
fn quoted_names() {
    check(&[
        (r#"{"my.name"} 1"#, &["my.name{} = 1.0"]),
        (r#"{"my.name",} 1"#, &["my.name{} = 1.0"]),
        (r#"{ "my.name" , a="b" } 1"#, &[r#"my.name{a="b"} = 1.0"#]),
        (r#"{"größe","a.b"="c"} 1"#, &[r#"größe{a.b="c"} = 1.0"#]),
        (r#"a{"b.c"="d"} 1"#, &[r#"a{b.c="d"} = 1.0"#]),
        (r#"# TYPE "my.name" gauge"#, &["type my.name gauge"]),
        (r#"# HELP "my name" is"#, &[r#"help my name "is""#]),
        (r#"{"my\"name"} 1"#, &["bad 1 Name"]),
        (r#"{""} 1"#, &["bad 1 Name"]),
        (r#"{"a"="b"} 1"#, &["bad 1 Name"]),
        (r#"a{"b"} 1"#, &["bad 1 Labels"]),
    ]);
}

#[test]
fn values() {
    for (text, value) in [
        ("0", "0.0"),
        ("-0", "-0.0"),
        ("+1.5", "1.5"),
        (".5", "0.5"),
        ("1e3", "1000.0"),
        ("4.20072246E+06", "4200722.46"),
        ("NaN", "NaN"),
        ("nan", "NaN"),
        ("+Inf", "inf"),
        ("Inf", "inf"),
        ("-Inf", "-inf"),
        ("-inf", "-inf"),
        ("18446744073709551615", "1.8446744073709552e19"),
        ("5e-324", "5e-324"),
    ] {
        check(&[(&format!("a {text}\n"), &[&format!("a{{}} = {value}")])]);
    }
    for text in ["one", "0x10", "1_000", "1,5", "--1", "1.2.3", "+", "."] {
        check(&[(&format!("a {text}\n"), &["bad 1 Value"])]);
    }
}

#[test]
fn timestamps() {
    check_in(
        Text,
        &[
            ("a 1 1395066363000", &["a{} = 1.0 at 1395066363000"]),
            ("a 1 -5 ", &["a{} = 1.0 at -5"]),
            ("a 1 1.5", &["bad 1 Timestamp"]),
            ("a 1 99999999999999999999", &["bad 1 Timestamp"]),
        ],
    );
    check_in(
        OpenMetrics,
        &[
            ("a 1 1520879607.789", &["a{} = 1.0 at 1520879607789"]),
            ("a 1 1520879607", &["a{} = 1.0 at 1520879607000"]),
            ("a 1 1.5e9", &["a{} = 1.0 at 1500000000000"]),
            ("a 1 -0.001", &["a{} = 1.0 at -1"]),
            ("a 1 NaN", &["bad 1 Timestamp"]),
        ],
    );
    check(&[("a 1 now", &["bad 1 Timestamp"]), ("a 1 2 3", &["bad 1 Trailing"])]);
}

#[test]
fn exemplars() {
    check(&[
        (r#"a 1 # {trace_id="x"} 0.3"#, &[r#"a{} = 1.0 like {trace_id="x"} = 0.3"#]),
        (r#"a 1 # {trace_id="x"} 0.3 1.2 "#, &[r#"a{} = 1.0 like {trace_id="x"} = 0.3 at 1200"#]),
        ("a 1 # exemplar", &["bad 1 Exemplar"]),
        ("a 1 # {", &["bad 1 Exemplar"]),
        ("a 1 # {} x", &["bad 1 Exemplar"]),
        ("a 1 # {} 1 x", &["bad 1 Exemplar"]),
        (r#"a 1 # {a="1",a="2"} 1"#, &["bad 1 Exemplar"]),
        ("a 1 # {} 1 2 # {} 3", &["bad 1 Trailing"]),
    ]);
    check_in(Text, &[("a 1 2 # {} 0.3", &["a{} = 1.0 at 2 like {} = 0.3"])]);
    check_in(OpenMetrics, &[("a 1 2 # {} 0.3", &["a{} = 1.0 at 2000 like {} = 0.3"])]);
}

#[test]
fn comments() {
    check(&[
        ("# TYPE a counter", &["type a counter"]),
        ("  #\tTYPE  a\tHISTOGRAM ", &["type a histogram"]),
        ("# TYPE a untyped", &["type a unknown"]),
        ("# TYPE a unknown", &["type a unknown"]),
        ("# TYPE a gaugehistogram", &["type a gaugehistogram"]),
        ("# TYPE a info", &["type a info"]),
        ("# TYPE a stateset", &["type a stateset"]),
        ("# HELP a", &[r#"help a """#]),
        ("# HELP a ", &[r#"help a """#]),
        ("# HELP a  two  blanks \r\n", &[r#"help a " two  blanks ""#]),
        (r"# HELP a x\\y\nz\w\", &[r#"help a "x\\y\nz\\w\\""#]),
        ("# HELP a x\r\r\r\n", &[r#"help a "x""#]),
        ("# UNIT a_seconds seconds", &[r#"unit a_seconds "seconds""#]),
        ("# UNIT a", &[r#"unit a """#]),
        ("#", &[]),
        ("# a remark", &[]),
        ("#TYPE a counter", &[]),
        ("# type a counter", &[]),
        ("# TYPE", &["bad 1 Name"]),
        ("# TYPE a", &["bad 1 Kind"]),
        ("# TYPE a nonsense", &["bad 1 Kind"]),
        ("# TYPE a counter gauge", &["bad 1 Kind"]),
        ("# TYPE a-b counter", &["bad 1 Name"]),
        ("# HELP", &["bad 1 Name"]),
        ("# HELP 9a x", &["bad 1 Name"]),
    ]);
    check_in(Text, &[(r#"# HELP a \"q\""#, &[r#"help a "\\\"q\\\"""#]), ("# UNIT two words here", &[])]);
    check_in(OpenMetrics, &[(r#"# HELP a \"q\""#, &[r#"help a "\"q\"""#]), ("# UNIT two words here", &["bad 1 Unit"])]);
}

#[test]
fn end_of_file() {
    check_in(Text, &[("a 1\n# EOF\nb 2\n", &["a{} = 1.0", "b{} = 2.0"])]);
    check_in(OpenMetrics, &[("a 1\n# EOF\n\nb 2\n# c\n", &["a{} = 1.0", "bad 4 AfterEof", "bad 5 AfterEof"])]);
    let eof = |page: &str, format| parse(page.as_bytes(), format, &mut Log::default()).eof;
    assert!(eof("a 1\n# EOF\n", OpenMetrics));
    assert!(eof("a 1\n# EOF", OpenMetrics));
    assert!(!eof("a 1\n# EO", OpenMetrics));
    assert!(!eof("a 1\n# EOF\n", Text));
}

#[test]
fn bad_lines_leave_their_neighbours_alone() {
    for (line, reason) in [
        ("a", "Value"),
        ("a ", "Value"),
        ("a-b 1", "Name"),
        ("9a 1", "Name"),
        ("é 1", "Name"),
        ("= 1", "Name"),
        (r#"{a="b"} 1"#, "Name"),
        ("{} 1", "Name"),
        ("a{b=\"c\"", "Labels"),
        ("a{b=\"c\"}", "Value"),
        ("a{b=\"c} 1", "Labels"),
        ("a{b=\"c\\\"} 1", "Labels"),
        ("a{b=c} 1", "Labels"),
        ("a{b:c=\"d\"} 1", "Labels"),
        ("a{9=\"d\"} 1", "Labels"),
        ("a{b='c'} 1", "Labels"),
        ("a{,} 1", "Labels"),
        ("a{b=\"c\",,} 1", "Labels"),
        ("a{b=\"c\" d=\"e\"} 1", "Labels"),
        ("a{b=\"c\",b=\"c\"} 1", "DuplicateLabel"),
        ("a 1 # exemplar", "Exemplar"),
    ] {
        check(&[(&format!("x 1\n{line}\ny 2\n"), &["x{} = 1.0", &format!("bad 2 {reason}"), "y{} = 2.0"])]);
    }
    assert_eq!(log(b"x 1\na{b=\"\xff\"} 1\ny 2", Text), ["x{} = 1.0", "bad 2 Utf8", "y{} = 2.0"]);
    assert_eq!(log(b"# HELP a \xc3\ny 2", OpenMetrics), ["bad 1 Utf8", "y{} = 2.0"]);
}

#[test]
fn long_lines_are_bounded() {
    let line = |length: usize| format!("a{{b=\"{}\"}} 1", "x".repeat(length - "a{b=\"\"} 1".len()));
    assert_eq!(log(format!("{}\r\ny 2\n", line(MAX_LINE)), Text).len(), 2);
    assert_eq!(log(format!("{}\ny 2\n", line(MAX_LINE + 1)), Text), ["bad 1 TooLong", "y{} = 2.0"]);
}

#[test]
fn line_errors_are_safe_to_print() {
    struct Message(String);
    impl Visitor for Message {
        fn sample(&mut self, _: &Sample<'_>) {}
        fn bad_line(&mut self, error: &LineError<'_>) {
            self.0 = error.to_string();
        }
    }
    let mut message = Message(String::new());
    parse(b"a{b=\"\x1b[31m\xff\xc3\xa9", Text, &mut message);
    assert_eq!(message.0, "line 1: not UTF-8: a{b=\"\\u{1b}[31m\\xffé");
    parse(&[b'-'; 500], Text, &mut message);
    assert!(message.0.ends_with(&"-".repeat(LineError::MAX_START)));
    assert!(message.0.len() < 250);
}
