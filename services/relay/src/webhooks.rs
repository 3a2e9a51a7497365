//! Which webhooks hear of an event, and the very text that they get.

use domain::event::What;
use domain::webhook::WebhookEvent;
use domain::{LogEvent, OrgId, Person, RoomId, Seq, Timestamp};
use nats::frames::{MessageView, RoomView};
use serde_json::{Value, json};
use store::actions::deliveries::Due;
use store::actions::outbox::Claimed;
use store::actions::plan_webhooks::{Payload, plan_webhooks};
use store::queries::outbox::LogPlace;
use store::queries::planning::{HeardRoom, events_at, heard_orgs, heard_rooms, role_now, room_now};
use store::{Result, Tx};

/// Records the deliveries of claimed events. Returns what is to be put on the queue once this is
/// committed.
pub(crate) async fn plan(tx: &mut Tx, claimed: &[Claimed], now: Timestamp) -> Result<Vec<Due>> {
    let mut payloads = of_rooms(tx, claimed).await?;
    payloads.extend(of_orgs(tx, claimed).await?);
    plan_webhooks(tx, &payloads, now).await
}

async fn of_rooms(tx: &mut Tx, claimed: &[Claimed]) -> Result<Vec<Payload>> {
    let places: Vec<(RoomId, Seq)> = claimed
        .iter()
        .filter_map(|event| match event.place {
            LogPlace::Room(room, seq) => Some((room, seq)),
            LogPlace::Org(..) => None,
        })
        .collect();
    let mut rooms: Vec<RoomId> = places.iter().map(|(room, _)| *room).collect();
    rooms.sort_unstable();
    rooms.dedup();
    if rooms.is_empty() {
        return Ok(Vec::new());
    }
    let heard = heard_rooms(tx.conn(), &rooms).await?;
    let places: Vec<_> = places.into_iter().filter(|(room, _)| heard.contains_key(room)).collect();
    if places.is_empty() {
        return Ok(Vec::new());
    }
    let mut payloads = Vec::new();
    for logged in events_at(tx.conn(), &places).await? {
        let Some(room) = heard.get(&logged.event.room) else { continue };
        if !logged.is_reaction {
            payloads.extend(of_room_event(tx, &logged.event, room).await?);
        }
    }
    Ok(payloads)
}

async fn of_room_event(tx: &mut Tx, event: &LogEvent, room: &HeardRoom) -> Result<Option<Payload>> {
    let about = json!({"id": event.room, "name": room.name});
    let (kind, data) = match &event.what {
        What::Message(message) | What::MessageUpdated(message) | What::MessageDeleted(message) => {
            let kind = match event.what {
                What::Message(_) => WebhookEvent::MessageCreated,
                What::MessageUpdated(_) => WebhookEvent::MessageUpdated,
                _ => WebhookEvent::MessageDeleted,
            };
            let message = MessageView::from(message.as_ref());
            (kind, json!({"message": message, "room": about, "org": room.org}))
        }
        What::MemberJoined(person) => {
            (WebhookEvent::MemberJoined, member(tx, (room.org, about), person).await?)
        }
        What::MemberLeft(person) => {
            (WebhookEvent::MemberLeft, member(tx, (room.org, about), person).await?)
        }
        What::RoomUpdated(_) => return Ok(None),
    };
    Ok(Some(Payload {
        event: format!("evt_r{}_{}", event.room, event.seq),
        org: room.org,
        event_type: kind.as_str(),
        is_private: room.is_private,
        body: body(kind, &json!(event.at), &data),
    }))
}

/// Who came or went; their role in the organization as it is now.
async fn member(tx: &mut Tx, (org, room): (OrgId, Value), person: &Person) -> Result<Value> {
    let role = role_now(tx.conn(), person.id, org).await?.map(domain::Role::as_str);
    Ok(json!({
        "scope": "room", "org": org, "room": room,
        "user": {"id": person.id, "email": person.email}, "email": person.email, "role": role,
    }))
}

async fn of_orgs(tx: &mut Tx, claimed: &[Claimed]) -> Result<Vec<Payload>> {
    let events: Vec<(OrgId, Seq, &Value)> = claimed
        .iter()
        .filter_map(|event| match event.place {
            LogPlace::Org(org, seq) => Some((org, seq, event.payload.as_ref()?)),
            LogPlace::Room(..) => None,
        })
        .collect();
    let mut orgs: Vec<OrgId> = events.iter().map(|(org, ..)| *org).collect();
    orgs.sort_unstable();
    orgs.dedup();
    if orgs.is_empty() {
        return Ok(Vec::new());
    }
    let heard = heard_orgs(tx.conn(), &orgs).await?;
    let mut payloads = Vec::new();
    for (org, seq, payload) in events.into_iter().filter(|(org, ..)| heard.contains(org)) {
        let kind = payload["type"].as_str().and_then(WebhookEvent::parse);
        let data = &payload["data"];
        let (data, is_private) = match kind {
            Some(WebhookEvent::RoomCreated) => {
                let Some(made) = room_created(tx, data).await? else { continue };
                made
            }
            Some(_) => (org_member(org, data), false),
            // Of a changed role no webhook hears.
            None => continue,
        };
        let Some(kind) = kind else { continue };
        payloads.push(Payload {
            event: format!("evt_o{org}_{seq}"),
            org,
            event_type: kind.as_str(),
            is_private,
            body: body(kind, &payload["created_at"], &data),
        });
    }
    Ok(payloads)
}

fn org_member(org: OrgId, data: &Value) -> Value {
    json!({
        "scope": "org", "org": org, "room": null,
        "user": data["user"], "email": data["email"], "role": data["role"],
    })
}

/// The room as it is now, and whether it is PRIVATE; nothing of one that is gone already, or of
/// direct messages.
async fn room_created(tx: &mut Tx, data: &Value) -> Result<Option<(Value, bool)>> {
    let id = RoomId(data["room"].as_i64().unwrap_or_default());
    let room = room_now(tx.conn(), id).await?.filter(|room| room.dm_users.is_none());
    Ok(room.map(|room| {
        let is_private = room.access_level == domain::AccessLevel::Private;
        (json!({"room": RoomView::from(&room)}), is_private)
    }))
}

fn body(kind: WebhookEvent, at: &Value, data: &Value) -> String {
    json!({"type": kind.as_str(), "timestamp": at, "data": data}).to_string()
}
