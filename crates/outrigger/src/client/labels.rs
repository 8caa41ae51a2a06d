//! The labels of a call, as types with few values.

use ::metrics::Label;
use outrigger_semconv::label;

use super::failure::Failure;
use crate::message::KnownMethod;
use crate::series::LabelSet;

/// The labels beside the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallLabels {
    pub(super) method: KnownMethod,
    pub(super) port: Option<u16>,
    pub(super) template: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) failure: Option<Failure>,
}

impl CallLabels {
    /// Whether the answer says that the call failed. For a client, 4xx says so too.
    fn is_error(&self) -> bool {
        self.status.is_some_and(|status| status >= 400)
    }
}

impl LabelSet for CallLabels {
    fn labels(self, address: &str) -> Vec<Label> {
        let mut labels = server_labels(self.method, address, self.port);
        if let Some(template) = self.template {
            labels.push(Label::new(label::URL_TEMPLATE, template));
        }
        if let Some(status) = self.status {
            labels.push(Label::new(label::HTTP_RESPONSE_STATUS_CODE, status.to_string()));
        }
        if let Some(status) = self.status.filter(|_| self.is_error()) {
            labels.push(Label::new(label::ERROR_TYPE, status.to_string()));
        } else if let Some(failure) = self.failure {
            labels.push(Label::new(label::ERROR_TYPE, failure.as_str()));
        }
        labels
    }

    fn folded(self) -> Self {
        let failure = match self.failure {
            _ if self.is_error() => Some(Failure::Any),
            // Who gave up itself has not been failed.
            None | Some(Failure::Cancelled) => self.failure,
            Some(_) => Some(Failure::Any),
        };
        Self { method: KnownMethod::OTHER, port: None, template: None, status: None, failure }
    }
}

/// The labels that both metrics have.
pub(super) fn server_labels(method: KnownMethod, address: &str, port: Option<u16>) -> Vec<Label> {
    let mut labels = vec![Label::new(label::HTTP_REQUEST_METHOD, method.as_str())];
    if !address.is_empty() {
        labels.push(Label::new(label::SERVER_ADDRESS, address.to_owned()));
    }
    if let Some(port) = port {
        labels.push(Label::new(label::SERVER_PORT, port.to_string()));
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use ::http::Method;

    #[test]
    fn the_overflow_keeps_apart_what_failed_and_who_gave_up() {
        let error = |status, failure| {
            let method = KnownMethod::of(&Method::GET);
            let key = CallLabels { method, port: Some(80), template: Some("/"), status, failure };
            let labels = key.folded().labels("_other");
            let names: Vec<&str> = labels.iter().map(Label::key).collect();
            assert!(names.starts_with(&[label::HTTP_REQUEST_METHOD, label::SERVER_ADDRESS]), "{names:?}");
            assert!(names.len() == 2 || names[2..] == [label::ERROR_TYPE], "{names:?}");
            labels.get(2).map(|label| label.value().to_owned())
        };
        assert_eq!(error(Some(200), None), None);
        assert_eq!(error(Some(200), Some(Failure::Cancelled)).as_deref(), Some("cancelled"));
        assert_eq!(error(None, Some(Failure::Cancelled)).as_deref(), Some("cancelled"));
        for (status, failure) in
            [(Some(404), None), (Some(503), Some(Failure::Cancelled)), (None, Some(Failure::Timeout))]
        {
            assert_eq!(error(status, failure).as_deref(), Some(label::OTHER_METHOD), "{status:?} {failure:?}");
        }
    }
}
