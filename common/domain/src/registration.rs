//! Who may register, whether addresses must be verified, and how many mails one account causes.

use std::fmt;

use crate::email::Email;
use crate::refusal::Refusal;

/// Who may create an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum RegistrationMode {
    /// Anyone; with permitted domains, their addresses and invited people only.
    #[default]
    Open,
    /// Invited people, and addresses of the permitted domains.
    Invite,
    /// Nobody.
    Closed,
}

impl RegistrationMode {
    /// All modes.
    pub const ALL: [Self; 3] = [Self::Open, Self::Invite, Self::Closed];

    /// The mode's name in settings and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Invite => "invite",
            Self::Closed => "closed",
        }
    }

    /// Reads a mode by its exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text)
    }
}

/// Whether a new account must prove its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EmailVerification {
    /// Until it does, it creates no organization, invites nobody, joins none and is not found by
    /// its address.
    Required,
    /// Addresses are believed, and shown as unverified.
    #[default]
    Off,
}

impl EmailVerification {
    /// Both settings.
    pub const ALL: [Self; 2] = [Self::Required, Self::Off];

    /// The setting's name in settings and answers.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Required => "required",
            Self::Off => "off",
        }
    }

    /// Reads a setting by its exact name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }

    /// Whether accounts must prove their address.
    pub fn is_required(self) -> bool {
        self == Self::Required
    }
}

/// The domain of e-mail addresses: lower case, punycode.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailDomain(String);

impl EmailDomain {
    /// Reads a domain, as `example.org`.
    ///
    /// # Errors
    /// A sentence for the operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a domain of the form example.org");
        let email = Email::parse(&format!("x@{}", text.trim())).map_err(|_| wrong())?;
        Ok(Self(email.domain().to_owned()))
    }

    /// The domain.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EmailDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The operator's rules for new accounts.
#[derive(Clone, Debug, Default)]
pub struct RegistrationPolicy {
    /// Who may register.
    pub mode: RegistrationMode,
    /// Domains whose addresses may register without an invite; exact, without subdomains.
    pub domains: Vec<EmailDomain>,
    /// Whether addresses must be verified.
    pub verification: EmailVerification,
}

impl RegistrationPolicy {
    /// Checks that an address may register; `has_invite`: with a valid invite for it.
    ///
    /// # Errors
    /// `RegistrationClosed`.
    pub fn admit(&self, email: &Email, has_invite: bool) -> Result<(), Refusal> {
        let is_permitted = self.domains.iter().any(|domain| domain.as_str() == email.domain());
        let is_admitted = match self.mode {
            RegistrationMode::Open => self.domains.is_empty() || is_permitted || has_invite,
            RegistrationMode::Invite => is_permitted || has_invite,
            RegistrationMode::Closed => false,
        };
        if is_admitted { Ok(()) } else { Err(Refusal::RegistrationClosed) }
    }

    /// Whether registration needs an invite, whatever the address.
    pub fn needs_invite(&self) -> bool {
        match self.mode {
            RegistrationMode::Open => false,
            RegistrationMode::Invite => self.domains.is_empty(),
            RegistrationMode::Closed => true,
        }
    }
}

/// How much one account, or one client, may cause; 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AbuseLimits {
    /// Invite mails of one account, and of one organization, per day (UTC).
    pub invite_mails: u32,
    /// Invite mails to one mailbox, from all organizations, per day (UTC).
    pub invite_mails_per_address: u32,
    /// Invite mails, and links that verify an address, that the requests of one client cause, per day
    /// (UTC).
    pub mails_per_client: u32,
    /// Organizations that one account may have created and not deleted.
    pub organizations: u32,
}

impl Default for AbuseLimits {
    fn default() -> Self {
        Self {
            invite_mails: 100,
            invite_mails_per_address: 3,
            mails_per_client: 500,
            organizations: 10,
        }
    }
}

impl AbuseLimits {
    /// No limits.
    pub const NONE: Self = Self {
        invite_mails: 0,
        invite_mails_per_address: 0,
        mails_per_client: 0,
        organizations: 0,
    };
}

#[cfg(test)]
mod tests {
    use super::{EmailDomain, EmailVerification, RegistrationMode, RegistrationPolicy};
    use crate::{Email, Refusal};

    #[test]
    fn modes_domains_and_invites_decide_who_registers() {
        let policy = |mode, domains: &[&str]| RegistrationPolicy {
            mode,
            domains: domains.iter().map(|one| EmailDomain::parse(one).unwrap()).collect(),
            verification: EmailVerification::Off,
        };
        let (corp, other) = (
            Email::parse("Ada@CORP.example").unwrap(),
            Email::parse("eve@sub.corp.example").unwrap(),
        );
        let admitted = |policy: &RegistrationPolicy| {
            [(&corp, false), (&other, false), (&other, true)].map(
                |(email, has_invite)| match policy.admit(email, has_invite) {
                    Ok(()) => true,
                    Err(refusal) => {
                        assert_eq!(refusal, Refusal::RegistrationClosed);
                        false
                    }
                },
            )
        };
        let domains = ["Corp.Example"];
        assert_eq!(admitted(&policy(RegistrationMode::Open, &[])), [true, true, true]);
        assert_eq!(admitted(&policy(RegistrationMode::Open, &domains)), [true, false, true]);
        assert_eq!(admitted(&policy(RegistrationMode::Invite, &[])), [false, false, true]);
        assert_eq!(admitted(&policy(RegistrationMode::Invite, &domains)), [true, false, true]);
        assert_eq!(admitted(&policy(RegistrationMode::Closed, &domains)), [false, false, false]);
    }

    #[test]
    fn domains_are_normalised_and_checked() {
        assert_eq!(
            EmailDomain::parse(" Bücher.Example ").unwrap().as_str(),
            "xn--bcher-kva.example"
        );
        for bad in ["", "corp", "@corp.example", "a@corp.example", "*.corp.example", "corp.1"] {
            assert!(EmailDomain::parse(bad).is_err(), "{bad}");
        }
    }
}
