//! Who the service is, in the words of OpenTelemetry's environment variables.

use std::env;

use ::metrics::Label;
use outrigger_semconv::label;

/// The labels of `target_info`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    name: String,
    version: Option<String>,
}

impl Resource {
    pub(crate) fn from_env() -> Self {
        let variable = |name| env::var(name).ok();
        let program = env::current_exe().ok().and_then(|path| Some(path.file_stem()?.to_str()?.to_owned()));
        Self::new(variable("OTEL_SERVICE_NAME"), variable("OTEL_RESOURCE_ATTRIBUTES"), program)
    }

    pub(crate) fn labels(&self) -> Vec<Label> {
        let mut labels = vec![Label::new(label::SERVICE_NAME, self.name.clone())];
        labels.extend(self.version.clone().map(|version| Label::new(label::SERVICE_VERSION, version)));
        labels
    }

    fn new(service: Option<String>, attributes: Option<String>, program: Option<String>) -> Self {
        let attributes = attributes.unwrap_or_default();
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let name = some(service)
            .or_else(|| some(attribute(&attributes, "service.name")))
            .or_else(|| some(program))
            .unwrap_or_else(|| "unknown_service".to_owned());
        Self { name, version: some(attribute(&attributes, "service.version")) }
    }
}

/// The value of a key in `key=value,key=value`, percent-decoded as
/// [the specification](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable)
/// asks.
fn attribute(attributes: &str, key: &str) -> Option<String> {
    attributes
        .split(',')
        .filter_map(|pair| pair.split_once('='))
        .find(|(name, _)| name.trim() == key)
        .map(|(_, value)| percent_decoded(value.trim()))
}

/// Decodes `%41` and the like; what is not a valid escape, or would not be UTF-8, stays as it is.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escape = (first == b'%').then(|| tail.split_at_checked(2)).flatten();
        match escape.and_then(|(digits, tail)| Some((hex_byte(digits)?, tail))) {
            Some((byte, tail)) => {
                bytes.push(byte);
                rest = tail;
            }
            None => {
                bytes.push(first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn hex_byte(digits: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(digits).ok()?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_service_name_has_three_sources_in_order() {
        let text = |text: &str| Some(text.to_owned());
        let attributes = || text("service.name=from%20attributes, service.version=1.2.3,bad,k=v");
        let cases = [
            (text("given"), attributes(), text("program"), "given", Some("1.2.3")),
            (None, attributes(), text("program"), "from attributes", Some("1.2.3")),
            (text(""), None, text("program"), "program", None),
            (None, None, None, "unknown_service", None),
        ];
        for (service, attributes, program, name, version) in cases {
            let resource = Resource::new(service, attributes, program);
            assert_eq!((resource.name.as_str(), resource.version.as_deref()), (name, version));
        }
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_stay() {
        for (text, decoded) in [("a%2Cb", "a,b"), ("100%", "100%"), ("%zz", "%zz"), ("%+1", "%+1"), ("%ff", "%ff")] {
            assert_eq!(percent_decoded(text), decoded);
        }
    }
}
