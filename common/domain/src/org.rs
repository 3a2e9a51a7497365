//! Organizations, their members and invites.

use crate::access::Role;
use crate::email::Email;
use crate::ids::{InviteId, OrgId, OrgMemberId, UserId};
use crate::limits::ORG_NAME_CHARS_MAX;
use crate::text;
use crate::timestamp::Timestamp;

/// An organization as one of its members sees it.
#[derive(Clone, Debug)]
pub struct Org {
    /// Its id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The caller's role in it.
    pub role: Role,
}

/// A member of an organization.
#[derive(Clone, Debug)]
pub struct OrgMember {
    /// The membership's id.
    pub id: OrgMemberId,
    /// The organization.
    pub org: OrgId,
    /// The person.
    pub user: UserId,
    /// Their address.
    pub email: String,
    /// Whether they have proven it.
    pub email_verified: bool,
    /// Their first name.
    pub first_name: String,
    /// Their last name.
    pub last_name: String,
    /// Their role.
    pub role: Role,
    /// Since when.
    pub joined_at: Timestamp,
}

/// An open invite. Its token is kept as a hash alone.
#[derive(Clone, Debug)]
pub struct Invite {
    /// Its id.
    pub id: InviteId,
    /// The address it was sent to.
    pub email: String,
    /// The role it gives.
    pub role: Role,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// A valid new invite.
#[derive(Clone, Debug)]
pub struct NewInvite {
    /// Whom to invite.
    pub email: Email,
    /// The role it gives.
    pub role: Role,
}

/// Takes an organization's name: 1..120 characters.
///
/// # Errors
/// A sentence for the client.
pub fn org_name(text: &str) -> Result<String, String> {
    text::label(text, 1, ORG_NAME_CHARS_MAX)
}
