//! The API of silences: the list, a new one, and the end of one.

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};

use super::{Desk, JSON, What, bad, json_body, not_from_pages};
use crate::incident::is_id;
use crate::tell::from_json;

pub(super) async fn list(Shared(desk): Shared<Desk>) -> Response {
    desk.ask(What::Silences, JSON).await
}

pub(super) async fn add(
    Shared(desk): Shared<Desk>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match json_body(&headers, body) {
        Ok(body) => body,
        Err(refused) => return refused.into_response(),
    };
    match from_json(&body) {
        Ok(row) => desk.ask(What::Silence { row }, JSON).await,
        Err(error) => {
            let text = format!(r#"{error}; send such as {{"route": "/admin/*", "for": "2h", "comment": "a backup"}}"#);
            bad(StatusCode::BAD_REQUEST, &text)
        }
    }
}

pub(super) async fn end(Shared(desk): Shared<Desk>, Path(id): Path<String>, headers: HeaderMap) -> Response {
    if let Err(refused) = not_from_pages(&headers) {
        return refused.into_response();
    }
    // Their ids are made like those of incidents.
    if !is_id(&id) {
        return bad(StatusCode::BAD_REQUEST, "this is no id of a silence; GET /api/v1/silences lists them");
    }
    desk.ask(What::Unsilence { id }, JSON).await
}
