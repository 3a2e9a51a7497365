//! The limits of the contract's section 9.
//!
//! A client is the prefix of its address (`runtime::address::client_prefix`); the clients of one
//! IPv6 site are limited together besides. Nodes exchange what they allowed ([`nats::counts`]).
//!
//! **Invariant:** nobody can lock out an account's owner. Attempts of strangers are counted by
//! client and by e-mail, and the latter refuses strangers alone. A request with a valid token of
//! the account (of a device, of a reset link) and a signed-in user have limits of their own
//! ([`Attempt::Token`], [`Attempt::Login`]), which others cannot use up.

use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use domain::{Refusal, UserId};
use nats::counts::{ApiCounts, Attempt, AuthCalls, COUNTED_MAX, Counts, Digest};
use runtime::address::{SITE_CLIENTS, client_prefix, client_site};
use runtime::meter::{Counter, Gauge, label};
use runtime::rate::{Decision, Limiter};
use sha2::Digest as _;

use crate::Api;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
/// How often keys that have their whole limit back are forgotten.
const SWEEP_PAUSE: Duration = Duration::from_secs(10);
/// Attempts per client and minute, for each that one (client, e-mail) has.
const PER_CLIENT: u32 = 6;
/// Failed sign-ins of strangers per e-mail and hour, for each attempt that one (client, e-mail) has
/// per minute.
const FAILURES: u32 = 10;

/// Whose requests are counted together.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A user's.
    User(UserId),
    /// A client's, where there is no user.
    Client(IpAddr),
}

/// All limits of a node.
#[derive(Debug)]
pub struct Limits {
    requests: Option<Requests>,
    sign_ins: Option<SignIns>,
}

#[derive(Debug)]
struct Requests {
    users: Limiter<UserId>,
    clients: ClientLimiter<()>,
}

#[derive(Debug)]
struct SignIns {
    attempts: Limiter<Attempt>,
    clients: ClientLimiter<AuthCalls>,
    failures: Limiter<Digest>,
}

/// A limit of each client, and of [`SITE_CLIENTS`] times as much for all clients of an IPv6 site.
/// Nodes exchange the counts of clients, and derive those of sites.
#[derive(Debug)]
struct ClientLimiter<C> {
    clients: Limiter<(C, IpAddr)>,
    sites: Limiter<(C, IpAddr)>,
}

impl<C: Copy + Eq + Hash> ClientLimiter<C> {
    fn per_minute(limit: u32) -> Self {
        let of_site = limit.saturating_mul(SITE_CLIENTS);
        Self {
            clients: Limiter::new(limit, MINUTE, limit).shared(),
            sites: Limiter::new(of_site, MINUTE, of_site),
        }
    }

    /// Counts a call. One that its site refuses does not count for the client, and the reverse.
    fn check(&self, calls: C, client: IpAddr, now: Instant) -> Decision {
        let key = (calls, client);
        let of_client = self.clients.reserve(&key, now);
        if matches!(of_client, Decision::Refused { .. }) {
            return of_client;
        }
        if client.is_ipv6() {
            let of_site = self.sites.check(&(calls, client_site(client)), now);
            if matches!(of_site, Decision::Refused { .. }) {
                self.clients.refund(&key);
                return of_site;
            }
        }
        self.clients.confirm(&key);
        of_client
    }

    fn advance(&self, (calls, client): (C, IpAddr), count: u32, now: Instant) {
        let client = client_prefix(client);
        self.clients.advance(&(calls, client), count, now);
        if client.is_ipv6() {
            self.sites.advance(&(calls, client_site(client)), count, now);
        }
    }

    fn sweep(&self, now: Instant) -> usize {
        self.clients.sweep(now) + self.sites.sweep(now)
    }
}

/// A stranger's sign-in whose outcome is not known yet. It counts as failed unless
/// [`Self::succeeded`] is called, also when the request is given up.
#[derive(Debug)]
#[must_use]
pub struct StrangerAttempt<'a> {
    counted: Option<(&'a Limiter<Digest>, Digest)>,
}

impl StrangerAttempt<'_> {
    /// The password was right: the attempt does not count.
    pub fn succeeded(mut self) {
        if let Some((failures, email)) = self.counted.take() {
            failures.refund(&email);
        }
    }
}

impl Drop for StrangerAttempt<'_> {
    fn drop(&mut self) {
        if let Some((failures, email)) = self.counted {
            failures.confirm(&email);
        }
    }
}

/// The [`Digest`] of a text.
pub fn digest(text: &str) -> Digest {
    let hash: [u8; 32] = sha2::Sha256::digest(text.as_bytes()).into();
    let mut halves = [0; 2];
    for (half, bytes) in halves.iter_mut().zip(hash.as_chunks::<8>().0) {
        *half = u64::from_be_bytes(*bytes);
    }
    Digest(halves)
}

