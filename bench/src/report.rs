//! What is printed: a line per figure as it comes, and all of them as JSON at the end.

use std::io::Write;
use std::path::Path;

use serde::Serialize;

/// Prints a line. A reader that went away is no reason to stop.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One measured figure.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    scenario: &'static str,
    name: String,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    is_met: Option<bool>,
}

/// What a figure should be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Aim {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// The figures of a run.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    cores: usize,
    kernel: String,
    figures: Vec<Figure>,
    #[serde(skip)]
    scenario: &'static str,
}

impl Report {
    /// An empty one, headed by what it was measured on.
    pub(crate) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let kernel = kernel.trim().to_owned();
        say(&format!("{cores} cores, Linux {kernel}, everything on this machine"));
        Self { cores, kernel, ..Self::default() }
    }

    /// The figures that follow are those of this scenario.
    pub(crate) fn begin(&mut self, scenario: &'static str) {
        self.scenario = scenario;
        say(&format!("\n{scenario}"));
    }

    /// A figure that is only told.
    pub(crate) fn tell(&mut self, name: &str, value: f64, unit: &'static str) {
        self.push(name, (value, unit), None);
    }

    /// A figure with an aim.
    pub(crate) fn judge(&mut self, name: &str, (value, unit): (f64, &'static str), aim: Aim) {
        self.push(name, (value, unit), Some(aim));
    }

    /// Writes all figures as JSON.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        std::fs::write(path, serde_json::to_string_pretty(self)?)?;
        Ok(())
    }

    fn push(&mut self, name: &str, (value, unit): (f64, &'static str), aim: Option<Aim>) {
        let judged = aim.map(|aim| match aim {
            Aim::AtLeast(least) => (format!("≥ {}", shown(least)), value >= least),
            Aim::AtMost(most) => (format!("≤ {}", shown(most)), value <= most),
        });
        let verdict = judged.as_ref().map_or(String::new(), |(aim, is_met)| {
            format!("  aim {aim}: {}", if *is_met { "met" } else { "NOT MET" })
        });
        say(&format!("  {name:<52} {:>10} {unit:<13}{verdict}", shown(value)));
        let (aim, is_met) = judged.unzip();
        let name = name.to_owned();
        self.figures.push(Figure { scenario: self.scenario, name, value, unit, aim, is_met });
    }
}

/// Three digits are more than such a machine can mean.
fn shown(value: f64) -> String {
    match value.abs() {
        large if large >= 100.0 => format!("{value:.0}"),
        medium if medium >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
