//! A real browser for the tests of the page: Debian's Chromium, driven from node.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::{install, progress, system};

/// What browsers are called.
const BROWSERS: [&str; 2] = ["chromium", "chromium-browser"];
/// The lock file says which modules `npm ci` brings.
const LOCK: &str = "package-lock.json";

/// Programs and modules that drive a browser.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The browser.
    pub browser: PathBuf,
    /// What runs the journeys.
    pub node: PathBuf,
    /// The folder that holds `node_modules`.
    pub modules: PathBuf,
}

/// Finds a browser, node and the modules that the lock file in `manifests` names; installs what is
/// missing where we may.
///
/// # Errors
/// When something is missing and cannot be installed: the error names the command that would.
pub fn tools(manifests: &Path) -> anyhow::Result<Tools> {
    let why = "the tests of the page need a browser";
    let browser = one_of(&BROWSERS, "chromium", why)?;
    let node = one_of(&["node"], "nodejs", why)?;
    let npm = one_of(&["npm"], "npm", why)?;
    Ok(Tools { browser, node, modules: modules(manifests, &npm)? })
}

fn one_of(names: &[&str], package: &str, why: &str) -> anyhow::Result<PathBuf> {
    let found = || names.iter().find_map(|name| system::programs(name).into_iter().next());
    if let Some(program) = found() {
        return Ok(program);
    }
    install::package(package, why)?;
    found().with_context(|| format!("{package} was installed, and yet there is no {}", names[0]))
}

/// The folder with the modules, kept for the next run: one for each content of the lock file.
fn modules(manifests: &Path, npm: &Path) -> anyhow::Result<PathBuf> {
    use sha2::Digest;
    let lock = std::fs::read(manifests.join(LOCK)).context("cannot read the modules' lock file")?;
    let hash = sha2::Sha256::digest(&lock);
    let name = format!("web-{:02x}{:02x}{:02x}{:02x}", hash[0], hash[1], hash[2], hash[3]);
    let caches = system::cache_folders();
    if let Some(ready) = caches.iter().map(|cache| cache.join(&name)).find(|folder| is_done(folder))
    {
        return Ok(ready);
    }
    let folder = caches
        .iter()
        .map(|cache| cache.join(&name))
        .find(|folder| std::fs::create_dir_all(folder).is_ok())
        .context("there is no folder to keep the modules of the tests in")?;
    progress("fetching the modules of the tests of the page (npm ci) …");
    for file in ["package.json", LOCK] {
        std::fs::copy(manifests.join(file), folder.join(file))?;
    }
    let mut command = Command::new(npm);
    command.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]);
    system::run(command.current_dir(&folder))
        .context("cannot fetch them: run `npm ci --ignore-scripts` in tests/web")?;
    std::fs::write(folder.join("done"), "")?;
    Ok(folder)
}

fn is_done(folder: &Path) -> bool {
    folder.join("done").is_file()
}
