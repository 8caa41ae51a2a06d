//! `/debug/pprof/`: profiles of this process, one at a time.

use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use tokio::task::spawn_blocking;

use super::cpu::Sampling;
use super::outcome::{self, Kind, Outcome, Request};
use super::query::Query;
use super::turn::{self, Turn};
use super::{Form, ProfileError, heap};
use crate::Metrics;

/// The routes of the admin listener that take profiles.
pub(crate) fn routes(metrics: &Metrics) -> Router {
    outcome::announce(metrics);
    Router::new()
        .route("/debug/pprof", get(Html(INDEX)))
        .route("/debug/pprof/", get(Html(INDEX)))
        .route("/debug/pprof/profile", cpu(Form::Protobuf))
        .route("/debug/pprof/flamegraph", cpu(Form::FlameGraph))
        .route("/debug/pprof/folded", cpu(Form::Folded))
        .route("/debug/pprof/heap", get(heap_profile).head(not_taken))
        .with_state(metrics.clone())
}

fn cpu(form: Form) -> MethodRouter<Metrics> {
    let take = move |metrics: State<Metrics>, query: RawQuery| cpu_profile(metrics.0, query.0, form);
    // axum would answer HEAD by taking a profile, and throw it away.
    get(take).head(not_taken)
}

async fn not_taken() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, HeaderValue::from_static("GET"))]).into_response()
}

async fn cpu_profile(metrics: Metrics, query: Option<String>, form: Form) -> Response {
    let counted = Request::new(&metrics, Kind::Cpu);
    let query = match Query::parse(query.as_deref()) {
        Ok(query) => query,
        Err(why) => {
            counted.ended(Outcome::Invalid);
            return (StatusCode::BAD_REQUEST, why).into_response();
        }
    };
    let turn = match Turn::take(query.duration()) {
        Ok(turn) => turn,
        Err(left) => return busy(counted, left),
    };
    let ended_early = turn::ended_early();
    let profile = async {
        let writes_to = metrics.clone();
        let sampling = blocking(move || Sampling::start(query, turn, &writes_to)).await?;
        tokio::select! {
            () = tokio::time::sleep(query.duration()) => {}
            () = ended_early => {}
        }
        blocking(move || sampling.finish(form)).await
    };
    let (content_type, file) = match form {
        Form::Protobuf => ("application/octet-stream", Some("attachment; filename=\"profile.pb.gz\"")),
        Form::FlameGraph => ("image/svg+xml", None),
        Form::Folded => ("text/plain; charset=utf-8", None),
    };
    answer(counted, profile.await, content_type, file)
}

async fn heap_profile(State(metrics): State<Metrics>) -> Response {
    let counted = Request::new(&metrics, Kind::Heap);
    let turn = match Turn::take(Duration::from_secs(1)) {
        Ok(turn) => turn,
        Err(left) => return busy(counted, left),
    };
    let profile = heap::profile(turn, &metrics).await;
    answer(counted, profile, "application/octet-stream", Some("attachment; filename=\"heap.pb.gz\""))
}

/// Runs what blocks away from the threads that answer requests.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ProfileError> + Send + 'static,
) -> Result<T, ProfileError> {
    spawn_blocking(work).await.unwrap_or_else(|error| Err(ProfileError::Failed(error.to_string())))
}

fn answer(
    counted: Request,
    profile: Result<Vec<u8>, ProfileError>,
    content_type: &'static str,
    file: Option<&'static str>,
) -> Response {
    let error = match profile {
        Ok(profile) => {
            counted.ended(Outcome::Taken);
            let mut response = profile.into_response();
            let headers = response.headers_mut();
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
            headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
            if let Some(file) = file {
                headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static(file));
            }
            return response;
        }
        Err(error) => error,
    };
    match error {
        ProfileError::Busy => busy(counted, Duration::ZERO),
        ProfileError::Unsupported(why) => {
            counted.ended(Outcome::Unsupported);
            (StatusCode::NOT_IMPLEMENTED, why).into_response()
        }
        ProfileError::Failed(why) => {
            counted.ended(Outcome::Failed);
            tracing::error!("a profile could not be taken: {why}");
            (StatusCode::INTERNAL_SERVER_ERROR, NOT_TAKEN).into_response()
        }
    }
}

fn busy(counted: Request, left: Duration) -> Response {
    counted.ended(Outcome::Busy);
    // Rounded up, and never zero: the answer has yet to be made.
    let seconds = left.as_secs() + 1;
    let why = format!("another profile is under way: try again in {seconds} s\n");
    (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, seconds.to_string())], why).into_response()
}

const NOT_TAKEN: &str = "the profile could not be taken: see the service's log\n";
const INDEX: &str = r#"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Profiles</title>
<h1>Profiles</h1>
<ul>
<li><a href="/debug/pprof/flamegraph?seconds=10">flame graph of the CPU</a>, 10 seconds
<li><a href="/debug/pprof/profile?seconds=10">CPU profile in pprof's format</a>, 10 seconds:
<code>go tool pprof -http=: 'http://.../debug/pprof/profile?seconds=10'</code>
<li><a href="/debug/pprof/folded?seconds=10">folded stacks</a>, 10 seconds
<li><a href="/debug/pprof/heap">heap profile in pprof's format</a>, when the program runs on jemalloc with profiling
</ul>
<p><code>seconds</code> is 1 to 60, <code>hz</code> (samples per second of CPU time) 1 to 1000. One profile at a time.</p>
</html>
"#;
