//! Typed ids: a room's id can never be passed where a user's is meant.
//!
//! The one place of this crate where serde, sqlx and utoipa derives are allowed.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text is no id: not a plain decimal number in 1..2⁶³-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be an integer from 1 to 9223372036854775807")]
pub struct NotAnId;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
            sqlx::Type, utoipa::ToSchema,
        )]
        #[serde(transparent)]
        #[sqlx(transparent)]
        #[schema(value_type = i64, minimum = 1, example = 1)]
        pub struct $name(pub i64);

        impl $name {
            /// The id that no row bears. A path id outside 1..2⁶³-1 becomes this one, so that it
            /// is looked up, and not found, at the same point as any other id.
            pub const NOWHERE: Self = Self(0);

            /// Takes a number that a client sent: `None` outside 1..2⁶³-1.
            pub fn from_client(id: i64) -> Option<Self> {
                (id > 0).then_some(Self(id))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<i64> for $name {
            fn from(id: i64) -> Self {
                Self(id)
            }
        }

        impl FromStr for $name {
            type Err = NotAnId;

            /// Plain digits alone, 1..2⁶³-1: no sign, no blanks.
            fn from_str(text: &str) -> Result<Self, NotAnId> {
                if !text.bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(NotAnId);
                }
                text.parse().ok().and_then(Self::from_client).ok_or(NotAnId)
            }
        }
    )*};
}

ids! {
    /// A person's account.
    UserId;
    /// One sign-in of a user on one device; the `sid` of its tokens.
    LoginId;
    /// An organization.
    OrgId;
    /// A user's membership of an organization.
    OrgMemberId;
    /// An invitation into an organization.
    InviteId;
    /// A webhook: an address that hears of an organization's events.
    WebhookId;
    /// A delivery of one event to one webhook.
    DeliveryId;
    /// A notification.
    NotificationId;
    /// A mail.
    MailId;
    /// A record of what was removed.
    PurgeId;
    /// A room, direct messages included.
    RoomId;
    /// A user's membership of a room.
    RoomMemberId;
    /// A message. Within a room, ids rise with `seq`.
    MessageId;
    /// A place in the log of one room or organization: 1, 2, 3, … without gaps.
    Seq;
}

/// The history that the numbers of a deployment belong to. Clients see 16 hexadecimal digits and
/// must read nothing from them. It changes when acknowledged events may have been lost.
///
/// The default is [`Epoch::UNNAMED`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Epoch(u64);

impl Epoch {
    /// Characters of an epoch's text.
    const CHARS: usize = 16;

    /// Stands for the epoch in a message between nodes that names none: its sender is of a version
    /// that knew no epochs.
    pub const UNNAMED: Self = Self(0);

    /// One for tables and documents.
    pub const EXAMPLE: Self = Self(0x4a3f_9c01_b2d7_4e58);

    /// Reads the text of an epoch; `None` for a text that is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_one = text.len() == Self::CHARS && text.bytes().all(is_hex);
        is_one.then(|| u64::from_str_radix(text, 16).ok().map(Self)).flatten()
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Epoch {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Epoch {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("not an epoch"))
    }
}

impl Seq {
    /// The place right after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}
