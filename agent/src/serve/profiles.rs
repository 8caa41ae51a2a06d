//! The API of incidents' profiles: files, as they are kept.

use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderValue, header};
use axum::response::Response;
use axum::routing::get;

use super::{Desk, What, incidents};
use crate::incident::is_id;
use crate::profile::exhibit::Form;
use crate::profile::fetch;

/// The script of a flame graph zooms and searches, and asks for a word to search for. In this sandbox it does so as a page
/// of nowhere: what it could be made to do by a name in the profile reaches neither the agent nor any other address.
const SANDBOX: &str =
    "sandbox allow-scripts allow-modals; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'";

pub(super) fn routes() -> Router<Desk> {
    let path = |form: Form| format!("/api/v1/incidents/{{id}}/{}", form.name());
    Form::ALL.into_iter().fold(Router::new(), |routes, form| {
        routes.route(&path(form), get(move |desk: Shared<Desk>, id: Path<String>| file(desk, id, form)))
    })
}

async fn file(Shared(desk): Shared<Desk>, Path(id): Path<String>, form: Form) -> Response {
    if !is_id(&id) {
        return incidents::no_id();
    }
    let content_type = if form == Form::Pprof { "application/octet-stream" } else { "image/svg+xml" };
    let mut response = desk.ask(What::Profile { id, form }, content_type).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(SANDBOX));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Reads a file, in a thread that may block.
pub(super) async fn read(path: PathBuf) -> Option<Bytes> {
    let read = move || {
        let mut bytes = Vec::new();
        // A profile is the longest of them.
        File::open(path).ok()?.take(fetch::MAX_BYTES as u64).read_to_end(&mut bytes).ok()?;
        Some(bytes.into())
    };
    tokio::task::spawn_blocking(read).await.ok()?
}
