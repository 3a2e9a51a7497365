//! E-mail addresses as the contract compares them.

use std::fmt;

use crate::limits::EMAIL_CHARS_MAX;

/// A valid address: ASCII local part as typed, domain in lower case, IDN as punycode (RFC 3492).
/// Two addresses are the same when they are equal without ASCII case: compare [`Email::key`].
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Email(String);

impl Email {
    /// Reads an address that a client sent.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let invalid = || "must be a valid e-mail address".to_owned();
        let (local, domain) = text.rsplit_once('@').ok_or_else(invalid)?;
        let is_local = !local.is_empty()
            && local.len() <= 64
            && local
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~.-".contains(&b))
            && !local.starts_with('.')
            && !local.ends_with('.')
            && !local.contains("..");
        let domain = idna::domain_to_ascii_strict(domain).map_err(|_| invalid())?;
        let is_domain = domain.contains('.')
            && domain.len() <= 253
            && domain.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            })
            && domain
                .rsplit('.')
                .next()
                .is_some_and(|top| !top.bytes().all(|b| b.is_ascii_digit()));
        if !is_local || !is_domain {
            return Err(invalid());
        }
        let address = format!("{local}@{domain}");
        if address.len() > EMAIL_CHARS_MAX {
            return Err(format!("must have at most {EMAIL_CHARS_MAX} characters"));
        }
        Ok(Self(address))
    }

    /// The address as it is shown.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The part after the `@`, in lower case.
    pub fn domain(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, domain)| domain)
    }

    /// [`Email::key`] with the domain in Unicode (UTS 46), for searches; `None` where the domain is
    /// ASCII: `max@bücher.example` for `max@xn--bcher-kva.example`.
    pub fn unicode_key(&self) -> Option<String> {
        let (local, domain) = self.0.rsplit_once('@')?;
        let unicode = idna::domain_to_unicode(domain).0;
        (unicode != domain).then(|| format!("{}@{unicode}", local.to_ascii_lowercase()))
    }

    /// What the addresses of one mailbox share: [`Email::key`] without a detail behind `+`
    /// (subaddresses, RFC 5233), which most mail servers deliver to the same mailbox. For limits:
    /// who owns an address is decided by [`Email::key`].
    pub fn mailbox_key(&self) -> String {
        let key = self.key();
        match key.rsplit_once('@') {
            Some((local, domain)) => {
                let user = local.split('+').next().filter(|user| !user.is_empty());
                format!("{}@{domain}", user.unwrap_or(local))
            }
            None => key,
        }
    }

    /// What two equal addresses share: all in lower case.
    pub fn key(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Email {
    /// Addresses are personal: debug output, which ends in logs, does not show them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Email(…)")
    }
}
