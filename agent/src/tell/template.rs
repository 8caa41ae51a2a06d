//! Texts with places to be filled in: `{{ incident.id }}`.
//!
//! There is nothing but names, so that whoever writes an incident's words (a route, a statement) cannot write a template,
//! and every value is escaped for what it is put into.

use std::fmt;

use super::row::nearest;

/// Names that can stand in a template.
pub(super) const NAMES: [&str; 20] = [
    "key",
    "event",
    "sequence",
    "url",
    "severity",
    "headline",
    "times",
    "incident.id",
    "incident.target",
    "incident.service",
    "incident.method",
    "incident.route",
    "incident.subject",
    "incident.signal",
    "incident.summary",
    "incident.cause",
    "incident.advice",
    "incident.started_at",
    "incident.resolved_at",
    "incident.requests_affected",
];

/// A template that was read.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    /// As it was written.
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Name(&'static str),
}

/// The longest template, in bytes.
const MAX_TEMPLATE: usize = 16 << 10;

impl Template {
    /// Reads a template.
    pub(crate) fn read(text: &str) -> Result<Self, String> {
        if text.len() > MAX_TEMPLATE {
            return Err(format!("the template is longer than {MAX_TEMPLATE} bytes"));
        }
        let line = |rest: &str| 1 + text.get(..text.len() - rest.len()).map_or(0, |head| head.matches('\n').count());
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            parts.push(Part::Text(before.to_owned()));
            let (name, tail) = after
                .split_once("}}")
                .ok_or_else(|| format!("line {} of the template: `{{{{` has no `}}}}`", line(after)))?;
            let name = name.trim();
            let known = NAMES.into_iter().find(|known| *known == name).ok_or_else(|| {
                format!("line {} of the template: nothing is called `{name}`; {}", line(after), nearest(name, &NAMES))
            })?;
            parts.push(Part::Name(known));
            rest = tail;
        }
        parts.push(Part::Text(rest.to_owned()));
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Reads a template whose outcome has to be JSON.
    pub(crate) fn read_json(text: &str) -> Result<Self, String> {
        let template = Self::read(text)?;
        // What is filled in is escaped, so that any value gives JSON if one does: a text within quotes, or a number.
        match serde_json::from_str::<serde::de::IgnoredAny>(&template.sample("x")) {
            Ok(_) => Ok(template),
            Err(error) => Err(format!("line {} of the template: filled in it is no JSON: {error}", error.line())),
        }
    }

    /// JSON with this text for every name, and 1 for every number.
    pub(super) fn sample(&self, text: &str) -> String {
        let is_number = |name| matches!(name, "sequence" | "times" | "incident.requests_affected");
        self.fill(|name| if is_number(name) { "1".to_owned() } else { text.to_owned() }, json_escaped)
    }

    /// The text with every name filled in, each value escaped.
    pub(super) fn fill(&self, value: impl Fn(&'static str) -> String, escaped: impl Fn(&str) -> String) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Name(name) => escaped(&value(name)),
        };
        self.parts.iter().map(part).collect()
    }
}

/// Text as it stands between the quotes of JSON.
pub(super) fn json_escaped(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap_or_default();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Template {
    /// It may hold a key for its destination.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({} bytes)", self.text.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_are_told_with_their_line_and_the_nearest_name() {
        let error = Template::read("a\nb {{ incident.sumary }}").unwrap_err();
        assert_eq!(
            error,
            "line 2 of the template: nothing is called `incident.sumary`; did you mean `incident.summary`?"
        );
        assert_eq!(Template::read("\n\n{{ key").unwrap_err(), "line 3 of the template: `{{` has no `}}`");
        let error = Template::read_json("{\"a\": {{ key }}}").unwrap_err();
        assert!(error.starts_with("line 1 of the template: filled in it is no JSON"), "{error}");
    }

    proptest::proptest! {
        #[test]
        fn a_template_of_json_gives_json_whatever_is_filled_in(value in "\\PC*|[\"\\\\\n\t{}]{0,20}") {
            let template = Template::read_json(r#"{"a": "{{ incident.summary }}", "b": {{ sequence }}}"#).unwrap();
            let fill = |name| if name == "sequence" { "7".to_owned() } else { value.clone() };
            let json: serde_json::Value = serde_json::from_str(&template.fill(fill, json_escaped)).unwrap();
            proptest::prop_assert_eq!(json["a"].as_str(), Some(value.as_str()));
        }

        #[test]
        fn no_text_panics(text in "\\PC*|[{} a-z\n.]{0,40}") {
            let _ = Template::read_json(&text);
        }
    }
}
