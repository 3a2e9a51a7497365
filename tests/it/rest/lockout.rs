//! Password attempts are limited, and nobody can use the limits to lock out an account's owner.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use testkit::{Board, DEADLINE, Mail, Reply, Value, eventually, json};

const PASSWORD: &str = "a good password";
const HOME: &str = "203.0.113.7";
const ELSEWHERE: &str = "192.0.2.9";

/// A request without a token from an address.
async fn asks(board: &Board, address: &str, path: &str, body: &Value) -> Reply {
    let url = format!("{}/api/v1{path}", board.api());
    let headers = [("content-type", "application/json"), ("x-forwarded-for", address)];
    board.call("POST", &url, &headers, Some(&body.to_string())).await
}

/// A request of a signed-in user from an address.
async fn asks_as(
    board: &Board,
    (access, address): (&Value, &str),
    (method, path): (&str, &str),
    body: &Value,
) -> Reply {
    let url = format!("{}/api/v1{path}", board.api());
    let bearer = format!("Bearer {}", access.as_str().unwrap());
    let headers = [
        ("content-type", "application/json"),
        ("x-forwarded-for", address),
        ("authorization", &bearer),
    ];
    board.call(method, &url, &headers, Some(&body.to_string())).await
}

async fn signs_in(board: &Board, address: &str, password: &str) -> Reply {
    let body = json!({"email": "ada@chat.test", "password": password});
    asks(board, address, "/auth/token/", &body).await
}

async fn signs_in_with(board: &Board, address: &str, password: &str, device: &Value) -> Reply {
    let body = json!({"email": "ada@chat.test", "password": password, "device_token": device});
    asks(board, address, "/auth/token/", &body).await
}

/// Ten wrong passwords from each of twelve addresses. Returns how many were verified; a limit
/// refused the others.
async fn attack(board: &Board, email: &str) -> usize {
    let mut count = 0;
    for round in 0..10 {
        let guesses = join_all((1..=12).map(|host| async move {
            let body = json!({"email": email, "password": format!("guess {round}")});
            asks(board, &format!("198.51.100.{host}"), "/auth/token/", &body).await
        }))
        .await;
        for guess in guesses {
            match guess.status {
                401 => count += 1,
                _ => drop(guess.refuses(429, "rate_limited")),
            }
        }
    }
    count
}

fn token(mail: &Mail) -> String {
    let rest = mail.text.split("/reset/?token=").nth(1).unwrap();
    rest.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect()
}

