//! The process as families of a page: exact, where the `metrics` facade would round.

use std::sync::Once;

use outrigger_exposition::{Family, Kind, Label, Point, Value};
use outrigger_semconv as semconv;
use outrigger_semconv::label;

use super::{Reading, Sample, read};

/// What the process looks like now; nothing, and one warning, where that cannot be read.
pub(crate) fn now() -> Vec<Family> {
    static WARNED: Once = Once::new();
    match read() {
        Ok(reading) => of(&reading),
        // Once: a page is asked for every few seconds.
        Err(error) => {
            WARNED.call_once(|| {
                tracing::warn!(error = &error as &dyn std::error::Error, "no process metrics");
            });
            Vec::new()
        }
    }
}

/// Appends them to a page in the Prometheus text format.
#[cfg(feature = "exporter")]
pub(crate) fn append_to(page: &mut String) {
    let mut encoder = outrigger_exposition::Encoder::new(outrigger_exposition::Format::Text, page);
    // Writing to a string does not fail, and the catalogue's names are not empty.
    let _ = now().iter().try_for_each(|family| encoder.family(family)).and_then(|()| encoder.finish().map(drop));
}

fn of(reading: &Reading) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    for Sample { metric, mode, value } in reading.samples() {
        let labels = mode.map(|mode| Label::new(label::CPU_MODE, mode)).into_iter().collect();
        let (kind, name, value) = match metric.kind {
            // A family is named without the suffix that its samples carry.
            semconv::Kind::Counter => {
                (Kind::Counter, metric.name.strip_suffix("_total").unwrap_or(metric.name), Value::Counter(value))
            }
            semconv::Kind::Gauge | semconv::Kind::Histogram(_) => (Kind::Gauge, metric.name, Value::Gauge(value)),
        };
        let point = Point::new(labels, value);
        match families.last_mut().filter(|family| family.name == name) {
            Some(family) => family.points.push(point),
            None => {
                let help = Some(metric.help.to_owned());
                families.push(Family { help, points: vec![point], ..Family::new(name, kind) });
            }
        }
    }
    families
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_keep_the_fractions_and_their_points_together() {
        let reading = Reading {
            cpu_user_seconds: 1.25,
            cpu_system_seconds: 0.5,
            resident_bytes: 4096.0,
            threads: 3.0,
            start_seconds: 1e9,
            open_fds: 7.0,
            max_fds: None,
        };
        let families = of(&reading);
        let names: Vec<&str> = families.iter().map(|family| family.name.as_str()).collect();
        assert_eq!(names.len(), 8, "{names:?}");
        let values = |name: &str| {
            let family = families.iter().find(|family| family.name == name).unwrap();
            family.points.iter().map(|point| (point.labels.len(), point.value.clone())).collect::<Vec<_>>()
        };
        assert_eq!(values("process_cpu_time_seconds"), [(1, Value::Counter(1.25)), (1, Value::Counter(0.5))]);
        assert_eq!(values("process_cpu_seconds"), [(0, Value::Counter(1.75))]);
        assert_eq!(values("process_open_fds"), [(0, Value::Gauge(7.0))]);
        assert!(families.iter().all(|family| family.help.is_some()));
    }
}
