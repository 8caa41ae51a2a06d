//! A test message to each destination, and what came back.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::destination::{Destination, Outcome, send};
use super::{Channel, TellSettings, message};
use crate::client::Client;
use crate::time::Time;

/// How long the test's alert fires at an Alertmanager.
const FIRES_FOR: Duration = Duration::from_secs(60);

/// Sends a test message to each destination, one after the other. Answers each with what came of it.
pub(crate) async fn send_all(settings: &TellSettings, client: &Client) -> Vec<(String, Result<(), String>)> {
    let now = SystemTime::now();
    let key = format!("test/{}", now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis());
    let text = "This is a test of Outrigger's agent. Nothing is wrong.";
    let mut told = Vec::new();
    for destination in Destination::all(settings) {
        let request = match destination.channel {
            Channel::Alertmanager => {
                let alert = serde_json::json!([{
                    "labels": {"alertname": "OutriggerTest", "severity": "none"},
                    "annotations": {"summary": text},
                    "startsAt": Time(now), "endsAt": Time(now + FIRES_FOR),
                }]);
                destination.json(alert.to_string().into_bytes(), Vec::new())
            }
            Channel::Webhook => {
                let body = match &settings.webhook_template {
                    Some(template) => template.sample(text),
                    None => serde_json::json!({"version": 1, "key": key, "event": "test", "text": text}).to_string(),
                };
                message::signed(&destination, body.into_bytes(), &key, settings.webhook_secret.as_ref())
            }
            Channel::Slack => message::chat(&destination, text, &key),
        };
        let outcome = match send(client, request, settings.timeout).await {
            Outcome::Taken => Ok(()),
            Outcome::Refused(reason) | Outcome::Later { reason, .. } => Err(reason),
        };
        told.push((format!("{} {}", destination.channel.as_str(), destination.shown), outcome));
    }
    told
}
