//! What is mailed, and what each mail says.

use crate::access::Role;
use crate::ids::{MailId, MessageId, RoomId, UserId};
use crate::timestamp::Timestamp;

/// A kind of mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailKind {
    /// What someone missed.
    Digest,
    /// An invite into an organization.
    OrgInvite,
    /// The link to a new password.
    PasswordReset,
    /// The link that proves an address.
    VerifyEmail,
    /// To ADMINs: a webhook fails.
    WebhookFailing,
    /// To ADMINs: a webhook has been disabled.
    WebhookDisabled,
}

impl MailKind {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Digest,
        Self::OrgInvite,
        Self::PasswordReset,
        Self::VerifyEmail,
        Self::WebhookFailing,
        Self::WebhookDisabled,
    ];

    /// The word in the record, in subjects and in metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Digest => "digest",
            Self::OrgInvite => "org_invite",
            Self::PasswordReset => "password_reset",
            Self::VerifyEmail => "verify_email",
            Self::WebhookFailing => "webhook_failing",
            Self::WebhookDisabled => "webhook_disabled",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// A mail that is due.
#[derive(Clone, Copy, Debug)]
pub struct DueMail {
    /// The mail.
    pub id: MailId,
    /// Its kind.
    pub kind: MailKind,
    /// Whom it is for, if they have an account.
    pub user: Option<UserId>,
    /// Since when it is due.
    pub due_at: Timestamp,
    /// How often it was tried before.
    pub attempts: i32,
    /// When it was written.
    pub created_at: Timestamp,
}

/// A mail as it is handed to the mail server.
#[derive(Clone, Debug)]
pub struct HandedMail {
    /// The mail.
    pub id: MailId,
    /// Its kind.
    pub kind: MailKind,
    /// Where it goes.
    pub to_email: String,
    /// How often it was tried, this time included.
    pub attempts: i32,
    /// When it was written.
    pub created_at: Timestamp,
    /// What it says.
    pub letter: Letter,
}

/// What a mail says.
#[derive(Clone, Debug)]
pub enum Letter {
    /// What someone missed.
    Digest(Digest),
    /// An invite into an organization.
    OrgInvite {
        /// The organization.
        org_name: String,
        /// Who invites.
        inviter: String,
        /// The role that it gives.
        role: Role,
        /// What accepts it.
        token: Secret,
        /// Until when.
        expires_at: Timestamp,
    },
    /// The link to a new password.
    PasswordReset {
        /// What opens it.
        token: Secret,
    },
    /// The link that proves an address.
    VerifyEmail {
        /// The link's token.
        token: Secret,
    },
    /// A webhook fails, or has been disabled.
    Webhook {
        /// Whether it has been disabled.
        is_disabled: bool,
        /// The organization.
        org_name: String,
        /// Where it goes.
        url: String,
        /// What went wrong.
        reason: String,
        /// Failures in a row.
        failures: i64,
    },
}

/// A bearer token. Its debug output hides it, because that ends in logs.
#[derive(Clone)]
pub struct Secret(pub String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What someone missed.
#[derive(Clone, Debug)]
pub struct Digest {
    /// Who.
    pub user: UserId,
    /// How they are called; may be empty.
    pub first_name: String,
    /// What ends these mails, without a login.
    pub unsubscribe_token: Secret,
    /// The oldest first.
    pub items: Vec<Missed>,
}

/// One thing that someone missed.
#[derive(Clone, Debug)]
pub struct Missed {
    /// `mention`, `dm` and the contract's other types.
    pub notification_type: String,
    /// What it is, in a line.
    pub title: String,
    /// Its text as it is now.
    pub text: String,
    /// Who wrote it; empty where nobody did.
    pub author: String,
    /// Where it is.
    pub room: Option<RoomId>,
    /// The room's name; empty for a direct message.
    pub room_name: String,
    /// The organization's name.
    pub org_name: String,
    /// The message.
    pub message: Option<MessageId>,
    /// When.
    pub at: Timestamp,
}
