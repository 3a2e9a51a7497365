//! A socket that does not read.

use std::time::{Duration, Instant};

use testkit::{Board, Person, json, within};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_reader_is_closed_and_slows_nobody() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut fast = bob.opens(0, room).await;
    let mut slow = bob.opens(0, room).await;
    let mut sender = alice.opens_many(1).await;
    // Ten thousand characters of four bytes each: the system's buffers are soon full.
    let body = "😀".repeat(10_000);
    let mut sent = 0;
    for _ in 0..400 {
        let nonce = format!("n{sent}");
        sender.sends(json!({"type": "message", "room": room, "body": body, "nonce": nonce})).await;
        sender.next_of_type("ack").await;
        sent += 1;
        fast.reaches(room, sent).await;
    }
    assert_eq!(slow.closes().await.code, 4008);
    let place = slow.place(room).unwrap();
    assert!(place < sent, "it was behind: {place} of {sent}");
    let mut back = bob.resumes(1, room, place).await;
    back.reaches(room, sent).await;
}

/// A client that follows a room and reads nothing.
async fn reads_nothing(board: &Board, person: &Person, path: &str) -> TcpStream {
    let address = board.edge(0).trim_start_matches("ws://");
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    let mut stream = socket.connect(address.parse().unwrap()).await.unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer {}\r\n\r\n",
        person.token
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    within("an answer", stream.readable()).await.unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn neither_who_vanishes_nor_who_does_not_read_holds_up_the_end() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    board.fill_room(room, alice.id, 1_000).await;
    let long = format!("update messages set body = repeat('x', 9000) where room_id = {room}");
    board.sql(&long).await;
    let everything = format!("/ws/rooms/{room}/?after=0");
    let vanishes = reads_nothing(&board, &bob, &everything).await;
    let stays = reads_nothing(&board, &bob, &everything).await;
    // Whoever reads has everything by now: the other two wait in the middle of their replay.
    let mut reader = bob.resumes(0, room, 0).await;
    reader.reaches(room, 1_000).await;
    // With what it has not read, closing it resets the connection.
    drop(vanishes);
    // One more is live, and has more to read than may wait for it.
    let lags = reads_nothing(&board, &bob, &format!("/ws/rooms/{room}/")).await;
    let mut sender = alice.opens_many(0).await;
    let body = "😀".repeat(10_000);
    for sent in 1..=300 {
        sender.posts(room, &body).await;
        reader.reaches(room, 1_000 + sent).await;
    }
    let began = Instant::now();
    assert!(board.drain().await, "everything ended by itself");
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    drop((stays, lags));
}
