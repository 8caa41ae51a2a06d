//! The API of incidents: the list, one of them, and a person's word on it.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::{Desk, JSON, What};
use crate::incident::is_id;

/// The most bytes of a mark's body.
pub(super) const MAX_BODY: usize = 8 << 10;
/// The most characters of a note.
const MAX_NOTE: usize = 1000;
/// How many incidents are listed unless more are asked for.
const LISTED: usize = 100;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct List {
    limit: Option<usize>,
}

/// What is posted to mark an incident.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MarkBody {
    false_alarm: bool,
    #[serde(default)]
    note: String,
}

pub(super) async fn list(Shared(desk): Shared<Desk>, query: Result<Query<List>, QueryRejection>) -> Response {
    match query {
        Ok(Query(list)) => desk.ask(What::Incidents { limit: list.limit.unwrap_or(LISTED) }, JSON).await,
        Err(error) => bad(StatusCode::BAD_REQUEST, &format!("{}; write ?limit=20", error.body_text())),
    }
}

pub(super) async fn one(Shared(desk): Shared<Desk>, Path(id): Path<String>) -> Response {
    if !is_id(&id) {
        return no_id();
    }
    desk.ask(What::Incident { id }, JSON).await
}

/// Browsers send JSON to another site only if that site agrees, and this one does not answer such questions. They name the
/// page's origin with what they send to its own site too, so that a name that was bound to this address later is refused.
pub(super) async fn mark(
    Shared(desk): Shared<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    if headers.contains_key(header::ORIGIN) {
        return bad(StatusCode::FORBIDDEN, "marks are not taken from pages in a browser; use curl");
    }
    if !is_id(&id) {
        return no_id();
    }
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case(JSON) {
        return bad(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send the header Content-Type: application/json");
    }
    let body = match body {
        Ok(body) => body,
        Err(error) => return bad(error.status(), &error.body_text()),
    };
    let MarkBody { false_alarm, note } = match serde_json::from_slice(&body) {
        Ok(mark) => mark,
        Err(error) => {
            let text = format!(r#"{error}; send such as {{"false_alarm": true, "note": "a backup was running"}}"#);
            return bad(StatusCode::BAD_REQUEST, &text);
        }
    };
    if note.chars().count() > MAX_NOTE {
        return bad(StatusCode::BAD_REQUEST, &format!("the note is longer than {MAX_NOTE} characters"));
    }
    desk.ask(What::Mark { id, false_alarm, note }, JSON).await
}

pub(super) fn no_id() -> Response {
    bad(StatusCode::BAD_REQUEST, "this is no id of an incident; GET /api/v1/incidents lists them")
}

fn bad(status: StatusCode, text: &str) -> Response {
    (status, format!("{text}\n")).into_response()
}
