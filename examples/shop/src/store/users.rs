//! Users and their sessions.

use super::{Database, now_ms};
use blake2::{Blake2s256, Digest};
use std::time::Duration;

/// A session ends this long after its log-in.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions that one user can have; the oldest give way.
const SESSIONS_PER_USER: u32 = 10;

pub(crate) struct Credentials {
    pub(crate) user_id: i64,
    pub(crate) password_hash: String,
}

/// Adds a user. `None` if the address is taken.
pub(crate) async fn add(db: &Database, email: &str, password_hash: &str) -> sqlx::Result<Option<i64>> {
    let mut write = db.write().await?;
    let id = sqlx::query_scalar(
        "INSERT INTO users (email, password_hash, created_at) VALUES (?, ?, ?) ON CONFLICT (email) DO NOTHING RETURNING id",
    )
    .bind(email)
    .bind(password_hash)
    .bind(now_ms())
    .fetch_optional(write.run())
    .await?;
    write.commit().await?;
    Ok(id)
}

pub(crate) async fn credentials(db: &Database, email: &str) -> sqlx::Result<Option<Credentials>> {
    let mut read = db.read().await?;
    let row: Option<(i64, String)> = sqlx::query_as("SELECT id, password_hash FROM users WHERE email = ?")
        .bind(email)
        .fetch_optional(read.run())
        .await?;
    Ok(row.map(|(user_id, password_hash)| Credentials { user_id, password_hash }))
}

/// Begins a session. The token itself is not kept.
pub(crate) async fn begin_session(db: &Database, user_id: i64, token: &str) -> sqlx::Result<()> {
    let now = now_ms();
    let lifetime = i64::try_from(SESSION_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let mut write = db.write().await?;
    sqlx::query("INSERT INTO sessions (token_hash, user_id, expires_at) VALUES (?, ?, ?)")
        .bind(token_hash(token))
        .bind(user_id)
        .bind(now.saturating_add(lifetime))
        .execute(write.run())
        .await?;
    sqlx::query(
        "DELETE FROM sessions WHERE user_id = ?1 AND (expires_at <= ?2 OR token_hash NOT IN
            (SELECT token_hash FROM sessions WHERE user_id = ?1 ORDER BY expires_at DESC LIMIT ?3))",
    )
    .bind(user_id)
    .bind(now)
    .bind(SESSIONS_PER_USER)
    .execute(write.run())
    .await?;
    write.commit().await
}

/// Whose session it is, while it lasts.
pub(crate) async fn user_of_session(db: &Database, token: &str) -> sqlx::Result<Option<i64>> {
    let mut read = db.read().await?;
    sqlx::query_scalar("SELECT user_id FROM sessions WHERE token_hash = ? AND expires_at > ?")
        .bind(token_hash(token))
        .bind(now_ms())
        .fetch_optional(read.run())
        .await
}

/// A plain hash is enough for tokens, unlike for passwords: 256 random bits cannot be guessed.
fn token_hash(token: &str) -> Vec<u8> {
    Blake2s256::digest(token.as_bytes()).to_vec()
}
