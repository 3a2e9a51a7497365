//! The people of a room, as its task sees them: who is in it, and who of them is online.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use domain::event::EventKind;
use domain::{RoomId, UserId};
use nats::bus::AskError;
use nats::rpc::{MEMBERS_MAX, Members, UserToken};
use tokio::sync::broadcast;

use super::actor::Actor;
use super::log::Event;
use crate::Edge;
use crate::frame::Text;
use crate::presence::Changes;
use crate::subscription::Subscription;

/// The pause before members that could not be asked for are asked for again.
const MEMBERS_RETRY: Duration = Duration::from_secs(1);

impl Actor {
    pub(super) fn greet(&mut self, subscription: &Subscription) {
        self.handle.note_user(subscription.user());
        let news = self.roster.greet(subscription.user(), self.edge.presence());
        for subscriber in self.subscribers.values() {
            if subscriber.subscription.id != subscription.id {
                for text in &news {
                    subscriber.subscription.push_live(text);
                }
            }
        }
        if self.roster.is_loaded() {
            subscription.push_live(&self.roster.list());
        } else if self.asking_members.is_none() {
            self.ask_members(Duration::ZERO);
        }
    }

    pub(super) fn membership_changed(&mut self, events: &[Event]) {
        for event in events {
            match event.kind {
                Some(kind @ (EventKind::MemberJoined | EventKind::MemberLeft)) => {
                    let is_member = kind == EventKind::MemberJoined;
                    let news = self.roster.moved(event.user, is_member, self.edge.presence());
                    self.tell(&news);
                }
                // People come with it that no event names.
                Some(EventKind::RoomUpdated) => self.ask_members(Duration::ZERO),
                _ => {}
            }
        }
    }

    /// Asks for the members, with a subscriber's token; without a subscriber nobody needs them,
    /// and the next one asks.
    pub(super) fn ask_members(&mut self, pause: Duration) {
        let Some(token) = self.next_token() else {
            self.asking_members = None;
            return self.roster.unload();
        };
        self.roster.begin_load();
        let (edge, room) = (self.edge.clone(), self.room());
        self.asking_members = Some(Box::pin(async move {
            tokio::time::sleep(pause).await;
            all_members(&edge, token, room).await
        }));
    }

    /// The token of a subscriber, each time of the next one: if one is refused, another may do.
    pub(super) fn next_token(&mut self) -> Option<UserToken> {
        let count = self.subscribers.len();
        self.token_turn = self.token_turn.wrapping_add(1);
        let mut turn = self.subscribers.values().filter(|it| !it.subscription.has_ended());
        let turn = turn.nth(self.token_turn.checked_rem(count)?);
        let any = || self.subscribers.values().find(|it| !it.subscription.has_ended());
        turn.or_else(any).map(|follower| follower.subscription.socket.token())
    }

    pub(super) fn members_came(&mut self, members: Result<HashSet<UserId>, AskError>) {
        self.asking_members = None;
        let Ok(members) = members else {
            return self.ask_members(MEMBERS_RETRY);
        };
        let is_first = !self.roster.is_loaded();
        let mut news = self.roster.load(members, self.edge.presence());
        if is_first {
            news = vec![self.roster.list()];
        }
        self.tell(&news);
    }

    pub(super) fn presence_changed(
        &mut self,
        batch: Result<Arc<Changes>, broadcast::error::RecvError>,
    ) {
        let news = match batch {
            Ok(changes) => self.roster.change(&changes),
            Err(_) => self.roster.refresh(self.edge.presence()),
        };
        self.tell(&news);
    }

    pub(super) fn tell(&self, frames: &[Text]) {
        for subscriber in self.subscribers.values() {
            for text in frames {
                subscriber.subscription.push_live(text);
            }
        }
    }
}

async fn all_members(
    edge: &Edge,
    token: UserToken,
    room: RoomId,
) -> Result<HashSet<UserId>, AskError> {
    let _slot = edge.fetches().acquire().await;
    let mut members = HashSet::new();
    let mut after = UserId::NOWHERE;
    loop {
        let page = edge.bus().ask(&Members { token: token.clone(), room, after }).await?.users;
        let is_full = page.len() >= MEMBERS_MAX;
        after = page.last().copied().unwrap_or(after);
        members.extend(page);
        if !is_full {
            return Ok(members);
        }
    }
}
