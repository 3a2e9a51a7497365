//! Host names to addresses, with bounds: a name server that never answers costs a few sockets for
//! a few seconds, and no thread.
//!
//! **Invariants:** lookups in flight are bounded in all and per organization, and there is at most
//! one per name; each has a deadline; results, failures included, are cached in a bounded cache.

use std::collections::HashMap;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use domain::OrgId;
use futures_util::FutureExt;
use futures_util::future::{Shared, WeakShared};
use parking_lot::Mutex;
use quick_cache::sync::Cache;
use runtime::meter::{Counter, Gauge, label};
use runtime::slots::{Slot, Slots};
use tokio::sync::Semaphore;

use crate::name_servers::NameServers;

/// Deadline of one lookup, waiting for its turn included.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// Lookups in flight. Each holds at most four sockets: UDP and TCP, for IPv4 and for IPv6.
const LOOKUPS_MAX: usize = 128;
/// Lookups of one organization, in flight or waiting; further ones fail at once. More than an
/// organization has webhooks, so that its deliveries never exceed it.
const ORG_LOOKUPS_MAX: u64 = 64;
/// Names whose result is cached.
const CACHED_MAX: usize = 4_096;
/// Upper bound of the time for which addresses are cached, whatever their TTL.
const FOUND_LIFETIME_MAX: Duration = Duration::from_secs(60);
/// Time for which a failure is cached.
const MISSING_LIFETIME: Duration = Duration::from_secs(10);

/// The result of a lookup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The name's addresses; empty when it has none.
    pub addresses: Vec<IpAddr>,
    /// How long they are valid (the TTL).
    pub lifetime: Duration,
}

/// Resolves names: by DNS, or as a test needs it. Bounds, deadlines and caching are not its task.
pub trait Lookup: Send + Sync {
    /// Resolves a name.
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = Found> + Send>>;
}

type Addresses = Arc<[IpAddr]>;
type Answer = Pin<Box<dyn Future<Output = Addresses> + Send>>;

/// The resolver of names that strangers chose. Clones share bounds and cache.
#[derive(Clone)]
pub struct Names(Arc<Inner>);

struct Inner {
    lookup: Arc<dyn Lookup>,
    turns: Semaphore,
    organizations: Slots<OrgId>,
    asking: Mutex<HashMap<String, Asking>>,
    next_id: AtomicU64,
    cached: Cache<String, Cached>,
}

/// A lookup that everyone who needs the name waits for.
struct Asking {
    id: u64,
    answer: WeakShared<Answer>,
}

#[derive(Clone)]
struct Cached {
    addresses: Addresses,
    until: Instant,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Names")
    }
}

impl Default for Names {
    /// Resolves by `/etc/hosts` and the name servers of `/etc/resolv.conf`.
    fn default() -> Self {
        Self::of(Arc::new(NameServers::of_the_system()))
    }
}

impl Names {
    /// Resolves by these name servers alone; by those of the system when there are none.
    pub fn by(servers: &[SocketAddr]) -> Self {
        if servers.is_empty() {
            return Self::default();
        }
        Self::of(Arc::new(NameServers::fixed(servers)))
    }

    /// Resolves by `lookup`.
    pub fn of(lookup: Arc<dyn Lookup>) -> Self {
        Self(Arc::new(Inner {
            lookup,
            turns: Semaphore::new(LOOKUPS_MAX),
            organizations: Slots::new(ORG_LOOKUPS_MAX),
            asking: Mutex::default(),
            next_id: AtomicU64::default(),
            cached: Cache::new(CACHED_MAX),
        }))
    }

    /// The addresses of a name, for an organization. None when it has none, the deadline passes,
    /// or the organization has too many lookups in flight.
    pub(crate) async fn resolve(&self, name: &str, org: OrgId) -> Addresses {
        let cached = self.0.cached.get(name);
        if let Some(cached) = cached.filter(|cached| Instant::now() < cached.until) {
            return cached.addresses;
        }
        match self.ask(name, org) {
            Some(answer) => answer.await,
            None => Addresses::default(),
        }
    }

    /// Joins the lookup of a name that is in flight, or starts one. `None` over the
    /// organization's bound.
    fn ask(&self, name: &str, org: OrgId) -> Option<Shared<Answer>> {
        let mut asking = self.0.asking.lock();
        if let Some(answer) = asking.get(name).and_then(|asking| asking.answer.upgrade()) {
            return Some(answer);
        }
        let Some(slot) = self.0.organizations.take(&org, 1) else {
            count("refused");
            return None;
        };
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let lookup = InFlight { names: self.clone(), name: name.to_owned(), id, _slot: slot };
        let answer = lookup.run().boxed().shared();
        if let Some(weak) = answer.downgrade() {
            asking.insert(name.to_owned(), Asking { id, answer: weak });
        }
        Some(answer)
    }
}

/// One lookup, counted until it ends or nobody waits for it any more.
struct InFlight {
    names: Names,
    name: String,
    id: u64,
    _slot: Slot<OrgId>,
}

