//! What the machine has: users, programs, folders.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// Users that a server may run as instead of root, best first.
const SERVANTS: [&str; 2] = ["postgres", "nobody"];

/// How long a program may run: fetching a package over a slow line takes minutes.
const RUN_TIMEOUT: Duration = Duration::from_secs(600);

/// The user we run as.
pub(crate) fn uid() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether we run as root.
pub(crate) fn is_root() -> bool {
    uid() == 0
}

/// The user and group to run Postgres as, which refuses root; `None` when we are not root.
pub(crate) fn servant() -> anyhow::Result<Option<(u32, u32)>> {
    if !is_root() {
        return Ok(None);
    }
    let passwd = std::fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
    // `initdb` refuses a uid without an entry.
    let ids = |name: &str| {
        let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut parts = line.split(':').skip(2);
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    };
    match SERVANTS.into_iter().find_map(ids) {
        Some(ids) => Ok(Some(ids)),
        None => bail!("Postgres does not run as root, and there is no user `postgres` or `nobody`"),
    }
}

/// Every program of a name on the `PATH`, in its order.
pub(crate) fn programs(name: &str) -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .filter(|program| is_executable(program))
        .collect()
}

/// Whether a file can be run.
pub(crate) fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

/// The first line that `program --version` prints.
pub(crate) fn version_line(program: &Path) -> Option<String> {
    let output = Command::new(program).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()?.lines().next().map(str::to_owned)
}

/// The first two numbers of a version in a line: `(2, 11)` of `nats-server: v2.11.3`.
pub(crate) fn version_in(line: &str) -> Option<(u32, u32)> {
    let start = line.find(|c: char| c.is_ascii_digit())?;
    let mut parts = line[start..].split(|c: char| !c.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

/// Folders where downloads may be kept for later, best first: `HOME` need not be set.
pub(crate) fn cache_folders() -> Vec<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let home = set("HOME").map(PathBuf::from).or_else(home_of_passwd);
    let cache = set("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    cache
        .into_iter()
        .chain(home.map(|home| home.join(".cache")))
        .map(|cache| cache.join("chatboard"))
        .chain([std::env::temp_dir().join(format!("chatboard-cache-{}", uid()))])
        .collect()
}

fn home_of_passwd() -> Option<PathBuf> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    let uid = uid().to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').nth(5).filter(|home| !home.is_empty()).map(PathBuf::from)
}

/// Makes a folder that others can pass through, whatever our umask.
pub(crate) fn make_open_folder(path: &Path) -> anyhow::Result<()> {
    make_folder(path, 0o755)
}

/// Makes a folder that is ours alone.
pub(crate) fn make_private_folder(path: &Path) -> anyhow::Result<()> {
    make_folder(path, 0o700)
}

fn make_folder(path: &Path, mode: u32) -> anyhow::Result<()> {
    std::fs::create_dir_all(path)
        .and_then(|()| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)))
        .with_context(|| format!("cannot make {}", path.display()))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A word that nobody can guess, of 32 hexadecimal digits.
pub(crate) fn random_word() -> anyhow::Result<String> {
    use std::io::Read;
    let mut bytes = [0_u8; 16];
    std::fs::File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("the system has no randomness")?;
    Ok(hex(&bytes))
}

/// Writes a file that only its owner reads.
///
/// # Errors
/// When it cannot be written.
pub(crate) fn write_secret(path: &Path, text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;
    let _ = std::fs::remove_file(path);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(text.as_bytes())?;
    Ok(())
}

/// A new folder for what is thrown away, which a servant can reach.
pub(crate) fn temporary_folder() -> anyhow::Result<PathBuf> {
    // Root's own temporary folder may lie where the servant cannot go.
    let base = if is_root() { PathBuf::from("/tmp") } else { std::env::temp_dir() };
    let path = base.join(format!("chatboard-test-{}", random_word()?));
    if is_root() {
        make_open_folder(&path)?;
    } else {
        make_private_folder(&path)?;
    }
    Ok(path)
}

/// Runs a program to its end, for at most [`RUN_TIMEOUT`]; its error output, if it fails, is the
/// error.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let name = command.get_program().to_owned();
    let name = Path::new(&name).file_name().and_then(OsStr::to_str).unwrap_or("program").to_owned();
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {name}"))?;
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, end) = std::sync::mpsc::channel();
    std::thread::spawn(move || ended.send(child.wait_with_output()));
    let Ok(output) = end.recv_timeout(RUN_TIMEOUT) else {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        bail!("{name} did not end within {} minutes", RUN_TIMEOUT.as_secs() / 60);
    };
    let output = output.with_context(|| format!("cannot run {name}"))?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stderr, output.stdout].concat();
    let said = String::from_utf8_lossy(&said);
    let said: Vec<_> = said.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = said[said.len().saturating_sub(5)..].join("\n  ");
    bail!("{name} failed ({}):\n  {last}", output.status)
}

#[cfg(test)]
mod tests {
    use super::version_in;

    #[test]
    fn versions_are_found_in_what_programs_print() {
        assert_eq!(version_in("nats-server: v2.11.3"), Some((2, 11)));
        assert_eq!(version_in("postgres (PostgreSQL) 15.18 (Debian 15.18-0)"), Some((15, 18)));
        assert_eq!(version_in("postgres (PostgreSQL) 18beta1"), Some((18, 0)));
        assert_eq!(version_in("none"), None);
    }
}
