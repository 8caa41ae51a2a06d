//! What is posted to webhooks: one change of one incident in each request.

use http::HeaderValue;
use ring::hmac;
use serde::Serialize;

use super::alert::link;
use super::destination::{Destination, Ready};
use super::event::Event;
use super::settings::Secret;
use crate::incident::{Incident, IncidentView};

/// Says which change of which incident it is, the same at each attempt.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// HMAC-SHA256 of the body under the secret: `sha256=` and 64 hexadecimal digits.
const SIGNATURE: &str = "x-outrigger-signature";
/// The most characters of a text for people.
const MAX_TEXT: usize = 3000;

/// The body of the webhook.
#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    key: String,
    /// `opened`, `updated`, `resolved` or `reopened`.
    event: &'static str,
    sequence: u32,
    update: u32,
    url: String,
    incident: &'a IncidentView,
}

/// A request of the webhook, signed if there is a secret.
pub(super) fn webhook(
    at: &Destination,
    incident: &Incident,
    event: Event,
    page: &str,
    secret: Option<&Secret>,
) -> Ready {
    let body = Body {
        version: 1,
        key: event.key(&incident.id),
        event: event.state(),
        sequence: event.sequence,
        update: event.update,
        url: link(page, &incident.id),
        incident: &incident.view(),
    };
    let body = serde_json::to_vec(&body).unwrap_or_default();
    let mut headers = vec![(IDEMPOTENCY_KEY, key(incident, event))];
    if let Some(secret) = secret {
        headers.push((SIGNATURE, HeaderValue::try_from(sign(secret, &body)).ok()));
    }
    at.json(body, headers)
}

/// A request of a Slack-compatible webhook.
pub(super) fn slack(at: &Destination, incident: &Incident, event: Event, page: &str) -> Ready {
    let summary: String = incident.summary().chars().take(MAX_TEXT).collect();
    let (headline, url) = (escaped(&incident.headline(event)), link(page, &incident.id));
    let text = format!("*{headline}*\n{}\n<{url}|Incident {}>", escaped(&summary), incident.id);
    let body = serde_json::json!({ "text": text }).to_string().into_bytes();
    at.json(body, vec![(IDEMPOTENCY_KEY, key(incident, event))])
}

fn key(incident: &Incident, event: Event) -> Option<HeaderValue> {
    HeaderValue::try_from(event.key(&incident.id)).ok()
}

/// The signature of a body.
pub(super) fn sign(secret: &Secret, body: &[u8]) -> String {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()), body);
    format!("sha256={}", hex(tag.as_ref()))
}

/// Bytes as hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Text without [what Slack would read as markup](https://docs.slack.dev/messaging/formatting-message-text).
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
