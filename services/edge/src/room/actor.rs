//! The task of one room.
//!
//! It subscribes to the room's subjects first and asks for the head second, over the same
//! connection: whatever is committed after that head arrives, or is noticed missing.
//! **Invariant:** nothing here waits for a socket, and nothing is handed out but what the cursor
//! put in order.

use std::collections::{HashMap, HashSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_nats::{HeaderMap, Message, Subscriber};
use contract::close::Close;
use domain::cursor::Offer;
use domain::{Epoch, RoomId, Seq, UserId};
use futures_util::{FutureExt, StreamExt};
use nats::bus::AskError;
use nats::rpc::{EventsReply, Head, OpenReply};
use nats::subjects::{HEADER_EPOCH, HEADER_KIND, HEADER_USER, Subjects};
use runtime::meter::{Counter, Histogram, label};
use tokio::sync::{broadcast, mpsc, watch};
use tokio::time::Instant;

use super::leaving::Leaves;
use super::log::{Event, RoomLog};
use super::repair::{Noted, Repair};
use super::roster::Roster;
use super::{Command, Placed, RoomHandle};
use crate::Edge;
use crate::frame::Text;
use crate::presence::Changes;
use crate::subscription::Subscription;

/// A room stays subscribed for this long after its last subscriber left.
const IDLE: Duration = Duration::from_secs(30);
/// Messages that are taken from NATS before anything else is looked at.
const MESSAGES_AT_ONCE: usize = 512;

/// A question to an api that is under way.
type Asking<T> = Pin<Box<dyn Future<Output = Result<T, AskError>> + Send>>;

/// Why a room's task ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Nobody is subscribed.
    Idle,
    /// The room is gone.
    Deleted,
    /// The room could not be opened.
    Unavailable,
    /// A gap could not be filled, or the subscription ended: rather no room than a hole.
    Unfillable,
    /// What it knows of the room belongs to a history that has ended.
    Void,
    /// The edge stops.
    Stopped,
}

/// One subscriber of a room.
pub(super) struct Follower {
    pub(super) subscription: Arc<Subscription>,
    pub(super) is_live: bool,
    pub(super) leaves: Option<Leaves>,
}

/// The state of a room's task.
pub(super) struct Actor {
    pub(super) edge: Edge,
    pub(super) handle: RoomHandle,
    feed: Subscriber,
    /// The epoch that everything here belongs to.
    pub(super) epoch: Epoch,
    epochs: watch::Receiver<Option<Epoch>>,
    pub(super) log: RoomLog,
    pub(super) subscribers: HashMap<u64, Follower>,
    pub(super) roster: Roster,
    batches: broadcast::Receiver<Arc<Changes>>,
    pub(super) repair: Repair,
    pub(super) fetching: Option<Asking<EventsReply>>,
    pub(super) asking_members: Option<Asking<HashSet<UserId>>>,
    /// Whose token was used last.
    pub(super) token_turn: usize,
    /// Users who were no members at a head that has not come out here yet.
    not_members: Vec<(Seq, UserId)>,
    /// When a subscription ends at the latest whose user has left.
    pub(super) leaving_by: Option<Instant>,
    idle_since: Option<Instant>,
    pub(super) end: Option<End>,
}

/// Follows a room until nobody needs it.
pub(super) async fn run(edge: Edge, handle: RoomHandle, mut commands: mpsc::Receiver<Command>) {
    let end = match Actor::start(&edge, &handle).await {
        Ok(mut actor) => {
            let end = actor.run(&mut commands).await;
            actor.finish(end);
            end
        }
        Err(end) => end,
    };
    edge.hub().remove_room(&handle);
    commands.close();
    while let Ok(command) = commands.try_recv() {
        if let Command::Join { answer, .. } = command {
            let _ = match end {
                End::Deleted => answer.send(Placed::Deleted),
                End::Idle => continue,
                _ => answer.send(Placed::Unavailable),
            };
        }
    }
    tracing::debug!(room.id = %handle.room(), "room {} is no longer followed: {end:?}", handle.room());
}

impl Actor {
    async fn start(edge: &Edge, handle: &RoomHandle) -> Result<Self, End> {
        let room = handle.room();
        if !edge.bus().is_connected() {
            return Err(End::Unavailable);
        }
        let batches = edge.presence().follow();
        let subject = edge.bus().subjects().room_all(room);
        let subscribe = edge.bus().client().subscribe(subject);
        let feed = tokio::time::timeout(Duration::from_secs(2), subscribe)
            .await
            .map_err(|_| End::Unavailable)?
            .map_err(|_| End::Unavailable)?;
        let epochs = edge.epochs().follow();
        let head = edge.opener().head(room).await.map_err(|error| {
            tracing::debug!(room.id = %room, error = %error, "room {room} cannot be opened: {error}");
            End::Unavailable
        })?;
        let OpenReply { log, epoch } = head.ok_or(End::Deleted)?;
        let last = log.last_seq;
        let actor = Self {
            edge: edge.clone(),
            handle: handle.clone(),
            feed,
            epoch,
            epochs,
            log: RoomLog::new(last),
            subscribers: HashMap::new(),
            roster: Roster::new(room),
            batches,
            repair: Repair::default(),
            fetching: None,
            asking_members: None,
            token_turn: 0,
            not_members: Vec::new(),
            leaving_by: None,
            idle_since: Some(Instant::now()),
            end: None,
        };
        actor.handle.shared.last.store(last.0, Ordering::Release);
        let _ = actor.handle.shared.epoch.set(epoch);
        Ok(actor)
    }

