//! Settings: one table, three sources, every fault at once.
//!
//! [`table`] lists every setting; defaults are overlaid by a TOML file, that by the environment.
//! **Invariants:** the environment is read in [`Settings::load`] and nowhere else; a secret has no
//! way into a log, as its `Debug` and its shown form leave it out; nothing starts with a wrong or
//! unknown setting. Read [`table`] first; `docs/config.md` is made from it by [`docs()`].

mod docs;
mod host;
mod load;
mod registration;
mod table;
mod uploads;
mod value;

use std::fmt::Write;

pub use docs::docs;
pub use load::{ConfigError, Source};
pub use table::Settings;
pub use uploads::MediaType;
pub use value::{LogFormat, NatsUrl, PostgresUrl, Replicas, Secret, SecretUrl};

/// How the name of every variable begins.
pub const PREFIX: &str = "CHATBOARD_";

/// Variables that begin like this belong to the tests and are passed over.
pub const TEST_PREFIX: &str = "CHATBOARD_TEST_";

/// What the table says about one setting.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The heading it stands under.
    pub section: &'static str,
    /// Its name without `CHATBOARD_`.
    pub name: &'static str,
    /// What a value looks like.
    pub kind: &'static str,
    /// The value when no source gives one; empty for none.
    pub default: &'static str,
    /// What it does.
    pub doc: &'static str,
    /// Whether its value is never shown.
    pub is_secret: bool,
}

impl Spec {
    /// The name of its environment variable.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name)
    }

    /// Its key in a TOML file.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

/// A setting with its value in effect.
#[derive(Clone, Debug)]
pub struct Effective {
    /// Which.
    pub spec: &'static Spec,
    /// Its value, without secrets; empty for none.
    pub shown: String,
    /// Where the value comes from.
    pub source: Source,
    /// Whether it has a password of `deploy/env.example`, which everyone knows.
    pub is_example: bool,
}

impl Settings {
    /// Every setting as `NAME = value  (source)`, one a line, secrets left out.
    pub fn show(&self) -> String {
        let width =
            self.effective().iter().map(|one| one.spec.variable().len()).max().unwrap_or_default();
        let mut text = String::new();
        for one in self.effective() {
            let name = one.spec.variable();
            let shown = if one.shown.is_empty() { "-" } else { &one.shown };
            let _ = writeln!(text, "{name:width$} = {shown}  ({})", one.source);
        }
        text
    }

    /// Checks that a role has what it cannot do without, and no password from the examples.
    ///
    /// # Errors
    /// One line for each setting that is missing or has such a password.
    pub fn require(&self, role: &str, names: &[&str]) -> Result<(), ConfigError> {
        let is_missing = |name: &&&str| {
            self.effective().iter().any(|one| one.spec.name == **name && one.shown.is_empty())
        };
        let examples = self.effective().iter().filter(|one| one.is_example).map(|one| {
            format!(
                "{} ({}): has a password of deploy/env.example, which everyone knows: set your own",
                one.spec.variable(),
                one.source
            )
        });
        let missing = names.iter().filter(is_missing).map(|name| {
            let key = name.to_ascii_lowercase();
            format!("{PREFIX}{name}: needed by `chatboard {role}` (or `{key}` in a file)")
        });
        let faults: Vec<_> = missing.chain(examples).collect();
        if faults.is_empty() { Ok(()) } else { Err(ConfigError { faults }) }
    }
}

#[cfg(test)]
mod tests;