/// Sweeps the limits until the node drains.
pub(crate) async fn sweep_all(api: Api) -> anyhow::Result<()> {
    while api.life().pause(SWEEP_PAUSE).await {
        let keys = api.limits().sweep(Instant::now());
        let keys = f64::from(u32::try_from(keys).unwrap_or(u32::MAX));
        Gauge::RateLimiterKeys.set_with(keys, vec![label("role", "api")]);
    }
    Ok(())
}

/// Exchanges counts with the other api nodes until the node drains.
pub(crate) async fn share(api: Api) -> anyhow::Result<()> {
    let subject = api.bus().subjects().limits();
    let exchange = nats::counts::exchange(api.bus(), &subject, rand::random(), api.limits());
    tokio::select! {
        () = api.life().draining() => {}
        () = exchange => {}
    }
    Ok(())
}

impl Limits {
    /// Limits of this many requests and sign-ins per minute; 0 switches each off.
    pub fn new(requests_per_minute: u32, sign_ins_per_minute: u32) -> Self {
        let requests = (requests_per_minute > 0).then(|| Requests {
            users: Limiter::new(requests_per_minute, MINUTE, requests_per_minute).shared(),
            clients: ClientLimiter::per_minute(requests_per_minute),
        });
        let failures = sign_ins_per_minute.saturating_mul(FAILURES);
        let sign_ins = (sign_ins_per_minute > 0).then(|| SignIns {
            attempts: Limiter::new(sign_ins_per_minute, MINUTE, sign_ins_per_minute).shared(),
            clients: ClientLimiter::per_minute(sign_ins_per_minute.saturating_mul(PER_CLIENT)),
            failures: Limiter::new(failures, HOUR, failures).shared(),
        });
        Self { requests, sign_ins }
    }

    /// Forgets keys that have their whole limit back. Returns how many are left.
    fn sweep(&self, now: Instant) -> usize {
        let requests = self
            .requests
            .as_ref()
            .map_or(0, |limits| limits.users.sweep(now) + limits.clients.sweep(now));
        let sign_ins = self.sign_ins.as_ref().map_or(0, |limits| {
            limits.attempts.sweep(now) + limits.clients.sweep(now) + limits.failures.sweep(now)
        });
        requests + sign_ins
    }

    /// Counts a request; `None` while the limit is off.
    pub fn request(&self, key: &Key, now: Instant) -> Option<Decision> {
        self.requests.as_ref().map(|limits| match key {
            Key::User(user) => limits.users.check(user, now),
            Key::Client(client) => limits.clients.check((), *client, now),
        })
    }

    /// Counts a client's attempt to prove an identity.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn client_attempt(
        &self,
        calls: AuthCalls,
        client: IpAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(limits) = &self.sign_ins else { return Ok(()) };
        admitted(limits.clients.check(calls, client, now), "sign_in_address")
    }

    /// Counts an attempt to prove an identity by its key.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn attempt(&self, attempt: Attempt, now: Instant) -> Result<(), Refusal> {
        let Some(limits) = &self.sign_ins else { return Ok(()) };
        admitted(limits.attempts.check(&attempt, now), "sign_in")
    }

    /// Takes one of the failures that strangers have for an e-mail; a success gives it back.
    ///
    /// # Errors
    /// `RateLimited`.
    pub fn stranger_attempt(
        &self,
        email: Digest,
        now: Instant,
    ) -> Result<StrangerAttempt<'_>, Refusal> {
        let Some(limits) = &self.sign_ins else { return Ok(StrangerAttempt { counted: None }) };
        admitted(limits.failures.reserve(&email, now), "sign_in_failures")?;
        Ok(StrangerAttempt { counted: Some((&limits.failures, email)) })
    }
}

impl Counts for Limits {
    type Message = ApiCounts;

    fn take(&self) -> Option<ApiCounts> {
        let mut counts = ApiCounts::default();
        let mut room = COUNTED_MAX;
        if let Some(limits) = &self.requests {
            counts.users = limits.users.take(room);
            room -= counts.users.len();
            let clients = limits.clients.clients.take(room);
            counts.addresses = clients.into_iter().map(|(((), it), count)| (it, count)).collect();
            room -= counts.addresses.len();
        }
        if let Some(limits) = &self.sign_ins {
            counts.auth_clients = limits.clients.clients.take(room);
            room -= counts.auth_clients.len();
            counts.attempts = limits.attempts.take(room);
            room -= counts.attempts.len();
            counts.failures = limits.failures.take(room);
            room -= counts.failures.len();
        }
        (room < COUNTED_MAX).then_some(counts)
    }

    fn apply(&self, counts: ApiCounts) {
        let now = Instant::now();
        if let Some(limits) = &self.requests {
            for (user, count) in counts.users {
                limits.users.advance(&user, count, now);
            }
            for (client, count) in counts.addresses {
                limits.clients.advance(((), client), count, now);
            }
        }
        if let Some(limits) = &self.sign_ins {
            for (key, count) in counts.auth_clients {
                limits.clients.advance(key, count, now);
            }
            for (attempt, count) in counts.attempts {
                limits.attempts.advance(&attempt, count, now);
            }
            for (email, count) in counts.failures {
                limits.failures.advance(&email, count, now);
            }
        }
    }
}

