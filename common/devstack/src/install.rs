//! System packages: installed when we may, else the one command is named.

use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, bail};

use crate::{progress, system};

/// The package manager refuses to run twice at once.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Installs a package of the system, or says which command would.
pub(crate) fn package(package: &str, why: &str) -> anyhow::Result<()> {
    let by_hand = format!("{why}: install it with `apt-get install -y {package}`");
    if system::programs("apt-get").is_empty() {
        bail!("{why}: install it with your system's package manager (package `{package}`)");
    }
    let is_allowed = system::is_root() || may_sudo();
    if !is_allowed {
        bail!("{why}: install it with `sudo apt-get install -y {package}`");
    }
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    progress(&format!("installing {package} (apt-get install -y {package}) …"));
    let install = || apt(&["install", "-y", "--no-install-recommends", package]);
    install()
        .or_else(|_| {
            // A machine that has just been set up has no lists yet.
            apt(&["update"])?;
            install()
        })
        .context(by_hand)
}

fn may_sudo() -> bool {
    Command::new("sudo")
        .args(["-n", "true"])
        .stdin(std::process::Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

fn apt(args: &[&str]) -> anyhow::Result<()> {
    let lock = ["-q", "-o", "DPkg::Lock::Timeout=120"];
    let mut command = if system::is_root() {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    } else {
        let mut command = Command::new("sudo");
        command.args(["-n", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        command
    };
    system::run(command.args(lock).args(args))
}
