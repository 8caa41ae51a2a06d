//! Label values that hurt parsers.

/// Each value once: what a format's own characters may look like, what is no text to the eye, and every string of up to
/// three characters that mean something to a format or to those who split lines.
pub(crate) fn values() -> Vec<String> {
    let mut values: Vec<String> = CHOSEN.iter().map(|value| (*value).to_owned()).collect();
    let mut shorter = vec![String::new()];
    for _ in 0..3 {
        shorter = shorter.iter().flat_map(|start| SORE.iter().map(move |sore| format!("{start}{sore}"))).collect();
        values.extend_from_slice(&shorter);
    }
    values.sort();
    values.dedup();
    values
}

const SORE: [char; 11] = ['\\', '"', '\n', 'n', '\r', ',', '=', '{', '}', '#', ' '];

const CHOSEN: [&str; 24] = [
    "",
    "plain",
    "ends with a backslash\\",
    "ends with two\\\\",
    "\\\\\\n\\\"",
    "\t",
    " leading and trailing ",
    "},x=\"1\"} 3",
    "a=\"b\",c=\"d\"",
    "# EOF",
    "\n# EOF\n",
    "\n# TYPE x counter\nx 1\n",
    " # {trace_id=\"1\"} 1 2",
    "é日本🦀\u{2028}\u{85}\u{feff}",
    // Not composed: it must not become `á`.
    "a\u{301}",
    "\u{7f}\u{1}\u{1b}[0m",
    "a\0b",
    "\0",
    "\u{10ffff}",
    "\u{fffd}",
    "'`$(x)%s%n",
    "<&>",
    "\\x41\\u0041\\101",
    "/a/b?c=d&e=\"f\"",
];
