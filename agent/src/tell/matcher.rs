//! Which incidents a rule or a silence is about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::row::Cell;
use crate::incident::{Incident, Part};
use crate::watch::Signal;

/// Patterns by what they are held against. `*` in a pattern stands for any text; all patterns have to fit.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Matcher(BTreeMap<String, String>);

/// What a pattern can be held against.
pub(super) const NAMES: [&str; 6] = ["target", "service", "route", "subject", "signal", "cause"];
/// The longest pattern.
const MAX_PATTERN: usize = 500;

impl Matcher {
    /// Takes a cell as one of its patterns; false if it is none.
    pub(super) fn take(&mut self, cell: &Cell) -> Result<bool, String> {
        if !NAMES.contains(&cell.name.as_str()) {
            return Ok(false);
        }
        let text = cell.text()?;
        if text.len() > MAX_PATTERN {
            return Err(cell.wrong(format_args!("is longer than {MAX_PATTERN} bytes")));
        }
        if cell.name == "signal" && !text.contains('*') && !Signal::ALL.iter().any(|signal| signal.as_str() == text) {
            let known = Signal::ALL.map(Signal::as_str);
            return Err(cell.wrong(format_args!("is no signal; {}", super::row::nearest(text, &known))));
        }
        self.0.insert(cell.name.clone(), text.to_owned());
        Ok(true)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The patterns by their names.
    pub(super) fn patterns(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, pattern)| (name.as_str(), pattern.as_str()))
    }

    /// Whether one thing that an incident is about fits.
    pub(super) fn fits(&self, incident: &Incident, service: Option<&str>, part: &Part<'_>) -> bool {
        self.fits_part(part) && self.fits_rest(incident, service)
    }

    /// Whether everything that an incident is about fits: one route, or subject, that does not makes it another trouble.
    pub(super) fn fits_all(&self, incident: &Incident) -> bool {
        let opening = incident.told_opening();
        self.fits_rest(incident, opening.service.as_deref())
            && self.holds("subject", &opening.subject.unwrap_or_default())
            && incident.parts().all(|part| self.fits_part(&part))
    }

    fn fits_rest(&self, incident: &Incident, service: Option<&str>) -> bool {
        self.holds("target", incident.target())
            && self.holds("service", service.unwrap_or_default())
            && (!self.0.contains_key("cause") || self.holds("cause", &incident.likeliest().unwrap_or_default()))
    }

    /// A subject is what is no route: a dependency, a resource, the service as a whole.
    fn fits_part(&self, part: &Part<'_>) -> bool {
        self.holds("route", part.route)
            && self.holds("subject", &part.subject)
            && self.holds("signal", part.signal.as_str())
    }

    fn holds(&self, name: &str, text: &str) -> bool {
        self.0.get(name).is_none_or(|pattern| like(pattern, text))
    }
}

/// Whether a text is like a pattern. Each `*` first takes as little as it can, and more only for the last one's sake, so
/// that the work is bounded by the product of both lengths.
fn like(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part).and_then(|at| rest.get(at + part.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::like;

    #[test]
    fn stars_stand_for_any_text() {
        for (pattern, text) in
            [("*", ""), ("*", "/a"), ("/a*", "/a/b"), ("*/b", "/a/b"), ("/a*c*e", "/abcde"), ("a", "a"), ("a*a", "aa")]
        {
            assert!(like(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", "ab"), ("a*a", "a"), ("/a*c*e", "/abde"), ("*b", "a")] {
            assert!(!like(pattern, text), "{pattern} {text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_text_with_any_part_left_out_is_like_it(head in "\\PC{0,9}", part in "\\PC{0,9}", tail in "\\PC{0,9}") {
            proptest::prop_assume!(!head.contains('*') && !tail.contains('*'));
            let (pattern, text) = (format!("{head}*{tail}"), format!("{head}{part}{tail}"));
            proptest::prop_assert!(like(&pattern, &text));
        }
    }
}
