//! Accounts.

use crate::email::Email;
use crate::ids::{LoginId, UserId};
use crate::limits;
use crate::mentions;
use crate::refusal::{FieldErrors, Refusal};
use crate::text;
use crate::timestamp::Timestamp;

/// Which notifications are also mailed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EmailNotifications {
    /// All of them.
    #[default]
    All,
    /// Mentions only.
    Mentions,
    /// None.
    None,
}

impl EmailNotifications {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Mentions => "mentions",
            Self::None => "none",
        }
    }

    /// Reads the word of the contract.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::All, Self::Mentions, Self::None].into_iter().find(|one| one.as_str() == text)
    }
}

/// An account as its owner sees it.
#[derive(Clone, Debug)]
pub struct User {
    /// The account's id.
    pub id: UserId,
    /// The address as shown.
    pub email: String,
    /// Whether the address has been proven.
    pub email_verified: bool,
    /// First name, may be empty.
    pub first_name: String,
    /// Last name, may be empty.
    pub last_name: String,
    /// Picture, if any.
    pub avatar_url: Option<String>,
    /// What is mailed.
    pub email_notifications: EmailNotifications,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The last sign-in.
    pub last_login: Option<Timestamp>,
}

/// One sign-in of a user on one device, as they see it.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its id: the `sid` of its tokens.
    pub id: LoginId,
    /// What signed in.
    pub user_agent: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_seen_at: Timestamp,
}

/// A valid new account.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// The address.
    pub email: Email,
    /// First name, may be empty.
    pub first_name: String,
    /// Last name, may be empty.
    pub last_name: String,
    /// Picture, if any.
    pub avatar_url: Option<String>,
}

/// Takes a first or last name: at most 100 characters, may be empty.
///
/// # Errors
/// A sentence for the client.
pub fn person_name(text: &str) -> Result<String, String> {
    text::label(text, 0, limits::PERSON_NAME_CHARS_MAX)
}

/// The keys by which an account is found, stored beside its names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameKeys {
    /// The first and last name that the keys were computed from, a line each. Names contain no line
    /// breaks.
    pub names: String,
    /// The name that mentions the account: see [`mentions::name_key`].
    pub mention: String,
    /// The [`text::identity`] of first and last name, for the search among members.
    pub name: String,
}

impl NameKeys {
    /// The keys of an account with this name.
    pub fn of(first_name: &str, last_name: &str) -> Self {
        Self {
            names: format!("{first_name}\n{last_name}"),
            mention: mentions::name_key(first_name, last_name),
            name: text::identity(format!("{first_name} {last_name}").trim()),
        }
    }
}

/// A search among members, which finds parts of names and addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberSearch {
    /// The part, in the form of [`NameKeys::name`].
    pub name: String,
    /// The part, in the form of [`Email::key`] and [`Email::unicode_key`]: `ß` is not `ss` there.
    pub email: String,
}

impl MemberSearch {
    /// A search for a part of a name or an address; nothing in it is a wildcard.
    pub fn of(text: &str) -> Self {
        Self { name: text::identity(text), email: text::nfc(&text.to_lowercase()) }
    }
}

/// Takes an avatar's URL.
///
/// # Errors
/// A sentence for the client.
pub fn avatar_url(text: &str) -> Result<String, String> {
    text::http_url(text, limits::AVATAR_URL_CHARS_MAX)
}

/// What a user changes about themselves. `None` leaves a field as it is.
#[derive(Clone, Debug, Default)]
pub struct UserChange {
    /// New first name.
    pub first_name: Option<String>,
    /// New last name.
    pub last_name: Option<String>,
    /// New picture; `Some(None)` removes it.
    pub avatar_url: Option<Option<String>>,
    /// What is mailed from now on.
    pub email_notifications: Option<EmailNotifications>,
}

impl UserChange {
    /// Whether nothing would change.
    pub fn is_empty(&self) -> bool {
        self.first_name.is_none()
            && self.last_name.is_none()
            && self.avatar_url.is_none()
            && self.email_notifications.is_none()
    }
}

/// The fault of an e-mail field as a refusal.
pub fn email_fault(fault: String) -> Refusal {
    Refusal::ValidationFailed(FieldErrors::one("email", fault))
}
