//! Servers that an earlier run has left behind, which takes a guard killed hard too.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::guard::Signal;

/// How long each signal is given to end a server.
const PATIENCE: Duration = Duration::from_secs(10);

/// Ends the server whose pid the file's first line holds, if it is one that runs on `folder`.
pub(crate) fn end(pid_file: &Path, folder: &Path, stop: Signal) {
    let Ok(text) = std::fs::read_to_string(pid_file) else { return };
    let Some(pid) = text.lines().next().and_then(|line| line.trim().parse().ok()) else { return };
    if !runs_on(pid, folder) {
        return;
    }
    for signal in [stop, Signal::Kill] {
        signal.send(pid);
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if !runs_on(pid, folder) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Whether a process is a server on a data folder: a pid may have been given to another program.
fn runs_on(pid: u32, folder: &Path) -> bool {
    let Ok(arguments) = std::fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    let folder = folder.as_os_str().as_encoded_bytes();
    arguments
        .split(|byte| *byte == 0)
        .any(|argument| argument == folder || is_below(argument, folder))
}

fn is_below(argument: &[u8], folder: &[u8]) -> bool {
    argument.strip_prefix(folder).is_some_and(|rest| rest.first() == Some(&b'/'))
}
