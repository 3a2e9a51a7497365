//! Reading: in the room, in the list, all at once.

use testkit::{Board, json};

use super::told;

#[tokio::test]
async fn reading_past_the_message_marks_it_read() {
    let board = Board::start().await;
    let team = board.team().await;
    let first = team.alice.posts(team.room, &format!("@{} one", team.bob.email)).await;
    team.alice.posts(team.room, &format!("@{} two", team.bob.email)).await;
    told(&team.bob, 2).await;
    let path = format!("/rooms/{}/read/{}/", team.room, first["id"]);
    team.bob.post_empty(&path).await.is(200);
    let page = told(&team.bob, 2).await;
    assert_eq!((&page[0]["is_read"], &page[1]["is_read"]), (&json!(false), &json!(true)));
    assert_ne!(page[1]["read_at"], json!(null));
    let unread = team.bob.get("/notifications/unread-count/").await.is(200);
    assert_eq!(unread, json!({"unread_count": 1}));
    assert_eq!(team.bob.get("/notifications/?is_read=false").await.results().len(), 1);
    assert_eq!(team.bob.get("/notifications/?is_read=true").await.results()[0], page[1]);
    team.bob.get("/notifications/?is_read=maybe").await.refuses(400, "malformed_request");
}

#[tokio::test]
async fn notifications_are_marked_one_by_one_and_all_at_once() {
    let board = Board::start().await;
    let team = board.team().await;
    for number in 0..3 {
        team.alice.posts(team.room, &format!("@{} {number}", team.bob.email)).await;
    }
    let page = told(&team.bob, 3).await;
    let path = format!("/notifications/{}/", page[1]["id"]);
    let read = team.bob.patch(&path, json!({"is_read": true})).await.is(200);
    assert_eq!(read["is_read"], true);
    assert_eq!(team.bob.patch(&path, json!({"is_read": true})).await.is(200), read);
    assert_eq!(team.bob.patch(&path, json!({})).await.is(200), read);
    team.bob.patch(&path, json!({"is_read": null})).await.blames(&["is_read"]);
    team.alice.patch(&path, json!({"is_read": 1})).await.refuses(404, "not_found");
    let unread = team.bob.patch(&path, json!({"is_read": false})).await.is(200);
    assert_eq!(unread["read_at"], json!(null));
    let all = "/notifications/mark-all-read/";
    assert_eq!(team.bob.post_empty(all).await.is(200), json!({"updated": 3}));
    assert_eq!(team.bob.post_empty(all).await.is(200), json!({"updated": 0}));
    assert_eq!(team.bob.walks("/notifications/?limit=1").await.len(), 3);
}
