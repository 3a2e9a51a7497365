//! `docs/config.md`, made from the table.

use std::fmt::Write;

use super::table::SPECS;

const COLUMNS: &str = "| variable | value | default | what it does |\n| --- | --- | --- | --- |";

const HEAD: &str = "# Settings

This file is made by `chatboard config --docs`; the gate checks that it is current.

A setting comes from the environment (`CHATBOARD_NAME`), else from a TOML file (`name`, named by `--config` or `CHATBOARD_CONFIG_FILE`), else from its default.
An empty variable counts as not set.
A wrong value, an unknown variable that begins with `CHATBOARD_`, or an unknown key stops the start, with one line for each fault.
Variables that begin with `CHATBOARD_TEST_` belong to the tests and are passed over.
`chatboard config` prints what is in effect, without secrets.
";

/// The documentation of all settings, in Markdown.
pub fn docs() -> String {
    let mut text = HEAD.to_owned();
    let mut section = "";
    for spec in SPECS {
        if spec.section != section {
            section = spec.section;
            let _ = writeln!(text, "\n## {section}\n\n{COLUMNS}");
        }
        let default = match spec.default {
            "" => "–".to_owned(),
            default => format!("`{default}`"),
        };
        let doc = spec.doc.strip_prefix("Reserved: not used by this version. ");
        let _ = writeln!(
            text,
            "| `{}` | {} | {default} | {} |",
            spec.variable(),
            spec.kind,
            doc.unwrap_or(spec.doc)
        );
    }
    text
}
