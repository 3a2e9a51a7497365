//! What webhooks get to hear of an event, and in which words (API, section 6).

use contract::messages::MessageView;
use contract::rooms::RoomView;
use domain::webhook::WebhookEvent;
use domain::{Message, MessageId, Person, Timestamp, UserId};
use serde_json::{Value, json};
use store::Tx;
use store::actions::deliveries::Due;
use store::actions::plan_webhooks::{Announcement, Occasion, announce as record, listeners};
use store::queries::facts::{Fact, Happened};
use store::queries::rooms::find_room;

/// Records for every webhook what it hears of facts, in their order.
pub(crate) async fn announce(
    tx: &mut Tx,
    facts: &[Fact],
    now: Timestamp,
) -> store::Result<Vec<Due>> {
    let heard: Vec<(&Fact, Occasion)> =
        facts.iter().filter_map(|fact| Some((fact, occasion(fact)?))).collect();
    let occasions: Vec<Occasion> = heard.iter().map(|(_, occasion)| *occasion).collect();
    let listeners = listeners(tx, &occasions).await?;
    let mut announcements = Vec::new();
    for (fact, occasion) in heard {
        if !listeners.iter().any(|listener| listener.hears(occasion)) {
            continue;
        }
        let Some(data) = data(tx, fact, now).await? else { continue };
        // Texts may be long: others on the same thread, and the time budget, have their turn.
        tokio::task::yield_now().await;
        let body = json!({"type": occasion.kind.as_str(), "timestamp": fact.at, "data": data});
        announcements.push(Announcement {
            event: fact.event.clone(),
            occasion,
            message: message(fact),
            user: user(fact),
            body: body.to_string(),
        });
    }
    record(tx, listeners, &announcements, now).await
}

/// What decides who hears of it; `None` for what none ever hears of.
fn occasion(fact: &Fact) -> Option<Occasion> {
    let kind = kind(fact)?;
    Some(Occasion {
        org: fact.org,
        kind,
        is_private: is_private(fact),
        version: fact.webhooks_version,
    })
}

/// What webhooks call it; `None` for what none ever hears of: direct messages, reactions.
fn kind(fact: &Fact) -> Option<WebhookEvent> {
    if fact.room.as_ref().is_some_and(|room| room.is_dm) {
        return None;
    }
    match &fact.what {
        Happened::Message(_) => Some(WebhookEvent::MessageCreated),
        Happened::Edited(_) => Some(WebhookEvent::MessageUpdated),
        Happened::Deleted(_) => Some(WebhookEvent::MessageDeleted),
        Happened::Joined { .. } => Some(WebhookEvent::MemberJoined),
        Happened::Left { .. } => Some(WebhookEvent::MemberLeft),
        Happened::Org { kind, .. } => {
            let told = [
                WebhookEvent::MemberInvited,
                WebhookEvent::MemberJoined,
                WebhookEvent::MemberLeft,
                WebhookEvent::RoomCreated,
            ];
            told.into_iter().find(|told| told.as_str() == kind)
        }
        Happened::Nothing => None,
    }
}

/// Whether it happened in a PRIVATE room, the making of one included.
fn is_private(fact: &Fact) -> bool {
    match (&fact.room, &fact.what) {
        (Some(room), _) => room.is_private,
        (None, Happened::Org { data, .. }) => {
            data.get("access_level").and_then(Value::as_str) == Some("PRIVATE")
        }
        (None, _) => false,
    }
}

/// The message that it is about.
fn message(fact: &Fact) -> Option<MessageId> {
    match &fact.what {
        Happened::Message(message) | Happened::Edited(message) | Happened::Deleted(message) => {
            Some(message.id)
        }
        _ => None,
    }
}

/// The person whose coming, going or being invited it is about.
fn user(fact: &Fact) -> Option<UserId> {
    match &fact.what {
        Happened::Joined { person, .. } | Happened::Left { person, .. } => Some(person.id),
        Happened::Org { data, .. } => data.get("user")?.get("id")?.as_i64().map(UserId::from),
        _ => None,
    }
}

/// The `data` of a delivery; `None` when what it is about is gone.
async fn data(tx: &mut Tx, fact: &Fact, now: Timestamp) -> store::Result<Option<Value>> {
    Ok(match &fact.what {
        Happened::Message(message) | Happened::Edited(message) | Happened::Deleted(message) => {
            Some(of_message(fact, message))
        }
        Happened::Joined { person, role, .. } | Happened::Left { person, role } => {
            Some(of_member(fact, person, role.as_deref()))
        }
        Happened::Org { kind, data } if kind == WebhookEvent::RoomCreated.as_str() => {
            let Some(id) = data.get("room").and_then(Value::as_i64) else { return Ok(None) };
            let room = find_room(tx.conn(), id.into(), None, now).await?;
            room.map(|room| json!({"room": RoomView::from(&room)}))
        }
        Happened::Org { data, .. } => Some(of_org(fact, data)),
        Happened::Nothing => None,
    })
}

fn of_message(fact: &Fact, message: &Message) -> Value {
    json!({"message": MessageView::from(message), "room": room(fact), "org": fact.org})
}

fn of_member(fact: &Fact, person: &Person, role: Option<&str>) -> Value {
    json!({
        "scope": "room", "org": fact.org, "room": room(fact),
        "user": {"id": person.id, "email": person.email}, "email": person.email, "role": role,
    })
}

fn of_org(fact: &Fact, data: &Value) -> Value {
    json!({
        "scope": "org", "org": fact.org, "room": null,
        "user": data.get("user"), "email": data.get("email"), "role": data.get("role"),
    })
}

fn room(fact: &Fact) -> Value {
    fact.room.as_ref().map_or(Value::Null, |room| json!({"id": room.id, "name": room.name}))
}
