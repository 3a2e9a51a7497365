//! Debian's faketime for tests of wrong clocks: a library that shifts the clock of one process.

use std::path::PathBuf;

use anyhow::Context;

use crate::{install, system};

/// The environment of a process whose wall clock is ahead by some seconds; its monotonic clock is
/// right.
///
/// # Errors
/// When faketime is missing and cannot be installed: the error names the command that would.
pub fn environment(seconds: i64) -> anyhow::Result<Vec<(String, String)>> {
    if system::programs("faketime").is_empty() {
        install::package("faketime", "the tests of wrong clocks need faketime")?;
    }
    let library = library().context("faketime is installed, but its library was not found")?;
    let sign = if seconds < 0 { "" } else { "+" };
    Ok([
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{sign}{seconds}s")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect())
}

/// The library for programs with threads, in the folder of the machine's architecture.
fn library() -> Option<PathBuf> {
    let folders = std::fs::read_dir("/usr/lib").ok()?;
    folders
        .filter_map(Result::ok)
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|library| library.exists())
}
