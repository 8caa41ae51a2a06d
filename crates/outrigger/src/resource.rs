//! Who the service is, in the words of OpenTelemetry's environment variables.

use std::env;

use ::metrics::Label;
use outrigger_semconv::label;

/// The service, as `target_info` and OTLP tell of it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Resource {
    name: String,
    version: Option<String>,
    /// What else `OTEL_RESOURCE_ATTRIBUTES` says.
    others: Vec<(String, String)>,
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

    /// The attributes of an OTLP resource. An instance that has no `service.instance.id` is given a random one, since two
    /// that push to one place must not be taken for each other.
    #[cfg(feature = "otlp")]
    pub(crate) fn attributes(&self) -> Vec<(String, String)> {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let mut attributes = vec![
            pair(label::otel(label::SERVICE_NAME), &self.name),
            pair("telemetry.sdk.name", "outrigger"),
            pair("telemetry.sdk.language", "rust"),
            pair("telemetry.sdk.version", env!("CARGO_PKG_VERSION")),
        ];
        attributes.extend(self.version.as_deref().map(|version| pair(label::otel(label::SERVICE_VERSION), version)));
        if !self.others.iter().any(|(name, _)| name == "service.instance.id") {
            // A UUID of version 4.
            let random = fastrand::u128(..) & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
            let hex = format!("{random:032x}");
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| hex.get(part).unwrap_or_default());
            attributes.push(pair("service.instance.id", &parts.join("-")));
        }
        for (name, value) in &self.others {
            // The last word on an attribute is the user's.
            attributes.retain(|(known, _)| known != name);
            attributes.push(pair(name, value));
        }
        attributes
    }

    fn new(service: Option<String>, attributes: Option<String>, program: Option<String>) -> Self {
        let attributes = attributes.unwrap_or_default();
        let some = |text: Option<String>| text.filter(|text| !text.is_empty());
        let name = some(service)
            .or_else(|| some(attribute(&attributes, "service.name")))
            .or_else(|| some(program))
            .unwrap_or_else(|| "unknown_service".to_owned());
        let others = pairs(&attributes)
            .filter(|(name, _)| !["", "service.name", "service.version"].contains(name))
            .map(|(name, value)| (name.to_owned(), percent_decoded(value)))
            .collect();
        Self { name, version: some(attribute(&attributes, "service.version")), others }
    }
}

/// The value of a key in `key=value,key=value`, percent-decoded as
/// [the specification](https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable)
/// asks.
fn attribute(attributes: &str, key: &str) -> Option<String> {
    pairs(attributes).find(|(name, _)| *name == key).map(|(_, value)| percent_decoded(value))
}

fn pairs(attributes: &str) -> impl Iterator<Item = (&str, &str)> {
    attributes.split(',').filter_map(|pair| pair.split_once('=')).map(|(name, value)| (name.trim(), value.trim()))
}

/// Decodes `%41` and the like; what is not a valid escape, or would not be UTF-8, stays as it is.
pub(crate) fn percent_decoded(text: &str) -> String {
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

    #[cfg(feature = "otlp")]
    #[test]
    fn a_resource_has_all_that_was_said_and_is_told_apart_from_others() {
        let attributes = |text: &str| {
            let resource = Resource::new(Some("shop".to_owned()), Some(text.to_owned()), None);
            resource.attributes().into_iter().collect::<std::collections::BTreeMap<_, _>>()
        };
        let said = attributes("service.version=1,service.name=other,deployment.environment.name=a%2Cb,=x,k=");
        assert_eq!((said["service.name"].as_str(), said["service.version"].as_str()), ("shop", "1"));
        assert_eq!((said["deployment.environment.name"].as_str(), said["k"].as_str()), ("a,b", ""));
        assert_eq!(said["telemetry.sdk.name"], "outrigger");
        let id = &said["service.instance.id"];
        assert!(id.len() == 36 && &id[14..15] == "4" && "89ab".contains(&id[19..20]), "{id}");
        assert_ne!(attributes("")["service.instance.id"], *id);
        assert_eq!(attributes("service.instance.id=pod-7")["service.instance.id"], "pod-7");
    }

    #[test]
    fn escapes_are_decoded_and_broken_ones_stay() {
        for (text, decoded) in [("a%2Cb", "a,b"), ("100%", "100%"), ("%zz", "%zz"), ("%+1", "%+1"), ("%ff", "%ff")] {
            assert_eq!(percent_decoded(text), decoded);
        }
    }
}
