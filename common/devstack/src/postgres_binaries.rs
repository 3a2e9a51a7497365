//! The system's Postgres: `initdb` and `postgres`.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::{install, system};

/// The oldest major version that we run.
const MAJOR_MIN: u32 = 15;

/// A folder with Postgres' programs.
#[derive(Clone, Debug)]
pub(crate) struct Binaries {
    folder: PathBuf,
    major: u32,
}

impl Binaries {
    /// The newest on the system, installed if need be; the one that made a data folder, if
    /// there is one.
    pub(crate) fn find(data: &Path) -> anyhow::Result<Self> {
        if let Ok(text) = std::fs::read_to_string(data.join("PG_VERSION"))
            && let Ok(major) = text.trim().parse()
        {
            return Self::of_major(major, data);
        }
        if let Some(found) = newest() {
            return Ok(found);
        }
        install::package("postgresql", "Postgres is not installed")?;
        newest().ok_or_else(|| {
            anyhow::anyhow!("Postgres {MAJOR_MIN} or newer is not among what was installed")
        })
    }

    fn of_major(major: u32, data: &Path) -> anyhow::Result<Self> {
        let Some(found) = all().into_iter().find(|found| found.major == major) else {
            bail!(
                "{} was made by Postgres {major}, which is not installed: install \
                 postgresql-{major}, or remove the folder to begin anew",
                data.display()
            );
        };
        Ok(found)
    }

    /// A program.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

fn newest() -> Option<Binaries> {
    all().into_iter().max_by_key(|found| found.major)
}

fn all() -> Vec<Binaries> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let packaged = versions.map(|version| version.path().join("bin"));
    let on_path = system::programs("postgres")
        .into_iter()
        .filter_map(|program| program.parent().map(Path::to_owned));
    // Of two of a version the last is taken: links on the PATH may be half of an installation.
    on_path.chain(packaged).filter_map(binaries_in).collect()
}

fn binaries_in(folder: PathBuf) -> Option<Binaries> {
    if !system::is_executable(&folder.join("initdb")) {
        return None;
    }
    let (major, _) = system::version_in(&system::version_line(&folder.join("postgres"))?)?;
    (major >= MAJOR_MIN).then_some(Binaries { folder, major })
}
