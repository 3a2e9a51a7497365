//! What an edge asks an api over request/reply, queue group `api`.
//!
//! Each verb is one pair of types; an answer is the reply or a [`Refused`]. Frames inside a
//! reply are raw JSON: an edge passes them on without parsing them.
//!
//! **Invariant:** a question that acts or reads for a user names no user. It carries the user's
//! access token ([`UserToken`]), which the api verifies: an edge acts only for its own users.

use std::sync::Arc;
use std::time::Duration;

use domain::{Epoch, FieldErrors, LoginId, MessageId, Refusal, RoomId, Seq, Timestamp, UserId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The queue group of the api nodes.
pub const QUEUE_GROUP: &str = "api";

/// A question and the type of its answer.
pub trait Question: Serialize + DeserializeOwned + Send + Sync {
    /// The last token of the subject.
    const VERB: &'static str;
    /// How long the asker waits.
    const DEADLINE: Duration;
    /// What is answered.
    type Reply: Serialize + DeserializeOwned + Send;

    /// The epoch that the numbers in a reply belong to; `None` where it has none.
    fn epoch_of(_: &mut Self::Reply) -> Option<&mut Epoch> {
        None
    }
}

macro_rules! questions {
    ($($question:ident $verb:literal $seconds:literal => $reply:ident $($epoch:ident)?;)*) => {$(
        impl Question for $question {
            const VERB: &'static str = $verb;
            const DEADLINE: Duration = Duration::from_secs($seconds);
            type Reply = $reply;

            $(fn epoch_of(reply: &mut $reply) -> Option<&mut Epoch> {
                Some(&mut reply.$epoch)
            })?
        }
    )*};
}

questions! {
    Keys "keys" 5 => KeysReply;
    Open "open" 5 => OpenReply epoch;
    Events "events" 5 => EventsReply epoch;
    Heads "heads" 5 => HeadsReply epoch;
    Post "post" 10 => PostReply;
    Fallen "fallen" 5 => FallenReply epoch;
    Read "read" 5 => ReadReply;
    Revoked "revoked" 5 => RevokedReply;
    Members "members" 5 => MembersReply;
    Profile "profile" 5 => ProfileReply;
}

/// A question that acts or reads for the user whose token it carries.
pub trait UserQuestion: Question {
    /// The token.
    fn token(&mut self) -> &mut UserToken;
}

macro_rules! user_questions {
    ($($question:ident)*) => {$(
        impl UserQuestion for $question {
            fn token(&mut self) -> &mut UserToken {
                &mut self.token
            }
        }
    )*};
}

user_questions! { Open Events Post Read Members Profile }

/// A user's access token, as proof of the user for whom an edge asks. Its `Debug` hides it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserToken(Arc<str>);

impl UserToken {
    /// The text of the token; never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<&str> for UserToken {
    fn from(token: &str) -> Self {
        Self(token.into())
    }
}

impl std::fmt::Debug for UserToken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserToken")
    }
}

/// The public keys that sign access tokens.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Keys {}

/// The JWK set (RFC 7517), as `/.well-known/jwks.json` serves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeysReply {
    /// The set.
    pub jwks: serde_json::Value,
}

/// Who a user is, for the `connection` frame.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Profile {
    /// The user. An older edge sends none, which is refused as `unauthenticated`.
    #[serde(default)]
    pub token: UserToken,
}

/// The user's address.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProfileReply {
    /// As shown.
    pub email: String,
}

/// May this user follow this room, and where does its log stand?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The user.
    #[serde(default)]
    pub token: UserToken,
    /// The room.
    pub room: RoomId,
}

/// What is kept of a room's log.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct LogEnds {
    /// The first event that is kept.
    pub first_seq: Seq,
    /// The last event.
    pub last_seq: Seq,
}

/// Yes, and this is what is kept. Refused with `not_a_member` or `not_found`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct OpenReply {
    /// The log. Its fields stand beside the epoch, where an edge of an older version looks for them.
    #[serde(flatten)]
    pub log: LogEnds,
    /// The history that it belongs to.
    #[serde(default)]
    pub epoch: Epoch,
}

