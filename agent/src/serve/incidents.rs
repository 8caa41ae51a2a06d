//! The API of incidents: the list, one of them, and a person's word on it.

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;

use super::{Desk, HTML, JSON, What, bad, json_body};
use crate::incident::is_id;

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

pub(super) async fn picture(Shared(desk): Shared<Desk>, Path(id): Path<String>) -> Response {
    if !is_id(&id) {
        return no_id();
    }
    desk.ask(What::Picture { id }, HTML).await
}

pub(super) async fn mark(
    Shared(desk): Shared<Desk>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match json_body(&headers, body) {
        Ok(_) if !is_id(&id) => return no_id(),
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
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
