//! The limits of the contract's section 9.
//!
//! Each node counts what it lets through, and tells the others some times a second
//! ([`crate::gossip`]): what they let through counts here, too.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use domain::{Refusal, UserId};
use nats::rpc::{COUNTED_MAX, Counted};
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
            .then(|| Limiter::new(requests_per_minute, MINUTE, requests_per_minute).shared());
        let per_address = sign_ins_per_minute.saturating_mul(PER_ADDRESS);
        let per_email = sign_ins_per_minute.saturating_mul(PER_EMAIL);
        let sign_ins = (sign_ins_per_minute > 0).then(|| SignIns {
            pairs: Limiter::new(sign_ins_per_minute, MINUTE, sign_ins_per_minute).shared(),
            addresses: Limiter::new(per_address, MINUTE, per_address).shared(),
            emails: Limiter::new(per_email, HOUR, per_email).shared(),
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

    /// What this node has let through since it was last asked: what is to be told to others.
    pub fn take(&self, node: u64) -> Counted {
        let mut counted = Counted { node, ..Counted::default() };
        let mut room = COUNTED_MAX;
        if let Some(requests) = &self.requests {
            for (key, count) in requests.take(room) {
                match key {
                    Key::User(user) => counted.users.push((user, count)),
                    Key::Address(address) => counted.addresses.push((address, count)),
                }
            }
            room -= counted.users.len() + counted.addresses.len();
        }
        if let Some(limits) = &self.sign_ins {
            counted.sign_in_addresses = limits.addresses.take(room);
            room -= counted.sign_in_addresses.len();
            counted.sign_in_pairs = limits.pairs.take(room);
            room -= counted.sign_in_pairs.len();
            counted.sign_in_emails = limits.emails.take(room);
        }
        counted
    }

    /// Counts what another node has let through.
    pub fn take_in(&self, counted: Counted, now: Instant) {
        if let Some(requests) = &self.requests {
            for (user, count) in counted.users {
                requests.advance(&Key::User(user), count, now);
            }
            for (address, count) in counted.addresses {
                requests.advance(&Key::Address(address), count, now);
            }
        }
        if let Some(limits) = &self.sign_ins {
            for (address, count) in counted.sign_in_addresses {
                limits.addresses.advance(&address, count, now);
            }
            for (pair, count) in counted.sign_in_pairs {
                limits.pairs.advance(&pair, count, now);
            }
            for (email, count) in counted.sign_in_emails {
                limits.emails.advance(&email, count, now);
            }
        }
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

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};
    use std::time::Instant;

    use super::{Key, Limits};
    use domain::UserId;
    use runtime::rate::Decision;

    #[test]
    fn every_limit_is_told_to_other_nodes() {
        let (here, there) = (Limits::new(100, 10), Limits::new(100, 10));
        let (address, now) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Instant::now());
        let keys = [Key::User(UserId(1)), Key::Address(address)];
        for _ in 0..100 {
            for key in &keys {
                assert!(matches!(here.request(key, now), Some(Decision::Allowed { .. })));
            }
        }
        for _ in 0..10 {
            here.sign_in(address, "Ada@chat.test", now).unwrap();
        }
        let told = here.take(1);
        assert!(here.take(1).is_empty());
        there.take_in(told, now);
        for key in &keys {
            assert!(matches!(there.request(key, now), Some(Decision::Refused { .. })), "{key:?}");
        }
        assert!(there.sign_in(address, "ada@chat.test", now).is_err());
        assert!(there.sign_in(address, "bob@chat.test", now).is_ok());
        assert!(there.take(2).users.is_empty(), "what came from elsewhere is not told again");
    }
}
