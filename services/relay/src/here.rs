//! `@here`: those members of a room who were online when it was said, where an api has recorded
//! that because this relay was late; else those who are online now. A relay that has just started
//! waits until it knows who is, so this comes before the transaction.

use std::collections::{HashMap, HashSet};

use domain::{RoomId, Seq, UserId};
use store::queries::here_said::here_said;
use store::queries::outbox::LogPlace;
use store::queries::room_members::members_of;

use crate::Relay;
use crate::plan::{Here, Planned};

/// Who is online of the rooms of those events that ask for it.
pub(crate) async fn who_is_here(relay: &Relay, events: &[Planned]) -> store::Result<Here> {
    let mut online: HashMap<RoomId, Vec<UserId>> = HashMap::new();
    let asking = events.iter().filter(|event| event.mentions_here && !event.is_crowd());
    let places: Vec<(RoomId, Seq)> = asking.filter_map(Planned::in_room).collect();
    if places.is_empty() {
        return Ok(Here::new());
    }
    let recorded = here_said(&mut *relay.store.read().await?, &places).await?;
    let mut here: Here = recorded.into_iter().collect();
    for (room, seq) in places {
        let place = LogPlace::Room(room, seq);
        if here.contains_key(&place) {
            continue;
        }
        let people = match online.get(&room) {
            Some(people) => people.clone(),
            None => relay.presence.online_of(members(relay, room).await?).await,
        };
        online.insert(room, people.clone());
        here.insert(place, people);
    }
    Ok(here)
}

/// Those of some members of a room who are meant by the `@here` of one event.
pub(crate) async fn here_of(
    relay: &Relay,
    place: (RoomId, Seq),
    members: &[UserId],
) -> store::Result<Vec<UserId>> {
    let recorded = here_said(&mut *relay.store.read().await?, &[place]).await?;
    match recorded.into_values().next() {
        Some(users) => {
            let users: HashSet<UserId> = users.into_iter().collect();
            Ok(members.iter().filter(|member| users.contains(member)).copied().collect())
        }
        None => Ok(relay.presence.online_of(members.to_vec()).await),
    }
}

async fn members(relay: &Relay, room: RoomId) -> store::Result<Vec<UserId>> {
    members_of(&mut *relay.store.read().await?, room).await
}
