//! Mentions, and how they are counted.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mentions_are_found_where_they_are_meant() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.room;
    let name = json!({"first_name": "Bob", "last_name": "Builder"});
    team.bob.patch("/auth/me/", name).await.is(200);
    let email = &team.bob.email;
    let bodies = [
        (format!("hello @{email}"), 1),
        (format!("hello @{}", email.to_uppercase()), 1),
        ("(@bob.builder)".to_owned(), 1),
        ("@BOB.BUILDER!".to_owned(), 1),
        ("@room: lunch".to_owned(), 1),
        ("mail@room".to_owned(), 0),
        ("x@bob.builder".to_owned(), 0),
        ("`@bob.builder`".to_owned(), 0),
        ("@bob".to_owned(), 0),
        ("@here".to_owned(), 0),
        ("@nobody@chat.test".to_owned(), 0),
        ("nothing".to_owned(), 0),
    ];
    for (body, mentions) in bodies {
        let before = team.bob.unread(room).await;
        team.alice.posts(room, &body).await;
        let after = team.bob.unread(room).await;
        assert_eq!((after.0 - before.0, after.1 - before.1), (1, mentions), "{body:?}");
    }
    let before = team.bob.unread(room).await.1;
    team.bob.posts(room, "@bob.builder @room").await;
    assert_eq!(team.bob.unread(room).await.1, before, "one's own do not count");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_and_a_delete_change_who_is_mentioned() {
    let board = Board::start().await;
    let team = board.team().await;
    let message = team.alice.posts(team.room, "hello").await;
    let path = format!("/messages/{}/", message["id"]);
    let mention = format!("hello @{}", team.bob.email);
    team.alice.patch(&path, json!({"body": mention})).await.is(200);
    assert_eq!(team.bob.unread(team.room).await, (1, 1));
    team.alice.patch(&path, json!({"body": "hello"})).await.is(200);
    assert_eq!(team.bob.unread(team.room).await, (1, 0));
    team.alice.patch(&path, json!({"body": "@room"})).await.is(200);
    assert_eq!(team.bob.unread(team.room).await, (1, 1));
    team.alice.delete(&path).await.is(204);
    assert_eq!(team.bob.unread(team.room).await, (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_members_of_the_room_are_mentioned() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "club", "PUBLIC").await;
    team.alice.posts(room, &format!("@{} come", team.bob.email)).await;
    team.bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    assert_eq!(team.bob.unread(room).await, (0, 0));
    let twin = board.person("bob").await;
    board.put_into_org(team.org, &twin, "MEMBER").await;
    twin.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    for who in [&team.bob, &twin] {
        let name = json!({"first_name": "Sam", "last_name": "Same"});
        who.patch("/auth/me/", name).await.is(200);
    }
    team.alice.posts(room, "@sam.same both of you").await;
    assert_eq!((team.bob.unread(room).await.1, twin.unread(room).await.1), (1, 1));
}
