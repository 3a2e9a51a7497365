//! A socket that does not read.

use testkit::{Board, json};

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
