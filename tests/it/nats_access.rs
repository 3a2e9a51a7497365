//! Who may do what over NATS: nobody without signing in, and an edge only for its users.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use async_nats::ConnectOptions;
use domain::{Seq, UserId};
use futures_util::StreamExt;
use nats::bus::{AskError, Bus};
use nats::rpc::{Events, Members, Open, Post, Profile, Question, Read, UserToken};
use nats::subjects::Subjects;
use testkit::{Board, DEADLINE, eventually, json, within};

async fn connected(url: &str, prefix: &str) -> Bus {
    let bus = Bus::connect(url, Subjects::new(prefix), "test").await.unwrap();
    let mut connections = bus.connections();
    within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    bus
}

async fn refusal<Q: Question>(bus: &Bus, question: &Q) -> String {
    match bus.ask(question).await {
        Ok(_) => "answered".to_owned(),
        Err(AskError::Refused(refused)) => refused.code,
        Err(error) => panic!("{}: {error}", Q::VERB),
    }
}

fn frame(body: &str) -> Box<serde_json::value::RawValue> {
    let text = json!({"type": "message", "body": body, "nonce": body}).to_string();
    serde_json::value::RawValue::from_string(text).unwrap()
}

#[tokio::test]
async fn an_edge_without_a_users_token_reads_writes_and_opens_nothing() {
    let board = Board::start().await;
    let team = board.team().await;
    let said = team.alice.posts(team.room, "for the room").await;
    let bus = connected(board.nats_url(), board.prefix()).await;
    let (room, message) = (team.room.into(), said["id"].as_i64().unwrap().into());
    let expired = team.bob.mint(Duration::ZERO);
    let forged = team.bob.mint_with(&testkit::foreign_keys(), Duration::from_secs(60));
    for token in ["", "nonsense", &expired, &forged] {
        let token = UserToken::from(token);
        let answers = [
            refusal(&bus, &Open { token: token.clone(), room }).await,
            refusal(&bus, &Events { token: token.clone(), room, after: Seq(0) }).await,
            refusal(&bus, &Post { token: token.clone(), room, frame: frame("x") }).await,
            refusal(&bus, &Read { token: token.clone(), room, message }).await,
            refusal(&bus, &Members { token: token.clone(), room, after: UserId::NOWHERE }).await,
            refusal(&bus, &Profile { token }).await,
        ];
        assert_eq!(answers, ["unauthenticated"; 6]);
    }
    // What an older edge asks, with a user and no token.
    for (verb, question) in [
        ("events", json!({"room": team.room, "user": null, "after": 0})),
        ("post", json!({"user": team.bob.id, "login": 1, "room": team.room, "frame": {}})),
    ] {
        let subject = bus.subjects().rpc(verb);
        let answer = bus.client().request(subject, question.to_string().into()).await.unwrap();
        let answer: serde_json::Value = serde_json::from_slice(&answer.payload).unwrap();
        assert_eq!(answer["refused"]["code"], "unauthenticated", "{verb}");
    }
    assert_eq!(team.bob.history(team.room).await.len(), 1);
    assert_eq!(team.bob.unread(team.room).await.0, 1);
}

#[tokio::test]
async fn with_a_users_token_an_edge_acts_as_that_user_alone() {
    let board = Board::start().await;
    let team = board.team().await;
    let secret = team.alice.makes_room(team.org, "secret", "PRIVATE").await;
    let said = team.alice.posts(secret, "not for Bob").await;
    let bus = connected(board.nats_url(), board.prefix()).await;
    let token = UserToken::from(team.bob.token.as_str());
    assert!(!format!("{token:?}").contains(&team.bob.token));
    let (room, message) = (secret.into(), said["id"].as_i64().unwrap().into());
    for answer in [
        refusal(&bus, &Open { token: token.clone(), room }).await,
        refusal(&bus, &Events { token: token.clone(), room, after: Seq(0) }).await,
        refusal(&bus, &Post { token: token.clone(), room, frame: frame("x") }).await,
        refusal(&bus, &Read { token: token.clone(), room, message }).await,
        refusal(&bus, &Members { token: token.clone(), room, after: UserId::NOWHERE }).await,
    ] {
        assert!(["not_found", "not_a_member"].contains(&answer.as_str()), "{answer}");
    }
    let post = Post { token: token.clone(), room: team.room.into(), frame: frame("I am Bob") };
    bus.ask(&post).await.unwrap();
    let history = team.alice.history(team.room).await;
    assert_eq!(history[0]["sender"].as_i64(), Some(team.bob.id), "{}", history[0]);
    let profile = bus.ask(&Profile { token: token.clone() }).await.unwrap();
    assert_eq!(profile.email, team.bob.email);
    // A login that was signed out is a proof no more.
    team.bob.delete(&format!("/auth/sessions/{}/", team.bob.login)).await.is(204);
    let open = Open { token, room: team.room.into() };
    eventually("the token is no proof", DEADLINE, async || {
        (refusal(&bus, &open).await == "unauthenticated").then_some(())
    })
    .await;
}