impl InFlight {
    async fn run(self) -> Addresses {
        let inner = &self.names.0;
        let started = Instant::now();
        let turn = tokio::time::timeout(LOOKUP_TIMEOUT, inner.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else {
            count("refused");
            return Addresses::default();
        };
        let _gauge = Gauge::NameLookups.hold(1.0);
        let left = LOOKUP_TIMEOUT.saturating_sub(started.elapsed());
        let found = tokio::time::timeout(left, inner.lookup.lookup(self.name.clone())).await;
        count(match &found {
            Ok(found) if found.addresses.is_empty() => "missing",
            Ok(_) => "found",
            Err(_) => "timeout",
        });
        let found = found.unwrap_or_default();
        let lifetime = if found.addresses.is_empty() {
            MISSING_LIFETIME
        } else {
            found.lifetime.min(FOUND_LIFETIME_MAX)
        };
        let addresses = Addresses::from(found.addresses);
        let until = Instant::now() + lifetime;
        inner.cached.insert(self.name.clone(), Cached { addresses: addresses.clone(), until });
        addresses
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut asking = self.names.0.asking.lock();
        if asking.get(&self.name).is_some_and(|asking| asking.id == self.id) {
            asking.remove(&self.name);
        }
    }
}

fn count(outcome: &'static str) {
    Counter::NameLookups.add_with(1, vec![label("outcome", outcome)]);
}

#[cfg(test)]
mod tests {
    use std::future::{Future, pending};
    use std::net::{IpAddr, Ipv4Addr};
    use std::pin::Pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use domain::OrgId;
    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use tokio::task::unconstrained;

    use super::{Found, Lookup, Names, ORG_LOOKUPS_MAX};

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

    /// `*.silent.test` never answers, `*.brief.test` answers with a TTL of 0, the rest with an hour.
    #[derive(Default)]
    struct Scripted {
        asked: AtomicUsize,
    }

    impl Lookup for Scripted {
        fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = Found> + Send>> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            if name.ends_with(".silent.test") {
                return pending().boxed();
            }
            let lifetime =
                Duration::from_secs(if name.ends_with(".brief.test") { 0 } else { 3600 });
            // Answers after some turns of the others, as a real one does: each who waits for it
            // is one.
            async move {
                for _ in 0..200 {
                    tokio::task::yield_now().await;
                }
                Found { addresses: vec![ADDRESS], lifetime }
            }
            .boxed()
        }
    }

    fn scripted() -> (Arc<Scripted>, Names) {
        let scripted = Arc::new(Scripted::default());
        (Arc::clone(&scripted), Names::of(scripted))
    }

    #[tokio::test(start_paused = true)]
    async fn an_organization_with_silent_names_holds_its_share_and_delays_nobody() {
        let (scripted, names) = scripted();
        let silent = (0..500).map(|number| {
            let names = names.clone();
            async move { names.resolve(&format!("hook{number}.silent.test"), OrgId(1)).await.len() }
        });
        let mut silent = Box::pin(join_all(silent));
        assert!(unconstrained(&mut silent).now_or_never().is_none());
        let share = usize::try_from(ORG_LOOKUPS_MAX).unwrap();
        assert_eq!(scripted.asked.load(Ordering::SeqCst), share);
        assert_eq!(*names.resolve("hook.example.org", OrgId(2)).await, [ADDRESS]);
        // They end by their deadline, and give their share back.
        assert!(silent.await.iter().all(|&found| found == 0));
        assert_eq!(*names.resolve("hook.example.com", OrgId(1)).await, [ADDRESS]);
        assert!(names.0.asking.lock().is_empty());
        // What failed is not asked for again at once.
        let asked = scripted.asked.load(Ordering::SeqCst);
        assert!(names.resolve("hook0.silent.test", OrgId(1)).await.is_empty());
        assert_eq!(scripted.asked.load(Ordering::SeqCst), asked);
    }

    #[tokio::test(start_paused = true)]
    async fn lookups_wait_for_their_turn_and_end_when_nobody_waits() {
        let (scripted, names) = scripted();
        let mut silent: Vec<_> = (0..super::LOOKUPS_MAX)
            .map(|number| {
                let org = OrgId(i64::try_from(number).unwrap() / 50 + 1);
                names.ask(&format!("hook{number}.silent.test"), org).unwrap()
            })
            .collect();
        assert!(silent.iter_mut().all(|answer| unconstrained(answer).now_or_never().is_none()));
        let mut waits = Box::pin(names.resolve("hook.example.org", OrgId(99)));
        assert!(unconstrained(&mut waits).now_or_never().is_none());
        assert_eq!(scripted.asked.load(Ordering::SeqCst), super::LOOKUPS_MAX);
        drop(silent);
        assert_eq!(*waits.await, [ADDRESS]);
        assert!(names.0.asking.lock().is_empty());
    }

    #[tokio::test]
    async fn a_name_is_asked_for_once_at_a_time_and_cached_for_its_ttl() {
        let (scripted, names) = scripted();
        let same = (0..100).map(|org| names.resolve("hook.brief.test", OrgId(org)));
        assert!(join_all(same).await.iter().all(|found| **found == [ADDRESS]));
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 1);
        names.resolve("hook.brief.test", OrgId(1)).await;
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 2, "its TTL is 0");
        names.resolve("hook.example.org", OrgId(1)).await;
        names.resolve("hook.example.org", OrgId(2)).await;
        assert_eq!(scripted.asked.load(Ordering::SeqCst), 3);
    }
}
