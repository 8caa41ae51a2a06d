//! Strangers read our pages and our OTLP, and find in them what we say is there.

use crate::world::{SOON, World};
use outrigger_semconv::{PROMTOOL_EXCEPTIONS, cache, db, http::SERVER_REQUEST_DURATION};
use outrigger_testkit::{OtlpReceiver, Prometheus, PrometheusConfig, promtool, wait_until};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DURATION: &str = SERVER_REQUEST_DURATION.name;

#[test]
fn prometheus_scrapes_shop_and_agent_without_a_complaint() {
    let Some(world) = World::new() else { return };
    let _shop = world.start_shop();
    let _agent = world.start_agent();
    let config = PrometheusConfig::new().scrape("shop", world.target()).scrape("agent", world.agent_address());
    let Some(prometheus) = Prometheus::start(config) else { return };
    let _load = world.start_load(3, "10m");

    prometheus.wait_value(SOON, &format!("sum({DURATION}_count{{job=\"shop\"}})"), |requests| requests > 100.0);
    prometheus.wait_value(SOON, "sum(outrigger_route_request_rate{job=\"agent\"})", |rate| rate > 1.0);
    // Both were up at every scrape, and the pages hold what each is for.
    assert_eq!(prometheus.value("count(min_over_time(up[1h]) == 1)"), Some(2.0), "{:?}", prometheus.targets());
    assert!(prometheus.value("count(up)") == Some(2.0));
    assert_eq!(prometheus.complaints(), Vec::<String>::new());

    let mut excused = BTreeSet::new();
    for page in [world.shop_page(), world.agent_page()] {
        for complaint in promtool::check_metrics(&page).expect("promtool comes with Prometheus") {
            let (name, reason) = complaint.split_once(' ').expect("a name and a reason");
            assert!(PROMTOOL_EXCEPTIONS.contains(&name) && reason.contains("\"_count\" suffix"), "{complaint}");
            excused.insert(name.to_owned());
        }
    }
    let listed: BTreeSet<String> = PROMTOOL_EXCEPTIONS.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(excused, listed, "an exception that nothing needs must leave the list");
}

#[test]
fn an_independent_decoder_reads_the_histograms_that_the_page_shows() {
    let (Some(world), Some(receiver)) = (World::new(), OtlpReceiver::start()) else { return };
    let world = world.with_otlp(receiver.http_endpoint());
    let _shop = world.start_shop();
    let _agent = world.start_agent();
    let load = world.start_load(5, "8s");
    assert!(load.wait_exit(SOON).success(), "{}", load.log());

    // The traffic has stopped: the page stands still, and what is pushed must come to equal it.
    let shown = histograms_of_page(&world.shop_page());
    assert!(shown.values().map(|histogram| histogram.count).sum::<u64>() > 100, "{shown:?}");
    let received = || -> BTreeMap<Labels, Histogram> {
        receiver
            .latest(SERVER_REQUEST_DURATION.otel)
            .iter()
            .map(|point| (labels_of_point(point), Histogram::of_point(point)))
            .collect()
    };
    wait_until(SOON, "the page's histograms at the receiver", || received() == shown);

    let point = &receiver.latest(SERVER_REQUEST_DURATION.otel)[0];
    assert_eq!((&point["resource"]["service.name"], &point["unit"]), (&"shop".into(), &"s".into()), "{point}");
    let time = |field: &str| point[field].as_u64().expect("a time");
    assert!(0 < time("start_time_unix_nano") && time("start_time_unix_nano") < time("time_unix_nano"), "{point}");

    // Exports were all accepted, and other families came too.
    assert!(receiver.requests().iter().all(|request| request["answer"] == 200), "{:?}", receiver.requests().last());
    let names = receiver.metric_names();
    for metric in [cache::REQUESTS, db::CLIENT_OPERATION_DURATION, db::CLIENT_CONNECTION_COUNT] {
        assert!(names.iter().any(|name| name == metric.otel), "{} is not among {names:?}", metric.otel);
    }
}

type Labels = BTreeMap<String, String>;

#[derive(Debug, PartialEq)]
struct Histogram {
    count: u64,
    sum: f64,
    /// Upper bounds without +Inf, and the observations in each bucket alone.
    bounds: Vec<f64>,
    counts: Vec<u64>,
}

impl Histogram {
    fn of_point(point: &Value) -> Self {
        assert_eq!((&point["type"], &point["temporality"]), (&"histogram".into(), &"cumulative".into()), "{point}");
        let list = |field: &str| point[field].as_array().unwrap_or_else(|| panic!("{field}: {point}")).clone();
        Self {
            count: point["count"].as_u64().expect("a count"),
            sum: point["sum"].as_f64().expect("a sum"),
            bounds: list("explicit_bounds").iter().filter_map(Value::as_f64).collect(),
            counts: list("bucket_counts").iter().filter_map(Value::as_u64).collect(),
        }
    }
}

/// Attributes as Prometheus spells them.
fn labels_of_point(point: &Value) -> Labels {
    let attributes = point["attributes"].as_object().expect("attributes");
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    attributes.iter().map(|(name, value)| (name.replace('.', "_"), text(value))).collect()
}

/// Reads the text format by hand, for our own parser is on trial too. The shop's routes need no escapes.
fn histograms_of_page(page: &str) -> BTreeMap<Labels, Histogram> {
    let mut found: BTreeMap<Labels, Histogram> = BTreeMap::new();
    for line in page.lines().filter_map(|line| line.strip_prefix(DURATION)) {
        let (suffix, rest) = line.split_once('{').expect("labels");
        let (labels, value) = rest.split_once("} ").expect("a value");
        let mut labels: Labels = labels
            .split("\",")
            .filter(|pair| !pair.is_empty())
            .map(|pair| pair.split_once("=\"").expect("name and value"))
            .map(|(name, value)| (name.to_owned(), value.trim_end_matches('"').to_owned()))
            .collect();
        let bound = labels.remove("le");
        let empty = || Histogram { count: 0, sum: 0.0, bounds: Vec::new(), counts: Vec::new() };
        let histogram = found.entry(labels).or_insert_with(empty);
        match (suffix, bound.as_deref()) {
            ("_count", None) => histogram.count = value.parse().expect("a count"),
            ("_sum", None) => histogram.sum = value.parse().expect("a sum"),
            ("_bucket", Some(bound)) => {
                // On the page each bucket holds all below it.
                let below: u64 = histogram.counts.iter().sum();
                histogram.counts.push(value.parse::<u64>().expect("a count") - below);
                if bound != "+Inf" {
                    histogram.bounds.push(bound.parse().expect("a bound"));
                }
            }
            other => panic!("{other:?} in {DURATION}{line}"),
        }
    }
    found
}
