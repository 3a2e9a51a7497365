//! Subjects and headers, spelled here and nowhere else.

use domain::{Epoch, LoginId, OrgId, RoomId, UserId, WebhookId};

/// Header: the event's place in its room's or organization's log.
pub const HEADER_SEQ: &str = "Chat-Seq";
/// Header: the event's or frame's kind, equal to the frame's `type`.
pub const HEADER_KIND: &str = "Chat-Kind";
/// Header: the author; for a member event, who joined or left; for a push, its user.
pub const HEADER_USER: &str = "Chat-User";
/// Header: the `seq` of the message that an edit or delete is about.
pub const HEADER_MESSAGE_SEQ: &str = "Chat-Message-Seq";
/// Header: when the event was committed.
pub const HEADER_TIME: &str = "Chat-Time";
/// Header: the epoch in which the event was committed.
pub const HEADER_EPOCH: &str = "Chat-Epoch";
/// Header of an answer: the api node that gives it.
pub const HEADER_NODE: &str = "Chat-Node";
/// Header: which login or socket a frame came from, so that it is not sent back there.
pub const HEADER_ORIGIN: &str = "Chat-Origin";

/// The subjects of one deployment: all begin with its prefix (`chat`), so that several
/// deployments, or tests, can share one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subjects {
    prefix: String,
}

/// What a subject of the stream ROOMS is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogSubject {
    /// An event of a room.
    Room(RoomId),
    /// An event of an organization.
    Org(OrgId),
}

impl Subjects {
    /// The subjects under a prefix.
    pub fn new(prefix: impl Into<String>) -> Self {
        Self { prefix: prefix.into() }
    }

    /// The prefix of every subject.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The name of a stream or consumer of this deployment: bare for the prefix `chat`.
    pub fn scoped(&self, name: &str) -> String {
        if self.prefix == "chat" { name.to_owned() } else { format!("{}-{name}", self.prefix) }
    }

    /// A room's durable events.
    pub fn room_log(&self, room: RoomId) -> String {
        format!("{}.room.{room}.log", self.prefix)
    }

    /// A room's ephemeral frames: typing, receipts, deletion of the room.
    pub fn room_live(&self, room: RoomId) -> String {
        format!("{}.room.{room}.live", self.prefix)
    }

    /// All of a room.
    pub fn room_all(&self, room: RoomId) -> String {
        format!("{}.room.{room}.*", self.prefix)
    }

    /// The sweep's repeats of a room's events, for the relay alone.
    pub fn room_again(&self, room: RoomId) -> String {
        format!("{}.again.{room}", self.prefix)
    }

    /// An organization's durable events.
    pub fn org_log(&self, org: OrgId) -> String {
        format!("{}.org.{org}.log", self.prefix)
    }

    /// Pushes to one user as edges of an older version hear them. On the subject of
    /// [`UserId::NOWHERE`] nobody listens: for round trips.
    pub fn user(&self, user: UserId) -> String {
        format!("{}.user.{user}", self.prefix)
    }

    /// Revoked logins.
    pub fn revoked(&self) -> String {
        format!("{}.revoked", self.prefix)
    }

    /// What api nodes have counted against limits.
    pub fn limits(&self) -> String {
        format!("{}.limits", self.prefix)
    }

    /// A question to any api node.
    pub fn rpc(&self, verb: &str) -> String {
        format!("{}.rpc.{verb}", self.prefix)
    }

    /// A question to one api node.
    pub fn rpc_of_node(&self, node: &str, verb: &str) -> String {
        format!("{}.node.{node}.{verb}", self.prefix)
    }

    /// Every question to any api node.
    pub fn rpc_all(&self) -> String {
        format!("{}.rpc.*", self.prefix)
    }

    /// An edge's heartbeats: who is online there.
    pub fn edge_heartbeat(&self, edge: &str) -> String {
        format!("{}.edge.{edge}.beat", self.prefix)
    }

    /// Every edge's heartbeats.
    pub fn edge_heartbeats(&self) -> String {
        format!("{}.edge.*.beat", self.prefix)
    }

    /// Pushes to users of one edge; the header [`HEADER_USER`] names the user.
    pub fn edge_push(&self, edge: &str) -> String {
        format!("{}.edge.{edge}.push", self.prefix)
    }

    /// Pushes to users of any edge, for all edges.
    pub fn edge_push_all(&self) -> String {
        self.edge_push("all")
    }

    /// What edges have counted against the budgets of users.
    pub fn edge_counts(&self) -> String {
        format!("{}.edge.all.counts", self.prefix)
    }

    /// A question to every edge to tell at once who is online there.
    pub fn edge_full_sync(&self) -> String {
        format!("{}.edge.roll.call", self.prefix)
    }

    /// What the stream ROOMS captures.
    pub fn rooms_stream(&self) -> Vec<String> {
        vec![
            format!("{}.room.*.log", self.prefix),
            format!("{}.org.*.log", self.prefix),
            format!("{}.again.*", self.prefix),
        ]
    }

    /// Deliveries to one webhook that are due.
    pub fn webhook_work(&self, webhook: WebhookId) -> String {
        format!("{}.work.webhook.{webhook}", self.prefix)
    }

    /// What the stream WEBHOOKS captures.
    pub fn webhook_work_all(&self) -> String {
        format!("{}.work.webhook.*", self.prefix)
    }

    /// Mails of one kind that are due.
    pub fn mail_work(&self, kind: &str) -> String {
        format!("{}.work.mail.{kind}", self.prefix)
    }

    /// What the stream NOTIFICATIONS captures.
    pub fn mail_work_all(&self) -> String {
        format!("{}.work.mail.*", self.prefix)
    }

    /// What a subject of ROOMS is about; `None` for a subject that is none of its.
    pub fn parse_log(&self, subject: &str) -> Option<LogSubject> {
        let mut parts = subject.strip_prefix(&self.prefix)?.strip_prefix('.')?.split('.');
        let about = match (parts.next()?, parts.next()?) {
            ("room", id) if parts.next() == Some("log") => LogSubject::Room(id.parse().ok()?),
            ("org", id) if parts.next() == Some("log") => LogSubject::Org(id.parse().ok()?),
            ("again", id) => LogSubject::Room(id.parse().ok()?),
            _ => return None,
        };
        parts.next().is_none().then_some(about)
    }

    /// Whether a subject is a room's `live`.
    pub fn is_live(subject: &str) -> bool {
        subject.rsplit('.').next() == Some("live")
    }

    /// The verb of a question's subject.
    pub fn rpc_verb(subject: &str) -> Option<&str> {
        subject.rsplit('.').next()
    }
}

/// The id by which JetStream drops a repeat of a room's event. It names the epoch: after a restore
/// another event may have the same place, and must not be dropped.
pub fn room_message_id(room: RoomId, seq: domain::Seq, epoch: Option<Epoch>) -> String {
    scoped_to(epoch, format!("{room}:{seq}"))
}

/// The id by which JetStream drops a repeat of an organization's event.
pub fn org_message_id(org: OrgId, seq: domain::Seq, epoch: Option<Epoch>) -> String {
    scoped_to(epoch, format!("org-{org}:{seq}"))
}

fn scoped_to(epoch: Option<Epoch>, id: String) -> String {
    match epoch {
        Some(epoch) => format!("{epoch}-{id}"),
        None => id,
    }
}

/// A login's id as it stands in a header.
pub fn login_header(login: LoginId) -> String {
    login.to_string()
}