fn admitted(decision: Decision, limit: &'static str) -> Result<(), Refusal> {
    match decision {
        Decision::Allowed { .. } => Ok(()),
        Decision::Refused { retry_after, .. } => {
            Counter::RateLimited.add_with(1, vec![label("limit", limit)]);
            Err(Refusal::RateLimited { retry_after })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
    use std::time::Instant;

    use domain::{LoginId, UserId};
    use nats::counts::{Attempt, AuthCalls, Counts};
    use runtime::rate::Decision;

    use super::{Key, Limits, digest};

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// The prefix of a client of the site `2001:db8:{site}::/48`.
    fn ipv6_client(site: u16, subnet: u16) -> IpAddr {
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, site, subnet, 0, 0, 0, 0))
    }

    #[test]
    fn every_limit_is_told_to_other_nodes() {
        let (here, there) = (Limits::new(100, 10), Limits::new(100, 10));
        let now = Instant::now();
        let ada = digest("ada@chat.test");
        let keys = [Key::User(UserId(1)), Key::Client(CLIENT)];
        let attempts = [
            Attempt::Email(AuthCalls::SignIn, CLIENT, ada),
            Attempt::Token(digest("a token")),
            Attempt::Login(LoginId(7)),
        ];
        for _ in 0..100 {
            for key in &keys {
                assert!(matches!(here.request(key, now), Some(Decision::Allowed { .. })));
            }
            drop(here.stranger_attempt(ada, now).unwrap());
        }
        for _ in 0..60 {
            here.client_attempt(AuthCalls::SignIn, CLIENT, now).unwrap();
        }
        for _ in 0..10 {
            for attempt in attempts {
                here.attempt(attempt, now).unwrap();
            }
        }
        there.apply(here.take().unwrap());
        assert!(here.take().is_none());
        for key in &keys {
            assert!(matches!(there.request(key, now), Some(Decision::Refused { .. })), "{key:?}");
        }
        for attempt in attempts {
            there.attempt(attempt, now).unwrap_err();
        }
        there.stranger_attempt(ada, now).unwrap_err();
        there.client_attempt(AuthCalls::SignIn, CLIENT, now).unwrap_err();
        there.client_attempt(AuthCalls::Reset, CLIENT, now).unwrap();
        let bob = digest("bob@chat.test");
        there.attempt(Attempt::Email(AuthCalls::SignIn, CLIENT, bob), now).unwrap();
        there.attempt(Attempt::Email(AuthCalls::Reset, CLIENT, ada), now).unwrap();
        let taken = there.take().unwrap();
        assert!(taken.users.is_empty(), "counts of another node are not published again");
    }

    #[test]
    fn the_clients_of_an_ipv6_site_share_sixteen_times_the_limit() {
        let (here, there) = (Limits::new(100, 10), Limits::new(100, 10));
        let now = Instant::now();
        let allowed = |limits: &Limits, site| {
            let calls = (0..1_000).flat_map(|subnet| [ipv6_client(site, subnet); 2]);
            let is_allowed = |client| limits.client_attempt(AuthCalls::SignIn, client, now).is_ok();
            calls.filter(|client| is_allowed(*client)).count()
        };
        assert_eq!(allowed(&here, 1), 960);
        assert_eq!(allowed(&here, 2), 960, "another site has its own limit");
        let counts = here.take().unwrap();
        let published: u32 = counts.auth_clients.iter().map(|(_, count)| count).sum();
        assert_eq!(published, 2 * 960, "attempts that the site's limit refused do not count");
        there.apply(counts);
        assert_eq!(allowed(&there, 1), 0);
        assert_eq!(allowed(&there, 3), 960);
        for _ in 0..100 {
            let allowed = here.request(&Key::Client(ipv6_client(4, 1)), now);
            assert!(matches!(allowed, Some(Decision::Allowed { .. })));
        }
        let refused = here.request(&Key::Client(ipv6_client(4, 1)), now);
        assert!(matches!(refused, Some(Decision::Refused { .. })), "a client has its own limit");
    }

    #[test]
    fn a_right_password_uses_up_nothing_of_what_strangers_have() {
        let limits = Limits::new(0, 10);
        let (ada, now) = (digest("ada@chat.test"), Instant::now());
        for _ in 0..1_000 {
            limits.stranger_attempt(ada, now).unwrap().succeeded();
        }
        assert!(limits.take().is_none());
        for _ in 0..100 {
            drop(limits.stranger_attempt(ada, now).unwrap());
        }
        limits.stranger_attempt(ada, now).unwrap_err();
        assert_eq!(limits.take().unwrap().failures, [(ada, 100)]);
    }

    #[test]
    fn parallel_attempts_count_before_they_fail() {
        let limits = Limits::new(0, 10);
        let (ada, now) = (digest("ada@chat.test"), Instant::now());
        let open: Vec<_> =
            (0..200).filter_map(|_| limits.stranger_attempt(ada, now).ok()).collect();
        assert_eq!(open.len(), 100);
    }
}
