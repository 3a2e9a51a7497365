//! Whom a message mentions is decided when it is sent and when it is edited; each is told once.

use testkit::{Board, Person, Value, eventually, json};

use super::{PATIENCE, told};

/// The mentions that someone was told of in a message.
fn mentions<'a>(page: &'a [Value], message: &Value) -> Vec<&'a Value> {
    page.iter()
        .filter(|one| one["notification_type"] == "mention")
        .filter(|one| one["data"]["message"] == message["id"])
        .collect()
}

/// Waits until nothing is left to plan, and tells of how many mentions in a message someone was told.
async fn told_of(board: &Board, person: &Person, message: &Value) -> usize {
    eventually("nothing waits", PATIENCE, async || {
        (board.count("select count(*) from outbox").await == 0).then_some(())
    })
    .await;
    mentions(&person.get("/notifications/").await.results(), message).len()
}

#[tokio::test]
async fn each_is_told_once_however_often_a_message_is_edited_before_it_is_planned() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    board.settle().await;
    board.processes().await[Board::RELAY].kill();
    let sent = team.alice.posts(team.room, &format!("@{} look", team.bob.email)).await;
    let path = format!("/messages/{}/", sent["id"]);
    // Bob and Carol come, go and come again; in the end everyone is meant, Carol by name too.
    let texts = [
        format!("@{} look", team.carol.email),
        "nobody".to_owned(),
        format!("@{} and @{}", team.bob.email, team.carol.email),
        "@room, everyone".to_owned(),
        format!("@room, and @{}", team.carol.email),
    ];
    for text in &texts {
        team.alice.patch(&path, json!({"body": text})).await.is(200);
    }
    board.start_again(Board::RELAY).await;
    assert_eq!(told_of(&board, &team.bob, &sent).await, 1);
    assert_eq!(told_of(&board, &team.carol, &sent).await, 1);
    assert_eq!(told_of(&board, &team.alice, &sent).await, 0, "never its author");
}

#[tokio::test]
async fn who_is_taken_out_before_it_is_planned_is_not_told() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    board.settle().await;
    board.processes().await[Board::RELAY].kill();
    let sent = team.alice.posts(team.room, &format!("@{} look", team.bob.email)).await;
    let body = json!({"body": format!("@{} look", team.carol.email)});
    team.alice.patch(&format!("/messages/{}/", sent["id"]), body).await.is(200);
    board.start_again(Board::RELAY).await;
    assert_eq!(told_of(&board, &team.carol, &sent).await, 1);
    assert_eq!(told_of(&board, &team.bob, &sent).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_notification_disappears_with_the_access_to_its_room() {
    let board = Board::start().await;
    let team = board.team().await;
    let sent = team.alice.posts(team.room, &format!("@{}", team.bob.email)).await;
    let listed = told(&team.bob, 1).await;
    let path = format!("/notifications/{}/", listed[0]["id"]);
    team.bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
    assert!(mentions(&team.bob.get("/notifications/").await.results(), &sent).is_empty());
    let count = team.bob.get("/notifications/unread-count/").await.is(200);
    assert_eq!(count["unread_count"], 0);
    team.bob.get(&path).await.refuses(404, "not_found");
    let all = team.bob.post_empty("/notifications/mark-all-read/").await.is(200);
    assert_eq!(all["updated"], 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_at_the_same_time_tell_each_person_once_though_relays_share_them() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    let mut other = board.processes().await[Board::RELAY].another();
    other.ready(board.http()).await;
    for round in 0..5 {
        let sent = team.alice.posts(team.room, "soon").await;
        let path = format!("/messages/{}/", sent["id"]);
        let edits = (0..5).map(|n| {
            let text = format!("@{} @{} {round} {n}", team.bob.email, team.carol.email);
            let path = &path;
            let alice = &team.alice;
            async move { alice.patch(path, json!({"body": text})).await.is(200) }
        });
        futures_util::future::join_all(edits).await;
        told(&team.bob, round + 1).await;
        assert_eq!(told_of(&board, &team.bob, &sent).await, 1);
        assert_eq!(told_of(&board, &team.carol, &sent).await, 1);
    }
}

#[tokio::test]
async fn here_means_who_was_online_when_it_was_said() {
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    board.settle().await;
    let bob = team.bob.opens(0, team.room).await;
    board.processes().await[Board::RELAY].kill();
    let sent = team.alice.posts(team.room, "@here lunch").await;
    eventually("who is online is recorded", PATIENCE, async || {
        (board.count("select count(*) from here_said").await == 1).then_some(())
    })
    .await;
    drop(bob);
    let mut carol = team.carol.opens(0, team.room).await;
    let later = team.alice.posts(team.room, &format!("@{} later", team.carol.email)).await;
    carol.reaches(team.room, later["seq"].as_i64().unwrap()).await;
    board.start_again(Board::RELAY).await;
    assert_eq!(told(&team.carol, 1).await.len(), 1);
    assert_eq!(told_of(&board, &team.bob, &sent).await, 1);
    assert_eq!(told_of(&board, &team.carol, &sent).await, 0, "she came after it was said");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unread_mentions_follow_the_text() {
    let board = Board::start().await;
    let team = board.team().await;
    let sent = team.alice.posts(team.room, &format!("@{}", team.bob.email)).await;
    let path = format!("/messages/{}/", sent["id"]);
    assert_eq!(team.bob.unread(team.room).await, (1, 1));
    team.alice.patch(&path, json!({"body": "nobody"})).await.is(200);
    assert_eq!(team.bob.unread(team.room).await, (1, 0));
    team.alice.patch(&path, json!({"body": format!("@{} again", team.bob.email)})).await.is(200);
    assert_eq!(team.bob.unread(team.room).await, (1, 1));
}
