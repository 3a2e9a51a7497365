//! Notifications: whom an event concerns, and whether they are told.

use std::fmt;

use crate::ids::{Epoch, InviteId, MessageId, NotificationId, OrgId, RoomId, Seq, UserId};
use crate::room::Notify;
use crate::timestamp::Timestamp;
use crate::user::EmailNotifications;

/// An event's id, the same everywhere: in webhooks, notifications and decisions. It is made of the
/// event's place and the epoch in which it was committed, so that planning an event again makes no
/// other, and an event that got the place of one that was lost has an id of its own. Clients must
/// read nothing from it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(String);

impl EventId {
    /// The id of an event in a room's log, committed in `epoch`.
    pub fn of_room(room: RoomId, seq: Seq, epoch: Option<Epoch>) -> Self {
        Self::of(epoch, format_args!("r{room}_{seq}"))
    }

    /// The id of an event in an organization's log, committed in `epoch`.
    pub fn of_org(org: OrgId, seq: Seq, epoch: Option<Epoch>) -> Self {
        Self::of(epoch, format_args!("o{org}_{seq}"))
    }

    fn of(epoch: Option<Epoch>, place: fmt::Arguments<'_>) -> Self {
        match epoch {
            Some(epoch) => Self(format!("evt_{epoch}_{place}")),
            // Committed by a version that knew no epochs.
            None => Self(format!("evt_{place}")),
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a notification is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NotificationType {
    /// The person was mentioned.
    Mention,
    /// A direct message without a mention.
    Dm,
    /// An invite into an organization.
    OrgInvite,
    /// Someone brought the person into a room.
    RoomInvite,
    /// The person's role was changed.
    RoleChange,
}

impl NotificationType {
    /// Every type.
    pub const ALL: [Self; 5] =
        [Self::Mention, Self::Dm, Self::OrgInvite, Self::RoomInvite, Self::RoleChange];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Mention => "mention",
            Self::Dm => "dm",
            Self::OrgInvite => "org_invite",
            Self::RoomInvite => "room_invite",
            Self::RoleChange => "role_change",
        }
    }

    /// Whether a mail may tell of it too. An invite into an organization has a mail of its own.
    pub fn is_mailed(self) -> bool {
        self != Self::OrgInvite
    }

    /// Reads the word of the contract.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether a room's setting keeps it from a member.
    pub fn is_muted_by(self, notify: Notify) -> bool {
        match notify {
            Notify::All => false,
            Notify::Mentions => self == Self::Dm,
            Notify::None => matches!(self, Self::Mention | Self::Dm),
        }
    }

    /// Whether a person's setting of mails lets it through.
    pub fn passes(self, setting: EmailNotifications) -> bool {
        match setting {
            EmailNotifications::All => true,
            EmailNotifications::Mentions => self == Self::Mention,
            EmailNotifications::None => false,
        }
    }
}

/// Why somebody is not told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Suppression {
    /// They had read it.
    Read,
    /// They are online.
    Online,
    /// They muted the room.
    Muted,
    /// The message is deleted.
    Deleted,
    /// They want no mail of this kind.
    Preference,
    /// They were mailed a moment ago.
    Rate,
}

impl Suppression {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Online => "online",
            Self::Muted => "muted",
            Self::Deleted => "deleted",
            Self::Preference => "preference",
            Self::Rate => "rate",
        }
    }
}

/// What is known of someone whom an event concerns when it is planned.
#[derive(Clone, Copy, Debug)]
pub struct Candidate {
    /// What it would be.
    pub kind: NotificationType,
    /// Their setting of the room; `None` where the event has none.
    pub notify: Option<Notify>,
    /// Their setting of mails.
    pub email: EmailNotifications,
    /// Whether they have read past it.
    pub has_read: bool,
    /// Whether the message is deleted.
    pub is_deleted: bool,
}

/// What is decided for someone when an event is planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Not told at all.
    Suppressed(Suppression),
    /// Told in the app; not by mail, for a reason that holds already.
    AppAlone(Option<Suppression>),
    /// Told in the app; whether by mail is decided when that is due.
    AppAndPerhapsMail,
}