/// A nats-server of this test alone.
struct Server {
    child: Child,
    url: String,
    port: u16,
    folder: PathBuf,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Server {
    /// Starts one with this configuration, in which `{port}` and `{store}` are replaced.
    async fn start(configuration: &str, environment: &[(&str, &str)]) -> Self {
        let port = devstack::ports::free_port(None).unwrap();
        let folder =
            std::env::temp_dir().join(format!("chatboard-test-nats-{port}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let store = folder.join("store").display().to_string();
        let text = configuration.replace("{port}", &port.to_string()).replace("{store}", &store);
        let file = folder.join("server.conf");
        std::fs::write(&file, text).unwrap();
        let child = Command::new(devstack::nats_binary::find().unwrap())
            .arg("-c")
            .arg(&file)
            .envs(environment.iter().copied())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Self { child, url: format!("127.0.0.1:{port}"), port, folder };
        eventually("nats-server listens", DEADLINE, async || {
            tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.ok().map(drop)
        })
        .await;
        server
    }
}

/// Starts an edge on a nats-server, and returns what it said when it would not start.
fn edge(url: &str, allows: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_chatboard"))
        .arg("edge")
        .env_clear()
        .envs([
            ("CHATBOARD_NATS_URL", url),
            ("CHATBOARD_NATS_ALLOW_UNAUTHENTICATED", allows),
            // Cannot be listened on, so one that is let in ends as well.
            ("CHATBOARD_WS_ADDR", "192.0.2.1:1"),
            ("CHATBOARD_LOG", "error"),
        ])
        .output()
        .unwrap();
    assert!(!output.status.success());
    String::from_utf8(output.stderr).unwrap()
}

const OPEN: &str = r#"listen: "127.0.0.1:{port}"
jetstream { store_dir: "{store}" }
"#;
/// Says `auth_required`, and lets in who says nothing all the same.
const NO_AUTH_USER: &str = r#"listen: "127.0.0.1:{port}"
authorization { users: [{ user: one, password: "secret" }] }
no_auth_user: one
"#;

#[tokio::test]
async fn no_role_starts_on_a_server_that_lets_anyone_in() {
    for configuration in [OPEN, NO_AUTH_USER] {
        let server = Server::start(configuration, &[]).await;
        let url = format!("nats://one:secret@{}", server.url);
        let said = tokio::task::spawn_blocking(move || edge(&url, "false")).await.unwrap();
        assert!(said.contains("accepts connections without signing in"), "{said}");
        assert_eq!(said.trim().lines().count(), 1, "{said}");
        let url = format!("nats://one:secret@{}", server.url);
        let said = tokio::task::spawn_blocking(move || edge(&url, "true")).await.unwrap();
        assert!(said.contains("cannot listen on 192.0.2.1:1"), "{said}");
    }
}

const USERS: [&str; 7] = ["api", "edge", "relay", "webhooks", "notifier", "operator", "migrate"];

/// A server with the shipped configuration, but for its ports and its folder.
async fn shipped() -> Server {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../nats/server.conf");
    let text = std::fs::read_to_string(path).unwrap();
    let text = text
        .replace("port: 4222", "listen: \"127.0.0.1:{port}\"")
        .replace("http: \"127.0.0.1:8222\"", "")
        .replace("/data", "{store}");
    let names = USERS.map(|user| format!("NATS_{}_PASSWORD", user.to_uppercase()));
    let mut environment: Vec<_> =
        names.iter().map(|name| (name.as_str(), "\"12345678\"")).collect();
    environment.push(("NATS_SERVER_NAME", "test"));
    Server::start(&text, &environment).await
}

async fn as_user(server: &Server, user: &str) -> async_nats::Client {
    // People use the `nats` command, whose inbox is the usual one.
    let inbox = if user == "operator" { "_INBOX".to_owned() } else { format!("_INBOX_{user}") };
    ConnectOptions::with_user_and_password(user.to_owned(), "12345678".to_owned())
        .custom_inbox_prefix(inbox)
        .connect(&server.url)
        .await
        .unwrap()
}

/// Whether what `sender` publishes on a subject reaches `hearer`, who listens by a pattern.
async fn reaches(server: &Server, (sender, subject): (&str, &str), hearer: (&str, &str)) -> bool {
    let (sending, hearing) = (as_user(server, sender).await, as_user(server, hearer.0).await);
    let mut heard = hearing.subscribe(hearer.1.to_owned()).await.unwrap();
    // Both have been processed, or refused, by the time the server answers what came after.
    round_trip(&hearing, hearer.0).await;
    sending.publish(subject.to_owned(), "x".into()).await.unwrap();
    round_trip(&sending, sender).await;
    round_trip(&hearing, hearer.0).await;
    futures_util::FutureExt::now_or_never(heard.next()).flatten().is_some()
}

/// A question that nobody answers, on a subject that the user may publish on.
async fn round_trip(client: &async_nats::Client, user: &str) {
    let subject = match user {
        "edge" => "chat.rpc.ping",
        "api" | "relay" | "webhooks" | "notifier" => "chat.user.0",
        _ => "$JS.API.INFO",
    };
    let asked = client.request(subject.to_owned(), "".into()).await;
    let nobody = async_nats::client::RequestErrorKind::NoResponders;
    let is_answered = asked.as_ref().map_or_else(|error| error.kind() == nobody, |_| true);
    assert!(is_answered, "{user} hears no answer: {asked:?}");
}

#[tokio::test]
async fn with_the_shipped_permissions_no_role_hears_or_forges_the_answers_to_another() {
    let server = shipped().await;
    // What must work: an api answers an edge, an edge answers the relay and the notifier.
    assert!(reaches(&server, ("api", "_INBOX_edge.a.1"), ("edge", "_INBOX_edge.a.*")).await);
    for asker in ["relay", "notifier"] {
        let (subject, pattern) =
            (format!("chat.online.{asker}.a"), format!("chat.online.{asker}.a"));
        assert!(reaches(&server, ("edge", &subject), (asker, &pattern)).await, "{asker}");
    }
    // Overhearing an answer that is meant for an edge.
    for thief in ["webhooks", "notifier", "relay", "migrate", "operator"] {
        for pattern in ["_INBOX_edge.>", ">", "_INBOX_edge.a.1"] {
            let heard = reaches(&server, ("api", "_INBOX_edge.a.1"), (thief, pattern)).await;
            assert!(!heard, "{thief} overhears by {pattern}");
        }
    }
    // An edge forging the signing keys for another edge, and answers to the other roles.
    for victim in ["edge", "api", "relay", "webhooks", "notifier", "migrate"] {
        let inbox = format!("_INBOX_{victim}.a.1");
        let pattern = format!("_INBOX_{victim}.a.*");
        let is_forged = reaches(&server, ("edge", &inbox), (victim, &pattern)).await;
        assert!(!is_forged, "an edge answers for {victim}");
    }
    // An edge hears no question, and writes no log, push or revocation.
    assert!(!reaches(&server, ("edge", "chat.rpc.keys"), ("edge", "chat.rpc.*")).await);
    for subject in ["chat.room.1.log", "chat.user.1", "chat.revoked"] {
        assert!(!reaches(&server, ("edge", subject), ("edge", subject)).await, "{subject}");
    }
}