/// The events of a room after a place, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Events {
    /// The room.
    pub room: RoomId,
    /// Any user of the edge who is subscribed to the room. One who has just left it gets the
    /// events up to their own `member.left`.
    #[serde(default)]
    pub token: UserToken,
    /// The place.
    pub after: Seq,
}

/// A page of at most 200 events and 512 KiB (one event at least, where there is one).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventsReply {
    /// The history that they belong to.
    #[serde(default)]
    pub epoch: Epoch,
    /// The first event that is kept.
    pub first_seq: Seq,
    /// The last event when the page was read.
    pub last_seq: Seq,
    /// The events, contiguous from `after` + 1, or from `first_seq` if that is later.
    pub events: Vec<EventEnvelope>,
}

/// A frame with what an edge must know of it: on the log subject the same travels as headers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventEnvelope {
    /// Its place.
    pub seq: Seq,
    /// Its kind, equal to the frame's `type`.
    pub kind: String,
    /// The author; for a member event, who joined or left.
    pub user: UserId,
    /// The `seq` of the message that it is about.
    pub message_seq: Option<Seq>,
    /// When it was committed.
    pub time: Timestamp,
    /// The frame's text.
    pub frame: Box<RawValue>,
}

/// Where do these rooms stand, and are these users still in them?
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heads {
    /// Active rooms of the edge, with their users there.
    pub rooms: Vec<RoomOnEdge>,
}

/// A room's users on one edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RoomOnEdge {
    /// The room.
    pub room: RoomId,
    /// Users who are subscribed to it there.
    pub users: Vec<UserId>,
}

/// One answer for each room that was named.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct HeadsReply {
    /// The history that they belong to.
    #[serde(default)]
    pub epoch: Epoch,
    /// In any order.
    pub rooms: Vec<Head>,
}

/// Where a room stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Head {
    /// The room.
    pub room: RoomId,
    /// Its first and last event; `None` when the room is gone.
    pub log: Option<LogEnds>,
    /// Which of the named users are not in it.
    pub not_members: Vec<UserId>,
}

/// A room's head is below an event that this edge had handed out before it asked: begin a new
/// epoch, if the room's row in Postgres says the same.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Fallen {
    /// The room.
    pub room: RoomId,
    /// The event.
    pub seen: Seq,
    /// The history in which it was seen.
    pub epoch: Epoch,
}

/// The epoch now: another than the asker's when it was believed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct FallenReply {
    /// The epoch.
    pub epoch: Epoch,
}

/// Send a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Post {
    /// The sender.
    #[serde(default)]
    pub token: UserToken,
    /// The room.
    pub room: RoomId,
    /// The frame as it came: the api reads the fields of the message from it.
    pub frame: Box<RawValue>,
}

/// The message is on disk.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct PostReply {
    /// Its id.
    pub id: MessageId,
    /// Its place.
    pub seq: Seq,
    /// Whether an earlier send with this nonce had made it.
    pub replayed: bool,
}

/// Mark a room as read up to a message.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Read {
    /// The reader.
    #[serde(default)]
    pub token: UserToken,
    /// The room.
    pub room: RoomId,
    /// The message.
    pub message: MessageId,
}

/// Done; the sockets learn it by `read` frames.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct ReadReply {}

/// Logins in one [`RevokedReply`]: far less than NATS carries in one message.
pub const REVOKED_MAX: usize = 5_000;

/// Logins revoked within the lifetime of an access token, a page of them by id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Revoked {
    /// Ids greater than this alone: the last of the page before.
    pub after: LoginId,
}

/// The logins. Also the payload of `chat.revoked`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokedReply {
    /// Each with the time until which its access tokens could live, by id; more may follow when
    /// there are [`REVOKED_MAX`].
    pub logins: Vec<RevokedLogin>,
}

/// One revoked login.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct RevokedLogin {
    /// Its id.
    pub login: LoginId,
    /// When the last of its access tokens expires.
    pub until: Timestamp,
}

