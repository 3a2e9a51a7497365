//! Whatever crashes, everyone is told exactly once.

use std::collections::BTreeSet;
use std::time::Duration;

use testkit::{Board, eventually};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_mention_is_told_once_though_the_relay_is_killed() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    let mut sent = BTreeSet::new();
    for round in 0..5 {
        for number in 0..10 {
            let body = format!("@{} {round} {number}", team.bob.email);
            sent.insert(team.alice.posts(team.room, &body).await["id"].as_i64().unwrap());
        }
        board.crash(Board::RELAY).await;
    }
    board.settle().await;
    let told = eventually("all are told", Duration::from_secs(60), async || {
        let page = team.bob.get("/notifications/?limit=200").await.results();
        (page.len() >= sent.len()).then_some(page)
    })
    .await;
    assert_eq!(told.len(), sent.len());
    let about: BTreeSet<i64> =
        told.iter().map(|one| one["data"]["message"].as_i64().unwrap()).collect();
    assert_eq!(about, sent);
}
