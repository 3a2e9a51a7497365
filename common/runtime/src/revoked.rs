//! The logins revoked within the lifetime of an access token, in memory on every node.

use std::collections::HashMap;
use std::sync::Arc;

use domain::{LoginId, Timestamp};
use parking_lot::RwLock;
use tokio::sync::broadcast;

/// News that a follower may have in store before it must look at the whole set.
const NEWS_MAX: usize = 1_024;

/// The set. Clones share it.
#[derive(Clone, Debug)]
pub struct RevokedLogins {
    until: Arc<RwLock<HashMap<LoginId, Timestamp>>>,
    news: broadcast::Sender<LoginId>,
}

impl Default for RevokedLogins {
    fn default() -> Self {
        Self { until: Arc::default(), news: broadcast::Sender::new(NEWS_MAX) }
    }
}

impl RevokedLogins {
    /// Holds a login as revoked until its last access token has expired.
    pub fn add(&self, login: LoginId, until: Timestamp) {
        let is_new = self.until.write().insert(login, until).is_none();
        if is_new {
            let _ = self.news.send(login);
        }
    }

    /// Whether the login was revoked.
    pub fn contains(&self, login: LoginId) -> bool {
        let until = self.until.read();
        !until.is_empty() && until.contains_key(&login)
    }

    /// All, each with its time.
    pub fn all(&self) -> Vec<(LoginId, Timestamp)> {
        self.until.read().iter().map(|(&login, &until)| (login, until)).collect()
    }

    /// Forgets logins whose last access token has expired.
    pub fn forget_expired(&self, now: Timestamp) {
        self.until.write().retain(|_, until| *until > now);
    }

    /// Each login that is revoked from now on. After `Lagged`, look at [`Self::contains`].
    pub fn follow(&self) -> broadcast::Receiver<LoginId> {
        self.news.subscribe()
    }
}
