//! Organizations, their members, invites and retention.

use std::collections::BTreeMap;

use domain::org::{Invite, Org, OrgMember};
use domain::retention::{Purge, Retention};
use domain::{InviteId, OrgId, OrgMemberId, PurgeId, Timestamp, UserId};
use serde::Serialize;
use utoipa::ToSchema;

/// An organization, as the caller sees it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Organization)]
pub struct OrgView {
    /// The organization's id.
    pub id: OrgId,
    /// Its name.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The caller's role in it: `ADMIN`, `MANAGER` or `MEMBER`.
    pub role: &'static str,
}

impl From<Org> for OrgView {
    fn from(org: Org) -> Self {
        Self { id: org.id, name: org.name, created_at: org.created_at, role: org.role.as_str() }
    }
}

/// A member of an organization.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = OrganizationMember)]
pub struct OrgMemberView {
    /// The membership's id.
    pub id: OrgMemberId,
    /// The organization.
    pub org: OrgId,
    /// The person.
    pub user: UserId,
    /// Their address.
    pub user_email: String,
    /// Whether they have proven it.
    pub user_email_verified: bool,
    /// Their first name, may be empty.
    pub user_first_name: String,
    /// Their last name, may be empty.
    pub user_last_name: String,
    /// `ADMIN`, `MANAGER` or `MEMBER`.
    pub role: &'static str,
    /// Since when.
    pub joined_at: Timestamp,
}

impl From<OrgMember> for OrgMemberView {
    fn from(member: OrgMember) -> Self {
        Self {
            id: member.id,
            org: member.org,
            user: member.user,
            user_email: member.email,
            user_email_verified: member.email_verified,
            user_first_name: member.first_name,
            user_last_name: member.last_name,
            role: member.role.as_str(),
            joined_at: member.joined_at,
        }
    }
}

/// A member's role.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = ChangedRole)]
pub struct ChangedRoleView {
    /// The organization.
    pub org_id: OrgId,
    /// The member.
    pub user_id: UserId,
    /// `ADMIN`, `MANAGER` or `MEMBER`.
    pub role: &'static str,
}

/// A new invite, with the token that is shown this once.
#[derive(Clone, Serialize, ToSchema)]
#[schema(as = NewInvite)]
pub struct NewInviteView {
    /// The invite's id.
    pub id: InviteId,
    /// What the invited person accepts it with, for you to hand over. Another one is mailed: that
    /// one also proves their address, this one does not.
    pub token: String,
    /// The invited address.
    pub email: String,
    /// The role that it gives.
    pub role: &'static str,
    /// Until when it can be accepted: 7 days.
    pub expires_at: Timestamp,
}

/// An open invite. Its token is not known here.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Invite)]
pub struct InviteView {
    /// The invite's id.
    pub id: InviteId,
    /// The invited address.
    pub email: String,
    /// The role that it gives.
    pub role: &'static str,
    /// When it was made.
    pub created_at: Timestamp,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

impl From<Invite> for InviteView {
    fn from(invite: Invite) -> Self {
        Self {
            id: invite.id,
            email: invite.email,
            role: invite.role.as_str(),
            created_at: invite.created_at,
            expires_at: invite.expires_at,
        }
    }
}

/// What an invite is for.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = InviteDetails)]
pub struct InviteDetailsView {
    /// The organization.
    pub org_id: OrgId,
    /// Its name.
    pub org_name: String,
    /// Name of the inviter.
    pub invited_by: String,
    /// The invited address.
    pub email: String,
    /// The role that it gives.
    pub role: &'static str,
    /// Until when it can be accepted.
    pub expires_at: Timestamp,
}

/// What was accepted.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = AcceptedInvite)]
pub struct AcceptedInviteView {
    /// A sentence for people.
    pub detail: &'static str,
    /// The organization.
    pub org_id: OrgId,
    /// The caller's role in it now.
    pub role: &'static str,
}

/// How long an organization's messages are kept.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Retention)]
pub struct RetentionView {
    /// Days that its ADMINs have set; null for what the operator has.
    pub retention_days: Option<i32>,
    /// The days that hold: the fewer of both; null where all is kept.
    pub effective_days: Option<i32>,
    /// Whether nothing is removed for now, and no room nor the organization can be deleted.
    pub legal_hold: bool,
}

impl From<Retention> for RetentionView {
    fn from(retention: Retention) -> Self {
        Self {
            retention_days: retention.days,
            effective_days: retention.effective_days(),
            legal_hold: retention.legal_hold,
        }
    }
}

/// What one run of the janitor removed of an organization.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Purge)]
pub struct PurgeView {
    /// The record's id.
    pub id: PurgeId,
    /// When the first batch was removed.
    pub started_at: Timestamp,
    /// When the last was.
    pub ended_at: Timestamp,
    /// How many of each kind: `messages`, `events`, `notifications`, …
    pub removed: BTreeMap<String, i64>,
}

impl From<Purge> for PurgeView {
    fn from(purge: Purge) -> Self {
        Self {
            id: purge.id,
            started_at: purge.started_at,
            ended_at: purge.ended_at,
            removed: purge.removed,
        }
    }
}
