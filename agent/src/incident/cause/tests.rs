mod doubt;
mod flares;
mod service;

use std::fmt::Write as _;
use std::time::UNIX_EPOCH;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use service::{CALM, Machine, Second, Service};

impl Service {
    /// The causes after a minute of calm and ten seconds of trouble that costs so many seconds and failures.
    fn causes(doing: Second, added_seconds: f64, failed: f64) -> Vec<Cause> {
        let mut service = Self::new();
        // Whole pieces, after a first page that only says where the counters stand.
        service.serve(61, CALM);
        let onset = service.now();
        service.serve(10, doing);
        service.explain(&Trouble { onset, added_seconds, failed }).unwrap()
    }

    fn first(doing: Second, added_seconds: f64) -> (CauseKind, Option<String>) {
        let causes = Self::causes(doing, added_seconds, 0.0);
        causes.first().map(|cause| (cause.cause, cause.subject.clone())).unwrap()
    }
}

#[test]
fn statements_that_were_off_the_page_count_from_where_they_stood() {
    let mut service = Service::new();
    service.serve(60, CALM);
    let onset = service.now();
    service.away = "db_client_operation_duration_seconds";
    service.serve(1, CALM);
    service.away = "";
    service.serve(9, Second { cpu: 0.9, ..CALM });
    let causes = service.explain(&Trouble { onset, added_seconds: 8.0, failed: 0.0 }).unwrap();
    assert_eq!(causes.iter().map(|cause| cause.cause).collect::<Vec<_>>(), [CauseKind::Cpu], "{causes:?}");
}

#[test]
fn a_sum_that_is_no_number_is_not_kept() {
    let mut service = Service::new();
    service.serve(60, CALM);
    let statements = std::mem::replace(&mut service.totals.statement_seconds, f64::NAN);
    service.serve(1, CALM);
    service.totals.statement_seconds = statements;
    service.serve(60, CALM);
    let onset = service.now();
    service.serve(10, Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM });
    let causes = service.explain(&Trouble { onset, added_seconds: 10.0, failed: 0.0 }).unwrap();
    assert_eq!(causes.first().map(|cause| cause.cause), Some(CauseKind::SlowQuery), "{causes:?}");
}

#[test]
fn each_kind_of_trouble_is_named_with_what_is_the_matter() {
    let select = || Some("SELECT products".to_owned());
    let slow = Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM };
    assert_eq!(Service::first(slow, 10.0), (CauseKind::SlowQuery, select()));
    let many = Second { statements: 400.0, statement_seconds: 0.8, use_seconds: 0.85, ..CALM };
    assert_eq!(Service::first(many, 8.0), (CauseKind::NPlusOne, select()));
    // A few statements more, and slow ones.
    let few = Second { statements: 24.0, statement_seconds: 1.04, use_seconds: 1.05, ..CALM };
    assert_eq!(Service::first(few, 10.0), (CauseKind::SlowQuery, select()));
    let starved = Second { wait_seconds: 2.0, use_seconds: 3.0, ..CALM };
    assert_eq!(Service::first(starved, 50.0), (CauseKind::ConnectionPool, Some("shop".to_owned())));
    let flushed =
        Second { loads: 10.0, load_seconds: 0.2, statements: 30.0, statement_seconds: 0.2, use_seconds: 0.21, ..CALM };
    assert_eq!(Service::first(flushed, 2.0), (CauseKind::Cache, Some("prices".to_owned())));
    assert_eq!(Service::first(Second { cpu: 0.9, ..CALM }, 9.0), (CauseKind::Cpu, Some("the process".to_owned())));
    // Nothing moved: it waits for something that is not measured.
    assert_eq!(Service::first(CALM, 20.0), (CauseKind::Dependency, None));
    let surge =
        Second { requests: 40.0, statements: 80.0, statement_seconds: 0.16, use_seconds: 0.2, cpu: 0.4, ..CALM };
    assert_eq!(Service::first(surge, 5.0).0, CauseKind::Traffic);
}

/// Something that the machine does.
fn machine(machine: Machine) -> Second {
    Second { machine, ..CALM }
}

