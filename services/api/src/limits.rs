//! The limits of the contract's section 9, kept per node.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use domain::{Refusal, UserId};
use runtime::meter::{Counter, Gauge, label};
use runtime::rate::{Decision, Limiter};

use crate::Api;

const MINUTE: Duration = Duration::from_secs(60);
/// How often keys that are no longer needed are forgotten.
const SWEEP_PAUSE: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);
/// Sign-ins per address and minute, for each that one (address, e-mail) has.
const PER_ADDRESS: u32 = 6;
/// Sign-ins per e-mail and hour, for each that one (address, e-mail) has per minute.
const PER_EMAIL: u32 = 10;

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A user's.
    User(UserId),
    /// Those from an address, where there is no user.
    Address(IpAddr),
}

/// All limits of a node.
#[derive(Debug)]
pub struct Limits {
    requests: Option<Limiter<Key>>,
    sign_ins: Option<SignIns>,
}

#[derive(Debug)]
struct SignIns {
    pairs: Limiter<(IpAddr, String)>,
    addresses: Limiter<IpAddr>,
    emails: Limiter<String>,
}

/// Sweeps the limits from time to time, while the process lives.
pub(crate) async fn keep_small(api: Api) -> anyhow::Result<()> {
    loop {
        tokio::select! {
            () = tokio::time::sleep(SWEEP_PAUSE) => {}
            () = api.life().draining() => return Ok(()),
        }
        let keys = api.limits().sweep(Instant::now());
        Gauge::RateLimiterKeys.set(f64::from(u32::try_from(keys).unwrap_or(u32::MAX)));
    }
}

impl Limits {
    /// Limits of this many requests and sign-ins per minute; 0 switches each off.
    pub fn new(requests_per_minute: u32, sign_ins_per_minute: u32) -> Self {
        let requests = (requests_per_minute > 0)
            .then(|| Limiter::new(requests_per_minute, MINUTE, requests_per_minute));
        let per_address = sign_ins_per_minute.saturating_mul(PER_ADDRESS);
        let per_email = sign_ins_per_minute.saturating_mul(PER_EMAIL);
        let sign_ins = (sign_ins_per_minute > 0).then(|| SignIns {
            pairs: Limiter::new(sign_ins_per_minute, MINUTE, sign_ins_per_minute),
            addresses: Limiter::new(per_address, MINUTE, per_address),
            emails: Limiter::new(per_email, HOUR, per_email),
        });
        Self { requests, sign_ins }
    }

    /// Forgets who has all their requests back. Returns how many are left.
    fn sweep(&self, now: Instant) -> usize {
        let requests = self.requests.as_ref().map_or(0, |limiter| limiter.sweep(now));
        let sign_ins = self.sign_ins.as_ref().map_or(0, |limits| {
            limits.pairs.sweep(now) + limits.addresses.sweep(now) + limits.emails.sweep(now)
        });
        requests + sign_ins
    }

    /// Counts a request; `None` while the limit is off.
    pub fn request(&self, key: &Key, now: Instant) -> Option<Decision> {
        self.requests.as_ref().map(|limiter| limiter.check(key, now))
    }

    /// Counts a sign-in, password change or reset. `email` is compared without case.
    ///
    /// # Errors
    /// `RateLimited`, by the first limit that is reached.
    pub fn sign_in(&self, address: IpAddr, email: &str, now: Instant) -> Result<(), Refusal> {
        let Some(limits) = &self.sign_ins else { return Ok(()) };
        let email = email.trim().to_ascii_lowercase();
        // The first that refuses ends it: what is turned away for its address must not use up what
        // the owner of the e-mail has left.
        let refused = |decision| match decision {
            Decision::Allowed { .. } => None,
            Decision::Refused { retry_after, .. } => Some(retry_after),
        };
        let retry_after = refused(limits.addresses.check(&address, now))
            .or_else(|| refused(limits.pairs.check(&(address, email.clone()), now)))
            .or_else(|| refused(limits.emails.check(&email, now)));
        match retry_after {
            None => Ok(()),
            Some(retry_after) => {
                Counter::RateLimited.add_with(1, vec![label("limit", "sign_in")]);
                Err(Refusal::RateLimited { retry_after })
            }
        }
    }
}
