//! Who is asking: `Authorization: Bearer <token>`.

use super::Shop;
use crate::error::{ApiError, Result};
use crate::store::users;
use axum::extract::FromRequestParts;
use axum::http::header;
use axum::http::request::Parts;

/// The user of a session that is valid now. Handlers that take it answer 401 to everybody else.
pub(super) struct CurrentUser(pub(super) i64);

impl FromRequestParts<Shop> for CurrentUser {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shop: &Shop) -> Result<Self> {
        let token = parts
            .headers
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "))
            .ok_or_else(|| {
                ApiError::unauthorized("no_session", "log in at POST /sessions and send the token as a bearer")
            })?;
        match users::user_of_session(&shop.db, token).await? {
            Some(user_id) => Ok(Self(user_id)),
            None => Err(ApiError::unauthorized("session_expired", "the session is unknown or has ended; log in again")),
        }
    }
}
