//! A service whose page tells what it does, for tests of causes.

use std::time::{Instant, UNIX_EPOCH};

use outrigger_exposition::Format;

use super::super::*;
use crate::collect::scrape::Page;

/// What a service does in one second, for ten requests.
#[derive(Clone, Copy, Default)]
pub(super) struct Second {
    pub(super) requests: f64,
    pub(super) statements: f64,
    pub(super) statement_seconds: f64,
    pub(super) wait_seconds: f64,
    pub(super) use_seconds: f64,
    pub(super) loads: f64,
    pub(super) load_seconds: f64,
    pub(super) cpu: f64,
    pub(super) timeouts: f64,
    pub(super) calls: f64,
    pub(super) call_seconds: f64,
    pub(super) retries: f64,
    pub(super) hits: f64,
    pub(super) delay: f64,
    pub(super) unserved: f64,
    pub(super) repeats: f64,
    /// What the machine does to it.
    pub(super) machine: Machine,
}

/// Shares of a second.
#[derive(Clone, Copy, Default)]
pub(super) struct Machine {
    pub(super) throttled: f64,
    pub(super) crowded: f64,
    pub(super) memory: f64,
    pub(super) disk: f64,
    /// Processors that other programs use.
    pub(super) others: f64,
}

pub(super) const CALM: Second = Second {
    requests: 10.0,
    statements: 20.0,
    statement_seconds: 0.04,
    wait_seconds: 0.002,
    use_seconds: 0.05,
    loads: 0.5,
    load_seconds: 0.01,
    cpu: 0.1,
    timeouts: 0.0,
    calls: 10.0,
    call_seconds: 0.1,
    retries: 0.0,
    hits: 9.5,
    delay: 0.001,
    unserved: 0.0,
    repeats: 0.0,
    machine: Machine { throttled: 0.0, crowded: 0.05, memory: 0.0, disk: 0.01, others: 0.2 },
};

impl Second {
    /// One second more, in which all that takes time took so many times as long.
    pub(super) fn add(&mut self, second: &Self, wobble: f64) {
        self.requests += second.requests;
        self.statements += second.statements;
        self.statement_seconds += second.statement_seconds * wobble;
        self.wait_seconds += second.wait_seconds * wobble;
        self.use_seconds += second.use_seconds * wobble;
        self.loads += second.loads;
        self.load_seconds += second.load_seconds * wobble;
        self.cpu += second.cpu * wobble;
        self.timeouts += second.timeouts;
        self.calls += second.calls;
        self.call_seconds += second.call_seconds * wobble;
        self.retries += second.retries;
        self.hits += second.hits;
        self.delay += second.delay * wobble;
        self.unserved += second.unserved;
        self.repeats += second.repeats;
        let (all, one) = (&mut self.machine, &second.machine);
        all.throttled += one.throttled;
        all.crowded += one.crowded;
        all.memory += one.memory;
        all.disk += one.disk;
        all.others += one.others + second.cpu;
    }
}

/// A service that is scraped each second.
pub(super) struct Service {
    pub(super) series: SeriesTable,
    pub(super) routes: Routes,
    pub(super) evidence: Evidence,
    pub(super) began: Instant,
    pub(super) second: u64,
    pub(super) totals: Second,
    /// A family that is not on the page.
    pub(super) away: &'static str,
    /// Families stand on the page the other way round.
    pub(super) is_turned: bool,
}

impl Service {
    pub(super) fn new() -> Self {
        Self {
            series: SeriesTable::new(10_000),
            routes: Routes::new(10),
            evidence: Evidence::default(),
            began: Instant::now(),
            second: 0,
            totals: Second::default(),
            away: "",
            is_turned: false,
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_800_000_000 + self.second)
    }

    pub(super) fn explain(&mut self, trouble: &Trouble) -> Option<Vec<Cause>> {
        self.evidence.explain(trouble).map(|explanation| explanation.causes)
    }

