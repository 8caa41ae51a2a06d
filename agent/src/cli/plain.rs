//! What others wrote, on its way to a terminal: labels, targets and answers may have signs in them that steer it.

use std::fmt::Write as _;

/// The text without them. Line feeds and tabs stay.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|sign| if steers(sign) { char::REPLACEMENT_CHARACTER } else { sign }).collect()
}

/// JSON that says the same without them.
pub(super) fn plain_json(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut json, sign| {
        if steers(sign) {
            // They stand within strings only. Writing to a String cannot fail.
            let _ = write!(json, "\\u{:04x}", u32::from(sign));
        } else {
            json.push(sign);
        }
        json
    })
}

/// A control character, or one that turns the direction of reading.
fn steers(sign: char) -> bool {
    let turns = matches!(sign, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    turns || sign.is_control() && !matches!(sign, '\n' | '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_a_terminal_and_words_stay() {
        assert_eq!(
            plain("a\u{1b}[2J\u{9b}1m\u{7f}\r\u{202e}b\tc\nd é→"),
            "a\u{fffd}[2J\u{fffd}1m\u{fffd}\u{fffd}\u{fffd}b\tc\nd é→"
        );
        let value = serde_json::json!({"route": "/a\u{1b}[2J\u{9b}\u{7f}\u{202e}", "é": "\r\n"});
        let json = plain_json(&format!("{value:#}"));
        assert!(json.chars().all(|sign| sign == '\n' || !steers(sign)), "{json:?}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
    }
}
