//! One socket's subscription to one room.
//!
//! **Invariant:** a subscription's position only grows, by one event at a time, except for a
//! `resync`; once it has ended, nothing of the room is queued for it. Both are changed under the
//! lock of the socket's queue only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};

use contract::close::Close;
use contract::frames::{LiveFrame, ServerFrame};
use domain::{Epoch, Refusal, RoomId, Seq, UserId};
use parking_lot::Mutex;

use crate::frame::{self, Echo, Text};
use crate::queue::Weight;
use crate::socket::{Kind, Socket};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// The subscription.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// Unlike every other's in this process.
    pub id: u64,
    /// The room.
    pub room: RoomId,
    /// The socket.
    pub socket: Arc<Socket>,
    position: AtomicI64,
    opened_at: AtomicI64,
    kept_from: AtomicI64,
    /// The epoch that its numbers belong to.
    epoch: Mutex<Option<Epoch>>,
    /// Its room's numbers have changed under it, in this epoch too.
    is_void: AtomicBool,
    has_ended: AtomicBool,
    repeats: AtomicU32,
}

/// The subscription has not been opened yet.
const PENDING: i64 = -1;

impl Subscription {
    /// A subscription that is about to be opened.
    pub(crate) fn new(room: RoomId, socket: Arc<Socket>) -> Arc<Self> {
        Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            room,
            socket,
            position: AtomicI64::new(0),
            opened_at: AtomicI64::new(PENDING),
            kept_from: AtomicI64::new(0),
            epoch: Mutex::default(),
            is_void: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            repeats: AtomicU32::new(0),
        })
    }

    /// Whose it is.
    pub(crate) fn user(&self) -> UserId {
        self.socket.user
    }

    /// The last event that was queued for it.
    pub(crate) fn position(&self) -> Seq {
        Seq(self.position.load(Ordering::Acquire))
    }

    /// To be called by the queue, or before the subscription is shared.
    pub(crate) fn set_position(&self, position: Seq) {
        self.position.store(position.0, Ordering::Release);
    }

    /// The room's head when membership was checked. What says that the user left is news only if
    /// it came later.
    pub(crate) fn opened_at(&self) -> Seq {
        Seq(self.opened_at.load(Ordering::Acquire))
    }

    /// Membership was checked when the room's head was `head`.
    pub(crate) fn set_opened(&self, head: Seq) {
        self.opened_at.store(head.0, Ordering::Release);
    }

    /// Where the room's log began when that was last asked.
    pub(crate) fn kept_from(&self) -> Seq {
        Seq(self.kept_from.load(Ordering::Acquire))
    }

    /// The room's log begins at `first`.
    pub(crate) fn set_kept_from(&self, first: Seq) {
        self.kept_from.store(first.0, Ordering::Release);
    }

    /// The epoch that its numbers belong to; `None` until it is opened.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        *self.epoch.lock()
    }

    /// To be called with what opened it, before its room's task has it.
    pub(crate) fn set_epoch(&self, epoch: Epoch) {
        *self.epoch.lock() = Some(epoch);
        self.is_void.store(false, Ordering::Release);
    }

    /// What it has is of no history any more.
    pub(crate) fn set_void(&self) {
        self.is_void.store(true, Ordering::Release);
    }

    /// Whether its room must be opened anew before anything more of it is queued.
    pub(crate) fn must_reopen(&self, present: Option<Epoch>) -> bool {
        self.is_void.load(Ordering::Acquire) || self.epoch() != present
    }

    /// Whether membership was checked and, as far as is known, still holds.
    pub(crate) fn is_open(&self) -> bool {
        self.opened_at.load(Ordering::Acquire) != PENDING && !self.has_ended()
    }

    /// Whether nothing of the room may be queued any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// To be called by the queue, under its lock.
    pub(crate) fn mark_ended(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    /// Queues a frame of the room that has no `seq`.
    pub(crate) fn push_live(&self, text: &Text) {
        self.socket.out.push_live(self, text, Weight::Ephemeral);
    }

    /// Queues those of the events that it does not have yet.
    pub(crate) fn push_events<'a>(&self, events: impl Iterator<Item = (Seq, &'a Text)>) {
        self.socket.out.push_events(self, events);
    }

    /// Tells the client to load the room anew, and goes on from `last`.
    pub(crate) fn resync(&self, first: Seq, last: Seq) {
        let Some(epoch) = self.epoch() else { return };
        let (room, first_seq, last_seq) = (self.room, first, last);
        let text: Text = ServerFrame::Resync { room, first_seq, last_seq, epoch }.text().into();
        self.socket.out.push_live(self, &text, Weight::Needed);
        self.set_position(last);
        runtime::meter::Counter::Resyncs.add(1);
    }

    /// The client asked once more for what it has: `true` when it can be answered now, else it
    /// will be answered when the subscription opens.
    pub(crate) fn asked_again(&self) -> bool {
        self.repeats.fetch_add(1, Ordering::AcqRel);
        self.opened_at.load(Ordering::Acquire) != PENDING
    }

    /// Says `subscribed`, as often as it was asked for since the last time.
    pub(crate) fn say_subscribed(&self, last: Seq, is_first: bool) {
        let Some(epoch) = self.epoch() else { return };
        let room = self.room;
        let text: Text = ServerFrame::Subscribed { room, last_seq: last, epoch }.text().into();
        let repeats = self.repeats.swap(0, Ordering::AcqRel);
        for _ in 0..repeats + u32::from(is_first) {
            self.socket.out.push_live(self, &text, Weight::Needed);
        }
    }

    /// Ends it because the user is no longer in the room.
    pub(crate) fn end_removed(&self) {
        let echo = Echo { nonce: None, room: Some(self.room) };
        self.end_with(Some(frame::refusal(&Refusal::Removed, &echo)));
    }

    /// Ends it because the room is gone.
    pub(crate) fn end_deleted(&self) {
        self.end_with(Some(contract::text(&LiveFrame::RoomDeleted { room: self.room }).into()));
    }

    /// Ends it with a last frame; a room's own socket closes after it.
    pub(crate) fn end_with(&self, last: Option<Text>) {
        if self.socket.out.end(self, last) {
            self.socket.forget(self);
            if matches!(self.socket.kind, Kind::Room(_)) {
                self.socket.out.close(Close::NoSuchRoom);
            }
        }
    }
}