/// Who is in a room? For rosters: an edge knows who is online, not who is where.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Members {
    /// Any user of the edge who is in the room.
    #[serde(default)]
    pub token: UserToken,
    /// The room.
    pub room: RoomId,
    /// Members with a greater id.
    pub after: UserId,
}

/// At most 50,000 members by ascending id; a full page says that there may be more.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MembersReply {
    /// Their ids.
    pub users: Vec<UserId>,
}

/// Members in one [`MembersReply`].
pub const MEMBERS_MAX: usize = 50_000;

/// A heartbeat of an edge: who is online there. Sent at every change (gathered for some
/// milliseconds) as a delta, as a full list every 30 s and when asked, and at least every 3 s.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Heartbeat {
    /// The edge.
    pub edge: String,
    /// Counts the heartbeats of this edge from 1: a gap means that one was lost.
    pub number: u64,
    /// What it says.
    #[serde(rename = "roster")]
    pub update: PresenceUpdate,
}

/// What a heartbeat says of who is online on its edge.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PresenceUpdate {
    /// The changes since the last heartbeat.
    Delta {
        /// Users whose first socket was opened.
        online: Vec<UserId>,
        /// Users whose last socket was closed.
        offline: Vec<UserId>,
    },
    /// Nothing changed.
    #[serde(rename = "same")]
    Unchanged,
    /// Part `part` of `parts` of the full list, beginning with part 0.
    #[serde(rename = "whole")]
    Full {
        /// Which part.
        part: u32,
        /// Of how many.
        parts: u32,
        /// At most [`crate::presence::HEARTBEAT_USERS_MAX`] users.
        online: Vec<UserId>,
    },
    /// The edge stops: nobody is online there any more.
    #[serde(rename = "gone")]
    Leaving,
}

/// A refusal as it travels.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// The stable word of the contract.
    pub code: String,
    /// A sentence for the client.
    pub detail: String,
    /// Faults by field.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errors: Option<std::collections::BTreeMap<String, Vec<String>>>,
    /// Milliseconds after which to try again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            code: refusal.code().to_owned(),
            detail: refusal.to_string(),
            errors: refusal.field_errors().map(FieldErrors::to_map),
            retry_after_ms: match refusal {
                Refusal::RateLimited { retry_after } => u64::try_from(retry_after.as_millis()).ok(),
                _ => None,
            },
        }
    }
}

/// An answer: the reply, or why not.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// The reply.
    Ok(T),
    /// Why not.
    Refused(Refused),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a node of a version without epochs sends and expects.
    const WITHOUT_EPOCH: &str = r#"{"first_seq":3,"last_seq":9}"#;

    #[test]
    fn a_reply_without_an_epoch_is_read() {
        let opened: OpenReply = serde_json::from_str(WITHOUT_EPOCH).expect("a reply");
        assert_eq!((opened.log.last_seq, opened.epoch), (Seq(9), Epoch::UNNAMED));
        let events = r#"{"first_seq":3,"last_seq":9,"events":[]}"#;
        let events: EventsReply = serde_json::from_str(events).expect("a reply");
        assert_eq!(events.epoch, Epoch::UNNAMED);
        let heads = r#"{"rooms":[{"room":1,"log":{"first_seq":3,"last_seq":9},"not_members":[]}]}"#;
        let heads: HeadsReply = serde_json::from_str(heads).expect("a reply");
        assert_eq!(heads.epoch, Epoch::UNNAMED);
    }

    #[test]
    fn an_older_edge_finds_the_log_where_it_was() {
        let log = LogEnds { first_seq: Seq(3), last_seq: Seq(9) };
        let opened = OpenReply { log, epoch: Epoch::EXAMPLE };
        let text = serde_json::to_string(&opened).expect("JSON");
        let log: LogEnds = serde_json::from_str(&text).expect("the log");
        assert_eq!((log.first_seq, log.last_seq), (Seq(3), Seq(9)));
        assert_eq!(serde_json::from_str::<OpenReply>(&text).expect("itself").epoch, opened.epoch);
    }
}
