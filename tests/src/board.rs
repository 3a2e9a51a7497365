//! A running deployment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use runtime::lifecycle::End;
use runtime::tokens::SigningKeys;
use runtime::{Clock, Lifecycle};
use serde_json::{Value, json};
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::builder::Builder;
use crate::contract;
use crate::files::Files;
use crate::mailbox::Mailbox;
use crate::nats_process::NatsProcess;
use crate::person::Person;
use crate::process::Process;
use crate::reply::Reply;
use crate::servers::Servers;
use crate::wait::{eventually, within};
use devstack::proxy::Proxy;

/// How long the outbox may take to be settled: a repeat is due after seconds.
const SETTLE_PATIENCE: Duration = Duration::from_secs(60);

/// A deployment of api, relay and edges over a database of its own. Dropping it ends it.
#[derive(Debug)]
pub struct Board {
    pub(crate) host: Host,
    pub(crate) reach: std::sync::Arc<Reach>,
    /// The time of every role in this process, and of the tokens that are minted here.
    pub clock: Clock,
    pub(crate) store: Store,
    pub(crate) life: Lifecycle,
    pub(crate) own: Option<Servers>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) mailbox: Option<Mailbox>,
    pub(crate) files: Files,
    pub(crate) database_url: String,
    pub(crate) nats_url: String,
    pub(crate) shipped_nats: Vec<NatsProcess>,
    pub(crate) prefix: String,
}

/// Where the roles run.
#[derive(Debug)]
pub(crate) enum Host {
    /// In this process.
    Here,
    /// As processes: api, relay, then the edges, then the notifier if mails go out; further apis are
    /// last.
    Processes(tokio::sync::Mutex<Vec<Process>>),
}

/// What is needed to reach a deployment.
#[derive(Debug)]
pub(crate) struct Reach {
    pub(crate) apis: Vec<String>,
    pub(crate) edges: Vec<String>,
    pub(crate) http: reqwest::Client,
    pub(crate) keys: SigningKeys,
    pub(crate) clock: Clock,
    names: AtomicU64,
}

impl Reach {
    pub(crate) fn new(
        apis: Vec<String>,
        edges: Vec<String>,
        keys: SigningKeys,
        clock: Clock,
    ) -> Self {
        let http = crate::http::client(crate::wait::DEADLINE);
        Self { apis, edges, http, keys, clock, names: AtomicU64::new(1) }
    }

    /// Sends a request: `path` is below `/api/v1` unless it names another of our roots.
    pub(crate) async fn try_call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<String>,
    ) -> Result<Reply, reqwest::Error> {
        let is_root = ["/api/", "/health/", "/.well-known/", "/ws"].iter();
        let is_absolute = path.starts_with("http");
        let url = match is_root.clone().any(|root| path.starts_with(root)) {
            _ if is_absolute => path.to_owned(),
            true => format!("{}{path}", self.apis[0]),
            false => format!("{}/api/v1{path}", self.apis[0]),
        };
        let mut named = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            named.append(name, HeaderValue::from_str(value).expect("a header's value"));
        }
        let request = format!("{method} {path} {}", body.as_deref().unwrap_or_default());
        let mut call = self.http.request(method.clone(), &url).headers(named);
        if let Some(body) = body {
            call = call.body(body);
        }
        let response = call.send().await?;
        let reply = Reply {
            request: request.chars().take(300).collect(),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            text: response.text().await?,
        };
        contract::check(method.as_str(), &url, &reply);
        Ok(reply)
    }
}

/// An organization with one of each role, all in one room, and a stranger.
#[derive(Debug)]
pub struct Team {
    /// The organization.
    pub org: i64,
    /// A PUBLIC room of it, where all three are; nothing has happened in it.
    pub room: i64,
    /// The ADMIN, who made both.
    pub alice: Person,
    /// A MEMBER.
    pub bob: Person,
    /// A MANAGER.
    pub carol: Person,
    /// In no organization.
    pub mallory: Person,
}

