//! People, who speak REST.

use std::sync::Arc;
use std::time::Duration;

use domain::{Caller, LoginId, UserId};
use reqwest::Method;
use runtime::tokens::SigningKeys;
use serde_json::{Value, json};

use crate::board::{Board, Reach};
use crate::reply::Reply;
use crate::socket::{Opening, Socket};
use crate::wait::{DEADLINE, eventually};

/// Everyone's password.
pub const PASSWORD: &str = "correct horse battery";
/// Its hash, so that people are made without the work of hashing.
const PASSWORD_HASH: &str = "$argon2id$v=19$m=64,t=2,p=1$BTwfW90HqMxt+Jdi++hWag$6lFfGbSdPC3JGoFODXAP1zqUKkRzYyt0aU1GdoEapG0";
/// How long the tokens that are minted here live.
const TOKEN_LIFETIME: Duration = Duration::from_secs(15 * 60);

/// A key that no board has heard of.
pub fn foreign_keys() -> SigningKeys {
    let pem = SigningKeys::generate().expect("a key can be made");
    SigningKeys::parse(&pem).expect("a key of ours can be read")
}

/// Someone with an account. Clones are the same person, on the same device.
#[derive(Clone, Debug)]
pub struct Person {
    pub(crate) reach: Arc<Reach>,
    /// Their id.
    pub id: i64,
    /// Their address.
    pub email: String,
    /// Their access token.
    pub token: String,
    /// The login of the token.
    pub login: i64,
}

impl Person {
    /// Makes someone in the record, and mints a token for them.
    pub(crate) async fn insert(board: &Board, name: &str, email: &str) -> Self {
        let first_name = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let id: i64 = sqlx::query_scalar(
            "insert into users (email, password_hash, first_name, last_name, created_at) \
             values ($1, $2, $3, '', now()) returning id",
        )
        .bind(email)
        .bind(PASSWORD_HASH)
        .bind(first_name)
        .fetch_one(board.store.pool())
        .await
        .expect("the record takes a user");
        let login = insert_login(board, id).await;
        Self::with_login(&board.reach, id, email, login)
    }

    pub(crate) fn with_login(reach: &Arc<Reach>, id: i64, email: &str, login: i64) -> Self {
        let mut person = Self {
            reach: Arc::clone(reach),
            id,
            email: email.to_owned(),
            token: String::new(),
            login,
        };
        person.token = person.mint(TOKEN_LIFETIME);
        person
    }

    /// An access token of their login that lives so long from now.
    pub fn mint(&self, lifetime: Duration) -> String {
        self.mint_with(&self.reach.keys, lifetime)
    }

    /// An access token like theirs, signed with any key.
    pub fn mint_with(&self, keys: &SigningKeys, lifetime: Duration) -> String {
        let caller = Caller { user: UserId(self.id), login: LoginId(self.login) };
        let jti = rand::random::<u64>().to_string();
        keys.sign(caller, jti, self.reach.clock.now(), lifetime).expect("a parsed key signs")
    }

    /// The same person, signed in over REST on another device.
    pub async fn on_another_device(&self, board: &Board) -> Self {
        let login = insert_login(board, self.id).await;
        Self::with_login(&self.reach, self.id, &self.email, login)
    }

    /// The same person with another token.
    #[must_use]
    pub fn with_token(&self, token: &str) -> Self {
        Self { token: token.to_owned(), ..self.clone() }
    }

