//! Pushes to endpoints that work, and to all kinds that do not.

use std::collections::VecDeque;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::collector::metrics::v1::{ExportMetricsPartialSuccess, ExportMetricsServiceResponse};
use opentelemetry_proto::tonic::metrics::v1::{metric, number_data_point};
use outrigger_exposition::{Family, Kind, Value};
use outrigger_testkit::{OtlpReceiver, wait_until};
use prost::Message as _;
use serde_json::Value as Json;
use tokio::runtime::Handle;

use super::super::delivery::Endpoint;
use super::super::delta::Deltas;
use super::super::message::{Form, Request, Temporality};
use super::super::push::{Control, Counts, Push};
use super::super::settings::{Given, Settings};
use super::{decoded, family, metrics};
use crate::Metrics;

const DEADLINE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

/// A registry of one counter, and its push.
struct Service {
    jobs: Arc<AtomicU64>,
    panics: Arc<AtomicBool>,
    metrics: Metrics,
    push: Arc<Control>,
}

struct Options {
    endpoint: String,
    interval: Duration,
    timeout: Duration,
    pause: Duration,
    delta: bool,
}

impl Options {
    fn new(endpoint: &str) -> Self {
        let (timeout, pause) = (Duration::from_secs(3), Duration::from_millis(1));
        Self { endpoint: endpoint.to_owned(), interval: HOUR, timeout, pause, delta: true }
    }

    fn start(self) -> Service {
        let metrics = crate::standalone().unwrap();
        let (jobs, panics) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let counted = (Arc::clone(&jobs), Arc::clone(&panics));
        let source = move || {
            assert!(!counted.1.load(SeqCst), "as told");
            vec![jobs_family(counted.0.load(SeqCst))]
        };
        let given = Given {
            endpoint: Some(self.endpoint),
            interval: Some(self.interval),
            timeout: Some(self.timeout),
            ..Given::default()
        };
        let settings = Settings::new(given, |_| None, |complaint| panic!("{complaint}")).unwrap();
        let push = Push {
            source: Arc::new(source),
            endpoint: Endpoint::new(&settings).unwrap(),
            form: Form { resource: vec![("service.name".into(), "shop".into())], gzip: true, max_points: 10 },
            temporality: match self.delta {
                true => Temporality::Delta(Deltas::new(7, 100)),
                false => Temporality::Cumulative { start: 7 },
            },
            interval: self.interval,
            pause: self.pause,
            counts: Counts::of(&metrics),
        };
        Service { jobs, panics, metrics, push: Arc::new(push.start(&Handle::current())) }
    }
}

fn jobs_family(jobs: u64) -> Family {
    family("jobs", Kind::Counter, [("a", Value::Counter(jobs as f64))])
}

impl Service {
    fn add(&self, jobs: u64) {
        self.jobs.fetch_add(jobs, SeqCst);
    }

    async fn last_push(&self) -> bool {
        self.push.stop();
        self.push.end(tokio::time::Instant::now() + DEADLINE).await
    }

    /// The value of a counter about pushes.
    #[track_caller]
    fn count(&self, series: &str) -> u64 {
        let page = self.metrics.render().unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(series));
        line.unwrap_or_else(|| panic!("{series}: {page}")).trim().parse().unwrap()
    }
}

const SUCCESSES: &str = r#"outrigger_otlp_exports_total{outcome="success"}"#;
const FAILURES: &str = r#"outrigger_otlp_exports_total{outcome="failure"}"#;
const REJECTED: &str = r#"outrigger_otlp_dropped_points_total{reason="rejected"}"#;
const EXHAUSTED: &str = r#"outrigger_otlp_dropped_points_total{reason="retries_exhausted"}"#;

fn time(point: &Json, name: &str) -> u64 {
    point[name].as_u64().unwrap_or_else(|| panic!("{point}"))
}

