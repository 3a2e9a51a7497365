//! Accounts, their logins and tokens.

use domain::user::User;
use domain::{LoginId, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

/// An account as its owner sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = User)]
pub struct UserView {
    /// The account's id.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// Whether the address is proven: by a mailed link.
    pub email_verified: bool,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// A picture.
    pub avatar_url: Option<String>,
    /// What is mailed: `all`, `mentions` or `none`.
    pub email_notifications: &'static str,
    /// When the account was made.
    pub created_at: Timestamp,
    /// The last sign-in.
    pub last_login: Option<Timestamp>,
}

impl From<User> for UserView {
    fn from(user: User) -> Self {
        Self {
            id: user.id,
            email: user.email,
            email_verified: user.email_verified,
            first_name: user.first_name,
            last_name: user.last_name,
            avatar_url: user.avatar_url,
            email_notifications: user.email_notifications.as_str(),
            created_at: user.created_at,
            last_login: user.last_login,
        }
    }
}

/// An account as others see it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Profile)]
pub struct ProfileView {
    /// The account's id.
    pub id: UserId,
    /// The address.
    pub email: String,
    /// May be empty.
    pub first_name: String,
    /// May be empty.
    pub last_name: String,
    /// A picture.
    pub avatar_url: Option<String>,
}

/// The operator's rules for new accounts.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = RegistrationRules)]
pub struct RegistrationView {
    /// `open`: anyone; with `domains`, their addresses and invited people only. `invite`: invited
    /// people and addresses of `domains`. `closed`: nobody.
    #[schema(example = "open")]
    pub mode: &'static str,
    /// Domains whose addresses may register without an invite.
    pub domains: Vec<String>,
    /// `required`: a new account must prove its address before it creates organizations, invites or
    /// joins, unless it registers with a mailed invite. `off`: it need not.
    #[schema(example = "off")]
    pub email_verification: &'static str,
}

/// What a client signs its requests with, and what it renews that with.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = Tokens)]
pub struct TokensView {
    /// A JWT for `Authorization: Bearer`; lives 15 minutes unless the operator says otherwise.
    pub access: String,
    /// For `/auth/token/refresh/`; lives 7 days from now unless the operator says otherwise.
    pub refresh: String,
}

/// The tokens of a new login, and one for this device.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = SignedIn)]
pub struct SignedInView {
    #[expect(missing_docs, reason = "it would describe the flattened fields in the document")]
    #[serde(flatten)]
    pub tokens: TokensView,
    /// Opaque. Keep it on the device, also after signing out, and send it with the next sign-in to
    /// this account. It authorizes nothing by itself, and expires a year after its last use.
    pub device_token: String,
}

/// A login: one sign-in on one device.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Session)]
pub struct SessionView {
    /// The login's id, the `sid` of its tokens.
    pub sid: LoginId,
    /// What signed in; may be empty.
    pub user_agent: String,
    /// When it signed in.
    pub created_at: Timestamp,
    /// When it was last used, give or take a minute.
    pub last_seen: Timestamp,
    /// Whether this request came with it.
    pub current: bool,
}
