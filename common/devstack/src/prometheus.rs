//! Debian's Prometheus for the tests of the alerts.

use std::path::PathBuf;

use anyhow::Context;

use crate::{install, system};

/// Its programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The server, which scrapes and evaluates.
    pub prometheus: PathBuf,
    /// What checks and tests rules.
    pub promtool: PathBuf,
}

/// Finds Prometheus, and installs it where we may.
///
/// # Errors
/// When it is missing and cannot be installed: the error names the command that would.
pub fn programs() -> anyhow::Result<Programs> {
    Ok(Programs { prometheus: one("prometheus")?, promtool: one("promtool")? })
}

fn one(name: &str) -> anyhow::Result<PathBuf> {
    let found = || system::programs(name).into_iter().next();
    if let Some(program) = found() {
        return Ok(program);
    }
    install::package("prometheus", "the tests of the alerts need Prometheus")?;
    found().with_context(|| format!("prometheus was installed, and yet there is no {name}"))
}
