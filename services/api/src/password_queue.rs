//! Fair queue for slots of costly work: round robin over sites, and over the clients of each site,
//! however many requests each of them has.
//!
//! At most [`WAITING_MAX`] requests wait, of one site at most [`SITE_WAITING_MAX`], of one client at
//! most [`CLIENT_WAITING_MAX`]. When the queue is full, the site with the most requests loses its
//! last one to a site with fewer.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use runtime::address::client_site;
use runtime::meter::{Counter, Gauge};
use tokio::sync::oneshot;

/// Requests that may wait.
const WAITING_MAX: usize = 256;
/// Requests of one client that may wait.
const CLIENT_WAITING_MAX: usize = 16;
/// Requests of all clients of one site that may wait.
const SITE_WAITING_MAX: usize = 64;
/// How long a request may wait: longer than one core takes for a full queue.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The queue. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct PasswordQueue(Arc<Mutex<State>>);

/// A slot; dropping it hands it to the next request.
#[derive(Debug)]
pub(crate) struct Slot {
    /// `None` once it was handed back.
    queue: Option<PasswordQueue>,
}

/// The queue is full, or no slot became free in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PasswordQueueFull;

#[derive(Debug)]
struct State {
    free: usize,
    waiting: usize,
    next_id: u64,
    /// Sites with waiting requests, by [`client_site`].
    sites: HashMap<IpAddr, Site>,
    /// Every key of `sites` once, the next to be served first.
    turns: VecDeque<IpAddr>,
}

/// The waiting requests of a site's clients.
#[derive(Debug, Default)]
struct Site {
    waiting: usize,
    clients: HashMap<IpAddr, VecDeque<Waiter>>,
    /// Every key of `clients` once, the next to be served first.
    turns: VecDeque<IpAddr>,
}

#[derive(Debug)]
struct Waiter {
    id: u64,
    granted: oneshot::Sender<Slot>,
}

/// Removes a request from the queue when it is given up.
struct Place<'a> {
    queue: &'a PasswordQueue,
    client: IpAddr,
    id: u64,
}

impl PasswordQueue {
    /// A queue for this many slots.
    pub(crate) fn new(slots: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            free: slots,
            waiting: 0,
            next_id: 0,
            sites: HashMap::new(),
            turns: VecDeque::new(),
        })))
    }

    /// Waits for a slot.
    ///
    /// # Errors
    /// [`PasswordQueueFull`].
    pub(crate) async fn acquire(&self, client: IpAddr) -> Result<Slot, PasswordQueueFull> {
        let (granted, grant) = oneshot::channel();
        let id = {
            let mut state = self.0.lock();
            if state.free > 0 && state.waiting == 0 {
                state.free -= 1;
                return Ok(Slot { queue: Some(self.clone()) });
            }
            state.enqueue(client, granted).inspect_err(|_| Counter::PasswordsRejected.add(1))?
        };
        let _place = Place { queue: self, client, id };
        // An evicted request's sender is dropped.
        let granted = tokio::time::timeout(WAIT_MAX, grant).await;
        granted.ok().and_then(Result::ok).ok_or(PasswordQueueFull).inspect_err(|_| {
            Counter::PasswordsRejected.add(1);
        })
    }

    /// Hands a free slot to the next request, or keeps it.
    fn release(&self) {
        loop {
            let next = {
                let mut state = self.0.lock();
                let next = state.next();
                if next.is_none() {
                    state.free += 1;
                }
                next
            };
            let Some(waiter) = next else { return };
            let Err(mut unwanted) = waiter.granted.send(Slot { queue: Some(self.clone()) }) else {
                return;
            };
            unwanted.queue = None;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.release();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.queue.0.lock().remove(self.client, self.id);
    }
}

