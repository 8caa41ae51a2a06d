//! Telling that a page has gone out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::Method;
use axum::middleware::Next;
use axum::response::Response;
use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::probes::Probes;
use crate::Metrics;
use crate::shutdown::Scrape;

/// Goes round everything that makes a page, compression too: the last piece is what leaves last.
pub(super) async fn watch(
    State((metrics, probes)): State<(Metrics, Probes)>,
    request: Request,
    next: Next,
) -> Response {
    let is_read = request.method() == Method::GET;
    if is_read {
        probes.refresh();
    }
    let scrape = metrics.scrape();
    let response = next.run(request).await;
    if !is_read || !response.status().is_success() {
        return response;
    }
    response.map(|body| Body::new(Watched { body, scrape: Some(scrape) }))
}

struct Watched {
    body: Body,
    /// Until the page is complete.
    scrape: Option<Scrape>,
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        // Who reads a body asks for no frame behind the one that it knows to be the last.
        let is_last = match &frame {
            Some(Ok(_)) => self.body.is_end_stream(),
            Some(Err(_)) => false,
            None => true,
        };
        if is_last && let Some(scrape) = self.scrape.take() {
            scrape.complete();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
