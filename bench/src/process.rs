//! What the kernel says of a process: its memory, its CPU time, the files it may open.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;

/// The kernel's clock ticks in a second, the same on every Linux that user space sees.
const TICKS_PER_SECOND: u64 = 100;

/// A process of the deployment.
#[derive(Clone, Debug)]
pub(crate) struct Process {
    /// Its role: `api`, `edge`, `relay`, `postgres`, `nats`.
    pub(crate) role: &'static str,
    /// Its id.
    pub(crate) pid: u32,
}

impl Process {
    /// Resident memory in KiB.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn resident_kib(&self) -> anyhow::Result<u64> {
        let status = self.read("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|rest| rest.split_whitespace().next());
        kib.and_then(|kib| kib.parse().ok()).context("the kernel gives no VmRSS")
    }

    /// CPU time so far, of the process and those of its children that live. To 10 ms.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn cpu(&self) -> anyhow::Result<Duration> {
        let own = stat(self.pid).with_context(|| format!("{} has ended", self.role))?;
        let mut ticks = own.ticks;
        if self.role == "postgres" {
            ticks += children(self.pid).map(|child| child.ticks).sum::<u64>();
        }
        Ok(Duration::from_millis(ticks * 1_000 / TICKS_PER_SECOND))
    }

    fn read(&self, file: &str) -> anyhow::Result<String> {
        let path = Path::new("/proc").join(self.pid.to_string()).join(file);
        std::fs::read_to_string(path).with_context(|| format!("{} has ended", self.role))
    }
}

struct Stat {
    parent: u32,
    ticks: u64,
}

fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold blanks and parentheses.
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let number = |place: usize| fields.get(place)?.parse::<u64>().ok();
    let parent = u32::try_from(number(1)?).ok()?;
    Some(Stat { parent, ticks: number(11)? + number(12)? })
}

fn children(parent: u32) -> impl Iterator<Item = Stat> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(stat).filter(move |child| child.parent == parent)
}

/// CPU time of the calling thread. The kernel brings it up to date when the thread sleeps, so
/// sleep it does, for a moment.
///
/// # Errors
/// When the kernel does not account it.
pub(crate) fn thread_cpu() -> anyhow::Result<Duration> {
    std::thread::sleep(Duration::from_millis(1));
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanos = text.split_whitespace().next().and_then(|nanos| nanos.parse().ok());
    nanos.map(Duration::from_nanos).context("the kernel accounts no CPU time of threads")
}

/// How many files this process may open.
///
/// # Errors
/// When the kernel does not say.
pub(crate) fn files_max() -> anyhow::Result<u64> {
    let limits = std::fs::read_to_string("/proc/self/limits")?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|rest| rest.split_whitespace().next()).unwrap_or_default();
    Ok(soft.parse().unwrap_or(u64::MAX))
}
