//! Committed text that must be what the code makes.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().expect("this crate lies in the repository").to_owned()
}

/// Checks that a file of the repository holds this text; writes it if `UPDATE_SNAPSHOTS` is set.
///
/// # Panics
/// When it holds another: with the lines that differ.
pub fn snapshot(path: &Path, text: &str) {
    let file = root().join(path);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&file, text).expect("the snapshot can be written");
    }
    let held = std::fs::read_to_string(&file).unwrap_or_default();
    if held == text {
        return;
    }
    let mut diff = String::new();
    for line in held.lines().filter(|line| !text.lines().any(|other| other == *line)) {
        let _ = writeln!(diff, "- {line}");
    }
    for line in text.lines().filter(|line| !held.lines().any(|other| other == *line)) {
        let _ = writeln!(diff, "+ {line}");
    }
    panic!("{} is not current (UPDATE_SNAPSHOTS=1 writes it):\n{diff}", path.display());
}
