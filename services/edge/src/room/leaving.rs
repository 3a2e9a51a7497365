//! How subscriptions end whose user is no longer in the room.
//!
//! Their own `member.left` is the last that they get, in its place, and `removed` comes after it.
//! Who still replays has a moment to get there; a `member.left` before its place would let a
//! client that comes back later believe that it has all that came before.

use std::sync::Arc;
use std::time::Duration;

use domain::Seq;
use tokio::time::Instant;

use super::Placed;
use super::actor::{Actor, Follower};
use super::log::Event;
use crate::subscription::Subscription;

/// A replay has this long to reach its user's `member.left`, before it ends without it: removals
/// must be seen within two seconds.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The user has left, and the subscription has not got that far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaves {
    /// Their `member.left`.
    at: Seq,
    /// Until then the replay may reach it.
    by: Instant,
}

impl Actor {
    /// Someone has left, as the log says here.
    pub(super) fn user_left(&mut self, left: &Event) {
        let leaves = Leaves { at: left.seq, by: Instant::now() + PATIENCE };
        let is_theirs = |it: &Follower| {
            it.subscription.user() == left.user && it.subscription.opened_at() < left.seq
        };
        for subscriber in self.subscribers.values_mut().filter(|it| is_theirs(it)) {
            if !subscriber.is_live && subscriber.subscription.position() < left.seq {
                subscriber.leaves.get_or_insert(leaves);
                self.leaving_by.get_or_insert(leaves.by);
            }
        }
        self.end_subscriptions(|it| is_theirs(it) && it.leaves.is_none());
    }

    /// Ends those that have had their time.
    pub(super) fn end_leaving(&mut self, now: Instant) {
        if self.leaving_by.is_none_or(|by| now < by) {
            return;
        }
        self.end_subscriptions(|it| it.leaves.is_some_and(|leaves| leaves.by <= now));
        let leaving = self.subscribers.values().filter_map(|it| it.leaves);
        self.leaving_by = leaving.map(|leaves| leaves.by).min();
    }

    /// A replay goes on whose user has left.
    pub(super) fn join_leaving(
        &mut self,
        subscription: &Arc<Subscription>,
        leaves: Leaves,
        head: Seq,
    ) -> Placed {
        let position = subscription.position();
        if position < leaves.at {
            let Some(events) = self.log.after(position, (subscription.kept_from(), head)) else {
                return Placed::Behind;
            };
            subscription.push_events(events.take_while(|&(seq, _)| seq <= leaves.at));
        }
        self.end_subscriptions(|it| it.subscription.id == subscription.id);
        Placed::Live
    }

    /// Ends the subscriptions of users who are no longer in the room.
    pub(super) fn end_subscriptions(&mut self, is_over: impl Fn(&Follower) -> bool) {
        let handle = &self.handle;
        let epoch = Some(self.epoch);
        self.subscribers.retain(|_, subscriber| {
            // One that was opened anew in another epoch is not ended by what this log says.
            if subscriber.subscription.epoch() != epoch || !is_over(subscriber) {
                return true;
            }
            let subscription = &subscriber.subscription;
            subscription.end_removed();
            handle.forget_user(subscription.user());
            false
        });
    }
}
