//! An OTLP receiver that shares no code with ours: Python's protobuf and gRPC, and OpenTelemetry's published messages.

use crate::{
    Folder, Process, Program,
    find::{python, server_program},
    http, packages,
    wait::wait_for,
};
use serde_json::{Value, json};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};

const SCRIPT: &str = include_str!("otlp_receiver.py");

/// Receives metrics and traces over HTTP (protobuf, gzip allowed) and gRPC, and tells what it decoded.
///
/// Every metric data point becomes one flat JSON object:
/// `metric`, `description`, `unit`, `type` (`gauge`, `sum`, `histogram`, `exponential_histogram`, `summary`), `temporality`
/// and `monotonic` where they apply, `resource`, `scope` and `attributes` (objects), `start_time_unix_nano`,
/// `time_unix_nano`, then `value`, or `count`, `sum`, `explicit_bounds`, `bucket_counts`; `exemplars` when there are any.
/// Every span: `name`, `kind`, `trace_id`, `span_id`, `parent_span_id`, `resource`, `scope`, `attributes`, `status`, times.
/// The newest 200,000 of each are kept.
#[derive(Debug)]
pub struct OtlpReceiver {
    process: Process,
    http_port: u16,
    grpc_port: u16,
    https_port: Option<u16>,
    folder: Folder,
}

impl OtlpReceiver {
    /// Starts it; `None` when no Python with the needed modules is there (see [`python`](crate::python)).
    ///
    /// # Panics
    /// When it does not become ready; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start() -> Option<Self> {
        Some(Self::run(&python(packages::PYTHON_MODULES)?, Folder::new("otlp"), &[]))
    }

    /// As [`start`](Self::start), and receives over HTTPS too, with a [`certificate`](Self::certificate) of its own for
    /// `localhost`. Also `None` when openssl, which makes that, is not there.
    ///
    /// # Panics
    /// When it does not become ready, or openssl fails; the message ends with its log's tail.
    #[must_use]
    #[track_caller]
    pub fn start_https() -> Option<Self> {
        let (python, openssl) = (python(packages::PYTHON_MODULES)?, server_program("openssl")?);
        let folder = Folder::new("otlp");
        let files = ["certificate.pem", "key.pem"].map(|name| folder.path().join(name));
        let made = Program::new(openssl)
            .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
            .args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"])
            .args(["-addext", "basicConstraints=critical,CA:FALSE"])
            .arg("-out")
            .arg(&files[0])
            .arg("-keyout")
            .arg(&files[1])
            .run(Duration::from_secs(60));
        assert!(made.status.success(), "openssl: {}", made.log);
        Some(Self::run(&python, folder, &files))
    }

    #[track_caller]
    fn run(python: &Path, folder: Folder, files: &[PathBuf]) -> Self {
        let script = folder.write("otlp_receiver.py", SCRIPT);
        let mut program = Program::new(python).arg(script).arg(folder.path().join("received.jsonl"));
        for file in files {
            program = program.arg(file);
        }
        let process = program.env("PYTHONDONTWRITEBYTECODE", "1").start();
        // It binds free ports by itself and then says which: none can be lost.
        let line = process.wait_line(Duration::from_secs(60), "\"http_port\"");
        let ports: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        let port = |name: &str| {
            ports[name].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap_or_else(|| panic!("{name}: {line}"))
        };
        let https_port = (!files.is_empty()).then(|| port("https_port"));
        Self { http_port: port("http_port"), grpc_port: port("grpc_port"), https_port, process, folder }
    }

    /// `https://localhost:port`, for `OTEL_EXPORTER_OTLP_ENDPOINT` with protocol `http/protobuf`.
    ///
    /// # Panics
    /// When it was not started by [`start_https`](Self::start_https).
    #[must_use]
    #[track_caller]
    pub fn https_endpoint(&self) -> String {
        format!("https://localhost:{}", self.https_port.expect("it was started with start_https()"))
    }

    /// The certificate that it shows to those who come over HTTPS, in PEM, for `SSL_CERT_FILE`.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }

    /// `http://127.0.0.1:port`, for `OTEL_EXPORTER_OTLP_ENDPOINT` with protocol `http/protobuf`.
    #[must_use]
    pub fn http_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.http_port)
    }

    /// `http://127.0.0.1:port`, for `OTEL_EXPORTER_OTLP_ENDPOINT` with protocol `grpc`.
    #[must_use]
    pub fn grpc_endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.grpc_port)
    }

    /// Everything decoded, one JSON object a line: points and spans as they came.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("received.jsonl")
    }

    /// The process, for its log, signals and state.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// All points of a metric, oldest first.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[must_use]
    #[track_caller]
    pub fn points(&self, metric: &str) -> Vec<Value> {
        self.list(&format!("/received/points?metric={metric}"))
    }

    /// The newest point of each series (resource and attributes) of a metric.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[must_use]
    #[track_caller]
    pub fn latest(&self, metric: &str) -> Vec<Value> {
        self.list(&format!("/received/points?latest=1&metric={metric}"))
    }

    /// The names of all metrics received.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[must_use]
    #[track_caller]
    pub fn metric_names(&self) -> Vec<String> {
        self.list("/received/metrics").iter().filter_map(|name| name.as_str().map(str::to_owned)).collect()
    }

    /// All spans, oldest first.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[must_use]
    #[track_caller]
    pub fn spans(&self) -> Vec<Value> {
        self.list("/received/spans")
    }

    /// All export requests, oldest first: `protocol`, `signal`, `encoding`, `bytes`, `items`, `headers`, `answer`; refused
    /// ones too, with `error` where they could not be decoded.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[must_use]
    #[track_caller]
    pub fn requests(&self) -> Vec<Value> {
        self.list("/received/requests")
    }

    /// Waits for a point of a metric that `wanted` accepts, and gives it.
    ///
    /// # Panics
    /// When none comes within `deadline`.
    #[track_caller]
    pub fn wait_point(&self, deadline: Duration, metric: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        wait_for(deadline, metric, || self.points(metric).into_iter().find(|point| wanted(point)))
    }

    /// Refuses exports from now on with this HTTP status (gRPC: UNAVAILABLE) and `Retry-After` in seconds; `None` accepts again.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[track_caller]
    pub fn refuse(&self, status: Option<u16>, retry_after: Option<u32>) {
        let answer = json!({"status": status, "retry_after": retry_after}).to_string();
        let answer = http::put(&format!("{}/received/answer", self.http_endpoint()), "application/json", answer);
        assert_eq!(answer.expect("the receiver answers").status, 200);
    }

    /// Forgets what it has received.
    ///
    /// # Panics
    /// When the receiver does not answer.
    #[track_caller]
    pub fn clear(&self) {
        let answer = http::delete(&format!("{}/received", self.http_endpoint())).expect("the receiver answers");
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    /// Kills it with SIGKILL.
    pub fn kill(&self) {
        self.process.kill();
    }

    #[track_caller]
    fn list(&self, path: &str) -> Vec<Value> {
        let answer = http::get(&format!("{}{path}", self.http_endpoint())).expect("the receiver answers");
        match answer.json() {
            Value::Array(list) => list,
            other => panic!("{path}: {other}"),
        }
    }
}
