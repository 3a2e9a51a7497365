//! Clients that hold on to what they were given: slow readers, half-open connections. What they
//! hold is bounded, everybody else is served, and it is given back.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::time::Duration;

use runtime::serve::Limits;
use testkit::{Board, DEADLINE, Person, eventually, json, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Bytes of answers that one address may leave unread.
const UNREAD_MAX: f64 = 32.0 * 1024.0 * 1024.0;
/// An answer that is not read is aborted after 30 s.
const ABORT_PATIENCE: Duration = Duration::from_secs(90);

fn address(url: &str) -> SocketAddr {
    url.split("://").last().unwrap().parse().unwrap()
}

/// A connection from a loopback address of the client's choice, with small buffers.
async fn connects(from: &str, to: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.bind(SocketAddr::new(from.parse().unwrap(), 0)).unwrap();
    within("a connection", socket.connect(address(to))).await.unwrap()
}

/// Asks for something and reads nothing of the answer.
async fn asks_and_waits(board: &Board, who: &Person, path: &str) -> TcpStream {
    asks_from("127.0.0.1", board, who, path).await
}

/// The same from a loopback address of the client's choice.
async fn asks_from(from: &str, board: &Board, who: &Person, path: &str) -> TcpStream {
    let mut stream = connects(from, board.api()).await;
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\n\r\n", who.token);
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

/// Whether a connection has been closed by the other side: reads what there is first.
async fn is_closed(stream: &mut TcpStream) -> bool {
    let mut scrap = vec![0; 64 * 1024];
    let ended = async { while matches!(stream.read(&mut scrap).await, Ok(count) if count > 0) {} };
    tokio::time::timeout(Duration::from_millis(200), ended).await.is_ok()
}

async fn large_room(board: &Board, owner: &Person, room: i64) {
    board.fill_room(room, owner.id, 400).await;
    let large =
        format!("update messages set body = repeat('\u{1f600}', 10000) where room_id = {room}");
    board.sql(&large).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_that_nobody_reads_are_bounded_and_then_aborted() {
    let board = Board::builder().processes().edges(1).limits_on().start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    large_room(&board, &alice, room).await;
    let metric =
        async |name: &str| board.processes().await[Board::API].metric(board.http(), name).await;
    let before = board.processes().await[Board::API].resident_bytes();
    let path = format!("/api/v1/messages/rooms/{room}/?limit=200");
    let mut hoarders = Vec::new();
    let most = Cell::new(0.0_f64);
    for _ in 0..60 {
        hoarders.push(asks_and_waits(&board, &alice, &path).await);
        most.set(most.get().max(metric("chatboard_response_bytes").await));
        assert_eq!(board.get("/health/live").await.is(200), json!({"status": "ok"}));
        bob.get("/auth/me/").await.is(200);
    }
    eventually("answers wait to be read", DEADLINE, || async {
        most.set(most.get().max(metric("chatboard_response_bytes").await));
        (most.get() > 1024.0 * 1024.0).then_some(())
    })
    .await;
    let held = board.processes().await[Board::API].resident_bytes();
    let aborted = eventually("they are aborted", ABORT_PATIENCE, || async {
        most.set(most.get().max(metric("chatboard_response_bytes").await));
        let aborted = metric("chatboard_responses_aborted_total").await;
        (aborted >= 1.0 && metric("chatboard_response_bytes").await == 0.0).then_some(aborted)
    })
    .await;
    let most = most.get();
    assert!(most <= UNREAD_MAX, "{most} bytes wait to be read");
    bob.get("/auth/me/").await.is(200);
    let after = board.processes().await[Board::API].resident_bytes();
    eprintln!(
        "resident before {} KiB, held {} KiB, after {} KiB; most unread {most} bytes, {aborted} aborted",
        before / 1024,
        held / 1024,
        after / 1024,
    );
    drop(hoarders);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_that_read_nothing_leave_room_for_others() {
    let mebibyte = 1024 * 1024;
    let limits = Limits {
        response_bytes: 32 * mebibyte,
        response_bytes_per_client: 4 * mebibyte,
        ..Limits::default()
    };
    let board = Board::builder().serving(limits).start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    large_room(&board, &alice, room).await;
    let path = format!("/messages/rooms/{room}/?limit=200");
    let mut hoarders = Vec::new();
    for client in 2..14 {
        let from = format!("127.0.0.{client}");
        for _ in 0..4 {
            let path = format!("/api/v1{path}");
            hoarders.push(asks_from(&from, &board, &alice, &path).await);
        }
    }
    let mut held = 0;
    for hoarder in &mut hoarders {
        let mut status = [0; 12];
        within("a status", hoarder.read_exact(&mut status)).await.unwrap();
        match &status {
            b"HTTP/1.1 200" => held += 1,
            other => assert_eq!(other, b"HTTP/1.1 429"),
        }
    }
    assert!((12..32).contains(&held), "{held} pages of a mebibyte are held");
    for _ in 0..10 {
        bob.get(&path).await.is(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_connections_of_one_address_leave_room_for_others() {
    let limits = Limits {
        connections: 200,
        connections_per_client: 100,
        heads_per_client: 20,
        ..Limits::default()
    };
    let board = Board::builder().serving(limits).start().await;
    let mut half_open = Vec::new();
    for _ in 0..150 {
        let mut stream = connects("127.0.0.1", board.api()).await;
        let _refused_already = stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n").await;
        half_open.push(stream);
    }
    let mut closed = 0;
    for stream in &mut half_open[20..] {
        closed += usize::from(is_closed(stream).await);
    }
    assert_eq!(closed, 130, "all beyond the bound");
    let mut bystander = connects("127.0.0.2", board.api()).await;
    bystander.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut status = [0; 12];
    within("an answer", bystander.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    drop(half_open);
    eventually("there is room again", DEADLINE, || async {
        let mut stream = connects("127.0.0.1", board.api()).await;
        stream.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.ok()?;
        stream.read_exact(&mut [0; 12]).await.ok().map(drop)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_requests_are_bounded_by_address_and_by_user() {
    let limits = Limits { requests_per_client: 8, ..Limits::default() };
    let board = Board::builder().serving(limits).open_requests_per_user(4).start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    large_room(&board, &alice, room).await;
    let path = format!("/api/v1/messages/rooms/{room}/?limit=200");
    let waiting = RefCell::new(Vec::new());
    // One that is refused holds nothing: others are sent until the bound is reached.
    let hoards = async |who: &Person| {
        let hoarder = asks_and_waits(&board, who, &path).await;
        waiting.borrow_mut().push(hoarder);
    };
    let over = eventually("the user's bound is reached", DEADLINE, || async {
        hoards(&alice).await;
        let answer = alice.get("/auth/me/").await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(over.header("retry-after"), "1");
    over.refuses(429, "rate_limited");
    bob.get("/auth/me/").await.is(200);
    let over = eventually("the address's bound is reached", DEADLINE, || async {
        hoards(&bob).await;
        let answer = board.get("/health/live").await;
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(over.header("retry-after"), "1");
    assert_eq!(over.json()["code"], "rate_limited");
    drop(waiting);
    eventually("both are served again", DEADLINE, || async {
        let (live, me) = (board.get("/health/live").await, alice.get("/auth/me/").await);
        (live.status == 200 && me.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_holds_a_mebibyte_and_the_walk_shows_everything_once() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    large_room(&board, &alice, room).await;
    let lists = [
        format!("/messages/rooms/{room}/?limit=200"),
        format!("/messages/rooms/{room}/?limit=200&after=0"),
        format!("/messages/rooms/{room}/?limit=200&after_seq=0"),
        format!("/rooms/{room}/events/?limit=200"),
    ];
    for list in &lists {
        let mut next = Some(list.clone());
        let (mut seen, mut pages, mut back) = (Vec::new(), 0, None);
        while let Some(at) = next {
            let answer = alice.get(&at).await;
            assert!(answer.text.len() < 1_100_000, "{list}: {} bytes", answer.text.len());
            let page = answer.is(200);
            let results = page["results"].as_array().unwrap();
            assert!(!results.is_empty() && results.len() < 200, "{list}: {}", results.len());
            seen.extend(results.iter().map(|one| one["seq"].as_i64().unwrap()));
            next = page["next"].as_str().map(str::to_owned);
            back = page["previous"].as_str().map(str::to_owned);
            pages += 1;
        }
        assert!(pages > 10, "{list}: {pages} pages");
        let mut unique = seen.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!((seen.len(), unique.len()), (400, 400), "{list}: everything, once");
        // And back again, page by page.
        let mut returned = 0;
        while let Some(at) = back {
            let page = alice.get(&at).await.is(200);
            returned += page["results"].as_array().unwrap().len();
            back = page["previous"].as_str().map(str::to_owned);
        }
        assert!(returned > 350, "{list}: {returned} on the way back");
    }
}