    pub(super) fn room(&self) -> RoomId {
        self.handle.room()
    }

    async fn run(&mut self, commands: &mut mpsc::Receiver<Command>) -> End {
        let stopped = self.edge.stopped().clone();
        loop {
            let due = self.due();
            tokio::select! {
                () = stopped.cancelled() => return End::Stopped,
                message = self.feed.next() => match message {
                    Some(message) => self.take(message),
                    None => return End::Unfillable,
                },
                Some(command) = commands.recv() => self.obey(command),
                Ok(()) = self.epochs.changed() => self.epoch_changed(),
                batch = self.batches.recv() => self.presence_changed(batch),
                page = asked(&mut self.fetching) => self.fetched(page),
                members = asked(&mut self.asking_members) => self.members_came(members),
                () = sleep_until(due) => self.tick(),
            }
            if let Some(end) = self.end {
                return end;
            }
        }
    }

    /// Tells the subscribers why the room ends for them.
    fn finish(&mut self, end: End) {
        for (_, subscriber) in self.subscribers.drain() {
            let subscription = subscriber.subscription;
            match end {
                End::Deleted => subscription.end_deleted(),
                End::Unfillable if !subscription.has_ended() => {
                    subscription.socket.out.close(Close::Restarting);
                }
                End::Void => self.edge.reopen(subscription, subscriber.is_live),
                _ => {}
            }
        }
        if end == End::Unfillable {
            let room = self.room();
            tracing::error!(room.id = %room, "a gap of room {room} cannot be filled: sockets close");
        }
    }

    fn epoch_changed(&mut self) {
        if *self.epochs.borrow_and_update() != Some(self.epoch) {
            self.end = Some(End::Void);
        }
    }

    fn due(&self) -> Option<Instant> {
        let idle = self.idle_since.map(|since| since + IDLE);
        let repair = self.repair.due(self.fetching.is_some());
        [idle, repair, self.leaving_by, self.roster.list_due()].into_iter().flatten().min()
    }

    fn tick(&mut self) {
        let now = Instant::now();
        if self.repair.must_give_up(now) {
            self.end = Some(End::Unfillable);
        } else if self.repair.must_fetch(now) && self.fetching.is_none() {
            self.fetch();
        }
        if let Some(list) = self.roster.take_due(now) {
            self.tell(&[list]);
        }
        self.end_leaving(now);
        self.note_idle();
        if self.idle_since.is_some_and(|since| now >= since + IDLE) {
            self.end = Some(End::Idle);
        }
    }

    /// Takes a message and all that came with it.
    fn take(&mut self, first: Message) {
        let mut events = Vec::new();
        let mut message = Some(first);
        let mut taken = 0;
        while let Some(next) = message {
            if Subjects::is_live(&next.subject) {
                self.take_live(&next);
            } else {
                self.take_event(&next, &mut events);
            }
            taken += 1;
            if taken == MESSAGES_AT_ONCE {
                break;
            }
            message = self.feed.next().now_or_never().flatten();
        }
        self.deliver(&events);
    }

    fn take_event(&mut self, message: &Message, events: &mut Vec<Event>) {
        let headers = message.headers.as_ref();
        if let Some(of) = headers.and_then(epoch_of).filter(|&of| of != self.epoch) {
            if self.edge.epochs().is_news(of) {
                self.edge.compare_now().notify_one();
            }
            return;
        }
        let Some(event) =
            headers.and_then(|headers| Event::from_message(headers, &message.payload))
        else {
            let room = self.room();
            tracing::warn!(room.id = %room, "a message of room {room} is no event: passed over");
            return;
        };
        if self.log.offer(event, events) == Offer::Overflow {
            self.note_gap();
            self.repair.hurry(Instant::now());
        }
    }

    fn take_live(&mut self, message: &Message) {
        let header =
            |name: &str| message.headers.as_ref()?.get(name).map(async_nats::HeaderValue::as_str);
        if header(HEADER_KIND) == Some("room.deleted") {
            self.end = Some(End::Deleted);
            return;
        }
        let author = header(HEADER_USER).and_then(|user| user.parse::<UserId>().ok());
        let Ok(text) = std::str::from_utf8(&message.payload) else { return };
        let text = Text::from(text.to_owned());
        for subscriber in self.subscribers.values() {
            if Some(subscriber.subscription.user()) != author && subscriber.leaves.is_none() {
                subscriber.subscription.push_live(&text);
            }
        }
    }

