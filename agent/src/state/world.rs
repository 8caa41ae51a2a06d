//! A service under a clock that tests turn, and the agent's state beside it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use outrigger_exposition::Format;

use super::State;
use crate::collect::scrape::{Page, Scrape, ScrapeError};
use crate::config::Settings;
use crate::store::Memory;

/// A service with two routes that is scraped every second of a clock that tests turn.
pub(crate) struct World {
    pub(crate) state: State,
    elapsed: Duration,
    /// When the service was started, in seconds since the epoch.
    start: u64,
    /// Requests of each route up to 100 ms and up to 1 s since the service's start.
    routes: [(&'static str, u64, u64); 2],
    random: u64,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut state = State::new(&Settings::default());
        state.started_at = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Self {
            state,
            elapsed: Duration::ZERO,
            start: 1_799_999_000,
            routes: [("/products/{id}", 0, 0), ("/search", 0, 0)],
            random: 7,
        }
    }

    /// Between nought and one, the same in every run.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.random >> 33) as f64 / f64::from(1_u32 << 31)
    }

    pub(crate) fn now(&self) -> SystemTime {
        self.state.started_at + self.elapsed
    }

    /// Serves for some seconds and is scraped each second; this share of the first route's requests is slow.
    pub(crate) fn serve(&mut self, seconds: u32, slow_share: f64) {
        for _ in 0..seconds {
            self.count(1, slow_share);
            self.scrape(Ok(()));
        }
    }

    /// Serves for some seconds while nobody looks.
    pub(crate) fn count(&mut self, seconds: u32, slow_share: f64) {
        self.elapsed += Duration::from_secs(seconds.into());
        for _ in 0..seconds {
            for route in 0..self.routes.len() {
                for _ in 0..8 + (self.random() * 5.0) as u64 {
                    let slow = self.random() < if route == 0 { slow_share.max(0.01) } else { 0.01 };
                    if slow {
                        self.routes[route].2 += 1;
                    } else {
                        self.routes[route].1 += 1;
                    }
                }
            }
        }
    }

    /// Another agent takes the place of this one, with what that kept.
    pub(crate) fn restart_agent(&mut self, memory: Memory) {
        let started_at = self.state.started_at;
        self.state = State::new(&Settings::default());
        self.state.started_at = started_at;
        self.state.restore(&Settings::default(), memory, self.now());
    }

    /// The same service beside another agent, which has what the first one kept.
    pub(crate) fn twin(&self, memory: Memory) -> Self {
        let mut twin =
            Self { elapsed: self.elapsed, start: self.start, routes: self.routes, random: self.random, ..Self::new() };
        twin.restart_agent(memory);
        twin
    }

    pub(crate) fn restart(&mut self) {
        self.start = 1_800_000_000 + self.elapsed.as_secs();
        self.routes.iter_mut().for_each(|route| (route.1, route.2) = (0, 0));
    }

    /// One scrape, at the moment that it is.
    pub(crate) fn scrape(&mut self, outcome: Result<(), ScrapeError>) {
        let mut text = format!("process_start_time_seconds {}\n", self.start);
        let name = "http_server_request_duration_seconds";
        text.push_str(&format!("# TYPE {name} histogram\n"));
        for (route, fast, slow) in self.routes {
            let labels =
                format!("http_request_method=\"GET\",http_route=\"{route}\",http_response_status_code=\"200\"");
            for (bound, count) in [("0.1", fast), ("0.5", fast), ("1", fast + slow), ("+Inf", fast + slow)] {
                text.push_str(&format!("{name}_bucket{{{labels},le=\"{bound}\"}} {count}\n"));
            }
            text.push_str(&format!("{name}_sum{{{labels}}} {}\n", fast as f64 * 0.05 + slow as f64 * 0.7));
            text.push_str(&format!("{name}_count{{{labels}}} {}\n", fast + slow));
        }
        let page = outcome.map(|()| Page { bytes: text.into_bytes(), format: Format::Text, cut_samples: 0 });
        let scrape = Scrape {
            started: self.state.started + self.elapsed,
            at: self.state.started_at + self.elapsed,
            took: Duration::from_millis(2),
            page,
        };
        self.state.absorb_scrape(0, &scrape);
    }

    pub(crate) fn incidents(&self) -> Vec<serde_json::Value> {
        let view = serde_json::to_value(self.state.incidents.view(usize::MAX)).unwrap();
        view["incidents"].as_array().unwrap().clone()
    }

    /// Serves until there are incidents in this state, for so many seconds at most.
    pub(crate) fn serve_until(&mut self, state: &str, slow_share: f64, seconds: u32) -> serde_json::Value {
        for _ in 0..seconds {
            self.serve(1, slow_share);
            if let Some(found) = self.incidents().into_iter().find(|incident| incident["state"] == state) {
                return found;
            }
        }
        panic!("no {state} incident within {seconds} s: {:?}", self.incidents());
    }
}
