//! Limits hold over all api nodes together.

use std::time::Instant;

use futures_util::future::join_all;
use testkit::{Board, DEADLINE, Person, Reply, eventually, json};

/// Asks a node as someone.
async fn asks(board: &Board, node: usize, who: &Person) -> Reply {
    who.get(&format!("{}/api/v1/auth/me/", board.api_node(node))).await
}

/// What someone has left, as an answer of a node says.
fn left(answer: &Reply) -> u32 {
    answer.header("ratelimit-remaining").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_lets_through_counts_on_the_other() {
    let board = Board::builder().limits_on().apis(2).start().await;
    let (alice, bob) = (board.person("alice").await, board.person("bob").await);
    let began = Instant::now();
    for _ in 0..60 {
        asks(&board, 0, &alice).await.is(200);
    }
    // A limit of 100 a minute: what comes back meanwhile is counted in.
    eventually("the other node knows", DEADLINE, || async {
        let came_back = u32::try_from(began.elapsed().as_secs() * 2 + 1).unwrap();
        let answer = asks(&board, 1, &alice).await;
        (answer.status == 429 || left(&answer) <= 40 + came_back).then_some(())
    })
    .await;
    let mut over = asks(&board, 1, &alice).await;
    while over.status == 200 {
        over = asks(&board, 1, &alice).await;
    }
    over.refuses(429, "rate_limited");
    eventually("the first node refuses too", DEADLINE, || async {
        (asks(&board, 0, &alice).await.status == 429).then_some(())
    })
    .await;
    assert!(left(&asks(&board, 1, &bob).await) >= 99, "another's count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_all_nodes_at_once_gets_the_limit_of_each_and_pays_it_back() {
    let board = Board::builder().limits_on().apis(2).start().await;
    let alice = board.person("alice").await;
    let began = Instant::now();
    let answers = join_all((0..300).map(|number| asks(&board, number % 2, &alice))).await;
    let allowed = answers.iter().filter(|answer| answer.status == 200).count();
    let came_back = usize::try_from(began.elapsed().as_secs() * 2 + 2).unwrap();
    assert!((100..=200 + 2 * came_back).contains(&allowed), "{allowed} were let through");
    // Once both know, the next is far away where more than the limit got through.
    eventually("both nodes refuse", DEADLINE, || async {
        let refused = join_all((0..2).map(|node| asks(&board, node, &alice))).await;
        refused.iter().all(|answer| answer.status == 429).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sign_ins_are_counted_over_all_nodes() {
    let board = Board::builder().limits_on().apis(2).start().await;
    let body = json!({"email": "nobody@chat.test"}).to_string();
    let asks = |node: usize| {
        let url = format!("{}/api/v1/auth/password/reset/", board.api_node(node));
        let (board, body) = (&board, &body);
        async move {
            let headers = [("content-type", "application/json")];
            board.call("POST", &url, &headers, Some(body)).await.status
        }
    };
    for _ in 0..10 {
        assert_ne!(asks(0).await, 429);
    }
    eventually("the other node refuses", DEADLINE, || async {
        (asks(1).await == 429).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nats_is_away_each_node_holds_the_limit_for_itself() {
    let board = Board::builder().own_servers().limits_on().apis(2).start().await;
    let alice = board.person("alice").await;
    let nats = &board.servers().nats;
    tokio::task::block_in_place(|| nats.kill()).unwrap();
    for node in 0..2 {
        let began = Instant::now();
        let answers = join_all((0..150).map(|_| asks(&board, node, &alice))).await;
        let allowed = answers.iter().filter(|answer| answer.status != 429).count();
        let came_back = usize::try_from(began.elapsed().as_secs() * 2 + 2).unwrap();
        assert!((100..=100 + came_back).contains(&allowed), "node {node} let {allowed} through");
    }
    tokio::task::block_in_place(|| nats.start_again()).unwrap();
    eventually("counts go round again", DEADLINE, || async {
        let bob = board.person("bob").await;
        asks(&board, 0, &bob).await.is(200);
        for asked in 1..=80 {
            if left(&asks(&board, 1, &bob).await) < 100 - asked {
                return Some(());
            }
        }
        None
    })
    .await;
}
