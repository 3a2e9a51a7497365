//! Work that blocks has threads of its own.

use testkit::{Board, PASSWORD, json, within};

#[test]
fn a_sign_in_needs_none_of_the_threads_that_all_blocking_work_shares() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .max_blocking_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let board = Board::builder().start().await;
        let bob = board.person("bob").await;
        let (release, gate) = std::sync::mpsc::channel::<()>();
        let (start, begun) = tokio::sync::oneshot::channel();
        let pinned = tokio::task::spawn_blocking(move || {
            start.send(()).unwrap();
            let _ = gate.recv();
        });
        begun.await.unwrap();
        let body = json!({"email": bob.email, "password": PASSWORD});
        within("a sign-in", bob.post("/auth/token/", body)).await.is(200);
        release.send(()).unwrap();
        pinned.await.unwrap();
    });
}