/// Receiver and service on threads of their own, so that asking the receiver blocks nothing.
macro_rules! with_receiver {
    ($receiver:ident) => {
        let Some($receiver) = OtlpReceiver::start() else { return };
    };
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_reads_totals() {
    with_receiver!(receiver);
    let service = Options { delta: false, ..Options::new(&receiver.http_endpoint()) }.start();
    service.add(3);
    assert!(service.push.flush().await);
    service.add(4);
    assert!(service.push.flush().await);
    let points = receiver.points("jobs_total");
    assert_eq!(points.iter().map(|point| point["value"].as_f64().unwrap()).collect::<Vec<_>>(), [3.0, 7.0]);
    for point in &points {
        assert_eq!((&point["temporality"], &point["monotonic"]), (&"cumulative".into(), &true.into()), "{point}");
        assert_eq!(
            (&point["scope"]["name"], &point["resource"]["service.name"]),
            (&"outrigger".into(), &"shop".into())
        );
        assert_eq!((time(point, "start_time_unix_nano"), &point["attributes"]["of"]), (7, &"a".into()));
    }
    let requests = receiver.requests();
    assert!(requests.iter().all(|request| request["encoding"] == "gzip" && request["answer"] == 200), "{requests:?}");
    assert_eq!((service.count(SUCCESSES), service.count(FAILURES)), (2, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deltas_survive_refusals_and_say_since_when_they_count() {
    with_receiver!(receiver);
    let service = Options::new(&receiver.http_endpoint()).start();
    service.add(1);
    assert!(service.push.flush().await);

    // Refused for good: the next push has both intervals.
    receiver.refuse(Some(400), None);
    service.add(10);
    assert!(!service.push.flush().await);
    assert_eq!((service.count(FAILURES), service.count(REJECTED)), (1, 1));
    receiver.refuse(None, None);
    service.add(100);
    assert!(service.push.flush().await);
    assert!(service.push.flush().await, "there is nothing to send");

    // Not for now: tried again until it is taken.
    receiver.refuse(Some(503), None);
    service.add(1000);
    let push = Arc::clone(&service.push);
    let flush = tokio::spawn(async move { push.flush().await });
    wait_until(DEADLINE, "a 503", || receiver.requests().iter().any(|request| request["answer"] == 503));
    receiver.refuse(Some(429), Some(1));
    wait_until(DEADLINE, "a 429", || receiver.requests().iter().any(|request| request["answer"] == 429));
    receiver.refuse(None, None);
    assert!(flush.await.unwrap());

    let points = receiver.points("jobs_total");
    assert_eq!(points.iter().map(|point| point["value"].as_f64().unwrap()).collect::<Vec<_>>(), [1.0, 110.0, 1000.0]);
    assert_eq!(time(&points[0], "start_time_unix_nano"), 7);
    assert_eq!(time(&points[1], "start_time_unix_nano"), time(&points[0], "time_unix_nano"));
    assert!(time(&points[2], "start_time_unix_nano") >= time(&points[1], "time_unix_nano"));
    assert!(points.iter().all(|point| point["temporality"] == "delta"), "{points:?}");
    assert_eq!((service.count(SUCCESSES), service.count(EXHAUSTED)), (3, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timer_pushes_and_the_last_push_is_one() {
    with_receiver!(receiver);
    let interval = Duration::from_millis(100);
    let service = Options { interval, ..Options::new(&receiver.http_endpoint()) }.start();
    for _ in 0..3 {
        let pushed = receiver.points("jobs_total").len();
        service.add(1);
        wait_until(DEADLINE, "a push of the timer", || receiver.points("jobs_total").len() > pushed);
    }
    service.add(10);
    let (first, second) = tokio::join!(service.last_push(), service.last_push());
    assert!(first && second && service.last_push().await);
    assert!(!service.push.flush().await, "it has ended");
    assert!(service.push.has_ended());
    let points = receiver.points("jobs_total");
    assert_eq!(points.iter().map(|point| point["value"].as_f64().unwrap()).sum::<f64>(), 13.0, "{points:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_interrupts_a_pause_and_brings_what_was_held_up() {
    with_receiver!(receiver);
    receiver.refuse(Some(503), Some(1800));
    let service = Options::new(&receiver.http_endpoint()).start();
    service.add(5);
    let push = Arc::clone(&service.push);
    let flush = tokio::spawn(async move { push.flush().await });
    wait_until(DEADLINE, "an attempt", || !receiver.requests().is_empty());
    receiver.refuse(None, None);
    service.add(6);
    assert!(service.last_push().await);
    assert!(!flush.await.unwrap());
    let points = receiver.points("jobs_total");
    assert_eq!(points.iter().map(|point| point["value"].as_f64().unwrap()).collect::<Vec<_>>(), [11.0]);
    assert_eq!(service.count(EXHAUSTED), 0, "the last push has the point of the one that was given up");
}

#[tokio::test]
async fn what_is_under_way_at_the_end_is_not_sent_again() {
    let (release, held) = mpsc::channel();
    let endpoint = Scripted::start([Step::Hold(held)]);
    let service = Options { timeout: DEADLINE, ..Options::new(&endpoint.url) }.start();
    service.add(1);
    let push = Arc::clone(&service.push);
    let flush = tokio::spawn(async move { push.flush().await });
    let arrivals = Arc::clone(&endpoint.arrivals);
    let arrived = move || wait_until(DEADLINE, "the flush", || !arrivals.lock().unwrap().is_empty());
    tokio::task::spawn_blocking(arrived).await.unwrap();
    service.add(10);
    service.push.stop();
    release.send(()).unwrap();
    assert!(service.last_push().await && flush.await.unwrap());
    assert_eq!((endpoint.taken(), endpoint.arrivals.lock().unwrap().len()), (11.0, 2));
}

#[tokio::test]
async fn a_collector_that_panics_costs_its_push_alone() {
    let endpoint = Scripted::start([]);
    let service = Options::new(&endpoint.url).start();
    service.panics.store(true, SeqCst);
    assert!(!service.push.flush().await);
    assert_eq!(service.count(FAILURES), 1);
    service.panics.store(false, SeqCst);
    service.add(2);
    assert!(service.push.flush().await);
    assert_eq!(endpoint.taken(), 2.0);
}

#[tokio::test]
async fn deltas_add_up_through_every_kind_of_failure() {
    let reserved = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = reserved.local_addr().unwrap();
    drop(reserved);
    let service = Options { interval: Duration::from_secs(1), ..Options::new(&format!("http://{address}")) };
    let service = Options { pause: HOUR, ..service }.start();
    service.add(1);
    assert!(!service.push.flush().await, "the connection is refused, and there is no time for another");
    assert_eq!((service.count(FAILURES), service.count(EXHAUSTED)), (1, 0), "the next push has it");
    assert!(!service.last_push().await);
    assert_eq!((service.count(FAILURES), service.count(EXHAUSTED)), (2, 1), "there is no next push");

    let script = [
        Step::Close,
        Step::Say("HTTP/1.1 200 what is this\r\n: : :\r\n\r\n"),
        Step::Say("\0\u{1}\u{2} no HTTP\r\n\r\n"),
        Step::Hang,
        Step::Say("HTTP/1.1 503 No\r\ncontent-length: 2\r\n\r\nno"),
        Step::Say("HTTP/1.1 429 No\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n"),
        Step::Say("HTTP/1.1 502 No\r\nretry-after: Fri, 31 Dec 1999 23:59:59 GMT\r\ncontent-length: 0\r\n\r\n"),
        Step::Say("HTTP/1.1 504 No\r\ncontent-length: 0\r\n\r\n"),
    ];
    let failures = script.len() as u64;
    let endpoint = Scripted::start(script);
    let service = Options::new(&endpoint.url).start();
    for jobs in [1, 10, 100] {
        service.add(jobs);
        assert!(service.push.flush().await);
    }
    assert_eq!(endpoint.taken(), 111.0);
    assert_eq!((service.count(FAILURES), service.count(SUCCESSES), service.count(EXHAUSTED)), (failures, 3, 0));
}

#[tokio::test]
async fn answers_that_are_not_quite_a_yes_are_understood() {
    let partial = ExportMetricsServiceResponse {
        partial_success: Some(ExportMetricsPartialSuccess { rejected_data_points: 1, error_message: "old".to_owned() }),
    };
    let partial = String::from_utf8(partial.encode_to_vec()).unwrap();
    let partial = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{partial}", partial.len()).leak();
    let endpoint = Scripted::start([
        Step::Say(partial),
        Step::Say("HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\ngarbage"),
        // It was taken, though the rest of the answer is cut off.
        Step::Say("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 100\r\n\r\ncut"),
        Step::Say("HTTP/1.1 301 Moved\r\nlocation: /\r\ncontent-length: 0\r\n\r\n"),
        Step::Say("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
    ]);
    let service = Options::new(&endpoint.url).start();
    let mut taken = Vec::new();
    for _ in 0..5 {
        service.add(1);
        taken.push(service.push.flush().await);
    }
    assert_eq!(taken, [true, true, true, false, false]);
    assert_eq!((service.count(SUCCESSES), service.count(FAILURES), service.count(REJECTED)), (3, 2, 3));
    assert!(service.push.flush().await);
    assert_eq!(endpoint.taken(), 5.0);
}

#[tokio::test]
async fn an_endpoint_that_asks_to_be_left_alone_is() {
    let endpoint = Scripted::start([Step::Say("HTTP/1.1 429 No\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n")]);
    let service = Options { interval: Duration::from_millis(100), ..Options::new(&endpoint.url) }.start();
    service.add(1);
    tokio::task::spawn_blocking({
        let arrivals = Arc::clone(&endpoint.arrivals);
        move || wait_until(DEADLINE, "the push that is taken", || arrivals.lock().unwrap().len() >= 2)
    })
    .await
    .unwrap();
    let arrivals = endpoint.arrivals.lock().unwrap();
    assert!(arrivals[1] - arrivals[0] >= Duration::from_millis(990), "{:?}", arrivals[1] - arrivals[0]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_endpoint_has_no_more_time_than_it_is_given() {
    // Connections are made, by the kernel, and never answered.
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let options = Options::new(&format!("http://{}", dead.local_addr().unwrap()));
    let service = Options { timeout: HOUR, ..options }.start();
    service.add(1);
    let push = Arc::clone(&service.push);
    tokio::spawn(async move { push.flush().await });
    // The flush is under way by then.
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (begun, limit) = (tokio::time::Instant::now(), Duration::from_secs(1));
    service.push.stop();
    assert!(!service.push.end(begun + limit).await);
    assert!((900..=1000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    assert_eq!(service.count(EXHAUSTED), 1);
}

#[tokio::test(start_paused = true)]
async fn an_endpoint_that_hangs_does_not_keep_the_last_push_from_another_try() {
    for (delta, patience) in [(false, Duration::ZERO), (true, Duration::from_millis(500))] {
        let endpoint = Scripted::start([Step::Hang]);
        // While something runs on the blocking pool the clock stands still, so that the endpoint has all the time it needs.
        let (still, held) = mpsc::channel::<()>();
        tokio::task::spawn_blocking(move || held.recv_timeout(DEADLINE));
        let service = Options { delta, timeout: HOUR, ..Options::new(&endpoint.url) }.start();
        service.add(1);
        let push = Arc::clone(&service.push);
        let flush = tokio::spawn(async move { push.flush().await });
        let arrivals = Arc::clone(&endpoint.arrivals);
        let arrived = move || wait_until(DEADLINE, "the flush", || !arrivals.lock().unwrap().is_empty());
        tokio::task::spawn_blocking(arrived).await.unwrap();
        service.add(10);

        let begun = tokio::time::Instant::now();
        service.push.stop();
        tokio::task::yield_now().await;
        tokio::time::advance(patience).await;
        assert!(service.push.end(begun + Duration::from_secs(1)).await, "delta: {delta}");
        assert!(begun.elapsed() < Duration::from_secs(1));
        assert!(!flush.await.unwrap());
        assert_eq!((endpoint.taken(), endpoint.arrivals.lock().unwrap().len()), (11.0, 2), "delta: {delta}");
        assert_eq!((service.count(SUCCESSES), service.count(EXHAUSTED)), (1, 0));
        drop(still);
    }
}

/// What an endpoint does with a request.
enum Step {
    /// Closes the connection.
    Close,
    /// Never answers.
    Hang,
    /// Takes it when told to.
    Hold(mpsc::Receiver<()>),
    /// Answers so, and closes the connection.
    Say(&'static str),
}

/// An endpoint that follows a script, and then takes what comes.
struct Scripted {
    url: String,
    /// What it has taken: the answers that begin with 200.
    bodies: Arc<Mutex<Vec<Vec<u8>>>>,
    arrivals: Arc<Mutex<Vec<Instant>>>,
}

impl Scripted {
    fn start(script: impl IntoIterator<Item = Step>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (bodies, arrivals) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())));
        let mut script: VecDeque<Step> = script.into_iter().collect();
        let seen = (Arc::clone(&bodies), Arc::clone(&arrivals));
        // Ends with the test's process.
        thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(body) = read(&stream) else { continue };
                seen.1.lock().unwrap().push(Instant::now());
                let step = script.pop_front();
                if let Some(Step::Hold(held)) = &step {
                    held.recv().unwrap();
                }
                match step {
                    Some(Step::Close) => {}
                    Some(Step::Hang) => open.push(stream),
                    Some(Step::Say(words)) => {
                        if words.starts_with("HTTP/1.1 200 OK") {
                            seen.0.lock().unwrap().push(body);
                        }
                        let _ = stream.write_all(words.as_bytes());
                    }
                    Some(Step::Hold(_)) | None => {
                        seen.0.lock().unwrap().push(body);
                        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
                    }
                }
            }
        });
        Self { url, bodies, arrivals }
    }

    /// The sum of all deltas that it has taken.
    fn taken(&self) -> f64 {
        let bodies = self.bodies.lock().unwrap();
        let requests = bodies.iter().map(|body| Request { body: body.clone().into(), points: 0 });
        let metrics = requests.flat_map(|request| metrics(decoded(&request, true)));
        let values = metrics.flat_map(|metric| match metric.data {
            Some(metric::Data::Sum(sum)) => sum.data_points,
            other => panic!("{other:?}"),
        });
        values
            .map(|point| if let Some(number_data_point::Value::AsDouble(value)) = point.value { value } else { 0.0 })
            .sum()
    }
}

/// The body of a request.
fn read(stream: &TcpStream) -> Option<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(number) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
        if line == "\r\n" {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(body)
}
