//! Roles, access levels and the rules that follow from them.
//!
//! The database holds who is what; these functions say what that allows. Nothing else does.

use std::fmt;

/// What a person is in an organization. Ordered: a higher role may all that a lower one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Takes part.
    Member,
    /// Also makes rooms and invites people.
    Manager,
    /// Also governs the organization.
    Admin,
}

impl Role {
    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "MEMBER",
            Self::Manager => "MANAGER",
            Self::Admin => "ADMIN",
        }
    }

    /// In a sentence: "a manager".
    pub fn in_words(self) -> &'static str {
        match self {
            Self::Member => "a member",
            Self::Manager => "a manager",
            Self::Admin => "an admin",
        }
    }

    /// Reads the word of the contract, exactly as written there.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Member, Self::Manager, Self::Admin].into_iter().find(|role| role.as_str() == text)
    }

    /// Whether this role may make rooms and see or write invites.
    pub fn manages(self) -> bool {
        self >= Self::Manager
    }

    /// Whether this role may invite people as `role`: MANAGER and ADMIN, not above themselves.
    pub fn may_invite(self, role: Self) -> bool {
        self.manages() && role <= self
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who may be in a room without being invited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AccessLevel {
    /// Any member of the organization may join.
    Public,
    /// MANAGER and ADMIN may join; nobody below may be in it.
    ManagerOnly,
    /// By invitation alone.
    Private,
}

impl AccessLevel {
    /// Every level.
    pub const ALL: [Self; 3] = [Self::Public, Self::ManagerOnly, Self::Private];

    /// The word of the contract.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Public => "PUBLIC",
            Self::ManagerOnly => "MANAGER_ONLY",
            Self::Private => "PRIVATE",
        }
    }

    /// Reads the word of the contract, exactly as written there.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }

    /// Whether someone of `role` may join by themselves.
    pub fn may_join(self, role: Role) -> bool {
        match self {
            Self::Public => true,
            Self::ManagerOnly => role.manages(),
            Self::Private => false,
        }
    }

    /// Whether someone of `role` may be a member at all, invited or not.
    pub fn admits(self, role: Role) -> bool {
        match self {
            Self::Public | Self::Private => true,
            Self::ManagerOnly => role.manages(),
        }
    }
}

/// Where a person stands towards a room, as the record has it under the room's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The person's role in the room's organization; `None` for a stranger.
    pub role: Option<Role>,
    /// Whether the person is a member of the room.
    pub is_member: bool,
    /// Whether the person made the room.
    pub is_creator: bool,
    /// Whether the room is a direct message.
    pub is_dm: bool,
    /// The room's access level.
    pub access_level: AccessLevel,
}

impl Standing {
    /// Whether the person may know that the room exists: its members, who may join it, and the
    /// organization's ADMINs, who see everything but direct messages.
    pub fn sees(self) -> bool {
        let Some(role) = self.role else { return false };
        self.is_member || (!self.is_dm && (self.access_level.may_join(role) || role == Role::Admin))
    }

    /// Whether the person may join by themselves.
    pub fn may_join(self) -> bool {
        !self.is_dm && self.role.is_some_and(|role| self.access_level.may_join(role))
    }

    /// Whether the person may change or delete the room and remove its members: an ADMIN, a
    /// MANAGER who is in it or may join it, the creator while a member. Never in a direct message.
    pub fn may_change(self) -> bool {
        if self.is_dm {
            return false;
        }
        match self.role {
            Some(Role::Admin) => true,
            Some(Role::Manager) => self.is_member || self.may_join(),
            Some(Role::Member) => self.is_member && self.is_creator,
            None => false,
        }
    }

    /// Whether the person may invite others: the creator or a MANAGER or ADMIN, being a member.
    pub fn may_invite(self) -> bool {
        !self.is_dm && self.is_member && (self.is_creator || self.role.is_some_and(Role::manages))
    }

    /// Whether the person may delete other people's messages.
    pub fn may_moderate(self) -> bool {
        !self.is_dm && self.is_member && self.role.is_some_and(Role::manages)
    }
}