    /// Hands events to the subscribers, in order.
    pub(super) fn deliver(&mut self, events: &[Event]) {
        for chunk in events.split_inclusive(Event::is_left) {
            self.subscribers.retain(|_, subscriber| {
                if subscriber.is_live {
                    let events = chunk.iter().map(|event| (event.seq, &event.text));
                    subscriber.subscription.push_events(events);
                }
                let has_ended = subscriber.subscription.has_ended();
                if has_ended {
                    self.handle.forget_user(subscriber.subscription.user());
                }
                !has_ended
            });
            if let Some(left) = chunk.last().filter(|event| event.is_left()) {
                self.user_left(left);
            }
        }
        self.membership_changed(events);
        self.moved_on();
        let now = self.edge.auth().now();
        for time in events.iter().filter_map(|event| event.time) {
            Histogram::DeliverySeconds.record(now.since(time).as_secs_f64());
        }
    }

    /// After anything that may have moved the log.
    fn moved_on(&mut self) {
        let last = self.log.cursor().last();
        self.handle.shared.last.store(last.0, Ordering::Release);
        if !self.not_members.is_empty() {
            let not_members = std::mem::take(&mut self.not_members);
            let (due, waiting): (Vec<_>, Vec<_>) =
                not_members.into_iter().partition(|&(head, _)| head <= last);
            self.not_members = waiting;
            for (head, user) in due {
                self.end_subscriptions(|it| {
                    let subscription = &it.subscription;
                    let is_over = subscription.user() == user && subscription.opened_at() <= head;
                    is_over && it.leaves.is_none()
                });
            }
        }
        self.note_gap();
        self.note_idle();
    }

    fn note_gap(&mut self) {
        let cursor = self.log.cursor();
        match self.repair.note(cursor.last(), cursor.gap().is_some(), Instant::now()) {
            Noted::Found => Counter::GapsFound.add(1),
            Noted::Healed => Counter::GapsHealed.add(1),
            Noted::Same => {}
        }
    }

    fn note_idle(&mut self) {
        if self.subscribers.is_empty() {
            self.idle_since.get_or_insert_with(Instant::now);
        } else {
            self.idle_since = None;
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Join { subscription, head, answer } => {
                let placed = self.join(&subscription, head);
                let _ = answer.send(placed);
            }
            Command::Leave(id) => {
                if let Some(subscriber) = self.subscribers.remove(&id) {
                    self.handle.forget_user(subscriber.subscription.user());
                }
                self.note_idle();
            }
            Command::Head(head) => self.learn_head(&head),
            Command::Fallen => self.end = Some(End::Void),
        }
    }

    fn join(&mut self, subscription: &Arc<Subscription>, head: Seq) -> Placed {
        if subscription.has_ended() {
            return Placed::Live;
        }
        // This task, or the subscription, is about to be renewed.
        if subscription.must_reopen(Some(self.epoch)) {
            return Placed::Unavailable;
        }
        self.log.note_head(head);
        self.note_gap();
        let position = subscription.position();
        let leaves = self.subscribers.get(&subscription.id).and_then(|known| known.leaves);
        if let Some(leaves) = leaves {
            return self.join_leaving(subscription, leaves, head);
        }
        // They left between the check of their membership and now: the replay ends there.
        let since = position.max(subscription.opened_at());
        let has_left = self.log.has_left(subscription.user(), since);
        let is_live = if position >= self.log.cursor().last() {
            true
        } else if has_left {
            false
        } else if let Some(events) = self.log.after(position, (subscription.kept_from(), head)) {
            let count = self.log.cursor().last().0 - position.0;
            let mut bytes = 0;
            subscription.push_events(events.inspect(|(_, text)| bytes += text.len()));
            self.edge.budgets().charge_replay(subscription.user(), bytes);
            let count = u64::try_from(count).unwrap_or(0);
            Counter::ReplayedFrames.add_with(count, vec![label("source", "ring")]);
            true
        } else {
            false
        };
        let subscriber = Follower { subscription: Arc::clone(subscription), is_live, leaves: None };
        if self.subscribers.insert(subscription.id, subscriber).is_none() {
            self.greet(subscription);
        }
        self.idle_since = None;
        if is_live { Placed::Live } else { Placed::Behind }
    }

    fn learn_head(&mut self, head: &Head) {
        let Some(log) = head.log else {
            self.end = Some(End::Deleted);
            return;
        };
        self.log.note_head(log.last_seq);
        self.not_members.extend(head.not_members.iter().map(|&user| (log.last_seq, user)));
        self.moved_on();
    }
}

impl Drop for Actor {
    /// A task that panics must not leave sockets behind that look alive and get nothing: they
    /// come back with `after`. Whatever else ends it has taken its subscribers out.
    fn drop(&mut self) {
        for subscriber in self.subscribers.values() {
            if !subscriber.subscription.has_ended() {
                subscriber.subscription.socket.out.close(Close::Restarting);
            }
        }
    }
}

fn epoch_of(headers: &HeaderMap) -> Option<Epoch> {
    Epoch::parse(headers.get(HEADER_EPOCH)?.as_str())
}

async fn asked<T>(asking: &mut Option<Asking<T>>) -> Result<T, AskError> {
    match asking {
        Some(asking) => asking.await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
