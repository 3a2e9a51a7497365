//! Who may do what: every operation of the served document × who asks → status, as one snapshot.
//!
//! Each cell has a world of its own: an organization of the caller's role, a room that the caller
//! is in, a message of theirs, a colleague. So nothing leaks from one cell into another, and a
//! destructive call may really succeed. `CHATBOARD_TEST_UPDATE=1` rewrites the snapshot; read
//! the difference before committing it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;

use testkit::{Board, Person, Value, json};

/// Who asks. An outsider is in another organization.
const CALLERS: [&str; 6] = ["nobody", "stranger", "outsider", "MEMBER", "MANAGER", "ADMIN"];

/// An operation of the document, the request that stands for it, and its body.
///
/// In paths and bodies, words in capitals stand for what is in the cell's world: its ORG, ROOM,
/// MESSAGE (its owner's), NOTIFICATION (the owner's), COLLEAGUE (in the room), NEWCOMER (in the organization only), INVITE and
/// TOKEN (of an invite for the stranger), UPLOAD (the owner's, posted in the room), LOGIN (another of the caller's), FRESH (a word of the
/// cell's own).
type Row = (&'static str, &'static str, &'static str);

const ROWS: &[Row] = &[
    ("GET /.well-known/jwks.json", "/.well-known/jwks.json", ""),
    ("GET /health/live", "/health/live", ""),
    ("GET /health/ready", "/health/ready", ""),
    ("GET /api/asyncapi/", "/api/asyncapi/", ""),
    (
        "POST /api/v1/auth/register/",
        "/auth/register/",
        r#"{"email":"FRESH@chat.test","password":"a good password"}"#,
    ),
    (
        "POST /api/v1/auth/token/",
        "/auth/token/",
        r#"{"email":"FRESH@chat.test","password":"a wrong one"}"#,
    ),
    ("POST /api/v1/auth/token/refresh/", "/auth/token/refresh/", r#"{"refresh":"no token"}"#),
    ("GET /api/v1/auth/registration/", "/auth/registration/", ""),
    ("POST /api/v1/auth/verify-email/", "/auth/verify-email/", r#"{"token":"no token"}"#),
    ("POST /api/v1/auth/verify-email/resend/", "/auth/verify-email/resend/", ""),
    ("POST /api/v1/auth/logout/", "/auth/logout/", r#"{"refresh":"no token"}"#),
    ("GET /api/v1/auth/me/", "/auth/me/", ""),
    ("DELETE /api/v1/auth/me/", "/auth/me/", r#"{"password":"not the one"}"#),
    ("PATCH /api/v1/auth/me/", "/auth/me/", r#"{"last_name":"Cooper"}"#),
    ("POST /api/v1/auth/password/change/", "/auth/password/change/", "{}"),
    (
        "POST /api/v1/auth/password/reset/",
        "/auth/password/reset/",
        r#"{"email":"FRESH@chat.test"}"#,
    ),
    (
        "POST /api/v1/auth/password/reset/confirm/",
        "/auth/password/reset/confirm/",
        r#"{"token":"no token","new_password":"a good password"}"#,
    ),
    ("GET /api/v1/auth/me/unread-counts/", "/auth/me/unread-counts/", ""),
    ("GET /api/v1/auth/sessions/", "/auth/sessions/", ""),
    ("DELETE /api/v1/auth/sessions/{sid}/", "/auth/sessions/LOGIN/", ""),
    ("GET /api/v1/users/{id}/", "/users/COLLEAGUE/", ""),
    ("GET /api/v1/orgs/", "/orgs/", ""),
    ("POST /api/v1/orgs/", "/orgs/", r#"{"name":"Initech"}"#),
    ("GET /api/v1/orgs/{id}/", "/orgs/ORG/", ""),
    ("PATCH /api/v1/orgs/{id}/", "/orgs/ORG/", r#"{"name":"Renamed"}"#),
    ("DELETE /api/v1/orgs/{id}/", "/orgs/ORG/", ""),
    ("GET /api/v1/orgs/{id}/retention/", "/orgs/ORG/retention/", ""),
    ("PATCH /api/v1/orgs/{id}/retention/", "/orgs/ORG/retention/", r#"{"retention_days":30}"#),
    ("GET /api/v1/orgs/{id}/purges/", "/orgs/ORG/purges/", ""),
    ("GET /api/v1/orgs/{id}/members/", "/orgs/ORG/members/", ""),
    (
        "POST /api/v1/orgs/{id}/members/{user_id}/role/",
        "/orgs/ORG/members/COLLEAGUE/role/",
        r#"{"role":"MANAGER"}"#,
    ),
    ("DELETE /api/v1/orgs/{id}/members/{user_id}/", "/orgs/ORG/members/COLLEAGUE/", ""),
    ("POST /api/v1/orgs/{id}/invite/", "/orgs/ORG/invite/", r#"{"email":"FRESH@chat.test"}"#),
    ("GET /api/v1/orgs/{id}/invites/", "/orgs/ORG/invites/", ""),
    ("DELETE /api/v1/orgs/{id}/invites/{invite_id}/", "/orgs/ORG/invites/INVITE/", ""),
    ("POST /api/v1/orgs/check-invite/", "/orgs/check-invite/", r#"{"token":"TOKEN"}"#),
    ("POST /api/v1/orgs/accept-invite/", "/orgs/accept-invite/", r#"{"token":"TOKEN"}"#),
    ("GET /api/v1/rooms/", "/rooms/", ""),
    ("POST /api/v1/rooms/", "/rooms/", r#"{"org":ORG,"name":"plans"}"#),
    ("POST /api/v1/rooms/dm/", "/rooms/dm/", r#"{"org":ORG,"user_ids":[COLLEAGUE]}"#),
    ("GET /api/v1/rooms/{id}/", "/rooms/ROOM/", ""),
    ("PATCH /api/v1/rooms/{id}/", "/rooms/ROOM/", r#"{"topic":"lunch"}"#),
    ("DELETE /api/v1/rooms/{id}/", "/rooms/ROOM/", ""),
    ("POST /api/v1/rooms/{id}/join/", "/rooms/ROOM/join/", ""),
    ("POST /api/v1/rooms/{id}/leave/", "/rooms/ROOM/leave/", ""),
    ("POST /api/v1/rooms/{id}/invite/", "/rooms/ROOM/invite/", r#"{"user_id":NEWCOMER}"#),
    ("GET /api/v1/rooms/{id}/members/", "/rooms/ROOM/members/", ""),
    ("DELETE /api/v1/rooms/{id}/members/{user_id}/", "/rooms/ROOM/members/COLLEAGUE/", ""),
    ("GET /api/v1/rooms/{id}/settings/", "/rooms/ROOM/settings/", ""),
    ("PATCH /api/v1/rooms/{id}/settings/", "/rooms/ROOM/settings/", r#"{"starred":true}"#),
    ("POST /api/v1/rooms/{id}/read/{msg_id}/", "/rooms/ROOM/read/MESSAGE/", ""),
    ("GET /api/v1/rooms/{id}/events/", "/rooms/ROOM/events/", ""),
    ("GET /api/v1/notifications/", "/notifications/", ""),
    ("GET /api/v1/notifications/unread-count/", "/notifications/unread-count/", ""),
    ("GET /api/v1/notifications/decisions/", "/notifications/decisions/?message=MESSAGE", ""),
    ("POST /api/v1/notifications/mark-all-read/", "/notifications/mark-all-read/", ""),
    ("GET /api/v1/notifications/{id}/", "/notifications/NOTIFICATION/", ""),
    ("PATCH /api/v1/notifications/{id}/", "/notifications/NOTIFICATION/", r#"{"is_read":true}"#),
    (
        "GET /api/v1/notifications/unsubscribe/",
        "/notifications/unsubscribe/?token=00000000-0000-4000-8000-000000000000",
        "",
    ),
    (
        "POST /api/v1/notifications/unsubscribe/",
        "/notifications/unsubscribe/?token=00000000-0000-4000-8000-000000000000",
        "",
    ),
    ("GET /api/v1/messages/rooms/{room}/", "/messages/rooms/ROOM/", ""),
    ("GET /api/v1/messages/search/", "/messages/search/?q=hello", ""),
    ("POST /api/v1/messages/rooms/{room}/", "/messages/rooms/ROOM/", r#"{"body":"hello"}"#),
    ("GET /api/v1/messages/{id}/", "/messages/MESSAGE/", ""),
    ("PATCH /api/v1/messages/{id}/", "/messages/MESSAGE/", r#"{"body":"not my words"}"#),
    ("DELETE /api/v1/messages/{id}/", "/messages/MESSAGE/", ""),
    ("POST /api/v1/messages/{id}/reactions/", "/messages/MESSAGE/reactions/", r#"{"emoji":"👍"}"#),
    (
        "DELETE /api/v1/messages/{id}/reactions/",
        "/messages/MESSAGE/reactions/",
        r#"{"emoji":"👍"}"#,
    ),
    (
        "POST /api/v1/uploads/presign/",
        "/uploads/presign/",
        r#"{"filename":"a.txt","content_type":"text/plain","file_size":1}"#,
    ),
    ("POST /api/v1/uploads/{id}/complete/", "/uploads/UPLOAD/complete/", ""),
    ("GET /api/v1/uploads/my-uploads/", "/uploads/my-uploads/", ""),
    ("GET /api/v1/uploads/{id}/", "/uploads/UPLOAD/", ""),
    ("GET /api/v1/webhooks/", "/webhooks/", ""),
    (
        "POST /api/v1/webhooks/",
        "/webhooks/",
        r#"{"org":ORG,"url":"https://hooks.example.com/","events":["room.created"]}"#,
    ),
    ("GET /api/v1/webhooks/{id}/", "/webhooks/WEBHOOK/", ""),
    ("PATCH /api/v1/webhooks/{id}/", "/webhooks/WEBHOOK/", r#"{"include_private":true}"#),
    ("DELETE /api/v1/webhooks/{id}/", "/webhooks/WEBHOOK/", ""),
    ("POST /api/v1/webhooks/{id}/rotate-secret/", "/webhooks/WEBHOOK/rotate-secret/", ""),
    ("POST /api/v1/webhooks/{id}/test/", "/webhooks/WEBHOOK/test/", ""),
    ("GET /api/v1/webhooks/{id}/events/", "/webhooks/WEBHOOK/events/", ""),
    (
        "POST /api/v1/webhooks/{id}/events/{event_id}/retry/",
        "/webhooks/WEBHOOK/events/EVENT/retry/",
        "",
    ),
    (
        "POST /api/v1/webhooks/{id}/retry-failed/",
        "/webhooks/WEBHOOK/retry-failed/",
        r#"{"since":"2026-01-31T10:00:00Z"}"#,
    ),
];

struct Grounds<'a> {
    board: &'a Board,
    owner: Person,
    elsewhere: i64,
}

impl Grounds<'_> {
    async fn cell(&self, row: &Row, who: &str) -> u16 {
        let board = self.board;
        let caller = board.person(&who.to_ascii_lowercase()).await;
        let colleague = board.person("colleague").await;
        let newcomer = board.person("newcomer").await;
        let org = self.owner.makes_org("Acme").await;
        match who {
            "MEMBER" | "MANAGER" | "ADMIN" => board.put_into_org(org, &caller, who).await,
            "outsider" => board.put_into_org(self.elsewhere, &caller, "MEMBER").await,
            _ => {}
        }
        board.put_into_org(org, &colleague, "MEMBER").await;
        let room = self.owner.makes_room_for_all(org, "general").await;
        board.put_into_org(org, &newcomer, "MEMBER").await;
        let message = self.owner.posts(room, "morning").await["id"].clone();
        let invite = self.invite(row, org, &caller, who).await;
        let (webhook, event) = self.webhook(row, org).await;
        let notification = self.notification(row, room, &colleague).await;
        let upload = self.upload(row, room).await;
        let login = caller.on_another_device(board).await.login;
        let fill = |text: &str| {
            text.replace("TOKEN", invite["token"].as_str().unwrap_or_default())
                .replace("INVITE", &invite["id"].to_string())
                .replace("NOTIFICATION", &notification.to_string())
                .replace("WEBHOOK", &webhook.to_string())
                .replace("UPLOAD", upload["id"].as_str().unwrap_or_default())
                .replace("EVENT", event.as_str().unwrap_or_default())
                .replace("ORG", &org.to_string())
                .replace("ROOM", &room.to_string())
                .replace("MESSAGE", &message.to_string())
                .replace("COLLEAGUE", &colleague.id.to_string())
                .replace("NEWCOMER", &newcomer.id.to_string())
                .replace("LOGIN", &login.to_string())
                .replace("FRESH", &format!("fresh.{org}"))
        };
        let (operation, path, body) = row;
        let method = operation.split(' ').next().unwrap();
        let (path, body) = (fill(path), fill(body));
        let body: Option<Value> = serde_json::from_str(&body).ok();
        if who != "nobody" {
            return caller.call(method, &path, body.as_ref()).await.status;
        }
        let json = [("content-type", "application/json")];
        let headers: &[_] = if body.is_some() { &json } else { &[] };
        board
            .call(method, &path, headers, body.map(|body| body.to_string()).as_deref())
            .await
            .status
    }

    /// The id of a notification of the owner's, if the row needs one.
    async fn notification(&self, row: &Row, room: i64, colleague: &Person) -> Value {
        if !row.1.contains("NOTIFICATION") {
            return Value::Null;
        }
        let mention = colleague.posts(room, &format!("@{}", self.owner.email)).await;
        testkit::eventually("the notification", testkit::DEADLINE, async || {
            let page = self.owner.get("/notifications/").await.results();
            let one = page.into_iter().find(|one| one["data"]["message"] == mention["id"])?;
            Some(one["id"].clone())
        })
        .await
    }

    /// An upload that a message in the room carries, if the row needs one.
    async fn upload(&self, row: &Row, room: i64) -> Value {
        if !row.1.contains("UPLOAD") {
            return Value::Null;
        }
        let upload = self.owner.uploads("minutes.txt", "text/plain", b"minutes").await;
        self.owner.posts_file(room, &upload).await;
        upload
    }

    /// The ids of a webhook and of an event of it, if the row needs them.
    async fn webhook(&self, row: &Row, org: i64) -> (Value, Value) {
        if !row.1.contains("WEBHOOK") {
            return (Value::Null, Value::Null);
        }
        let url = "https://hooks.example.com/";
        let body = json!({"org": org, "url": url, "events": ["room.created"]});
        let id = self.owner.post("/webhooks/", body).await.is(201)["id"].clone();
        let test = self.owner.post(&format!("/webhooks/{id}/test/"), json!({})).await.is(202);
        (id, test["event_id"].clone())
    }

    /// An invite, for the caller where they are a stranger, if the row needs one.
    async fn invite(&self, row: &Row, org: i64, caller: &Person, who: &str) -> Value {
        if !row.1.contains("INVITE") && !row.2.contains("TOKEN") {
            return Value::Null;
        }
        let email = if who == "stranger" {
            caller.email.clone()
        } else {
            format!("invited.{org}@chat.test")
        };
        self.owner.post(&format!("/orgs/{org}/invite/"), json!({"email": email})).await.is(201)
    }
}

/// Every operation that the document shows, as `METHOD path`.
async fn documented(board: &Board) -> BTreeSet<String> {
    let document = board.get("/api/schema/").await.is(200);
    let paths = document["paths"].as_object().unwrap();
    let mut operations = BTreeSet::new();
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            if ["get", "post", "patch", "delete", "put", "head"].contains(&method.as_str()) {
                operations.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    operations
}

fn snapshot() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/it/access_matrix.txt")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everyone_is_answered_as_the_access_matrix_says() {
    let board = Board::start().await;
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.0.to_owned()).collect();
    let documented = documented(&board).await;
    let unknown: Vec<_> = documented.symmetric_difference(&rows).collect();
    assert!(unknown.is_empty(), "in the document or in the table, not in both: {unknown:#?}");

    let owner = board.person("olivia").await;
    let elsewhere = board.person("edgar").await.makes_org("Elsewhere").await;
    let grounds = Grounds { board: &board, owner, elsewhere };
    let mut found = format!("{:<55}", "operation");
    for who in CALLERS {
        let _ = write!(found, " {who:>8}");
    }
    found.push('\n');
    for row in ROWS {
        let _ = write!(found, "{:<55}", row.0);
        for status in
            futures_util::future::join_all(CALLERS.map(|who| grounds.cell(row, who))).await
        {
            let _ = write!(found, " {status:>8}");
        }
        found.push('\n');
    }

    if std::env::var_os("CHATBOARD_TEST_UPDATE").is_some() {
        std::fs::write(snapshot(), &found).unwrap();
    }
    let expected = std::fs::read_to_string(snapshot()).unwrap_or_default();
    let mut difference = String::new();
    for line in expected.lines().filter(|line| !found.lines().any(|other| other == *line)) {
        let _ = writeln!(difference, "- {line}");
    }
    for line in found.lines().filter(|line| !expected.lines().any(|other| other == *line)) {
        let _ = writeln!(difference, "+ {line}");
    }
    assert!(difference.is_empty(), "differs from tests/it/access_matrix.txt:\n{difference}");
}