#[test]
fn calls_retries_the_runtime_and_the_machine_are_named() {
    let own = |name: &str| Some(name.to_owned());
    let slow = Second { call_seconds: 2.1, ..CALM };
    assert_eq!(Service::first(slow, 20.0), (CauseKind::Dependency, own("stock.example")));
    let again = Second { calls: 40.0, call_seconds: 0.4, retries: 30.0, ..CALM };
    assert_eq!(Service::first(again, 3.0), (CauseKind::Retries, own("stock.example")));
    assert_eq!(Service::first(Second { delay: 1.0, ..CALM }, 10.0), (CauseKind::Runtime, own("main")));
    let calm = CALM.machine;
    let throttled = machine(Machine { throttled: 0.8, ..calm });
    assert_eq!(Service::first(throttled, 0.6), (CauseKind::CpuThrottling, own("the CPU limit")));
    let crowded = machine(Machine { crowded: 0.95, others: 1.8, ..calm });
    assert_eq!(Service::first(crowded, 0.6), (CauseKind::CpuContention, own("other programs")));
    let memory = machine(Machine { memory: 0.9, ..calm });
    assert_eq!(Service::first(memory, 0.6), (CauseKind::MemoryPressure, own("memory")));
    let disk = machine(Machine { disk: 0.9, ..calm });
    assert_eq!(Service::first(disk, 0.6), (CauseKind::DiskPressure, own("disks")));
    // What waits for processors that nobody else has waits for its own threads.
    let own_threads = machine(Machine { crowded: 0.95, ..calm });
    assert_eq!(Service::first(own_threads, 0.6).0, CauseKind::Dependency);
}

#[test]
fn a_page_that_measures_nothing_of_the_work_tells_of_traffic_and_failures() {
    let mut service = Service::new();
    let mut requests = 0;
    let mut serve = |service: &mut Service, seconds: u32, each: u32| {
        for _ in 0..seconds {
            requests += each;
            let name = "http_server_request_duration_seconds";
            let labels = "http_request_method=\"GET\",http_route=\"/\"";
            service.scrape(format!(
                "# TYPE {name} histogram\n{name}_bucket{{{labels},le=\"+Inf\"}} {requests}\n\
                 {name}_sum{{{labels}}} {requests}\n{name}_count{{{labels}}} {requests}\n"
            ));
        }
    };
    serve(&mut service, 61, 10);
    let onset = service.now();
    serve(&mut service, 10, 40);
    let mut first = |added_seconds, failed| {
        service.evidence.cost = 0.0;
        service.explain(&Trouble { onset, added_seconds, failed }).unwrap().remove(0).cause
    };
    assert_eq!(first(5.0, 0.0), CauseKind::Traffic);
    assert_eq!(first(0.0, 300.0), CauseKind::Errors);
}

#[test]
fn a_service_that_does_not_tell_its_cpu_time_is_no_neighbour_of_its_own() {
    let mut service = Service::new();
    service.away = "process_cpu_seconds";
    service.serve(61, CALM);
    let onset = service.now();
    service.serve(10, Second { cpu: 1.8, ..machine(Machine { crowded: 0.95, ..CALM.machine }) });
    let causes = service.explain(&Trouble { onset, added_seconds: 0.6, failed: 0.0 }).unwrap();
    assert!(causes.iter().all(|cause| cause.cause != CauseKind::CpuContention), "{causes:?}");
}

#[test]
fn evidence_has_the_numbers_that_make_it_clear() {
    let first = |doing, added| Service::causes(doing, added, 0.0).remove(0);
    let pool = first(Second { wait_seconds: 2.0, use_seconds: 3.0, ..CALM }, 50.0);
    assert!(pool.evidence.contains("need 3.0 connections (Little's law), and the pool has 10"), "{pool:?}");
    let flushed = Second { loads: 8.0, hits: 2.0, load_seconds: 0.2, ..CALM };
    let cache = first(flushed, 2.0);
    assert!(cache.evidence.ends_with("its hit ratio went from 95 % to 20 %"), "{cache:?}");
    let scan = first(Second { statement_seconds: 1.04, use_seconds: 1.05, unserved: 1.0, ..CALM }, 10.0);
    assert_eq!((scan.cause, scan.subject.as_deref()), (CauseKind::MissingIndex, Some("SELECT products")));
    let many = Second { statements: 400.0, statement_seconds: 0.8, use_seconds: 0.85, repeats: 10.0, ..CALM };
    let many = first(many, 8.0);
    assert!(many.cause == CauseKind::NPlusOne && many.evidence.contains("found 100 statements repeated"), "{many:?}");
    let memory = first(machine(Machine { memory: 0.9, ..CALM.machine }), 0.6);
    assert!(
        memory
            .evidence
            .ends_with("90 % of the time instead of 0 %; the container's working set is at 95 % of its limit"),
        "{memory:?}"
    );
}

#[test]
fn the_order_of_the_page_makes_no_difference() {
    let causes = |is_turned| {
        let mut service = Service::new();
        service.is_turned = is_turned;
        service.serve(60, CALM);
        let onset = service.now();
        service.serve(10, Second { statement_seconds: 0.6, use_seconds: 0.7, cpu: 0.7, call_seconds: 0.7, ..CALM });
        let causes = service.explain(&Trouble { onset, added_seconds: 15.0, failed: 0.0 }).unwrap();
        causes.into_iter().map(|cause| (cause.cause, cause.subject, (cause.strength * 1e6).round())).collect::<Vec<_>>()
    };
    let told = causes(false);
    assert!(told.len() > 1, "{told:?}");
    assert_eq!(told, causes(true));
}

