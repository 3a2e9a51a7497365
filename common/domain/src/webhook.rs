//! Webhooks: addresses that hear of an organization's events.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::ids::{OrgId, WebhookId};
use crate::limits::WEBHOOK_SECRET_BYTES;
use crate::timestamp::Timestamp;

/// How a secret's text begins.
const SECRET_PREFIX: &str = "whsec_";

/// What a webhook can hear of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WebhookEvent {
    /// `message.created`
    MessageCreated,
    /// `message.updated`
    MessageUpdated,
    /// `message.deleted`
    MessageDeleted,
    /// `member.invited`
    MemberInvited,
    /// `member.joined`
    MemberJoined,
    /// `member.left`
    MemberLeft,
    /// `room.created`
    RoomCreated,
    /// `webhook.test`
    Test,
}

impl WebhookEvent {
    /// All there are.
    pub const ALL: [Self; 8] = [
        Self::MessageCreated,
        Self::MessageUpdated,
        Self::MessageDeleted,
        Self::MemberInvited,
        Self::MemberJoined,
        Self::MemberLeft,
        Self::RoomCreated,
        Self::Test,
    ];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MessageCreated => "message.created",
            Self::MessageUpdated => "message.updated",
            Self::MessageDeleted => "message.deleted",
            Self::MemberInvited => "member.invited",
            Self::MemberJoined => "member.joined",
            Self::MemberLeft => "member.left",
            Self::RoomCreated => "room.created",
            Self::Test => "webhook.test",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.as_str() == text)
    }
}

/// Takes the events that a webhook is to hear of: at least one, each once, in the order given.
///
/// # Errors
/// A sentence for the client.
pub fn webhook_events(words: &[String]) -> Result<Vec<WebhookEvent>, String> {
    let mut events = Vec::new();
    for word in words {
        let event = WebhookEvent::parse(word).ok_or_else(|| {
            let known = WebhookEvent::ALL.map(WebhookEvent::as_str).join(", ");
            format!("must hold nothing but {known}")
        })?;
        if !events.contains(&event) {
            events.push(event);
        }
    }
    if events.is_empty() { Err("must name at least one event".to_owned()) } else { Ok(events) }
}

/// A key that signs deliveries, as Standard Webhooks write it: `whsec_` and base64. Never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookSecret(Vec<u8>);

impl fmt::Debug for WebhookSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebhookSecret(***)")
    }
}

impl WebhookSecret {
    /// A secret of random bytes.
    pub fn from_random(bytes: [u8; 32]) -> Self {
        Self(bytes.to_vec())
    }

    /// Takes a secret's text.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bytes = text.strip_prefix(SECRET_PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
        match bytes {
            Some(bytes) if WEBHOOK_SECRET_BYTES.contains(&bytes.len()) => Ok(Self(bytes)),
            _ => Err(format!(
                "must be {SECRET_PREFIX} and base64 of {} to {} bytes",
                WEBHOOK_SECRET_BYTES.start(),
                WEBHOOK_SECRET_BYTES.end()
            )),
        }
    }

    /// The key.
    pub fn key(&self) -> &[u8] {
        &self.0
    }

    /// Its text: for its owner, once, and for the record.
    pub fn expose(&self) -> String {
        format!("{SECRET_PREFIX}{}", STANDARD.encode(&self.0))
    }
}

/// A webhook, as its organization's ADMINs see it: without its secret.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// The organization whose events it hears of.
    pub org: OrgId,
    /// Where deliveries go.
    pub url: String,
    /// What it hears of, as words of the contract.
    pub events: Vec<String>,
    /// Whether it hears of PRIVATE rooms too.
    pub include_private: bool,
    /// Whether anything is recorded for it.
    pub is_active: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When something was last attempted.
    pub last_triggered: Option<Timestamp>,
    /// Why it was disabled.
    pub disabled_reason: Option<String>,
}

/// A webhook as the members of a PRIVATE room see it, whose events it is sent.
#[derive(Clone, Debug)]
pub struct CoveringWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Where it delivers. Its path may be a secret: show [`Self::host`].
    pub url: String,
    /// Whether it is active.
    pub is_active: bool,
    /// When it was created.
    pub created_at: Timestamp,
}

impl CoveringWebhook {
    /// The host that it delivers to, with its port where the URL has one.
    pub fn host(&self) -> &str {
        let rest = self.url.split_once("://").map_or("", |(_, rest)| rest);
        rest.split(['/', '?', '#']).next().unwrap_or_default()
    }
}

/// A valid new webhook.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Where deliveries go.
    pub url: String,
    /// What it hears of.
    pub events: Vec<WebhookEvent>,
    /// Whether it hears of PRIVATE rooms too.
    pub include_private: bool,
    /// Whether anything is recorded for it.
    pub is_active: bool,
    /// What signs.
    pub secret: WebhookSecret,
}

/// What changes of a webhook; `None` leaves it.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where deliveries go.
    pub url: Option<String>,
    /// What it hears of.
    pub events: Option<Vec<WebhookEvent>>,
    /// Whether it hears of PRIVATE rooms too.
    pub include_private: Option<bool>,
    /// Whether anything is recorded for it.
    pub is_active: Option<bool>,
}

/// A delivery, as its webhook's list shows it.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The event's id, the same for every webhook and on every retry.
    pub event: String,
    /// Its place among the webhook's deliveries: 1, 2, 3, … without gaps.
    pub sequence: i64,
    /// The event's type.
    pub event_type: String,
    /// `pending`, `retrying`, `sent` or `failed`.
    pub status: String,
    /// Attempts after the first.
    pub retries: i32,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// The last attempt.
    pub last_attempt_at: Option<Timestamp>,
    /// The next attempt.
    pub next_attempt_at: Option<Timestamp>,
    /// The HTTP status of the last attempt that was answered.
    pub last_status_code: Option<i32>,
    /// Why the last attempt failed.
    pub last_error: Option<String>,
    /// The very bytes that are delivered; where they were asked for.
    pub payload: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{WebhookSecret, webhook_events};

    #[test]
    fn a_secret_has_24_to_64_bytes() {
        use base64::Engine;
        let text = |bytes: usize| {
            let key = vec![7; bytes];
            format!("whsec_{}", base64::engine::general_purpose::STANDARD.encode(key))
        };
        for bytes in [24, 32, 64] {
            assert_eq!(WebhookSecret::parse(&text(bytes)).unwrap().expose(), text(bytes));
        }
        for wrong in [text(23), text(65), text(32)[6..].to_owned(), "whsec_???".to_owned()] {
            assert!(WebhookSecret::parse(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn events_are_known_words_each_once() {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let events = webhook_events(&words(&["room.created", "webhook.test", "room.created"]));
        assert_eq!(events.unwrap().len(), 2);
        assert!(webhook_events(&words(&["room.created", "message.reacted"])).is_err());
        assert!(webhook_events(&[]).is_err());
    }
}
