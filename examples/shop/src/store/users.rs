//! Users and their sessions.

use super::{Database, now_ms, run};
use blake2::{Blake2s256, Digest};
use std::time::Duration;

/// A session ends this long after its log-in.
pub(crate) const SESSION_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// Sessions that one user can have; the oldest give way.
const SESSIONS_PER_USER: i64 = 10;

pub(crate) struct Credentials {
    pub(crate) user_id: i64,
    pub(crate) password_hash: String,
}

/// Adds a user. `None` if the address is taken.
pub(crate) async fn add(db: &Database, email: &str, password_hash: &str) -> sqlx::Result<Option<i64>> {
    let mut write = db.write().await?;
    let user = "INSERT INTO users (email, password_hash, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (email) DO NOTHING RETURNING id";
    let (email, now) = (email.to_ascii_lowercase(), now_ms());
    let id =
        run!(write, |db| sqlx::query_scalar(user).bind(email).bind(password_hash).bind(now).fetch_optional(db).await)?;
    write.commit().await?;
    Ok(id)
}

pub(crate) async fn credentials(db: &Database, email: &str) -> sqlx::Result<Option<Credentials>> {
    let mut read = db.read().await?;
    let user = "SELECT id, password_hash FROM users WHERE email = $1";
    let email = email.to_ascii_lowercase();
    let row: Option<(i64, String)> = run!(read, |db| sqlx::query_as(user).bind(email).fetch_optional(db).await)?;
    Ok(row.map(|(user_id, password_hash)| Credentials { user_id, password_hash }))
}

/// Begins a session. The token itself is not kept.
pub(crate) async fn begin_session(db: &Database, user_id: i64, token: &str) -> sqlx::Result<()> {
    let now = now_ms();
    let lifetime = i64::try_from(SESSION_LIFETIME.as_millis()).unwrap_or(i64::MAX);
    let mut write = db.write().await?;
    let (hash, expires_at) = (token_hash(token), now.saturating_add(lifetime));
    let session = "INSERT INTO sessions (token_hash, user_id, expires_at) VALUES ($1, $2, $3)";
    run!(write, |db| sqlx::query(session).bind(hash).bind(user_id).bind(expires_at).execute(db).await.map(drop))?;
    let ended = "DELETE FROM sessions WHERE user_id = $1 AND (expires_at <= $2 OR token_hash NOT IN
            (SELECT token_hash FROM sessions WHERE user_id = $1 ORDER BY expires_at DESC LIMIT $3))";
    run!(write, |db| sqlx::query(ended).bind(user_id).bind(now).bind(SESSIONS_PER_USER).execute(db).await.map(drop))?;
    write.commit().await
}

/// Whose session it is, while it lasts.
pub(crate) async fn user_of_session(db: &Database, token: &str) -> sqlx::Result<Option<i64>> {
    let mut read = db.read().await?;
    let session = "SELECT user_id FROM sessions WHERE token_hash = $1 AND expires_at > $2";
    let (hash, now) = (token_hash(token), now_ms());
    run!(read, |db| sqlx::query_scalar(session).bind(hash).bind(now).fetch_optional(db).await)
}

/// A plain hash is enough for tokens, unlike for passwords: 256 random bits cannot be guessed.
fn token_hash(token: &str) -> Vec<u8> {
    Blake2s256::digest(token.as_bytes()).to_vec()
}
