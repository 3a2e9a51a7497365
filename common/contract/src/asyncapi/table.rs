//! The table of frames: what each is called in the document, where it travels, and what it says.

/// The type that a frame's schema comes from; with it goes the frame's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// `ClientFrame`: from clients.
    Client,
    /// `ServerFrame`: what an edge writes itself.
    Server,
    /// `EventFrame`: durable events.
    Event,
    /// `LiveFrame`: what the api pushes to people and rooms.
    Live,
}

/// The sockets that a frame travels on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sockets {
    /// A room's own socket, and a socket of several rooms.
    Both,
    /// A socket of several rooms only.
    Rooms,
}

/// One frame of the document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame {
    /// The message's key in the document.
    pub key: &'static str,
    /// The frame's `type`.
    pub kind: &'static str,
    pub source: Source,
    pub sockets: Sockets,
    pub summary: &'static str,
}

macro_rules! frames {
    ($($key:literal = $source:ident $kind:literal on $sockets:ident: $summary:literal;)*) => {
        /// Every frame, in the order of the document.
        pub(super) const FRAMES: &[Frame] = &[$(Frame {
            key: $key,
            kind: $kind,
            source: Source::$source,
            sockets: Sockets::$sockets,
            summary: $summary,
        },)*];
    };
}

frames! {
    "client.subscribe" = Client "subscribe" on Rooms:
        "Follow a room on a multi-room socket, or with `rooms` up to 200 at once, each answered by itself. `after` replays every durable event with a greater `seq` first; 0 is everything kept. `epoch` says which history `after` belongs to: another than the present one is answered with `resync`.";
    "client.unsubscribe" = Client "unsubscribe" on Rooms:
        "Follow a room no longer.";
    "client.message" = Client "message" on Both:
        "Send a message. Needs membership, not a subscription; answered with `ack` or `error`.";
    "client.typing" = Client "typing" on Both:
        "Say that you type, or have stopped.";
    "client.read" = Client "read" on Both:
        "Move your read marker forward.";
    "client.auth" = Client "auth" on Both:
        "Present a new access token of the same user.";
    "client.ping" = Client "ping" on Both:
        "Ask for a `pong`.";
    "server.connection" = Server "connection" on Both:
        "The first frame. `room`, `last_seq` and `epoch` on a room's socket only.";
    "server.subscribed" = Server "subscribed" on Rooms:
        "The subscription has begun; the replay, if any, follows.";
    "server.unsubscribed" = Server "unsubscribed" on Rooms:
        "No frame of the room follows.";
    "server.resync" = Server "resync" on Both:
        "What you have of the room is not continued: drop it and load it by REST; live events follow from `last_seq`. With another `epoch` than before, all that you hold by `seq` is void, of every room.";
    "server.ack" = Server "ack" on Both:
        "Your message is on disk.";
    "server.error" = Server "error" on Both:
        "Something you asked for was refused; the socket stays.";
    "server.warning" = Server "warning" on Both:
        "`rate_limit_near` (nothing was dropped) or `token_expiring` (60 s before 4001).";
    "server.authenticated" = Server "authenticated" on Both:
        "The new token is accepted.";
    "server.pong" = Server "pong" on Both:
        "The answer to `ping`.";
    "server.message.created" = Event "message" on Both:
        "A message was sent. (`type` is `message`.)";
    "server.message.updated" = Event "message.updated" on Both:
        "A message was edited or reacted to: `seq` is that of the change.";
    "server.message.deleted" = Event "message.deleted" on Both:
        "A message was deleted: `seq` is that of the change.";
    "server.member.joined" = Event "member.joined" on Both:
        "Someone joined the room.";
    "server.member.left" = Event "member.left" on Both:
        "Someone left the room.";
    "server.room.updated" = Event "room.updated" on Both:
        "The room was changed: `changes` holds the changed fields only.";
    "server.typing.seen" = Server "typing" on Both:
        "Someone else types, or has stopped. (`type` is `typing`.)";
    "server.presence" = Server "presence" on Both:
        "A member came online or went offline.";
    "server.presence.snapshot" = Server "presence.snapshot" on Both:
        "Who of the room is online, including yourself.";
    "server.read.seen" = Live "read" on Both:
        "Someone's read marker moved; `unread_count` in the reader's own copies only. (`type` is `read`.)";
    "server.notification" = Live "notification" on Both:
        "A notification for you.";
    "server.room.added" = Live "room.added" on Both:
        "You are in another room now.";
    "server.room.removed" = Live "room.removed" on Both:
        "You are no longer in a room.";
    "server.room.settings" = Live "room.settings" on Both:
        "You changed your own settings of a room.";
    "server.room.deleted" = Live "room.deleted" on Both:
        "The room was deleted; a room's own socket closes with 4003.";
}