impl Candidate {
    /// Decides.
    pub fn judge(self) -> Verdict {
        let is_muted = self.notify.is_some_and(|notify| self.kind.is_muted_by(notify));
        if self.is_deleted {
            Verdict::Suppressed(Suppression::Deleted)
        } else if is_muted {
            Verdict::Suppressed(Suppression::Muted)
        } else if self.has_read {
            Verdict::Suppressed(Suppression::Read)
        } else if !self.kind.is_mailed() {
            Verdict::AppAlone(None)
        } else if !self.kind.passes(self.email) {
            Verdict::AppAlone(Some(Suppression::Preference))
        } else {
            Verdict::AppAndPerhapsMail
        }
    }
}

/// A notification, as its owner sees it.
#[derive(Clone, Debug)]
pub struct Notification {
    /// Its id.
    pub id: NotificationId,
    /// One line.
    pub title: String,
    /// What it says; of a message, its text as it is now.
    pub message: String,
    /// What it is about, a word of the contract.
    pub kind: String,
    /// Whether it was read.
    pub is_read: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was read.
    pub read_at: Option<Timestamp>,
    /// What it points at.
    pub data: Pointer,
}

/// What a notification points at. Never an invite's token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pointer {
    /// The organization.
    pub org: OrgId,
    /// The room.
    pub room: Option<RoomId>,
    /// The message.
    pub message: Option<MessageId>,
    /// The invite.
    pub invite: Option<InviteId>,
    /// Whose doing it is.
    pub by: UserId,
}

/// Why somebody was, or was not, told of an event on a channel.
#[derive(Clone, Debug)]
pub struct Decision {
    /// The event.
    pub event: String,
    /// `app` or `email`.
    pub channel: String,
    /// `sent` or `suppressed`.
    pub outcome: String,
    /// Why it was suppressed.
    pub reason: Option<String>,
    /// The message that the event is about.
    pub message: Option<MessageId>,
    /// When.
    pub decided_at: Timestamp,
}

/// Characters of a message that a notification shows.
const EXCERPT_CHARS: usize = 280;

/// The beginning of a message's text.
pub fn excerpt(body: &str) -> String {
    if body.is_empty() {
        return "A file".to_owned();
    }
    let mut chars = body.char_indices().inspect(|_| crate::steps::count(1));
    match chars.nth(EXCERPT_CHARS) {
        Some((end, _)) => format!("{}…", &body[..end]),
        None => body.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Candidate, EXCERPT_CHARS, NotificationType, Suppression, Verdict, excerpt};
    use crate::room::Notify;
    use crate::user::EmailNotifications;

    const MENTION: Candidate = Candidate {
        kind: NotificationType::Mention,
        notify: Some(Notify::All),
        email: EmailNotifications::All,
        has_read: false,
        is_deleted: false,
    };

    #[test]
    fn a_muted_room_is_silent_and_mentions_pass_where_they_are_wanted() {
        let muted = Candidate { notify: Some(Notify::None), ..MENTION };
        assert_eq!(muted.judge(), Verdict::Suppressed(Suppression::Muted));
        let mentions = Candidate { notify: Some(Notify::Mentions), ..MENTION };
        assert_eq!(mentions.judge(), Verdict::AppAndPerhapsMail);
        let dm = Candidate { kind: NotificationType::Dm, ..mentions };
        assert_eq!(dm.judge(), Verdict::Suppressed(Suppression::Muted));
    }

    #[test]
    fn what_is_read_or_deleted_is_told_to_nobody() {
        let read = Candidate { has_read: true, ..MENTION };
        assert_eq!(read.judge(), Verdict::Suppressed(Suppression::Read));
        let deleted = Candidate { is_deleted: true, ..read };
        assert_eq!(deleted.judge(), Verdict::Suppressed(Suppression::Deleted));
    }

    #[test]
    fn mails_follow_the_setting_and_an_invite_has_one_of_its_own() {
        let dm = Candidate { kind: NotificationType::Dm, ..MENTION };
        let picky = Candidate { email: EmailNotifications::Mentions, ..dm };
        assert_eq!(picky.judge(), Verdict::AppAlone(Some(Suppression::Preference)));
        let invite = Candidate { kind: NotificationType::OrgInvite, notify: None, ..MENTION };
        assert_eq!(invite.judge(), Verdict::AppAlone(None));
    }

    #[test]
    fn an_excerpt_takes_few_steps_of_any_text() {
        for (name, text) in crate::steps::worst::texts() {
            let steps = crate::steps::of(|| excerpt(&text));
            assert!(steps <= EXCERPT_CHARS + 1, "{name}: {steps} steps");
            assert!(excerpt(&text).chars().count() <= EXCERPT_CHARS + 1);
        }
    }
}
