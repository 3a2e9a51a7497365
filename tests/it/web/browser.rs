//! Journeys in a real browser: each is a file of `tests/web`, run by node against a deployment of
//! processes with two edges.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use devstack::browser::{self, Tools};
use testkit::{Board, PASSWORD, Person, Team, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::sync::{OnceCell, Semaphore};

/// How long one journey may take.
const PATIENCE: Duration = Duration::from_secs(180);
/// Set to `required` where a machine without a browser is a failure.
const SWITCH: &str = "CHATBOARD_TEST_BROWSER";

/// What a script says to have a process killed and started again.
const CRASH: &str = "@crash ";
/// What a script says to have every message lost that begins with `lost`, as by a restore.
const RESTORE: &str = "@restore";
/// They are the last of their rooms; their numbers and ids are given again.
const LOSE: &str = "
    begin;
    update rooms set last_seq = last_seq - (
        select count(*) from messages where room_id = rooms.id and body like 'lost %');
    delete from messages where body like 'lost %';
    update room_members m set last_read_msg_id = k.id, last_read_seq = k.seq
    from (select room_id, max(id) as id, max(seq) as seq from messages group by room_id) k
    where k.room_id = m.room_id and m.last_read_seq > k.seq;
    select setval(pg_get_serial_sequence('messages', 'id'), (select max(id) from messages));
    commit";

/// So many browsers at once: one alone waits more than it works, and each takes every core it finds.
const BROWSERS: u32 = 2;
static STAGE: Semaphore = Semaphore::const_new(BROWSERS as usize);

/// Whether a journey may run beside another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// With another one.
    Shared,
    /// Alone: it measures.
    Alone,
}

fn folder() -> PathBuf {
    testkit::root().join("tests/web")
}

/// Browser, node and modules; `None`, said loudly, where there are none and nothing requires them.
async fn tools() -> Option<&'static Tools> {
    static TOOLS: OnceCell<Option<Tools>> = OnceCell::const_new();
    let found = TOOLS.get_or_init(|| async {
        let found = tokio::task::spawn_blocking(|| browser::tools(&folder())).await.unwrap();
        match found {
            Ok(tools) => Some(tools),
            Err(error) if std::env::var_os(SWITCH).is_some_and(|value| value == "required") => {
                panic!("{error:#}")
            }
            Err(error) => {
                eprintln!("\n*** SKIPPED, the page is not tested: {error:#}\n");
                None
            }
        }
    });
    found.await.as_ref()
}

fn described(name: &str, person: &Person) -> testkit::Value {
    json!({"name": name, "id": person.id, "email": person.email, "password": PASSWORD,
        "token": person.token})
}

/// What a script did: whether it was content, what it said, what it complained of.
struct Ended {
    is_content: bool,
    said: String,
    complained: String,
}

/// Restores a backup that lacks some messages, in a way that Postgres does not tell of: an operator
/// begins the new epoch.
async fn restore(board: &Board) {
    board.sql(LOSE).await;
    let (began, said) = board.processes().await[Board::API].command(&["admin", "new-epoch"], &[]);
    assert!(began, "{said}");
}

/// Runs a script. Where it says `@crash 2`, that process is killed and started again.
async fn run(tools: &Tools, script: &str, stage: testkit::Value, board: &Board) -> Ended {
    let mut child = tokio::process::Command::new(&tools.node)
        .arg(folder().join(script))
        .env("CHATBOARD_STAGE", stage.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut errors = child.stderr.take().unwrap();
    let listening = async {
        let mut said = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            match line.strip_prefix(CRASH).map(str::parse) {
                Some(process) => board.crash(process.unwrap()).await,
                None if line == RESTORE => restore(board).await,
                None => said.extend([line.as_str(), "\n"]),
            }
        }
        said
    };
    let mut complained = String::new();
    let (said, _) = tokio::join!(listening, errors.read_to_string(&mut complained));
    let is_content = child.wait().await.unwrap().success();
    Ended { is_content, said, complained }
}

/// Runs a journey; fails with what it printed.
pub(super) async fn journey(script: &str, stage: Stage, board: &Board, team: &Team) {
    let Some(tools) = tools().await else { return };
    let places = if stage == Stage::Alone { BROWSERS } else { 1 };
    let _place = STAGE.acquire_many(places).await.unwrap();
    let pids: Vec<_> = {
        let processes = board.processes().await;
        processes[Board::EDGE..Board::EDGE + 2].iter().map(testkit::Process::pid).collect()
    };
    let stage = json!({
        "api": board.api(),
        "edges": [{"url": board.edge(0), "pid": pids[0]}, {"url": board.edge(1), "pid": pids[1]}],
        "processes": {"api": Board::API},
        "org": team.org,
        "room": team.room,
        "mails": board.mails_url(),
        "alice": described("alice", &team.alice),
        "bob": described("bob", &team.bob),
        "carol": described("carol", &team.carol),
        "mallory": described("mallory", &team.mallory),
        "browser": tools.browser,
        "modules": tools.modules,
        "images": testkit::root().join("docs/images"),
        "update": std::env::var_os("CHATBOARD_TEST_UPDATE").is_some(),
    });
    let ended = tokio::time::timeout(PATIENCE, run(tools, script, stage, board)).await;
    let Ended { is_content, said, complained } =
        ended.unwrap_or_else(|_| panic!("{script}: not within {PATIENCE:?}"));
    eprintln!("{said}");
    assert!(is_content, "{script}:\n{said}\n{complained}");
}

/// The types that the comments of the page state hold.
#[tokio::test]
async fn types_hold() {
    let Some(tools) = tools().await else { return };
    let modules = tools.modules.join("node_modules");
    let config = tools.modules.join(format!("tsconfig-{}.json", std::process::id()));
    let web = testkit::root().join("web");
    let types = json!({
        "extends": web.join("tsconfig.json"),
        "compilerOptions": {"baseUrl": web, "paths": {
            "/vendor/lit.js": [folder().join("types/lit.d.ts")],
            "/vendor/marked.js": [modules.join("marked")],
            "/vendor/dompurify.js": [modules.join("dompurify")],
            "lit": [modules.join("lit")],
            "lit/*": [modules.join("lit/*")],
            "marked": [modules.join("marked")],
            "dompurify": [modules.join("dompurify")],
            "/*": [web.join("*")],
        }},
        "include": [web.join("**/*.js")],
        "exclude": [web.join("vendor"), web.join("sw.js")],
    });
    std::fs::write(&config, types.to_string()).unwrap();
    let compiler = modules.join("typescript/bin/tsc");
    let mut command = tokio::process::Command::new(&tools.node);
    let checked = command.arg(compiler).arg("--noEmit").arg("-p").arg(&config).output().await;
    let _ = std::fs::remove_file(&config);
    let checked = checked.unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// The official parser finds no fault with the AsyncAPI document.
#[tokio::test]
async fn the_asyncapi_document_is_valid() {
    let Some(tools) = tools().await else { return };
    let mut child = tokio::process::Command::new(&tools.node)
        .arg(folder().join("asyncapi.mjs"))
        .arg(&tools.modules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let text = contract::asyncapi::text();
    input.write_all(text.as_bytes()).await.unwrap();
    drop(input);
    let checked = tokio::time::timeout(PATIENCE, child.wait_with_output()).await.unwrap().unwrap();
    let (said, complained) = (checked.stdout, checked.stderr);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&complained));
    let document: testkit::Value = serde_json::from_str(&text).unwrap();
    let messages = document["components"]["messages"].as_object().unwrap().len();
    assert_eq!(String::from_utf8_lossy(&said).trim(), format!("{messages} messages are valid"));
}
