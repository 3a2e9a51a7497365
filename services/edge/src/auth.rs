//! Who is at the other end: tokens are verified here, with public keys asked of an api.
//!
//! **Invariant:** a socket of a revoked login is closed within two seconds: the push makes it
//! sooner, the question every round makes it sure.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use contract::close::Close;
use domain::{LoginId, Timestamp};
use nats::bus::Bus;
use nats::rpc::{Keys, REVOKED_MAX, Revoked, RevokedReply};
use runtime::Clock;
use runtime::revoked::RevokedLogins;
use runtime::tokens::{PublicKeys, TokenError, Verified, Verifier};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// An unknown key makes us ask for the keys at most this often.
const KEYS_ASKED_EVERY: Duration = Duration::from_secs(1);

/// Verifies tokens.
#[derive(Debug)]
pub(crate) struct Auth {
    bus: Bus,
    clock: Clock,
    verifier: Verifier,
    revoked: RevokedLogins,
    has_keys: AtomicBool,
    keys_asked: Mutex<Option<Instant>>,
}

impl Auth {
    /// Knows no keys yet.
    pub(crate) fn new(bus: Bus, clock: Clock) -> Self {
        Self {
            bus,
            clock,
            verifier: Verifier::new(PublicKeys::default()),
            revoked: RevokedLogins::default(),
            has_keys: AtomicBool::new(false),
            keys_asked: Mutex::new(None),
        }
    }

    /// The time now.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The revoked logins.
    pub(crate) fn revoked(&self) -> &RevokedLogins {
        &self.revoked
    }

    /// Whether any keys are known.
    pub(crate) fn has_keys(&self) -> bool {
        self.has_keys.load(Ordering::Acquire)
    }

    /// Verifies a token: `Unauthenticated`, or `Overloaded` while the keys cannot be had.
    pub(crate) async fn authenticate(&self, token: &str) -> Result<Verified, Close> {
        let mut verified = self.verifier.verify(token, self.now());
        if verified == Err(TokenError::UnknownKey) {
            self.refresh_keys().await;
            if !self.has_keys() {
                return Err(Close::Overloaded);
            }
            verified = self.verifier.verify(token, self.now());
        }
        let verified = verified.map_err(|_| Close::Unauthenticated)?;
        if self.revoked.contains(verified.caller.login) {
            return Err(Close::Unauthenticated);
        }
        Ok(verified)
    }

    /// Asks for the keys, unless they came a moment ago.
    pub(crate) async fn refresh_keys(&self) {
        let mut asked = self.keys_asked.lock().await;
        if asked.is_some_and(|asked| asked.elapsed() < KEYS_ASKED_EVERY) {
            return;
        }
        match self.bus.ask(&Keys {}).await {
            Ok(reply) => match serde_json::from_value(reply.jwks) {
                Ok(keys) => {
                    self.verifier.trust(keys);
                    self.has_keys.store(true, Ordering::Release);
                    // Only now: before there are any, nobody can be let in.
                    *asked = Some(Instant::now());
                }
                Err(error) => {
                    tracing::error!(error = %error, "the api's public keys are malformed: {error}");
                }
            },
            Err(error) => tracing::debug!(error = %error, "no public keys: {error}"),
        }
    }

    /// Asks for the revoked logins, and forgets those whose tokens have all expired.
    pub(crate) async fn refresh_revoked(&self) {
        let mut after = LoginId::NOWHERE;
        loop {
            match self.bus.ask(&Revoked { after }).await {
                Ok(reply) => {
                    self.take_revoked(&reply);
                    match reply.logins.last() {
                        Some(last) if reply.logins.len() >= REVOKED_MAX => after = last.login,
                        _ => break,
                    }
                }
                Err(error) => {
                    tracing::debug!(error = %error, "no list of revoked logins: {error}");
                    break;
                }
            }
        }
        self.revoked.forget_expired(self.now());
    }

    /// Learns of revoked logins.
    pub(crate) fn take_revoked(&self, reply: &RevokedReply) {
        for login in &reply.logins {
            self.revoked.add(login.login, login.until);
        }
    }
}
