//! Fetching what a room's log misses.

use std::time::Duration;

use domain::Seq;
use nats::bus::AskError;
use nats::rpc::{Events, EventsReply};
use tokio::time::Instant;

use super::actor::{Actor, End};
use super::log::Event;

impl Actor {
    pub(super) fn fetch(&mut self) {
        // Without a subscriber nobody waits for what is missing; the next starts the room anew.
        let Some(token) = self.next_token() else {
            self.end = Some(End::Idle);
            return;
        };
        let edge = self.edge.clone();
        let question = Events { token, room: self.room(), after: self.log.cursor().last() };
        self.fetching = Some(Box::pin(async move {
            let _slot = edge.fetches().acquire().await;
            edge.api().ask(&question).await
        }));
    }

    pub(super) fn fetched(&mut self, page: Result<EventsReply, AskError>) {
        self.fetching = None;
        let now = Instant::now();
        let page = match page {
            Ok(page) if page.epoch == self.epoch => page,
            // A change of the epoch is on its way here.
            Ok(_) => return self.repair.failed(now),
            // A refusal may be about the one user whose token was used; that a room is gone is said
            // by its head.
            Err(error) => {
                let room = self.room();
                tracing::debug!(room.id = %room, error = %error, "a gap of room {room} stays: {error}");
                self.repair.failed(now);
                return;
            }
        };
        let before = self.log.cursor().last();
        let mut events = Vec::new();
        self.log.note_head(page.last_seq);
        if page.first_seq > before.next() {
            self.skip(page.first_seq, page.last_seq, &mut events);
        }
        for envelope in page.events {
            self.log.offer(envelope.into(), &mut events);
        }
        self.deliver(&events);
        if self.log.cursor().last() == before {
            self.repair.failed(now);
        } else {
            self.repair.go_on(now);
        }
    }

    /// What is missing is no longer kept: clients load the room anew.
    fn skip(&mut self, first: Seq, last: Seq, events: &mut Vec<Event>) {
        let room = self.room();
        tracing::warn!(room.id = %room, "missed events of room {room} are no longer kept: resync");
        self.log.skip_to(Seq(first.0 - 1), events);
        for subscriber in self.subscribers.values().filter(|subscriber| subscriber.is_live) {
            if subscriber.subscription.position().next() < first {
                subscriber.subscription.resync(first, last);
            }
        }
        self.ask_members(Duration::ZERO);
    }
}
