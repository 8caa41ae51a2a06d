//! What is posted to webhooks: one change of an incident in each request, or those that are due together.

use http::HeaderValue;
use ring::{digest, hmac};
use serde::Serialize;

use super::alert::link;
use super::destination::{Destination, Ready};
use super::event::Event;
use super::settings::Secret;
use super::template::{Template, json_escaped};
use crate::incident::{Incident, IncidentView};
use crate::time::Time;

/// Says which change of which incident it is, the same at each attempt.
const IDEMPOTENCY_KEY: &str = "idempotency-key";
/// HMAC-SHA256 of the body under the secret: `sha256=` and 64 hexadecimal digits.
const SIGNATURE: &str = "x-outrigger-signature";
/// The most characters of what is said of one change.
const MAX_TEXT: usize = 3000;
/// The most bytes of a text for people; Slack cuts at 40,000 characters.
const MAX_TEXTS: usize = 30_000;

/// One change at the webhook: its whole body, or one of several in it.
#[derive(Serialize)]
struct Body<'a> {
    version: u32,
    key: String,
    /// `opened`, `updated`, `resolved` or `reopened`.
    event: &'static str,
    sequence: u32,
    update: u32,
    url: String,
    severity: &'static str,
    /// How often the same trouble began of late.
    times: u32,
    incident: &'a IncidentView,
}

/// Several changes in one body.
#[derive(Serialize)]
struct Group<'a> {
    version: u32,
    key: String,
    /// `group`.
    event: &'static str,
    notifications: Vec<Body<'a>>,
}

/// A change that goes out, with what is said about it.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) incident: &'a Incident,
    pub(super) event: Event,
    /// How often the same trouble began of late.
    pub(super) times: u32,
    /// Where people find the agent's page.
    pub(super) page: &'a str,
}

impl Change<'_> {
    fn key(&self) -> String {
        self.event.key(&self.incident.id)
    }

    fn url(&self) -> String {
        link(self.page, &self.incident.id)
    }

    /// What a template's name stands for.
    fn value(&self, name: &str) -> String {
        let (incident, event) = (self.incident, self.event);
        let opening = incident.told_opening();
        let cause = || incident.view().causes.into_iter().next();
        match name {
            "key" => self.key(),
            "event" => event.state().to_owned(),
            "sequence" => event.sequence.to_string(),
            "url" => self.url(),
            "severity" => incident.severity().as_str().to_owned(),
            "headline" => incident.headline(event),
            "times" => self.times.to_string(),
            "incident.id" => incident.id.clone(),
            "incident.target" => incident.target().to_owned(),
            "incident.service" => opening.service.unwrap_or_default(),
            "incident.method" => opening.method,
            "incident.route" => opening.route,
            "incident.subject" => opening.subject.unwrap_or_default(),
            "incident.signal" => opening.signal.as_str().to_owned(),
            "incident.summary" => summary(incident, self.times),
            "incident.cause" => incident.likeliest().unwrap_or_default(),
            "incident.advice" => cause().map(|cause| cause.advice.to_owned()).unwrap_or_default(),
            "incident.started_at" => Time(incident.began_at()).to_string(),
            "incident.resolved_at" => incident.over_at().map(|at| Time(at).to_string()).unwrap_or_default(),
            "incident.requests_affected" => incident.view().requests_affected.to_string(),
            _ => String::new(),
        }
    }
}

/// The incident in words, with how often it came if it comes and goes.
pub(super) fn summary(incident: &Incident, times: u32) -> String {
    let summary = incident.summary();
    if times < FLAPPING { summary } else { format!("{summary} It comes and goes: it began {times} times of late.") }
}

/// From so many beginnings of late on, a message says so.
const FLAPPING: u32 = 3;

/// A request of the webhook, signed if there is a secret. A template takes one change only.
pub(super) fn webhook(
    at: &Destination,
    changes: &[Change<'_>],
    template: Option<&Template>,
    secret: Option<&Secret>,
) -> Option<Ready> {
    let views: Vec<_> = changes.iter().map(|change| change.incident.view()).collect();
    let body = |(change, incident): (&Change<'_>, _)| Body {
        version: 1,
        key: change.key(),
        event: change.event.state(),
        sequence: change.event.sequence,
        update: change.event.update,
        url: change.url(),
        severity: change.incident.severity().as_str(),
        times: change.times,
        incident,
    };
    let key = key(changes);
    let body = match (changes, views.as_slice(), template) {
        ([change], _, Some(template)) => template.fill(|name| change.value(name), json_escaped).into_bytes(),
        ([change], [view], None) => serde_json::to_vec(&body((change, view))).unwrap_or_default(),
        ([], ..) => return None,
        _ => {
            let notifications = changes.iter().zip(&views).map(body).collect();
            let group = Group { version: 1, key: key.clone(), event: "group", notifications };
            serde_json::to_vec(&group).unwrap_or_default()
        }
    };
    Some(signed(at, body, &key, secret))
}

/// A request with this body, its key, and its signature if there is a secret.
pub(super) fn signed(at: &Destination, body: Vec<u8>, key: &str, secret: Option<&Secret>) -> Ready {
    let mut headers = vec![(IDEMPOTENCY_KEY, HeaderValue::try_from(key).ok())];
    if let Some(secret) = secret {
        headers.push((SIGNATURE, HeaderValue::try_from(sign(secret, &body)).ok()));
    }
    at.json(body, headers)
}

/// A request of a Slack-compatible webhook, and how many of the changes are in it: as many as fit, one at least.
pub(super) fn slack(at: &Destination, changes: &[Change<'_>], template: Option<&Template>) -> Option<(Ready, usize)> {
    let text = |change: &Change<'_>| {
        if let Some(template) = template {
            return template.fill(|name| change.value(name), escaped);
        }
        let summary: String = summary(change.incident, change.times).chars().take(MAX_TEXT).collect();
        let headline = escaped(&change.incident.headline(change.event));
        format!("*{headline}*\n{}\n<{}|Incident {}>", escaped(&summary), change.url(), change.incident.id)
    };
    let (first, others) = changes.split_first()?;
    let (mut texts, mut count) = (text(first), 1);
    for next in others.iter().map(text) {
        if texts.len() + next.len() > MAX_TEXTS {
            break;
        }
        texts = format!("{texts}\n\n{next}");
        count += 1;
    }
    Some((chat(at, &texts, &key(changes.get(..count)?)), count))
}

/// A request with a text for people.
pub(super) fn chat(at: &Destination, text: &str, key: &str) -> Ready {
    let body = serde_json::json!({ "text": text }).to_string().into_bytes();
    at.json(body, vec![(IDEMPOTENCY_KEY, HeaderValue::try_from(key).ok())])
}

/// The same for each attempt to tell these changes together.
fn key(changes: &[Change<'_>]) -> String {
    let keys: Vec<_> = changes.iter().map(Change::key).collect();
    match keys.as_slice() {
        [key] => key.clone(),
        keys => {
            let digest = digest::digest(&digest::SHA256, keys.join(" ").as_bytes());
            format!("group/{}", hex(digest.as_ref().get(..16).unwrap_or_default()))
        }
    }
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