impl State {
    fn enqueue(
        &mut self,
        client: IpAddr,
        granted: oneshot::Sender<Slot>,
    ) -> Result<u64, PasswordQueueFull> {
        let key = client_site(client);
        let (of_site, of_client) =
            self.sites.get(&key).map_or((0, 0), |site| (site.waiting, site.waiting_of(client)));
        if of_client >= CLIENT_WAITING_MAX
            || of_site >= SITE_WAITING_MAX
            || (self.waiting >= WAITING_MAX && !self.evict_for(of_site))
        {
            return Err(PasswordQueueFull);
        }
        let id = self.next_id;
        self.next_id += 1;
        let site = match self.sites.entry(key) {
            Entry::Occupied(site) => site.into_mut(),
            Entry::Vacant(none) => {
                self.turns.push_back(key);
                none.insert(Site::default())
            }
        };
        site.push(client, Waiter { id, granted });
        self.count(self.waiting + 1);
        Ok(id)
    }

    /// Evicts the last request of the site with the most, if it has more than one that holds
    /// `of_site` would have; whether it did.
    fn evict_for(&mut self, of_site: usize) -> bool {
        let longest = self.sites.values_mut().max_by_key(|site| site.waiting);
        let evicted = longest.filter(|site| site.waiting > of_site + 1).and_then(Site::evict);
        if evicted.is_some() {
            self.count(self.waiting - 1);
        }
        evicted.is_some()
    }

    fn next(&mut self) -> Option<Waiter> {
        let key = self.turns.pop_front()?;
        let site = self.sites.get_mut(&key)?;
        let waiter = site.next();
        if site.waiting == 0 {
            self.sites.remove(&key);
        } else {
            self.turns.push_back(key);
        }
        self.count(self.waiting - 1);
        waiter
    }

    fn remove(&mut self, client: IpAddr, id: u64) {
        let key = client_site(client);
        let Some(site) = self.sites.get_mut(&key) else { return };
        if !site.remove(client, |waiter| waiter.id == id) {
            return;
        }
        if site.waiting == 0 {
            self.sites.remove(&key);
            self.turns.retain(|held| *held != key);
        }
        self.count(self.waiting - 1);
    }

    fn count(&mut self, waiting: usize) {
        self.waiting = waiting;
        Gauge::PasswordQueue.set(f64::from(u32::try_from(waiting).unwrap_or(u32::MAX)));
    }
}

impl Site {
    fn waiting_of(&self, client: IpAddr) -> usize {
        self.clients.get(&client).map_or(0, VecDeque::len)
    }

    fn push(&mut self, client: IpAddr, waiter: Waiter) {
        let waiters = self.clients.entry(client).or_insert_with(|| {
            self.turns.push_back(client);
            VecDeque::new()
        });
        waiters.push_back(waiter);
        self.waiting += 1;
    }

    fn next(&mut self) -> Option<Waiter> {
        let client = self.turns.pop_front()?;
        let waiters = self.clients.get_mut(&client)?;
        let waiter = waiters.pop_front();
        if waiters.is_empty() {
            self.clients.remove(&client);
        } else {
            self.turns.push_back(client);
        }
        self.waiting -= 1;
        waiter
    }

    /// Removes the last request of the client with the most.
    fn evict(&mut self) -> Option<u64> {
        let longest = self.clients.iter().max_by_key(|(_, waiters)| waiters.len());
        let (client, last) = longest.and_then(|(client, it)| Some((*client, it.back()?.id)))?;
        self.remove(client, |waiter| waiter.id == last).then_some(last)
    }

