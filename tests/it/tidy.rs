//! Habits that a machine can check.

use std::path::{Path, PathBuf};

use testkit::root;

/// Lines of a source file.
const LINES_MAX: usize = 500;

/// Every file of the repository with one of these endings, but what is built or fetched.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            if entry.file_type().unwrap().is_dir() {
                if !["target", ".git", ".sqlx", ".chatboard", "node_modules"].contains(&&*name) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    assert!(found.len() > 10, "the files of the repository are found");
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

#[test]
fn no_source_file_is_longer_than_500_lines() {
    let long: Vec<_> = files(&[".rs"])
        .into_iter()
        .map(|path| (read(&path).lines().count(), shown(&path)))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .collect();
    assert!(long.is_empty(), "{long:?}");
}

#[test]
fn no_test_sleeps_or_is_skipped() {
    // Spelled in halves, so that this file does not find itself.
    let sleep = concat!("time::sle", "ep");
    let skipped = [concat!("#[ign", "ore"), concat!("#[should_", "panic")];
    for path in files(&[".rs"]) {
        let (name, text) = (shown(&path), read(&path));
        let is_test = name.starts_with("tests/it/");
        assert!(!is_test || !text.contains(sleep), "{name}: sleeps; wait for a value");
        for word in skipped {
            assert!(!text.contains(word), "{name}: {word}");
        }
    }
}

#[test]
fn nothing_is_left_for_later() {
    let marks =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("todo", "!(")];
    for path in files(&[".rs", ".md", ".sql", ".toml", ".yml", ".sh"]) {
        let text = read(&path);
        for mark in marks {
            assert!(!text.contains(mark), "{}: {mark}", shown(&path));
        }
    }
}

#[test]
fn no_file_names_somebodys_machine() {
    let places =
        [concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/tm", "p/"), concat!("/wo", "rk/")];
    for path in files(&[".rs", ".md", ".sql", ".toml", ".yml", ".json"]) {
        let text = read(&path);
        for place in places {
            assert!(!text.contains(place), "{}: {place}", shown(&path));
        }
    }
}

#[test]
fn modules_say_what_they_are_for() {
    for path in files(&[".rs"]) {
        let text = read(&path);
        assert!(text.starts_with("//!"), "{}: opens with no //! line", shown(&path));
    }
}

#[test]
fn a_room_is_called_a_room() {
    let words = [concat!("chat", "room"), concat!("Chat", "Room"), concat!("workspace", "_id")];
    for path in files(&[".rs", ".sql"]) {
        let text = read(&path);
        for word in words {
            assert!(!text.contains(word), "{}: {word}", shown(&path));
        }
    }
}

#[test]
fn an_edge_knows_nothing_of_the_record() {
    let manifest = read(&root().join("services/edge/Cargo.toml"));
    assert!(!manifest.contains("store") && !manifest.contains("sqlx"), "{manifest}");
    for service in ["api", "edge", "relay", "webhooks", "notifier", "janitor"] {
        let manifest = read(&root().join(format!("services/{service}/Cargo.toml")));
        for other in ["api", "edge", "relay", "webhooks", "notifier", "janitor"] {
            let dependency = format!("\n{other}.workspace");
            assert!(!manifest.contains(&dependency), "{service} depends on {other}");
        }
    }
}

#[test]
fn only_nats_names_subjects_and_only_the_store_writes_sql() {
    for path in files(&[".rs"]) {
        let (name, text) = (shown(&path), read(&path));
        let is_subjects = name.starts_with("nats/") || name.starts_with("tests/");
        for subject in [concat!("\"chat", ".room"), concat!("\"chat", ".rpc")] {
            assert!(is_subjects || !text.contains(subject), "{name}: {subject}");
        }
        let may_query = ["common/store/", "common/devstack/", "tests/", "bench/"];
        let is_store = may_query.iter().any(|folder| name.starts_with(folder));
        assert!(is_store || !text.contains(concat!("sqlx::", "query")), "{name}: writes SQL");
    }
}

/// A colour of the page in the light, by its name in the style sheet.
fn colour(name: &str) -> String {
    let tokens = read(&root().join("web/styles/tokens.css"));
    let (_, after) = tokens.split_once(&format!("--{name}: ")).unwrap();
    after.split(';').next().unwrap().to_owned()
}

#[test]
fn links_and_buttons_in_mails_have_the_colours_of_the_page() {
    let (button, link) = (colour("accent"), colour("accent-text"));
    let mut seen = 0;
    let templates = root().join("services/notifier/templates");
    for path in std::fs::read_dir(templates).unwrap().map(|entry| entry.unwrap().path()) {
        for tag in read(&path).split("<a ").skip(1).filter_map(|rest| rest.split('>').next()) {
            // A link in the footer is as quiet as the text around it.
            let looks =
                [format!("background:{button};"), format!("color:{link}"), "color:#667085".into()];
            assert!(looks.iter().any(|look| tag.contains(look)), "{}: {tag}", shown(&path));
            seen += 1;
        }
    }
    assert!(seen > 4, "{seen} links");
}
