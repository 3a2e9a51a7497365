//! Passwords: Argon2id (RFC 9106), 19 MiB, two passes.
//!
//! One hash takes some 30 ms of a core. So hashing has as many slots as there are cores, on
//! threads of its own, and a bounded number may wait for them: a flood of sign-ins takes neither
//! the runtime nor the memory from everybody else.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use domain::Refusal;
use tokio::sync::Semaphore;

use crate::problem::Problem;

/// KiB of memory that one hash works on.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Hashes that may wait for a slot.
const WAITING_MAX: usize = 256;
/// How long one may wait.
const WAIT_MAX: Duration = Duration::from_secs(5);
const SALT_BYTES: usize = 16;

/// Hashes and verifies passwords. Clones share the slots.
#[derive(Clone)]
pub(crate) struct Passwords {
    argon2: Argon2<'static>,
    slots: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    /// What the password of someone unknown is verified against, at the cost of anyone's.
    nobody: Arc<str>,
}

impl std::fmt::Debug for Passwords {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passwords")
    }
}

impl Passwords {
    /// A hasher with as many slots as there are cores.
    ///
    /// # Errors
    /// When Argon2 refuses its parameters, which are constants.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)
            .map_err(|error| anyhow::anyhow!("Argon2's parameters: {error}"))?;
        let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        let random: [u8; 32] = rand::random();
        let nobody = hash_now(&argon2, &random)?.into();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            argon2,
            slots: Arc::new(Semaphore::new(cores)),
            waiting: Arc::new(Semaphore::new(WAITING_MAX)),
            nobody,
        })
    }

    /// Hashes a new password, in PHC form.
    ///
    /// # Errors
    /// `Unavailable` when too many wait.
    pub(crate) async fn hash(&self, password: String) -> Result<String, Problem> {
        let argon2 = self.argon2.clone();
        self.run(move || hash_now(&argon2, password.as_bytes()))
            .await?
            .map_err(|e| Problem::bug(&e))
    }

    /// Whether a password is the one of `hash`. With `None`, for someone unknown, it never is,
    /// after the same time.
    ///
    /// # Errors
    /// `Unavailable` when too many wait.
    pub(crate) async fn verify(
        &self,
        password: String,
        hash: Option<String>,
    ) -> Result<bool, Problem> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or_else(|| self.nobody.as_ref().to_owned());
        let argon2 = self.argon2.clone();
        let is_right = self.run(move || verify_now(&argon2, password.as_bytes(), &hash)).await?;
        Ok(is_right && is_known)
    }

    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let waiting = self.waiting.try_acquire().map_err(|_| Refusal::Unavailable)?;
        let slot = tokio::time::timeout(WAIT_MAX, Arc::clone(&self.slots).acquire_owned())
            .await
            .map_err(|_| Refusal::Unavailable)?
            .map_err(|_| Refusal::Unavailable)?;
        drop(waiting);
        // The slot goes with the work, which runs on when the request is given up.
        let work = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(slot);
            done
        });
        work.await.map_err(|error| Problem::bug(&error.into()))
    }
}

fn hash_now(argon2: &Argon2<'_>, password: &[u8]) -> anyhow::Result<String> {
    let salt: [u8; SALT_BYTES] = rand::random();
    let salt = SaltString::encode_b64(&salt).map_err(|error| anyhow::anyhow!("a salt: {error}"))?;
    let hash = argon2
        .hash_password(password, &salt)
        .map_err(|error| anyhow::anyhow!("hashing a password: {error}"))?;
    Ok(hash.to_string())
}

fn verify_now(argon2: &Argon2<'_>, password: &[u8], hash: &str) -> bool {
    match PasswordHash::new(hash) {
        Ok(hash) => argon2.verify_password(password, &hash).is_ok(),
        Err(error) => {
            tracing::error!(error = %error, "a stored password hash cannot be read: {error}");
            false
        }
    }
}