    /// Removes a client's request; whether it was there.
    fn remove(&mut self, client: IpAddr, is_it: impl Fn(&Waiter) -> bool) -> bool {
        let Some(waiters) = self.clients.get_mut(&client) else { return false };
        let Some(place) = waiters.iter().position(is_it) else { return false };
        waiters.remove(place);
        if waiters.is_empty() {
            self.clients.remove(&client);
            self.turns.retain(|held| *held != client);
        }
        self.waiting -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    use super::*;

    type Waiting = BoxFuture<'static, Result<Slot, PasswordQueueFull>>;

    fn client(number: u32) -> IpAddr {
        IpAddr::V4(Ipv4Addr::from_bits(number))
    }

    /// Queues a request that has to wait.
    fn waits(queue: &PasswordQueue, number: u32) -> Waiting {
        waits_from(queue, client(number))
    }

    fn waits_from(queue: &PasswordQueue, client: IpAddr) -> Waiting {
        let queue = queue.clone();
        let mut waiting: Waiting = Box::pin(async move { queue.acquire(client).await });
        assert!((&mut waiting).now_or_never().is_none(), "{client} need not wait");
        waiting
    }

    /// The answers that have come, removed from those that wait.
    fn answers(waiting: &mut Vec<Waiting>) -> Vec<Result<Slot, PasswordQueueFull>> {
        let mut answers = Vec::new();
        waiting.retain_mut(|one| match one.now_or_never() {
            None => true,
            Some(answer) => {
                answers.push(answer);
                false
            }
        });
        answers
    }

    #[tokio::test]
    async fn a_bystander_waits_for_one_turn_not_for_a_flood() {
        let queue = PasswordQueue::new(1);
        let slot = queue.acquire(client(0)).await.unwrap();
        let mut flood: Vec<_> = (0..CLIENT_WAITING_MAX).map(|_| waits(&queue, 1)).collect();
        assert!(queue.acquire(client(1)).await.is_err(), "one client has so many places");
        let mut bystander = vec![waits(&queue, 2)];
        drop(slot);
        let first = answers(&mut flood);
        assert_eq!(first.len(), 1);
        assert!(answers(&mut bystander).is_empty());
        drop(first);
        assert!(answers(&mut flood).is_empty(), "it is not the flood's turn");
        assert!(answers(&mut bystander).pop().expect("the next turn").is_ok());
    }

    #[tokio::test]
    async fn when_all_places_are_taken_the_greediest_gives_way() {
        let queue = PasswordQueue::new(1);
        let slot = queue.acquire(client(0)).await.unwrap();
        let clients = u32::try_from(WAITING_MAX / CLIENT_WAITING_MAX).unwrap();
        let mut flood: Vec<_> = (1..=clients)
            .flat_map(|number| std::iter::repeat_n(number, CLIENT_WAITING_MAX))
            .map(|number| waits(&queue, number))
            .collect();
        let mut bystander = vec![waits(&queue, 1_000)];
        let gave_way = answers(&mut flood);
        assert!(matches!(gave_way[..], [Err(PasswordQueueFull)]), "{gave_way:?}");
        drop(slot);
        // At most one turn for each client before it.
        for _ in 0..clients {
            drop(answers(&mut flood));
        }
        assert!(answers(&mut bystander).pop().expect("its turn").is_ok());
    }

    #[tokio::test]
    async fn the_clients_of_an_ipv6_site_have_one_turn_together() {
        let queue = PasswordQueue::new(1);
        let slot = queue.acquire(client(0)).await.unwrap();
        let subnet = |subnet| IpAddr::from([0x2001, 0xdb8, 1, subnet, 0, 0, 0, 0]);
        let mut flood = Vec::new();
        for number in 0..u16::try_from(SITE_WAITING_MAX).unwrap() {
            flood.push(waits_from(&queue, subnet(number)));
        }
        assert!(queue.acquire(subnet(1_000)).await.is_err(), "one site has so many places");
        let mut bystander = vec![waits(&queue, 2)];
        drop(slot);
        drop(answers(&mut flood));
        assert!(answers(&mut flood).is_empty(), "it is not the site's turn");
        assert!(answers(&mut bystander).pop().expect("the next turn").is_ok());
    }

    #[tokio::test]
    async fn a_place_and_a_slot_that_nobody_wants_any_more_are_free_again() {
        let queue = PasswordQueue::new(1);
        let slot = queue.acquire(client(0)).await.unwrap();
        let given_up = waits(&queue, 1);
        let granted = waits(&queue, 2);
        drop(given_up);
        drop(slot);
        // The slot lies in the second's channel, unread.
        drop(granted);
        let state = queue.0.lock();
        assert_eq!((state.free, state.waiting), (1, 0));
        assert!(state.sites.is_empty() && state.turns.is_empty());
    }
}
