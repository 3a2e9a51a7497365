//! Passwords: Argon2id (RFC 9106), 19 MiB, two passes.
//!
//! One hash takes some 30 ms of a core. So hashing has as many slots as there are cores, a thread
//! of its own for each, and a bounded number may wait for them: a flood of sign-ins takes neither
//! the runtime nor the memory from everybody else, and clients take turns ([`PasswordQueue`]). Each
//! slot keeps the memory that it works on, since allocators hold on to blocks of that size, one
//! for each thread that ever asked.
//!
//! A password is hashed in its NFC form. Older hashes may be of what was typed, so what is verified
//! is also tried as it came.

use std::net::IpAddr;
use std::sync::Arc;

use argon2::password_hash::{Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use domain::Refusal;
use domain::password::{NewPassword, composed};
use parking_lot::Mutex;
use runtime::workers::Workers;

use crate::password_queue::{PasswordQueue, Slot};
use crate::problem::Problem;

/// KiB of memory that one hash works on.
const MEMORY_KIB: u32 = 19 * 1024;
/// Passes over that memory.
const PASSES: u32 = 2;
/// Slots, however many cores there are.
const SLOTS_MAX: usize = 16;
const SALT_BYTES: usize = 16;
const HASH_BYTES: usize = 32;

/// What one slot works on.
type Memory = Vec<Block>;

/// Result of verifying a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verified {
    /// It is wrong.
    Wrong,
    /// It is right.
    Right,
    /// It is right as typed, but not in its NFC form: store this hash of that form.
    Rehashed(String),
}

impl Verified {
    /// Whether it is right.
    pub(crate) fn is_right(&self) -> bool {
        *self != Self::Wrong
    }
}

/// Hashes and verifies passwords. Clones share the slots.
#[derive(Clone)]
pub(crate) struct Passwords {
    params: Params,
    queue: PasswordQueue,
    workers: Workers,
    memories: Arc<Mutex<Vec<Memory>>>,
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
    /// When Argon2 refuses its parameters, which are constants, or the system refuses a thread.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let params = Params::new(MEMORY_KIB, PASSES, 1, None)
            .map_err(|error| anyhow::anyhow!("Argon2's parameters: {error}"))?;
        let mut memory = Memory::new();
        let random: [u8; 32] = rand::random();
        let nobody = hash_now(&params, &random, &mut memory)?.into();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let slots = cores.min(SLOTS_MAX);
        Ok(Self {
            params,
            queue: PasswordQueue::new(slots),
            // Whoever has a slot has a thread: nothing waits in the queue for longer than a moment.
            workers: Workers::start("passwords", slots, slots)?,
            memories: Arc::new(Mutex::new(vec![memory])),
            nobody,
        })
    }

    /// Waits for a client's turn to hash. Calls without a signed-in user take it before they read
    /// from Postgres: a flood of them then holds no more connections than there are slots.
    ///
    /// # Errors
    /// `Unavailable` when too many wait.
    pub(crate) async fn turn(&self, client: IpAddr) -> Result<Turn, Problem> {
        let slot = self.queue.acquire(client).await.map_err(|_| Refusal::Unavailable)?;
        Ok(Turn { passwords: self.clone(), slot })
    }
}

/// A slot for one hash or verification; dropping it gives it to the next client.
#[derive(Debug)]
#[must_use]
pub(crate) struct Turn {
    passwords: Passwords,
    slot: Slot,
}

impl Turn {
    /// Hashes a new password, in PHC form.
    ///
    /// # Errors
    /// `Internal` when Argon2 fails.
    pub(crate) async fn hash(self, password: &NewPassword) -> Result<String, Problem> {
        let params = self.passwords.params.clone();
        let password = password.expose().to_owned();
        self.run(move |memory| hash_now(&params, password.as_bytes(), memory))
            .await?
            .map_err(|error| Problem::bug(&error))
    }