/// Registers Ada at home, and signs her in there.
async fn ada(board: &Board) -> Value {
    let account = json!({"email": "ada@chat.test", "password": PASSWORD});
    asks(board, HOME, "/auth/register/", &account).await.is(201);
    signs_in(board, HOME, PASSWORD).await.is(200)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_of_strangers_lock_nobody_out() {
    let delay = Duration::from_millis(200);
    let board = Board::builder().limits_on().behind_a_proxy().mails_after(delay).start().await;
    let signed_in = ada(&board).await;
    let (access, device) = (&signed_in["access"], &signed_in["device_token"]);
    assert!(device.as_str().is_some_and(|token| token.len() >= 32), "{device}");

    let guessed = attack(&board, "ada@chat.test").await;
    assert!((100..=102).contains(&guessed), "{guessed} attempts were verified");
    let refused = signs_in(&board, ELSEWHERE, PASSWORD).await;
    refused.refuses(429, "rate_limited");
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    let forged = json!("x".repeat(43));
    signs_in_with(&board, ELSEWHERE, PASSWORD, &forged).await.refuses(429, "rate_limited");

    // A known address, a known device, a reset link and her own login are not blocked.
    signs_in(&board, HOME, PASSWORD).await.is(200);
    let again = signs_in_with(&board, ELSEWHERE, PASSWORD, device).await.is(200);
    assert_eq!(&again["device_token"], device, "a device keeps its token");
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    let at_work = (access, "192.0.2.50");
    asks_as(&board, at_work, ("POST", "/auth/password/change/"), &change).await.is(204);
    signs_in_with(&board, "192.0.2.51", "another password", device).await.is(200);
    let mail = json!({"email": "ada@chat.test"});
    asks(&board, "192.0.2.52", "/auth/password/reset/", &mail).await.is(202);
    let token = token(&board.mailbox().mail_to("ada@chat.test").await);
    let confirm = json!({"token": token, "new_password": "a third password"});
    asks(&board, "192.0.2.53", "/auth/password/reset/confirm/", &confirm).await.is(204);
    let renewed = signs_in(&board, "192.0.2.53", "a third password").await.is(200);
    let leaving = (&renewed["access"], "192.0.2.54");
    let proof = json!({"password": "a third password"});
    asks_as(&board, leaving, ("DELETE", "/auth/me/"), &proof).await.is(204);
    assert_eq!(board.count("select count(*) from known_addresses").await, 0);
    assert_eq!(board.count("select count(*) from device_tokens").await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_address_is_limited_like_a_known_one() {
    let board = Board::builder().limits_on().behind_a_proxy().start().await;
    let guessed = attack(&board, "nobody@chat.test").await;
    assert!((100..=102).contains(&guessed), "{guessed} attempts were verified");
    // The owner of a new account is known where they registered.
    let account = json!({"email": "nobody@chat.test", "password": PASSWORD});
    asks(&board, ELSEWHERE, "/auth/token/", &account).await.refuses(429, "rate_limited");
    asks(&board, HOME, "/auth/register/", &account).await.is(201);
    asks(&board, HOME, "/auth/token/", &account).await.is(200);
    asks(&board, ELSEWHERE, "/auth/token/", &account).await.refuses(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attempts_from_its_own_address_do_not_block_a_device() {
    let board = Board::builder().limits_on().behind_a_proxy().start().await;
    let device = &ada(&board).await["device_token"];
    let mut guesses = 0;
    while signs_in(&board, HOME, "a guess").await.status != 429 {
        guesses += 1;
        assert!(guesses < 60, "somebody behind her address guesses without end");
    }
    signs_in_with(&board, HOME, PASSWORD, device).await.is(200);
    // It has a limit of its own.
    let mut guesses = 0;
    while signs_in_with(&board, HOME, "a guess", device).await.status != 429 {
        guesses += 1;
        assert!(guesses < 60, "a device guesses without end");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn known_clients_are_not_blocked_after_a_new_password_either() {
    let board = Board::builder().limits_on().behind_a_proxy().start().await;
    let signed_in = ada(&board).await;
    let device = &signed_in["device_token"];
    signs_in(&board, "192.0.2.60", PASSWORD).await.is(200);
    let change = json!({"current_password": PASSWORD, "new_password": "another password"});
    let at_home = (&signed_in["access"], HOME);
    asks_as(&board, at_home, ("POST", "/auth/password/change/"), &change).await.is(204);
    attack(&board, "ada@chat.test").await;
    signs_in(&board, ELSEWHERE, "another password").await.refuses(429, "rate_limited");
    signs_in(&board, "192.0.2.60", "another password").await.is(200);
    signs_in_with(&board, ELSEWHERE, "another password", device).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_known_for_thirty_days_and_a_device_for_a_year() {
    let board = Board::builder().limits_on().behind_a_proxy().start().await;
    let device = &ada(&board).await["device_token"];
    attack(&board, "ada@chat.test").await;
    board.clock.advance(Duration::from_secs(29 * 86_400));
    signs_in(&board, HOME, PASSWORD).await.is(200);
    board.clock.advance(Duration::from_secs(31 * 86_400));
    signs_in(&board, HOME, PASSWORD).await.refuses(429, "rate_limited");
    signs_in_with(&board, HOME, PASSWORD, device).await.is(200);
    signs_in(&board, HOME, PASSWORD).await.is(200);
    board.clock.advance(Duration::from_secs(366 * 86_400));
    signs_in_with(&board, HOME, PASSWORD, device).await.refuses(429, "rate_limited");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_account_knows_a_bounded_number_of_clients() {
    let board = Board::builder().behind_a_proxy().start().await;
    ada(&board).await;
    for host in 1..=40 {
        board.clock.advance(Duration::from_secs(1));
        signs_in(&board, &format!("198.51.100.{host}"), PASSWORD).await.is(200);
    }
    assert_eq!(board.count("select count(*) from known_addresses").await, 32);
    assert_eq!(board.count("select count(*) from device_tokens").await, 32);
    let newest = "select count(*) from known_addresses where prefix = '198.51.100.40'";
    assert_eq!(board.count(newest).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_network_of_ipv6_is_one_client() {
    let board = Board::builder().limits_on().behind_a_proxy().start().await;
    let alice = board.person("alice").await;
    let began = Instant::now();
    let answers = join_all((0..300).map(|number| {
        let (board, address) = (&board, format!("2001:db8:1:2::{number:x}"));
        async move {
            let body = json!({"email": format!("{number}@chat.test"), "password": PASSWORD});
            let path = if number % 2 == 0 { "/auth/token/" } else { "/auth/register/" };
            asks(board, &address, path, &body).await.status
        }
    }))
    .await;
    // Sixty a minute, of which the password queue may refuse some.
    let let_through = answers.iter().filter(|status| **status != 429).count() as u64;
    let most = 60 + began.elapsed().as_secs() + 1;
    assert!((60..=most).contains(&let_through), "{let_through} of 300, at most {most}");
    let body = json!({"email": alice.email, "password": testkit::PASSWORD});
    asks(&board, "2001:db8:1:3::1", "/auth/token/", &body).await.is(200);
    asks(&board, HOME, "/auth/token/", &body).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bystander_signs_in_while_a_flood_fills_the_password_queue() {
    let board = std::sync::Arc::new(Board::builder().behind_a_proxy().start().await);
    let alice = board.person("alice").await;
    // Half of it comes from one IPv6 site, half from sixteen IPv4 addresses.
    let flood: Vec<_> = (0..640)
        .map(|number| {
            let board = board.clone();
            testkit::spawn(async move {
                let address = match number % 2 {
                    0 => format!("198.51.100.{}", number % 32),
                    _ => format!("2001:db8:1:{:x}::{number:x}", number % 64),
                };
                let body = json!({"email": format!("{number}@chat.test"), "password": PASSWORD});
                asks(&board, &address, "/auth/register/", &body).await.status
            })
        })
        .collect();
    // Refusals are immediate, so the first answer means that the queue is full.
    eventually("the queue is full", DEADLINE, || async {
        flood.iter().any(tokio::task::JoinHandle::is_finished).then_some(())
    })
    .await;
    let body = json!({"email": alice.email, "password": testkit::PASSWORD});
    for _ in 0..3 {
        asks(&board, HOME, "/auth/token/", &body).await.is(200);
    }
    let statuses: Vec<u16> =
        join_all(flood).await.into_iter().map(|status| status.expect("it ends")).collect();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert!(refused > 0, "the flood did not fill the queue");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_sign_ins_holds_one_connection_for_each_slot() {
    // As many slots as there are cores, and fewer than the connections of an api.
    let cores = std::thread::available_parallelism().unwrap().get();
    let slots = u32::try_from(cores).unwrap().min(16);
    let builder = Board::builder().behind_a_proxy().api_connections(slots + 4);
    let board = std::sync::Arc::new(builder.start().await);
    let alice = board.person("alice").await;
    // No account can be looked up.
    let held = board.holding("lock table known_addresses in access exclusive mode").await;
    let flood: Vec<_> = (0..slots + 24)
        .map(|number| {
            let board = board.clone();
            testkit::spawn(async move {
                let body = json!({"email": format!("{number}@chat.test"), "password": PASSWORD});
                asks(&board, &format!("198.51.100.{number}"), "/auth/token/", &body).await.status
            })
        })
        .collect();
    let waiting = "select count(*) from pg_stat_activity \
                   where wait_event_type = 'Lock' and datname = current_database()";
    eventually("sign-ins wait for the lock", DEADLINE, || async {
        (board.count(waiting).await >= i64::from(slots)).then_some(())
    })
    .await;
    // Others have connections.
    for _ in 0..20 {
        alice.get("/rooms/").await.is(200);
    }
    assert!(board.count(waiting).await <= i64::from(slots));
    held.release().await;
    for status in join_all(flood).await {
        assert!([401, 503].contains(&status.unwrap()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_without_a_user_count_by_client_also_when_they_fail() {
    let board = Board::builder().limits_on().behind_a_proxy().start().await;
    for (site, path, method) in [
        (1, "/auth/me/", "GET"),
        (2, "/no/such/route/", "GET"),
        (3, "/auth/token/", "GET"),
        (4, "/health/nothing/", "POST"),
    ] {
        let began = Instant::now();
        let address = format!("2001:db8:{site:x}::");
        let url = format!("{}/api/v1{path}", board.api());
        let answers = join_all((0..130).map(|number| {
            let (board, url, address) = (&board, &url, format!("{address}{number:x}"));
            async move {
                let headers = [("x-forwarded-for", address.as_str())];
                board.call(method, url, &headers, None).await.status
            }
        }))
        .await;
        let answered = answers.iter().filter(|status| **status != 429).count() as u64;
        let most = 100 + 2 * began.elapsed().as_secs() + 2;
        assert!((100..=most).contains(&answered), "{path}: {answered}, at most {most}");
    }
}
