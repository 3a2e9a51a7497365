//! Questions that were on their way while their token expired or was renewed.

use std::time::Duration;

use testkit::{Board, DEADLINE, eventually, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_before_a_renewal_is_not_lost_when_the_old_token_expires_on_its_way() {
    let board = Board::builder().processes().edges(1).start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let lifetime = Duration::from_secs(5);
    let old = alice.with_token(&alice.mint(lifetime));
    let expires_at = board.clock.now() + lifetime;
    let mut socket = old.opens(0, room).await;
    // The api takes the question only once the old token has expired.
    board.processes().await[Board::API].halt();
    socket.sends(json!({"type": "message", "body": "on its way", "nonce": "n1"})).await;
    socket.catches_up().await;
    let fresh = alice.mint(Duration::from_secs(900));
    socket.sends(json!({"type": "auth", "token": fresh})).await;
    socket.next_of_type("authenticated").await;
    eventually("the old token has expired", DEADLINE, async || {
        (board.clock.now() > expires_at).then_some(())
    })
    .await;
    board.processes().await[Board::API].resume();
    let ack = socket.next_of_type("ack").await;
    assert_eq!(ack["nonce"], "n1");
    socket.sees("on its way").await;
    assert_eq!(alice.history(room).await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewed_socket_outlives_the_login_that_it_began_with() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    let mut socket = alice.opens(0, room).await;
    let phone = alice.on_another_device(&board).await;
    socket.sends(json!({"type": "auth", "token": phone.token})).await;
    socket.next_of_type("authenticated").await;
    phone.delete(&format!("/auth/sessions/{}/", alice.login)).await.is(204);
    // The api has refused the first login's token for certain once REST does.
    eventually("the first login is revoked", DEADLINE, async || {
        (alice.get("/auth/me/").await.status == 401).then_some(())
    })
    .await;
    socket.posts(room, "from the phone's login").await;
    phone.delete(&format!("/auth/sessions/{}/", phone.login)).await.is(204);
    assert_eq!(socket.closes().await.code, 4001);
}