    /// Verifies a password against `hash`. With `None`, for an unknown account, it is wrong, after
    /// the same time.
    ///
    /// # Errors
    /// `Internal` when the worker fails.
    pub(crate) async fn verify(
        self,
        password: &str,
        hash: Option<&str>,
    ) -> Result<Verified, Problem> {
        let is_known = hash.is_some();
        let hash = hash.unwrap_or(&self.passwords.nobody).to_owned();
        let typed = password.to_owned();
        let params = self.passwords.params.clone();
        let verified = self
            .run(move |memory| {
                let composed = composed(&typed);
                if verify_now(composed.as_bytes(), &hash, memory)? {
                    return Ok(Verified::Right);
                }
                if composed == typed || !verify_now(typed.as_bytes(), &hash, memory)? {
                    return Ok(Verified::Wrong);
                }
                Ok(Verified::Rehashed(hash_now(&params, composed.as_bytes(), memory)?))
            })
            .await?
            .unwrap_or_else(|error: anyhow::Error| {
                tracing::error!(error = %error, "stored password hash cannot be parsed: {error}");
                Verified::Wrong
            });
        Ok(if is_known { verified } else { Verified::Wrong })
    }

    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce(&mut Memory) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let Self { passwords: Passwords { workers, memories, .. }, slot } = self;
        // The slot goes with the work, which runs on when the request is given up.
        let work = workers.run(move || {
            let mut memory = memories.lock().pop().unwrap_or_default();
            let done = work(&mut memory);
            memories.lock().push(memory);
            drop(slot);
            done
        });
        work.await.map_err(|error| Problem::bug(&error.into()))
    }
}

fn hash_now(params: &Params, password: &[u8], memory: &mut Memory) -> anyhow::Result<String> {
    let bytes: [u8; SALT_BYTES] = rand::random();
    let salt = SaltString::encode_b64(&bytes).map_err(|error| anyhow::anyhow!("{error}"))?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(params).map_err(|error| anyhow::anyhow!("{error}"))?,
        salt: Some(salt.as_salt()),
        hash: Some(derive(params.clone(), password, (salt.as_salt(), HASH_BYTES), memory)?),
    };
    Ok(hash.to_string())
}

fn verify_now(password: &[u8], hash: &str, memory: &mut Memory) -> anyhow::Result<bool> {
    let hash = PasswordHash::new(hash).map_err(|error| anyhow::anyhow!("{error}"))?;
    let params = Params::try_from(&hash).map_err(|error| anyhow::anyhow!("{error}"))?;
    let (Some(salt), Some(expected)) = (hash.salt, hash.hash) else {
        anyhow::bail!("it has no salt or no hash");
    };
    if hash.algorithm != Algorithm::Argon2id.ident() {
        anyhow::bail!("it is not Argon2id");
    }
    // `Output` is compared in constant time.
    Ok(derive(params, password, (salt, expected.len()), memory)? == expected)
}

fn derive(
    params: Params,
    password: &[u8],
    (salt, bytes): (Salt<'_>, usize),
    memory: &mut Memory,
) -> anyhow::Result<Output> {
    memory.resize(params.block_count(), Block::default());
    let mut buffer = [0; Salt::MAX_LENGTH];
    let salt = salt.decode_b64(&mut buffer).map_err(|error| anyhow::anyhow!("{error}"))?;
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    Output::init_with(bytes, |out| {
        Ok(argon2.hash_password_into_with_memory(password, salt, out, memory.as_mut_slice())?)
    })
    .map_err(|error| anyhow::anyhow!("{error}"))
}

#[cfg(test)]
mod tests {
    use argon2::{Argon2, Params, PasswordHash, PasswordVerifier};

    use super::{Memory, hash_now, verify_now};

    #[test]
    fn a_hash_is_what_others_make_of_it() {
        let mut memory = Memory::new();
        let params = Params::new(64, 2, 1, None).unwrap();
        let hash = hash_now(&params, b"secret", &mut memory).unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{hash}");
        assert!(verify_now(b"secret", &hash, &mut memory).unwrap());
        assert!(!verify_now(b"Secret", &hash, &mut memory).unwrap());
        let parsed = PasswordHash::new(&hash).unwrap();
        assert!(Argon2::default().verify_password(b"secret", &parsed).is_ok());
        verify_now(b"secret", "$argon2id$broken", &mut memory).unwrap_err();
    }
}