#[test]
fn another_agent_goes_on_from_what_was_kept() {
    let mut service = Service::new();
    service.serve(60, CALM);
    let kept = serde_json::to_string(&service.evidence.keep().unwrap()).unwrap();
    assert!(kept.len() < 20_000, "{} bytes", kept.len());
    service.evidence = Evidence::restore(serde_json::from_str(&kept).unwrap());
    assert_eq!(serde_json::to_string(&service.evidence.keep().unwrap()).unwrap(), kept);
    // Its first page only says where the counters stand.
    service.serve(1, CALM);
    let onset = service.now();
    service.serve(10, Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM });
    let causes = service.explain(&Trouble { onset, added_seconds: 10.0, failed: 0.0 }).unwrap();
    assert_eq!(causes[0].cause, CauseKind::SlowQuery, "{causes:?}");

    // Figures that JSON cannot hold are not kept, and damaged ones not taken up.
    let mut damaged: serde_json::Value = serde_json::from_str(&kept).unwrap();
    damaged["keys"] = serde_json::json!([]);
    let damaged = Evidence::restore(serde_json::from_value(damaged).unwrap());
    assert!(damaged.keys.is_empty() && !damaged.usual.is_known());
    service.evidence.calm();
    service.totals.cpu = 1e308;
    service.serve(700, Second { cpu: 1e306, ..CALM });
    assert_eq!(service.evidence.keep(), None);
}

#[test]
fn failures_are_the_pools_when_it_gives_none() {
    let causes = Service::causes(Second { timeouts: 3.0, ..CALM }, 0.0, 30.0);
    assert_eq!(causes[0].cause, CauseKind::ConnectionPool);
    assert_eq!(causes[0].evidence, "30 failures more than usual, for 30 failed requests");
    assert_eq!(Service::causes(CALM, 0.0, 30.0)[0].cause, CauseKind::Errors);
}

#[test]
fn statements_that_were_given_up_have_not_failed() {
    let first = |error: &str| {
        let mut service = Service::new();
        let page = |service: &mut Service, given_up: u32| {
            let mut text = String::new();
            let statement = format!("db_operation_name=\"SELECT\",error_type=\"{error}\"");
            for (name, labels, count) in [
                (
                    "http_server_request_duration_seconds",
                    "http_request_method=\"GET\",http_route=\"/\"",
                    service.second,
                ),
                ("db_client_operation_duration_seconds", &*statement, given_up.into()),
            ] {
                writeln!(text, "# TYPE {name} histogram\n{name}_bucket{{{labels},le=\"+Inf\"}} {count}").unwrap();
                writeln!(text, "{name}_sum{{{labels}}} 0\n{name}_count{{{labels}}} {count}").unwrap();
            }
            service.scrape(text);
        };
        (0..61).for_each(|_| page(&mut service, 0));
        let onset = service.now();
        (1..=10).for_each(|second| page(&mut service, 3 * second));
        service.explain(&Trouble { onset, added_seconds: 0.0, failed: 30.0 }).unwrap().remove(0).cause
    };
    assert_eq!(first("timeout"), CauseKind::Dependency);
    assert_eq!(first("cancelled"), CauseKind::Errors);
}

#[test]
fn a_few_requests_more_are_no_surge_and_calls_that_are_missing_save_what_they_took() {
    let mut usual = Usual::default();
    let amounts = vec![(0, Amount { calls: 1.0, seconds: 0.1, failed: 0.0 })];
    let reading = Reading { seconds: 5.0, requests: 1.0, amounts, ..Reading::default() };
    (0..50).for_each(|_| usual.learn(&reading));
    let traffic = |requests| usual.traffic(&Sums { seconds: 6.0, requests, ..Sums::default() });
    assert!(traffic(3.0) <= 1.0 && traffic(12.0) > 9.0, "{} {}", traffic(3.0), traffic(12.0));

    let key = Key { measure: Measure::Part(PartKind::Database), name: "SELECT".into() };
    let during = Sums { seconds: 10.0, requests: 20.0, ..Sums::default() };
    let part = usual.part(&key, 0, &during, 0.1).unwrap();
    assert!((part.by_calls + 2.0).abs() < 1e-9 && part.by_duration.abs() < 1e-9, "{part:?}");
}

