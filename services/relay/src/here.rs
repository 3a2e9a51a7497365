//! `@here`: those members of a room who are online when the event is planned. Asked over NATS, so
//! before the transaction.

use std::collections::HashMap;

use domain::{RoomId, UserId};
use store::queries::outbox::LogPlace;
use store::queries::room_members::members_of;

use crate::Relay;
use crate::plan::{Here, Planned};

/// People who are asked for at once.
pub(crate) const ASKED_AT_ONCE: usize = 256;

/// Who is online of the rooms of those events that ask for it.
pub(crate) async fn who_is_here(relay: &Relay, events: &[Planned]) -> store::Result<Here> {
    let mut online: HashMap<RoomId, Vec<UserId>> = HashMap::new();
    let mut here = Here::new();
    for event in events {
        let LogPlace::Room(room, _) = event.place else { continue };
        if !event.mentions_here || event.is_crowd() {
            continue;
        }
        let people = match online.get(&room) {
            Some(people) => people.clone(),
            None => relay.bus.online_of(members(relay, room).await?, ASKED_AT_ONCE).await,
        };
        online.insert(room, people.clone());
        here.insert(event.place, people);
    }
    Ok(here)
}

async fn members(relay: &Relay, room: RoomId) -> store::Result<Vec<UserId>> {
    members_of(&mut *relay.store.read().await?, room).await
}