/// An open transaction: see [`Board::holding`].
#[derive(Debug)]
pub struct Holding(sqlx::Transaction<'static, sqlx::Postgres>);

impl Holding {
    /// Lets go of its locks.
    pub async fn release(self) {
        self.0.rollback().await.expect("Postgres is there");
    }
}

impl Board {
    /// A deployment with two edges and no limits.
    pub async fn start() -> Self {
        Builder::default().start().await
    }

    /// A deployment of another kind.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// Someone with an account, signed in.
    pub async fn person(&self, name: &str) -> Person {
        let number = self.reach.names.fetch_add(1, Ordering::Relaxed);
        let email = if number == 1 {
            format!("{name}@chat.test")
        } else {
            format!("{name}.{number}@chat.test")
        };
        Person::insert(self, name, &email).await
    }

    /// Someone who signed in over REST.
    pub fn person_with(&self, id: i64, email: &str, token: &str) -> Person {
        Person::with_login(&self.reach, id, email, 0).with_token(token)
    }

    /// People in one organization and one room.
    pub async fn team(&self) -> Team {
        let alice = self.person("alice").await;
        let bob = self.person("bob").await;
        let carol = self.person("carol").await;
        let mallory = self.person("mallory").await;
        let org = alice.makes_org("Acme").await;
        self.put_into_org(org, &bob, "MEMBER").await;
        self.put_into_org(org, &carol, "MANAGER").await;
        let room = alice.makes_room_for_all(org, "general").await;
        Team { org, room, alice, bob, carol, mallory }
    }

    /// Two people and a room that both are in.
    pub async fn two_members_of(&self, room: &str) -> (Person, Person, i64) {
        let alice = self.person("alice").await;
        let bob = self.person("bob").await;
        let org = alice.makes_org("Acme").await;
        self.put_into_org(org, &bob, "MEMBER").await;
        let room = alice.makes_room_for_all(org, room).await;
        (alice, bob, room)
    }

    /// Makes someone a member of an organization in the record, without an event.
    pub async fn put_into_org(&self, org: i64, person: &Person, role: &str) {
        let added: i64 = sqlx::query_scalar(
            "insert into organization_members (org_id, user_id, role, joined_at) \
             values ($1, $2, $3, now()) returning id",
        )
        .bind(org)
        .bind(person.id)
        .bind(role)
        .fetch_one(self.store.pool())
        .await
        .expect("the record takes a member");
        assert!(added > 0);
    }

    /// Where the record is, for the commands that an operator gives.
    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    /// A number from the record.
    pub async fn count(&self, sql: &'static str) -> i64 {
        sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.expect(sql)
    }

    /// A number from the record, once Postgres answers: it may have been restarted.
    pub async fn count_once_back(&self, sql: &'static str) -> i64 {
        eventually("Postgres answers", crate::wait::DEADLINE, || async {
            sqlx::query_scalar(sql).fetch_one(self.store.pool()).await.ok()
        })
        .await
    }

    /// How its subjects begin.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Texts from the record.
    pub async fn texts(&self, sql: &str) -> Vec<String> {
        sqlx::query_scalar(sqlx::AssertSqlSafe(sql))
            .fetch_all(self.store.pool())
            .await
            .unwrap_or_else(|error| panic!("{sql}: {error}"))
    }

    /// Changes the record itself.
    pub async fn sql(&self, sql: &str) {
        use sqlx::Executor;
        let run = self.store.pool().execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)));
        run.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// Runs a statement in a transaction that stays open, with its locks, until it is released.
    pub async fn holding(&self, sql: &str) -> Holding {
        use sqlx::Executor;
        let mut tx = self.store.pool().begin().await.expect("Postgres is there");
        let run = (&mut *tx).execute(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)));
        run.await.unwrap_or_else(|error| panic!("{sql}: {error}"));
        Holding(tx)
    }

    /// Waits until every event has been settled: the outbox is empty, and nothing was set aside.
    pub async fn settle(&self) {
        eventually("the outbox is settled", SETTLE_PATIENCE, || async {
            let open: i64 = sqlx::query_scalar("select count(*) from outbox")
                .fetch_one(self.store.pool())
                .await
                .ok()?;
            (open == 0).then_some(())
        })
        .await;
        assert_eq!(self.count("select count(*) from outbox_dead").await, 0, "events set aside");
    }

    /// A request without a token.
    pub async fn call(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&str>,
    ) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let body = body.map(str::to_owned);
        self.reach.try_call(method, path, headers, body).await.expect("an answer")
    }

    /// `GET` without a token.
    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, &[], None).await
    }

    /// `POST` of JSON without a token.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        let headers = [("content-type", "application/json")];
        self.call("POST", path, &headers, Some(&body.to_string())).await
    }

    /// Registers over REST; returns the user.
    pub async fn register(&self, email: &str, password: &str) -> Value {
        let body = json!({"email": email, "password": password});
        self.post("/auth/register/", body).await.is(201)
    }

    /// Signs in over REST; returns the pair of tokens.
    pub async fn sign_in(&self, email: &str, password: &str) -> Value {
        self.post("/auth/token/", json!({"email": email, "password": password})).await.is(200)
    }

    /// Sends bytes to the api's (or, for a `ws://` address, an edge's) port, and reads until the
    /// other side closes or `enough` is found.
    pub async fn raw(&self, address: &str, bytes: &[u8], enough: &str) -> String {
        let address = address.split("://").last().unwrap_or(address);
        let mut stream = tokio::net::TcpStream::connect(address).await.expect("it listens");
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let mut chunk = [0; 4096];
        within("an answer to raw bytes", async {
            while let Ok(read) = stream.read(&mut chunk).await {
                answer.extend_from_slice(&chunk[..read]);
                let text = String::from_utf8_lossy(&answer);
                if read == 0 || (!enough.is_empty() && text.contains(enough)) {
                    break;
                }
            }
        })
        .await;
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// Where REST is: `http://…`.
    pub fn api(&self) -> &str {
        &self.reach.apis[0]
    }

    /// Where REST is on one of the api nodes.
    pub fn api_node(&self, node: usize) -> &str {
        &self.reach.apis[node % self.reach.apis.len()]
    }

    /// Where an edge is: `ws://…`.
    pub fn edge(&self, edge: usize) -> &str {
        &self.reach.edges[edge % self.reach.edges.len()]
    }

    /// What the reverse proxy has logged, where [`crate::Builder::behind`] was asked for.
    pub fn proxy_log(&self) -> String {
        self.proxy.as_ref().map(Proxy::log).unwrap_or_default()
    }

    /// The servers that are the board's own.
    pub fn servers(&self) -> &Servers {
        self.own.as_ref().expect("Builder::own_servers was asked for")
    }

    /// Where its NATS is.
    pub fn nats_url(&self) -> &str {
        &self.nats_url
    }

    /// The settings with which a further process belongs to this board, whatever its role.
    ///
    /// It has a signing key of its own: tokens of the board are none to it.
    pub fn settings(&self) -> Vec<(String, String)> {
        let name = format!("chatboard-test-{}-{}-more.pem", std::process::id(), self.prefix);
        let key_file = std::env::temp_dir().join(name);
        std::fs::write(&key_file, SigningKeys::generate().expect("a key can be made"))
            .expect("the key can be written");
        let free = || {
            let port = devstack::ports::free_port(None).expect("a port is free");
            format!("127.0.0.1:{port}")
        };
        let settings = [
            ("CHATBOARD_DATABASE_URL", self.database_url.clone()),
            ("CHATBOARD_DATABASE_CONNECTIONS", "4".to_owned()),
            ("CHATBOARD_NATS_URL", self.nats_url.clone()),
            ("CHATBOARD_NATS_PREFIX", self.prefix.clone()),
            ("CHATBOARD_NATS_ROOMS_MIB", "0".to_owned()),
            ("CHATBOARD_SIGNING_KEY_FILE", key_file.display().to_string()),
            ("CHATBOARD_HTTP_ADDR", free()),
            ("CHATBOARD_WS_ADDR", free()),
            ("CHATBOARD_REQUESTS_PER_MINUTE", "0".to_owned()),
            ("CHATBOARD_SIGN_INS_PER_MINUTE", "0".to_owned()),
        ];
        settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Its nats-servers, where [`Builder::shipped_nats`] was asked for.
    pub fn shipped_nats(&self) -> &[NatsProcess] {
        &self.shipped_nats
    }

    /// Where mails are shown, if any go out.
    pub fn mails_url(&self) -> Option<String> {
        self.mailbox.as_ref().map(Mailbox::page_url)
    }

    /// Where mails go.
    pub fn mailbox(&self) -> &Mailbox {
        self.mailbox.as_ref().expect("Builder::mails_after was asked for")
    }

    /// Where files go.
    pub fn files(&self) -> &Files {
        &self.files
    }

    /// Works on the processes: api, relay, then the edges.
    pub async fn processes(&self) -> tokio::sync::MutexGuard<'_, Vec<Process>> {
        match &self.host {
            Host::Processes(processes) => processes.lock().await,
            Host::Here => panic!("Builder::processes was not asked for"),
        }
    }

    /// The process of the api.
    pub const API: usize = 0;
    /// The process of the relay.
    pub const RELAY: usize = 1;
    /// The process of the first edge.
    pub const EDGE: usize = 2;

    /// The process that delivers webhooks, where [`crate::Builder::webhooks`] was asked for.
    pub fn webhooks_process(&self) -> usize {
        Self::EDGE + self.reach.edges.len()
    }

    /// The process that mails: after that of webhooks, where both were asked for.
    pub fn notifier_process(&self) -> usize {
        self.webhooks_process() + 1
    }

    /// Asks a process to stop (SIGTERM) and starts it again; returns its exit code once it is ready.
    pub async fn restart(&self, process: usize) -> Option<i32> {
        let code = self.processes().await[process].stop().await;
        self.start_again(process).await;
        code
    }

    /// Starts a process again that has ended; returns once it is ready.
    pub async fn start_again(&self, process: usize) {
        let process = &mut self.processes().await[process];
        process.start_again();
        process.ready(&self.reach.http).await;
    }

    /// Kills a process and starts it again; returns once it is ready.
    pub async fn crash(&self, process: usize) {
        self.processes().await[process].kill();
        self.start_again(process).await;
    }

    /// Lets twenty mentions come while the relay is down, so that it finds them waiting: the eighth
    /// of Carol, the others of Bob. For boards of processes.
    pub async fn relay_finds_twenty_mentions(&self, team: &Team) {
        self.processes().await[Self::RELAY].kill();
        for number in 0..20 {
            let who = if number == 7 { &team.carol } else { &team.bob };
            team.alice.posts(team.room, &format!("@{} {number}", who.email)).await;
        }
        self.start_again(Self::RELAY).await;
    }

    /// Asks the roles in this process to stop, as SIGTERM does, and waits for them; whether
    /// everything ended by itself.
    pub async fn drain(&self) -> bool {
        self.life.stop(Duration::from_secs(25)).await == End::Clean
    }

    /// The client that requests go through.
    pub fn http(&self) -> &reqwest::Client {
        &self.reach.http
    }

    /// What signs this board's tokens.
    pub fn keys(&self) -> &SigningKeys {
        &self.reach.keys
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.life.abort();
    }
}
