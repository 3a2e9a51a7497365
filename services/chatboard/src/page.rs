//! The page itself: `web/index.html` with the hash of every file in its addresses.
//!
//! The import map maps each module, by the address that other modules import it under, to that
//! address with its hash, so that a browser keeps modules for ever and still gets the new ones at
//! once. Modules that the first screen imports are announced, so that they load side by side
//! instead of one level after another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::OnceLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rust_embed::EmbeddedFile;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::web::{Files, kind};

const INDEX: &str = "index.html";
/// Where the page begins to run.
pub(crate) const ENTRY: &str = "app.js";
/// Decides what a browser keeps, so its own address never changes.
const SERVICE_WORKER: &str = "sw.js";
/// Bytes of a hash that an address tells.
const VERSION_BYTES: usize = 8;
const MAP_OPENS: &str = "<script type=\"importmap\">";
const MAP_CLOSES: &str = "</script>";

/// What is served for every screen.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// The whole document.
    pub(crate) html: String,
    /// Its hash.
    pub(crate) version: String,
    /// `sha256-…` of the import map, for the policy.
    pub(crate) script: String,
}

/// The page; made once where the files are in the binary.
pub(crate) fn page() -> Option<Page> {
    static PAGE: OnceLock<Option<Page>> = OnceLock::new();
    if cfg!(debug_assertions) { make() } else { PAGE.get_or_init(make).clone() }
}

/// The hash of a file, as far as its address tells it.
pub(crate) fn version(file: &EmbeddedFile) -> String {
    hex(&file.metadata.sha256_hash())
}

fn hex(hash: &[u8]) -> String {
    hash.iter().take(VERSION_BYTES).fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn text(name: &str) -> Option<String> {
    String::from_utf8(Files::get(name)?.data.into_owned()).ok()
}

fn make() -> Option<Page> {
    let versions: BTreeMap<String, String> = Files::iter()
        .filter(|name| kind(name).is_some() && name != SERVICE_WORKER)
        .filter_map(|name| Some((format!("/{name}"), version(&Files::get(&name)?))))
        .collect();
    let html = text(INDEX)?;
    let (before, rest) = html.split_once(MAP_OPENS)?;
    let (map, after) = rest.split_once(MAP_CLOSES)?;
    let named = names(map);
    let map = extended(named.clone(), &versions);
    let script = format!("sha256-{}", STANDARD.encode(Sha256::digest(&map)));
    let mut announced = String::new();
    for module in first_modules(&named) {
        announced.push_str("<link rel=\"modulepreload\" href=\"");
        announced.push_str(&module);
        announced.push_str("\">\n");
    }
    let (before, after) = (versioned(before, &versions), versioned(after, &versions));
    let announced = versioned(&announced, &versions);
    let html = format!("{before}{MAP_OPENS}{map}{MAP_CLOSES}\n{announced}{after}");
    Some(Page { version: hex(&Sha256::digest(&html)), html, script })
}

/// What the import map in the file says: names of libraries, and where they are.
fn names(map: &str) -> BTreeMap<String, String> {
    let map: Value = serde_json::from_str(map).unwrap_or_default();
    let imports = map.get("imports").and_then(Value::as_object).cloned().unwrap_or_default();
    imports.into_iter().filter_map(|(name, to)| Some((name, to.as_str()?.to_owned()))).collect()
}

fn extended(named: BTreeMap<String, String>, versions: &BTreeMap<String, String>) -> String {
    let modules = versions
        .keys()
        .filter(|name| kind(name).is_some_and(|kind| kind.starts_with("text/javascript")));
    let modules = modules.map(|name| (name.clone(), name.clone()));
    let imports: Map<String, Value> = named
        .into_iter()
        .chain(modules)
        .map(|(name, to)| {
            let version = versions.get(&to).map(|version| format!("?v={version}"));
            (name, Value::String(to + &version.unwrap_or_default()))
        })
        .collect();
    Value::Object(Map::from_iter([("imports".to_owned(), Value::Object(imports))])).to_string()
}

/// Addresses in attributes get their hashes.
fn versioned(html: &str, versions: &BTreeMap<String, String>) -> String {
    let mut html = html.to_owned();
    for (name, version) in versions {
        html = html.replace(&format!("=\"{name}\""), &format!("=\"{name}?v={version}\""));
    }
    html
}

/// Every module that the entry imports, directly or not, in a fixed order.
fn first_modules(named: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut open = vec![format!("/{ENTRY}")];
    while let Some(module) = open.pop() {
        let Some(code) = text(module.trim_start_matches('/')) else { continue };
        let folder = module.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        if !found.insert(module) {
            continue;
        }
        let imported = imports(&code).into_iter().map(|name| resolved(&folder, &name, named));
        open.extend(imported.flatten());
    }
    found
}

/// The names in a module's static imports. They stand at the start of a line, or end a list that
/// did: `import … from "x"`, `export … from "x"`, `} from "x"`, `import "x"`.
fn imports(code: &str) -> Vec<String> {
    let starts = ["import ", "export ", "} from "];
    let lines = code.lines().filter(|line| starts.iter().any(|start| line.starts_with(start)));
    lines
        .filter_map(|line| {
            let behind = match line.split_once(" from ") {
                Some((_, behind)) => behind,
                None => line.strip_prefix("import ")?,
            };
            let quote = behind.chars().next().filter(|quote| matches!(quote, '"' | '\''))?;
            behind[1..].split_once(quote).map(|(name, _)| name.to_owned())
        })
        .collect()
}

fn resolved(folder: &str, name: &str, named: &BTreeMap<String, String>) -> Option<String> {
    if let Some(to) = named.get(name) {
        return Some(to.clone());
    }
    if name.starts_with('/') {
        return Some(name.to_owned());
    }
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in name.split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    name.starts_with('.').then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_found_and_resolved() {
        let code = "import { a } from \"./chat/a.js\";\nimport '/b.js';\nimport {\n  c,\n} from \
                    \"lit\";\nexport * from \"../d.js\";\nconst e = await import(\"./late.js\");\n";
        let named = BTreeMap::from([("lit".to_owned(), "/vendor/lit.js".to_owned())]);
        let found: Vec<_> =
            imports(code).iter().filter_map(|name| resolved("/ui", name, &named)).collect();
        assert_eq!(found, ["/ui/chat/a.js", "/b.js", "/vendor/lit.js", "/d.js"]);
    }

    #[test]
    fn the_page_has_hashes_in_its_addresses() {
        let page = page().unwrap();
        assert!(page.html.contains("\"lit\":\"/vendor/lit.js?v="), "{}", page.html);
        let map = page.html.split_once(MAP_OPENS).unwrap().1.split_once(MAP_CLOSES).unwrap().0;
        let hash = format!("sha256-{}", STANDARD.encode(Sha256::digest(map)));
        assert_eq!(page.script, hash);
    }
}
