//! Hostile input: a clear error, no panic, flat memory, and everybody else is served on.

use testkit::{Board, Team, json, within};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

/// What five rounds of everything may leave in memory: far less than was thrown.
const GROWTH_MAX: u64 = 48 * 1024 * 1024;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_outlives_what_is_thrown_at_it() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    throw_all(&board, &team).await;
    let before = resident(&board).await;
    for _ in 0..5 {
        throw_all(&board, &team).await;
    }
    let after = resident(&board).await;
    assert!(after < before + GROWTH_MAX, "memory grew from {before} to {after} bytes");
    // All of them are still there, and sane.
    let mut socket = team.bob.opens(0, team.room).await;
    team.alice.posts(team.room, "still here").await;
    socket.sees("still here").await;
}

async fn resident(board: &Board) -> u64 {
    let processes = board.processes().await;
    [Board::API, Board::EDGE].iter().map(|&process| processes[process].resident_bytes()).sum()
}

async fn throw_all(board: &Board, team: &Team) {
    bodies(team).await;
    frames(team).await;
    fragments(team).await;
    broken_framing(board, team).await;
    half_open(board).await;
}

async fn bodies(team: &Team) {
    let messages = format!("/messages/rooms/{}/", team.room);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_field = format!("{{\"body\":{deep}}}");
    let mebibyte = format!("{{\"body\":\"{}\"}}", "x".repeat(1024 * 1024));
    for (body, status) in [
        (deep.as_str(), 400),
        (deep_field.as_str(), 422),
        (mebibyte.as_str(), 413),
        ("{\"body\":\"\\u0000\"}", 422),
        ("{\"body\":\"\\ud800\"}", 400),
        ("{\"body\":\"\\udc00\\ud800\"}", 400),
        ("{\"body\":1e400}", 422),
        ("{\"body\":\"x\",\"reply_to\":99999999999999999999999999}", 422),
    ] {
        let reply = team.bob.sends_text("POST", &messages, body).await;
        let start: String = body.chars().take(40).collect();
        assert_eq!(reply.status, status, "{start}: {}", reply.text);
        assert!(reply.json()["code"].is_string(), "{start}: {}", reply.text);
    }
    for query in ["cursor=%ff", "limit=1e9", "before=%00", "after=18446744073709551616"] {
        let reply = team.bob.get(&format!("{messages}?{query}")).await;
        reply.refuses(400, "malformed_request");
    }
}

async fn frames(team: &Team) {
    let deep = format!("{{\"type\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    let mut socket = team.bob.opens(0, team.room).await;
    socket.sends_text(&deep).await;
    socket.is_refused("malformed_request").await;
    for id in ["-1", "0", "9223372036854775808", "18446744073709551616"] {
        let frame = format!("{{\"type\":\"read\",\"msg_id\":{id}}}");
        socket.sends_text(&frame).await;
        socket.is_refused("validation_failed").await;
    }
    socket.catches_up().await;
    let mut large = team.bob.opens(0, team.room).await;
    large.sends_text(&"x".repeat(1024 * 1024)).await;
    assert_eq!(large.closes().await.code, 1009);
    let mut binary = team.bob.opens(0, team.room).await;
    binary.sends_raw(Message::binary(vec![0; 1024])).await;
    assert_eq!(binary.closes().await.code, 1003);
}

/// A message in three pieces is a message; one whose pieces never end is too large; pieces that
/// continue nothing, and thousands of empty ones, end the socket or are borne.
async fn fragments(team: &Team) {
    let piece = |code: Data, text: &str, is_last: bool| {
        Message::Frame(Frame::message(text.to_owned(), OpCode::Data(code), is_last))
    };
    let mut socket = team.bob.opens(0, team.room).await;
    socket.sends_raw(piece(Data::Text, "{\"type\":", false)).await;
    socket.sends_raw(piece(Data::Continue, "\"ping\"", false)).await;
    socket.sends_raw(piece(Data::Continue, "}", true)).await;
    socket.next_of_type("pong").await;
    socket.sends_raw(piece(Data::Text, "{", false)).await;
    let chunk = "x".repeat(16 * 1024);
    for _ in 0..17 {
        socket.sends_raw(piece(Data::Continue, &chunk, false)).await;
    }
    assert_eq!(socket.closes().await.code, 1009);
    let mut tiny = team.bob.opens(0, team.room).await;
    tiny.sends_raw(piece(Data::Text, "", false)).await;
    for _ in 0..5_000 {
        tiny.sends_raw(piece(Data::Continue, "", false)).await;
    }
    drop(tiny);
    let mut continued = team.bob.opens(0, team.room).await;
    continued.sends_raw(piece(Data::Continue, "x", true)).await;
    assert_ne!(continued.closes().await.code, 1000);
}

/// Frames that RFC 6455 forbids: unmasked, with reserved bits, of a reserved kind.
async fn broken_framing(board: &Board, team: &Team) {
    let masked = |first: u8| [first, 0x82, 1, 2, 3, 4, b'h' ^ 1, b'i' ^ 2].to_vec();
    for bytes in [vec![0x81, 2, b'h', b'i'], masked(0xc1), masked(0x83), masked(0x8b)] {
        let mut stream = upgraded(board, team).await;
        stream.write_all(&bytes).await.unwrap();
        let mut heard = Vec::new();
        // Whatever was on its way, then the end: a socket that stayed open would never end this.
        let end = stream.read_to_end(&mut heard);
        let _reset_is_an_end_too = within("the end of a broken socket", end).await;
    }
}

async fn upgraded(board: &Board, team: &Team) -> TcpStream {
    let host = board.edge(0).split("://").last().unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request = format!(
        "GET /ws/rooms/{}/ HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
         Authorization: Bearer {}\r\n\r\n",
        team.room, team.bob.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    within("the upgrade", stream.read_exact(&mut status)).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 101");
    stream
}

/// Connections that say half of what they should, and then nothing.
async fn half_open(board: &Board) {
    for address in [board.api(), board.edge(0)] {
        for bytes in [
            "GARBAGE\r\n\r\n",
            "GET / HTTP/9.9\r\n\r\n",
            "\0\0\0\0\r\n\r\n",
            "GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Version: 12\r\nSec-WebSocket-Key: eA==\r\n\r\n",
        ] {
            let answer = board.raw(address, bytes.as_bytes(), "\r\n\r\n").await;
            assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{bytes:?}: {answer}");
        }
        let mut left = Vec::new();
        for _ in 0..200 {
            let host = address.split("://").last().unwrap();
            let mut stream = TcpStream::connect(host).await.unwrap();
            stream.write_all(b"GET /ws/ HTTP/1.1\r\nHost: x\r\nUpgr").await.unwrap();
            left.push(stream);
        }
        assert_eq!(board.get("/health/live").await.is(200), json!({"status": "ok"}));
    }
    let huge = format!("GET / HTTP/1.1\r\nHost: x\r\nX-Huge: {}\r\n\r\n", "x".repeat(200_000));
    let answer = board.raw(board.api(), huge.as_bytes(), "\r\n\r\n").await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
}
