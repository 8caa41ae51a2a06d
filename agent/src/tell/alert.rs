//! Alerts as [Alertmanager's v2 API](https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml) takes them.
//!
//! Alertmanager knows an alert by its labels alone. They are settled when the incident is first told and kept with it, so
//! that a restart of either side goes on with the same alert: one notification that it fires, one that it is resolved. An
//! incident that becomes graver has a second alert beside the first, from then to its end, so that whoever is paged for
//! nothing less hears of it. The incident's id is no label, but an annotation: silences and groups would not outlive an
//! incident.
//!
//! An alert that fires ends some intervals ahead and is sent again in time; should the agent vanish for longer, Alertmanager
//! resolves it. One that ended is sent again for a while too: Alertmanager has the end in its memory alone until it told it.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use outrigger_semconv::label;
use serde::Serialize;

use super::message::Change;
use crate::incident::{Incident, Severity};
use crate::time::Time;

/// For so long an alert that ended is sent again, as Prometheus does.
pub(super) const ENDS_FOR: Duration = Duration::from_secs(900);

/// How many intervals ahead an alert that fires ends: three requests may be lost. Prometheus does the same.
pub(super) const INTERVALS_AHEAD: u32 = 4;

/// The name of all alerts of the agent.
const NAME: &str = "OutriggerIncident";

/// What makes an alert the same one.
pub(super) type Labels = BTreeMap<&'static str, String>;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Alert {
    labels: Labels,
    annotations: BTreeMap<&'static str, String>,
    starts_at: Time,
    ends_at: Time,
    #[serde(rename = "generatorURL")]
    generator_url: String,
}

/// The body of a request. Alerts that fire end `ahead` of `now`.
pub(super) fn body(changes: &[Change<'_>], now: SystemTime, ahead: Duration) -> Vec<u8> {
    let alert = |Change { incident, event, times, page }: &Change<'_>| {
        let url = link(page, &incident.id);
        let ends_at = incident.over_at().unwrap_or(now + ahead);
        Alert {
            labels: labels(incident, event.severity),
            annotations: BTreeMap::from([
                ("summary", super::message::summary(incident, *times)),
                ("incident", incident.id.clone()),
                // Each alert's label stays as it was first told.
                ("severity", incident.severity().as_str().to_owned()),
                ("url", url.clone()),
            ]),
            // Alertmanager refuses an end before the beginning.
            starts_at: Time(incident.began_at().min(ends_at)),
            ends_at: Time(ends_at),
            generator_url: url,
        }
    };
    let alerts: Vec<_> = changes.iter().map(alert).collect();
    serde_json::to_vec(&alerts).unwrap_or_default()
}

/// The labels of an incident's alert of this severity: bounded, and the same from its beginning to its end.
pub(super) fn labels(incident: &Incident, severity: Severity) -> Labels {
    let opening = incident.told_opening();
    let mut labels = BTreeMap::from([
        ("alertname", NAME.to_owned()),
        (label::TARGET, incident.target().to_owned()),
        (label::HTTP_REQUEST_METHOD, opening.method),
        (label::HTTP_ROUTE, opening.route),
        (label::SIGNAL, opening.signal.as_str().to_owned()),
        ("severity", severity.as_str().to_owned()),
    ]);
    labels.extend(opening.subject.map(|subject| (label::SUBJECT, subject)));
    labels.extend(opening.service.map(|service| (label::SERVICE_NAME, service)));
    labels
}

/// Where a person finds the incident.
pub(super) fn link(page: &str, id: &str) -> String {
    format!("{}/incidents/{id}", page.trim_end_matches('/'))
}
