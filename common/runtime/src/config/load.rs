//! From the three sources to [`Settings`], collecting every fault.

use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use super::table::SPECS;
use super::value::Setting;
use super::{Effective, PREFIX, Settings, TEST_PREFIX};

/// How alike two names must be for one to be proposed instead of the other, 0 to 1.
const LIKENESS_MIN: f64 = 0.75;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The table.
    Default,
    /// A TOML file.
    File(PathBuf),
    /// The environment.
    Environment,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Environment => f.write_str("environment"),
        }
    }
}

/// What is wrong with the settings: one line each.
#[derive(Clone, Debug, Default)]
pub struct ConfigError {
    /// The lines.
    pub faults: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.faults.join("\n"))
    }
}

impl std::error::Error for ConfigError {}

impl Settings {
    /// Reads the settings: the table's defaults, the TOML file (`--config`, else the one that
    /// `CHATBOARD_CONFIG_FILE` names), the environment; the later wins.
    ///
    /// # Errors
    /// Every fault, one line each.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut reader = Reader::default();
        reader.environment(std::env::vars_os().filter_map(|(name, value)| {
            let name = name.into_string().ok()?;
            Some((name, value.to_string_lossy().into_owned()))
        }));
        let named = reader.values.get("CONFIG_FILE").map(|(text, _)| PathBuf::from(text));
        if let Some(path) = file.map(Path::to_owned).or(named) {
            match std::fs::read_to_string(&path) {
                Ok(text) => reader.file(&path, &text),
                Err(error) => {
                    reader.faults.push(format!("{}: cannot be read: {error}", path.display()));
                }
            }
        }
        Self::read(&mut reader)
    }

    /// Reads the settings of given sources: for tests.
    ///
    /// # Errors
    /// Every fault, one line each.
    pub fn from_sources(
        file: Option<(&Path, &str)>,
        environment: &[(&str, &str)],
    ) -> Result<Self, ConfigError> {
        let mut reader = Reader::default();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        reader.environment(environment.iter().map(owned));
        if let Some((path, text)) = file {
            reader.file(path, text);
        }
        Self::read(&mut reader)
    }
}

/// Gathers texts from the sources, reads them as values, keeps the faults.
#[derive(Debug, Default)]
pub(super) struct Reader {
    values: HashMap<&'static str, (String, Source)>,
    effective: Vec<Effective>,
    faults: Vec<String>,
}

impl Reader {
    fn environment(&mut self, variables: impl Iterator<Item = (String, String)>) {
        for (variable, value) in variables {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if variable.starts_with(TEST_PREFIX) {
                continue;
            }
            match SPECS.iter().find(|spec| spec.name == name) {
                // An empty variable is one that is not set, as compose files have it.
                Some(_) if value.is_empty() => {}
                Some(spec) => {
                    self.values.insert(spec.name, (value, Source::Environment));
                }
                None => {
                    let known = SPECS.iter().map(super::Spec::variable);
                    let fault =
                        format!("{variable}: unknown variable{}", nearest(&variable, known));
                    self.faults.push(fault);
                }
            }
        }
        self.faults.sort();
    }

    fn file(&mut self, path: &Path, text: &str) {
        let shown = path.display();
        let table: toml::Table = match text.parse() {
            Ok(table) => table,
            Err(error) => {
                let error = error.to_string().trim().replace('\n', " ");
                self.faults.push(format!("{shown}: is no TOML: {error}"));
                return;
            }
        };
        for (key, value) in table {
            let is_known = |spec: &&super::Spec| spec.key() == key && spec.name != "CONFIG_FILE";
            let Some(spec) = SPECS.iter().find(is_known) else {
                let nearest = nearest(&key, SPECS.iter().map(super::Spec::key));
                self.faults.push(format!("{shown}: unknown key `{key}`{nearest}"));
                continue;
            };
            match text_of(&value) {
                Some(text) => {
                    let source = Source::File(path.to_owned());
                    self.values.entry(spec.name).or_insert((text, source));
                }
                None => self.faults.push(format!(
                    "{shown}: `{key}` must be text, number, true or false, or a list"
                )),
            }
        }
    }

    /// Reads a setting; a fault is kept, and named after the source.
    pub(super) fn read<T: Setting>(&mut self, name: &'static str) -> Option<T> {
        let spec = SPECS.iter().find(|spec| spec.name == name)?;
        let (text, source) =
            self.values.get(name).cloned().unwrap_or((spec.default.to_owned(), Source::Default));
        match T::parse(text.trim()) {
            Ok(value) => {
                let is_example = has_example_password(&text);
                self.effective.push(Effective { spec, shown: value.show(), source, is_example });
                Some(value)
            }
            Err(reason) => {
                self.fault(name, &source, &reason);
                None
            }
        }
    }

    /// Whether a value lies within a range; if not, that is a fault.
    pub(super) fn is_within<T: Setting + PartialOrd>(
        &mut self,
        name: &'static str,
        value: &T,
        range: RangeInclusive<T>,
    ) -> bool {
        let is_within = range.contains(value);
        if !is_within {
            let source =
                self.values.get(name).map_or(Source::Default, |(_, source)| source.clone());
            let reason = format!("must be from {} to {}", range.start().show(), range.end().show());
            self.fault(name, &source, &reason);
        }
        is_within
    }

    fn fault(&mut self, name: &str, source: &Source, reason: &str) {
        let line = match source {
            Source::File(path) => {
                format!("{}: `{}` {reason}", path.display(), name.to_ascii_lowercase())
            }
            _ => format!("{PREFIX}{name} ({source}): {reason}"),
        };
        self.faults.push(line);
    }

    /// What is in effect.
    pub(super) fn finish(&mut self) -> Result<Vec<Effective>, ConfigError> {
        if self.faults.is_empty() {
            Ok(std::mem::take(&mut self.effective))
        } else {
            Err(ConfigError { faults: std::mem::take(&mut self.faults) })
        }
    }
}

/// Whether a value has a password of `deploy/env.example`: `change1me`, `change2me`, …
fn has_example_password(text: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        let number = word.strip_prefix("change").and_then(|rest| rest.strip_suffix("me"));
        number.is_some_and(|number| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

fn text_of(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(text_of).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        _ => None,
    }
}

fn nearest(name: &str, known: impl Iterator<Item = String>) -> String {
    known
        .map(|known| (strsim::jaro_winkler(name, &known), known))
        .filter(|(likeness, _)| *likeness >= LIKENESS_MIN)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map_or_else(String::new, |(_, known)| format!(", did you mean {known}?"))
}
