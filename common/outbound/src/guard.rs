//! Whether an address may be reached.

use std::net::IpAddr;
use std::sync::Arc;

use domain::OrgId;
use ipnet::IpNet;

use crate::address::is_public;
use crate::names::Names;
use crate::target::Target;

/// Endings of names that are for use inside of networks alone.
const PRIVATE_ENDINGS: [&str; 7] =
    ["localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa"];

/// An address that may not be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// It is, or its name means, an address that is not public.
    #[error("the host is not a public address")]
    NotPublic,
    /// The name has no address.
    #[error("the host's name cannot be resolved")]
    Unresolved,
}

/// Says where connections may go: to public addresses, and into the networks that the operator
/// allows. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    allowed: Arc<[IpNet]>,
    names: Names,
}

impl Guard {
    /// A guard that also lets through to `allowed`.
    pub fn new(allowed: Vec<IpNet>, names: Names) -> Self {
        Self { allowed: allowed.into(), names }
    }

    /// Whether an address may be connected to.
    pub fn admits(&self, address: IpAddr) -> bool {
        let plain = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(&plain))
    }

    /// Whether a target may be given to us: it is, or resolves to, admitted addresses alone. A
    /// name that cannot be resolved now may be later, unless it is one for use inside of networks.
    /// This is a courtesy to whoever gives the target: connections are checked by themselves.
    /// Lookups count towards `org`.
    ///
    /// # Errors
    /// What is forbidden about it.
    pub async fn check(&self, target: &Target, org: OrgId) -> Result<(), Forbidden> {
        match self.addresses(target, org).await {
            Err(Forbidden::Unresolved) if !is_private_name(target.name()) => Ok(()),
            Err(Forbidden::Unresolved) => Err(Forbidden::NotPublic),
            other => other.map(|_| ()),
        }
    }

    /// The addresses that a connection to the target may go to.
    async fn addresses(&self, target: &Target, org: OrgId) -> Result<Arc<[IpAddr]>, Forbidden> {
        match target.ip() {
            Some(address) if self.admits(address) => Ok(Arc::new([address])),
            Some(_) => Err(Forbidden::NotPublic),
            None => self.resolve(target.name(), org).await,
        }
    }

    /// The addresses of a name, all of which are admitted.
    ///
    /// # Errors
    /// When one of them is not, or there is none.
    pub(crate) async fn resolve(&self, name: &str, org: OrgId) -> Result<Arc<[IpAddr]>, Forbidden> {
        let found = self.names.resolve(name, org).await;
        if found.is_empty() {
            return Err(Forbidden::Unresolved);
        }
        if found.iter().all(|&address| self.admits(address)) {
            Ok(found)
        } else {
            Err(Forbidden::NotPublic)
        }
    }

    /// Whether a target is an IP address that may not be connected to: such a host is never
    /// resolved, so the resolver cannot refuse it.
    pub(crate) fn refuses_literal(&self, target: &Target) -> bool {
        target.ip().is_some_and(|address| !self.admits(address))
    }
}

/// Whether a name is for use inside of networks alone: one label, or a reserved ending.
fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    !name.contains('.')
        || PRIVATE_ENDINGS
            .iter()
            .any(|ending| name.strip_suffix(ending).is_some_and(|head| head.ends_with('.')))
}