    /// A request with their token, which may fail as clients' requests do.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, reqwest::Error> {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let bearer = format!("Bearer {}", self.token);
        let mut headers = vec![("authorization", bearer.as_str())];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        self.reach.try_call(method, path, &headers, body.map(Value::to_string)).await
    }

    /// A request with their token.
    pub async fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Reply {
        let answer = self.try_call(method, path, body).await;
        answer.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// A request with their token and a body that need not be JSON.
    pub async fn sends_text(&self, method: &str, path: &str, body: &str) -> Reply {
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        let bearer = format!("Bearer {}", self.token);
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let body = Some(body.to_owned());
        self.reach.try_call(method, path, &headers, body).await.expect("an answer")
    }

    /// `GET`.
    pub async fn get(&self, path: &str) -> Reply {
        self.call("GET", path, None).await
    }

    /// `POST` of JSON.
    pub async fn post(&self, path: &str, body: Value) -> Reply {
        self.call("POST", path, Some(&body)).await
    }

    /// `POST` without a body.
    pub async fn post_empty(&self, path: &str) -> Reply {
        self.call("POST", path, None).await
    }

    /// `PATCH`.
    pub async fn patch(&self, path: &str, body: Value) -> Reply {
        self.call("PATCH", path, Some(&body)).await
    }

    /// `DELETE`.
    pub async fn delete(&self, path: &str) -> Reply {
        self.call("DELETE", path, None).await
    }

    /// Walks a list from a path over `next` to its end; checks that the pages fit together. A page
    /// that an api is too busy for is asked for again, as clients do.
    pub async fn walks(&self, path: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let mut next = Some(path.to_owned());
        while let Some(address) = next {
            let page = eventually("a page", DEADLINE, || async {
                let page = self.get(&address).await;
                (page.status != 503).then_some(page)
            })
            .await;
            all.extend(page.results());
            next = page.json()["next"].as_str().map(str::to_owned);
            assert!(all.len() < 100_000, "{path} has no end");
        }
        all
    }

    /// Makes an organization; returns its id.
    pub async fn makes_org(&self, name: &str) -> i64 {
        self.post("/orgs/", json!({"name": name})).await.is(201)["id"].as_i64().unwrap()
    }

    /// Makes a room; returns its id.
    pub async fn makes_room(&self, org: i64, name: &str, access_level: &str) -> i64 {
        let body = json!({"org": org, "name": name, "access_level": access_level});
        self.post("/rooms/", body).await.is(201)["id"].as_i64().unwrap()
    }

    /// Makes a PUBLIC room with everyone of the organization in it; returns its id.
    pub async fn makes_room_for_all(&self, org: i64, name: &str) -> i64 {
        let body = json!({"org": org, "name": name, "auto_join": true});
        self.post("/rooms/", body).await.is(201)["id"].as_i64().unwrap()
    }

    /// Sends a message over REST; returns it.
    pub async fn posts(&self, room: i64, body: &str) -> Value {
        self.post(&format!("/messages/rooms/{room}/"), json!({"body": body})).await.is(201)
    }

    /// A room as they see it.
    pub async fn room(&self, room: i64) -> Value {
        self.get(&format!("/rooms/{room}/")).await.is(200)
    }

    /// What they have not read in a room: `(unread_count, mention_count)`.
    pub async fn unread(&self, room: i64) -> (i64, i64) {
        let counts = self.get("/auth/me/unread-counts/").await.is(200);
        let rooms = counts["unread_counts"].as_array().expect("a list").clone();
        let of_room = rooms.iter().find(|one| one["room_id"] == room);
        let of_room = of_room.unwrap_or_else(|| panic!("no room {room} in {counts}"));
        (of_room["unread_count"].as_i64().unwrap(), of_room["mention_count"].as_i64().unwrap())
    }

    /// Every message of a room, newest first.
    pub async fn history(&self, room: i64) -> Vec<Value> {
        self.walks(&format!("/messages/rooms/{room}/?limit=200")).await
    }

    /// Every event of a room after one, oldest first.
    pub async fn events(&self, room: i64, after: i64) -> Vec<Value> {
        self.walks(&format!("/rooms/{room}/events/?after_seq={after}&limit=200")).await
    }

    /// Opens a socket for one room on an edge, and waits until it is served.
    pub async fn opens(&self, edge: usize, room: i64) -> Socket {
        self.opening(edge, &format!("/ws/rooms/{room}/")).served().await
    }

    /// Opens a socket for one room that first replays what came after an event.
    pub async fn resumes(&self, edge: usize, room: i64, after: i64) -> Socket {
        self.opening(edge, &format!("/ws/rooms/{room}/?after={after}")).served().await
    }

    /// Opens a socket for many rooms.
    pub async fn opens_many(&self, edge: usize) -> Socket {
        self.opening(edge, "/ws/").served().await
    }

    /// A socket to be opened with their token.
    pub fn opening(&self, edge: usize, path: &str) -> Opening {
        let base = &self.reach.edges[edge % self.reach.edges.len()];
        Opening::new(format!("{base}{path}")).bearer(&self.token)
    }
}

async fn insert_login(board: &Board, user: i64) -> i64 {
    // With a refresh token that can still be used: without one a login is no session.
    sqlx::query_scalar(
        "with login as (
             insert into logins (user_id, user_agent, created_at, last_seen_at)
             values ($1, 'testkit', now(), now()) returning id
         )
         insert into refresh_tokens (hash, login_id, salt, expires_at)
         select sha256(id::text::bytea), id, '', now() + interval '7 days' from login
         returning login_id",
    )
    .bind(user)
    .fetch_one(board.store.pool())
    .await
    .expect("the record takes a login")
}
