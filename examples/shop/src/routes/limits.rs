//! How long a request may take, and how many may be under way.

use crate::error::ApiError;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

#[derive(Clone)]
pub(crate) struct Limits {
    timeout: Duration,
    room: Arc<Semaphore>,
}

impl Limits {
    pub(crate) fn new(timeout: Duration, max_in_flight: usize) -> Self {
        Self { timeout, room: Arc::new(Semaphore::new(max_in_flight)) }
    }
}

/// Refuses what is too much and ends what takes too long.
pub(crate) async fn enforce(State(limits): State<Limits>, request: Request, next: Next) -> Response {
    let Ok(_place) = limits.room.try_acquire() else {
        return ApiError::unavailable("overloaded", "too many requests are under way").into_response();
    };
    match tokio::time::timeout(limits.timeout, next.run(request)).await {
        Ok(response) => response,
        Err(_) => ApiError::new(StatusCode::GATEWAY_TIMEOUT, "timeout", "the request took too long and was given up")
            .into_response(),
    }
}
