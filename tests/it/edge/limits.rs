//! What a client may do too much of.

use testkit::{Board, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_warned_of_dropped_and_then_closed() {
    let board = Board::builder().limits_on().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    for _ in 0..22 {
        socket.sends(json!({"type": "ping"})).await;
    }
    let near = socket.next_of_type("warning").await;
    assert_eq!(near["code"], "rate_limit_near");
    assert!(near["retry_after_ms"].is_number());
    let over = socket.is_refused("rate_limited").await;
    assert!(over["retry_after_ms"].is_number());
    for number in 0..60 {
        let nonce = number.to_string();
        socket.sends(json!({"type": "message", "body": "flood", "nonce": nonce})).await;
    }
    assert_eq!(socket.closes().await.code, 4429);
    let refused = socket
        .backlog()
        .into_iter()
        .find(|frame| frame["code"] == "rate_limited" && frame["nonce"].is_string());
    assert!(refused.is_some(), "a dropped send is named: {:?}", socket.backlog());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_frames_a_second_are_fine() {
    let board = Board::builder().limits_on().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(1, room).await;
    for _ in 0..15 {
        socket.sends(json!({"type": "ping"})).await;
        socket.next_of_type("pong").await;
    }
    assert!(!socket.has("error"), "{:?}", socket.backlog());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_binary_frame_closes() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    socket.sends_raw(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(socket.closes().await.code, 1003);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_frame_may_have_256_kib_and_no_more() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let of_size = |bytes: usize| {
        let empty = "{\"type\":\"ping\",\"x\":\"\"}";
        format!("{{\"type\":\"ping\",\"x\":\"{}\"}}", "y".repeat(bytes - empty.len()))
    };
    let mut socket = alice.opens(0, room).await;
    socket.sends_text(&of_size(256 * 1024)).await;
    socket.next_of_type("pong").await;
    socket.sends_text(&of_size(256 * 1024 + 1)).await;
    assert_eq!(socket.closes().await.code, 1009);
    let mut socket = alice.opens(1, room).await;
    socket.sends_text(&of_size(1024 * 1024)).await;
    let closed = socket.closes().await;
    assert!([1009, 1006].contains(&closed.code), "{closed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_pings_is_a_flood() {
    let board = Board::builder().limits_on().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    for _ in 0..200 {
        socket.sends_raw(Message::Ping(vec![7; 125].into())).await;
    }
    assert_eq!(socket.closes().await.code, 4429);
    assert!(socket.backlog().iter().any(|frame| frame["code"] == "rate_limited"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_has_a_hundred_sockets_on_an_edge_at_most() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let mut sockets = Vec::new();
    for _ in 0..100 {
        sockets.push(alice.opens_many(0).await);
    }
    assert_eq!(alice.opening(0, "/ws/").is_closed().await.code, 1013);
    bob.opens(0, room).await.catches_up().await;
    alice.opens(1, room).await.catches_up().await;
    sockets.remove(0).leaves().await;
    testkit::eventually("there is room again", testkit::DEADLINE, || async {
        let mut socket = alice.opening(0, "/ws/").connect().await;
        testkit::within("a frame or the close", socket.try_next()).await.map(drop)
    })
    .await;
}

/// A frame of a message in pieces.
fn piece(code: Data, text: &str, is_last: bool) -> Message {
    Message::Frame(Frame::message(text.to_owned(), OpCode::Data(code), is_last))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_continuation_frames_are_a_flood() {
    let board = Board::builder().limits_on().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    socket.sends_raw(piece(Data::Text, "", false)).await;
    for _ in 0..2_000 {
        socket.sends_raw(piece(Data::Continue, "", false)).await;
    }
    assert_eq!(socket.closes().await.code, 4429, "one message that never ends");
    // Messages that end, each with fewer fragments than one may have.
    let mut socket = alice.opens(1, room).await;
    for _ in 0..20 {
        socket.sends_raw(piece(Data::Text, "{\"type\":", false)).await;
        for _ in 0..100 {
            socket.sends_raw(piece(Data::Continue, "", false)).await;
        }
        socket.sends_raw(piece(Data::Continue, "\"ping\"}", true)).await;
    }
    assert_eq!(socket.closes().await.code, 4429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn empty_messages_and_pongs_are_a_flood() {
    let board = Board::builder().limits_on().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    for _ in 0..200 {
        socket.sends_text("").await;
    }
    assert_eq!(socket.closes().await.code, 4429);
    let mut socket = alice.opens(1, room).await;
    for _ in 0..200 {
        socket.sends_raw(Message::Pong(Vec::new().into())).await;
    }
    assert_eq!(socket.closes().await.code, 4429);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_message_in_pieces_is_one_frame() {
    let board = Board::builder().limits_on().start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    for _ in 0..5 {
        socket.sends_raw(piece(Data::Text, "{\"type\":\"ping\",\"x\":\"", false)).await;
        for _ in 0..60 {
            socket.sends_raw(piece(Data::Continue, &"x".repeat(4_000), false)).await;
        }
        socket.sends_raw(piece(Data::Continue, "\"}", true)).await;
        socket.next_of_type("pong").await;
    }
    assert!(!socket.has("error") && !socket.has("warning"), "{:?}", socket.backlog());
}
