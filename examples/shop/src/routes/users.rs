//! Sign-up and log-in.

use super::Shop;
use super::input::Body;
use crate::error::{ApiError, Result};
use crate::store::users;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use std::fmt::Write;

const MAX_EMAIL: usize = 254;
const PASSWORD: std::ops::RangeInclusive<usize> = 8..=128;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Credentials {
    email: String,
    password: String,
}

#[derive(Serialize)]
pub(super) struct User {
    id: i64,
    email: String,
}

#[derive(Serialize)]
pub(super) struct Session {
    token: String,
    expires_in_seconds: u64,
}

/// `POST /users`
pub(super) async fn sign_up(
    State(shop): State<Shop>,
    Body(new): Body<Credentials>,
) -> Result<(StatusCode, Json<User>)> {
    if !is_email(&new.email) {
        return Err(ApiError::invalid(
            "email",
            format!("give an address such as ada@example.com, at most {MAX_EMAIL} long"),
        ));
    }
    if !PASSWORD.contains(&new.password.len()) {
        let (from, to) = (PASSWORD.start(), PASSWORD.end());
        return Err(ApiError::invalid("password", format!("give between {from} and {to} bytes")));
    }
    let hash = shop.passwords.hash(new.password).await?;
    match users::add(&shop.db, &new.email, &hash).await? {
        Some(id) => Ok((StatusCode::CREATED, Json(User { id, email: new.email }))),
        None => Err(ApiError::conflict("email_taken", "there is an account with this address already")),
    }
}

/// `POST /sessions`
pub(super) async fn log_in(
    State(shop): State<Shop>,
    Body(given): Body<Credentials>,
) -> Result<(StatusCode, Json<Session>)> {
    if given.password.len() > *PASSWORD.end() || given.email.len() > MAX_EMAIL {
        return Err(bad_credentials());
    }
    let (user_id, hash) = match users::credentials(&shop.db, &given.email).await? {
        Some(known) => (Some(known.user_id), Some(known.password_hash)),
        None => (None, None),
    };
    let right = shop.passwords.verify(given.password, hash).await?;
    let Some(user_id) = user_id.filter(|_| right) else { return Err(bad_credentials()) };
    let token = new_token()?;
    users::begin_session(&shop.db, user_id, &token).await?;
    let expires_in_seconds = users::SESSION_LIFETIME.as_secs();
    Ok((StatusCode::CREATED, Json(Session { token, expires_in_seconds })))
}

/// The same for a wrong password and an unknown address.
fn bad_credentials() -> ApiError {
    ApiError::unauthorized("bad_credentials", "address and password do not belong together")
}

/// Something on both sides of one `@`, with a dot on the right and no spaces; the rest only a letter to it can prove.
fn is_email(text: &str) -> bool {
    let plain =
        |text: &str| !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '@');
    text.len() <= MAX_EMAIL
        && text.split_once('@').is_some_and(|(name, host)| {
            plain(name) && plain(host) && host.contains('.') && !host.starts_with('.') && !host.ends_with('.')
        })
}

/// 256 random bits in hexadecimal.
fn new_token() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(ApiError::internal)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut token, byte| {
        let _ = write!(token, "{byte:02x}");
        token
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in ["ada@example.com", "a.b+c@mail.example.org"] {
            assert!(is_email(good), "{good}");
        }
        let long = format!("{}@example.com", "a".repeat(MAX_EMAIL));
        for bad in
            ["", "ada", "@example.com", "ada@", "ada@host", "a da@example.com", "a@b@example.com", "a@.com", &long]
        {
            assert!(!is_email(bad), "{bad}");
        }
    }

    #[test]
    fn tokens_are_long_and_differ() {
        let (one, two) = (new_token().unwrap(), new_token().unwrap());
        assert_eq!(one.len(), 64);
        assert_ne!(one, two);
    }
}
