//! Password hashing, away from the request threads and only so much of it at a time.

use crate::error::{ApiError, Result};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Less than the 19 MiB and two passes that OWASP asks for: an example under load on two cores should spend its time
/// in the shop, not in its door. A real service takes `Params::DEFAULT`.
const MEMORY_KIB: u32 = 4 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Hashes at a time: bounds both the cores and the memory (4 MiB each) that sign-ups can take from everybody else.
const AT_ONCE: usize = 2;

#[derive(Clone)]
pub(crate) struct Passwords {
    turns: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { turns: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A salted hash in PHC notation, which names its own parameters.
    pub(crate) async fn hash(&self, password: String) -> Result<String> {
        self.in_turn(move || {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(ApiError::internal)?;
            let salt = SaltString::encode_b64(&salt).map_err(ApiError::internal)?;
            let hash = argon2()?.hash_password(password.as_bytes(), &salt).map_err(ApiError::internal)?;
            Ok(hash.to_string())
        })
        .await
    }

    /// Whether the password belongs to the hash. Without a hash (no such user) the same work is done for nothing, so that
    /// the time of the answer does not tell who has an account.
    pub(crate) async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let Some(hash) = hash else {
            self.hash(password).await?;
            return Ok(false);
        };
        self.in_turn(move || {
            let Ok(hash) = PasswordHash::new(&hash) else { return Ok(false) };
            Ok(argon2()?.verify_password(password.as_bytes(), &hash).is_ok())
        })
        .await
    }

    /// The permit travels into the closure: a client that goes away frees no core before the hash is done.
    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let turn = self.turns.clone().acquire_owned().await.map_err(ApiError::internal)?;
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
        .map_err(ApiError::internal)?
    }
}

fn argon2() -> Result<Argon2<'static>> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(ApiError::internal)?;
    Ok(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let passwords = Passwords::new();
        let hash = passwords.hash("correct horse".to_owned()).await.unwrap();
        assert!(hash.starts_with("$argon2id$"), "{hash}");
        assert!(passwords.verify("correct horse".to_owned(), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("battery staple".to_owned(), Some(hash)).await.unwrap());
        assert!(!passwords.verify("anything".to_owned(), None).await.unwrap());
        assert!(!passwords.verify("anything".to_owned(), Some("!".to_owned())).await.unwrap());
    }
}