    pub(super) fn scrape(&mut self, text: String) {
        self.second += 1;
        let started = self.began + Duration::from_secs(self.second);
        // OpenMetrics writes the names of counters differently.
        let format = if text.ends_with("# EOF\n") { Format::OpenMetrics } else { Format::Text };
        let page = Page { bytes: text.into_bytes(), format, cut_samples: 0 };
        self.series.read(&page, self.now(), started);
        self.routes.update(&self.series);
        self.evidence.observe(&self.series, &self.routes, self.now());
    }

    pub(super) fn serve(&mut self, seconds: u32, doing: Second) {
        for second in 0..seconds {
            // Nothing is ever as steady as a constant.
            let wobble = 1.0 + 0.02 * f64::from(second % 7) - 0.06;
            self.totals.add(&doing, wobble);
            let Second { requests, statements, statement_seconds, wait_seconds: wait, use_seconds: used, .. } =
                self.totals;
            let Second { loads, load_seconds, cpu, timeouts, calls, call_seconds, .. } = self.totals;
            let Second { retries, hits, delay, unserved, repeats, machine, .. } = self.totals;
            let mut families: Vec<String> = Vec::new();
            let mut histogram = |name: &str, labels: &str, count: f64, sum: f64| {
                if name == self.away {
                    return;
                }
                let bucket = format!("{name}_bucket{{{labels},le=\"+Inf\"}} {count}");
                let sum = format!("{name}_sum{{{labels}}} {sum}\n{name}_count{{{labels}}} {count}\n");
                families.push(format!("# TYPE {name} histogram\n{bucket}\n{sum}"));
            };
            let route = "http_request_method=\"GET\",http_route=\"/\",http_response_status_code=\"200\"";
            histogram("http_server_request_duration_seconds", route, requests, requests * 0.01);
            let select = "db_operation_name=\"SELECT\",db_collection_name=\"products\"";
            histogram("db_client_operation_duration_seconds", select, statements, statement_seconds);
            let pool = "db_client_connection_pool_name=\"shop\"";
            histogram("db_client_connection_wait_time_seconds", pool, statements, wait);
            histogram("db_client_connection_use_time_seconds", pool, statements, used);
            histogram("cache_load_duration_seconds", "cache_name=\"prices\"", loads, load_seconds);
            let stock = "server_address=\"stock.example\"";
            histogram("http_client_request_duration_seconds", stock, calls, call_seconds);
            histogram("tokio_runtime_scheduling_delay_seconds", "tokio_runtime_name=\"main\"", requests, delay);
            let mut counter = |name: &str, labels: &str, value: f64| {
                if name == self.away {
                    return;
                }
                families.push(format!("# TYPE {name} counter\n{name}_total{{{labels}}} {value}\n"));
            };
            counter("process_cpu_seconds", "", cpu);
            counter("db_client_connection_timeouts", pool, timeouts);
            counter("resilience_retries", "dependency=\"stock\"", retries);
            counter("db_client_n_plus_one", "http_route=\"/\"", repeats);
            let plan = "db_plan_finding=\"missing_index\",db_collection_name=\"products\"";
            counter("db_client_plan_findings", plan, unserved);
            let result = |result: &str, value: f64| {
                format!("cache_requests_total{{cache_name=\"prices\",cache_result=\"{result}\"}} {value}\n")
            };
            families.push(format!("# TYPE cache_requests counter\n{}{}", result("hit", hits), result("miss", loads)));
            families.push(format!("# TYPE db_client_connection_max gauge\ndb_client_connection_max{{{pool}}} 10\n"));
            if self.is_turned {
                families.reverse();
            }
            self.evidence.strained(Some(Strain {
                throttled: Some(machine.throttled),
                cpu: Some(machine.crowded),
                memory: Some(machine.memory),
                disk: Some(machine.disk),
                busy: Some(machine.others),
                working_set: Some((95, 100)),
            }));
            let text = families.concat() + "# EOF\n";
            self.scrape(text);
        }
    }
}