#[test]
fn a_cause_speaks_for_itself() {
    let causes = Service::causes(Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM }, 10.0, 0.0);
    let sentence = causes[0].sentence();
    let start = "Likely cause: slow statements of the database (SELECT products): 2.00 times instead of 2.00 times for each \
                 request, ";
    assert!(sentence.starts_with(start) && sentence.contains(" ms instead of 2.0 ms each; it added "), "{sentence}");
    let kept: Vec<Cause> = serde_json::from_str(&serde_json::to_string(&causes).unwrap()).unwrap();
    assert_eq!(kept, causes);
}

#[test]
fn nothing_is_said_before_something_is_usual_and_what_was_wrong_does_not_become_usual() {
    let mut service = Service::new();
    service.serve(10, CALM);
    let trouble = Trouble { onset: service.now(), added_seconds: 10.0, failed: 0.0 };
    assert_eq!(service.explain(&trouble), None);

    let mut service = Service::new();
    service.serve(60, CALM);
    let slow = Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM };
    for _ in 0..5 {
        let onset = service.now();
        service.serve(60, slow);
        let causes = service.explain(&Trouble { onset, added_seconds: 60.0, failed: 0.0 }).unwrap();
        assert_eq!(causes[0].cause, CauseKind::SlowQuery, "{causes:?}");
        service.evidence.calm();
    }
}

#[test]
fn the_calm_at_the_end_does_not_thin_what_was_seen() {
    let mut service = Service::new();
    service.serve(60, CALM);
    let trouble = Trouble { onset: service.now(), added_seconds: 10.0, failed: 0.0 };
    service.serve(10, Second { cpu: 1.1, ..CALM });
    assert_eq!(service.explain(&trouble).unwrap()[0].cause, CauseKind::Cpu);
    service.serve(100, CALM);
    assert_eq!(service.explain(&trouble), None);
}

#[test]
fn what_is_noticed_late_is_held_against_what_was_seen_of_it() {
    let slow = Second { statement_seconds: 1.04, use_seconds: 1.05, ..CALM };
    let first = |late| {
        let mut service = Service::new();
        service.serve(300, CALM);
        let onset = service.now();
        service.serve(late, slow);
        let trouble = Trouble { onset, added_seconds: f64::from(late), failed: 0.0 };
        service.explain(&trouble).map(|causes| causes.first().map(|cause| cause.cause))
    };
    assert_eq!(first(500), Some(Some(CauseKind::SlowQuery)));
    // By then it is half usual.
    assert_eq!(first(900), None);

    // An agent that begins in the middle of it knows nothing of what was before.
    let mut service = Service::new();
    let onset = service.now();
    service.serve(100, CALM);
    service.evidence.during = Some(Sums::default());
    service.serve(5, slow);
    assert_eq!(service.explain(&Trouble { onset, added_seconds: 100.0, failed: 0.0 }), None);
}

#[test]
fn a_flood_of_series_is_bounded() {
    let mut service = Service::new();
    for _ in 0..3 {
        let mut text = String::new();
        for table in 0..2000 {
            let (name, labels) = ("db_client_operation_duration_seconds", format!("db_collection_name=\"t{table}\""));
            writeln!(
                text,
                "# TYPE {name} histogram\n{name}_bucket{{{labels},le=\"+Inf\"}} 1\n{name}_sum{{{labels}}} 1"
            )
            .unwrap();
        }
        service.scrape(text);
    }
    assert!(service.evidence.keys.len() <= MAX_KEYS + 1, "{}", service.evidence.keys.len());
    for _ in 0..1000 {
        service.scrape("process_cpu_seconds_total 1\n".to_owned());
    }
    assert!(service.evidence.recent.len() <= MAX_RECENT);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever a page says, strengths are shares.
    #[test]
    fn no_page_is_too_strange(
        numbers in vec([any::<f64>(), any::<f64>(), any::<f64>(), any::<f64>()], 40),
        added_seconds in any::<f64>(), failed in any::<f64>(),
    ) {
        let mut service = Service::new();
        for [a, b, c, d] in numbers {
            service.scrape(format!(
                "# TYPE http_server_request_duration_seconds histogram\n\
                 http_server_request_duration_seconds_bucket{{http_request_method=\"GET\",http_route=\"/\",le=\"+Inf\"}} {a}\n\
                 # TYPE db_client_operation_duration_seconds histogram\n\
                 db_client_operation_duration_seconds_bucket{{le=\"+Inf\"}} {b}\n\
                 db_client_operation_duration_seconds_sum {c}\nprocess_cpu_seconds_total {d}\n"
            ));
        }
        let onset = UNIX_EPOCH + Duration::from_secs(1_800_000_030);
        for cause in service.explain(&Trouble { onset, added_seconds, failed }).unwrap_or_default() {
            prop_assert!((0.0..=1.0).contains(&cause.strength), "{:?}", cause);
        }
    }
}
