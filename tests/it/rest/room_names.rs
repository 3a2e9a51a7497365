//! Names of rooms, which tell the rooms of an organization apart.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_unique_among_the_rooms_that_one_sees() {
    let board = Board::start().await;
    let team = board.team().await;
    let named = |name: &str| json!({"org": team.org, "name": name});
    for name in ["general", "GENERAL", "gen\u{200b}eral"] {
        team.carol.post("/rooms/", named(name)).await.refuses(409, "name_taken");
    }
    let other = team.carol.makes_room(team.org, "other", "PUBLIC").await;
    let path = format!("/rooms/{other}/");
    team.carol.patch(&path, json!({"name": "General"})).await.refuses(409, "name_taken");
    assert_eq!(team.carol.room(other).await["last_seq"], 0, "nothing happened");
    assert_eq!(team.carol.patch(&path, json!({"name": "OTHER"})).await.is(200)["name"], "OTHER");
    team.carol.patch(&path, json!({"name": "OTHER", "topic": "new"})).await.is(200);

    // A name tells nobody of a room that they may not know of; ADMINs see all rooms.
    let secret = team.alice.makes_room(team.org, "secret", "PRIVATE").await;
    team.carol.makes_room(team.org, "Secret", "PUBLIC").await;
    team.carol.makes_room(team.org, "plans", "PRIVATE").await;
    team.alice.post("/rooms/", named("Plans")).await.refuses(409, "name_taken");
    // Another organization has names of its own; a deleted room's name is free.
    let elsewhere = team.mallory.makes_org("Elsewhere").await;
    team.mallory.makes_room(elsewhere, "general", "PUBLIC").await;
    team.carol.delete(&path).await.is(204);
    team.carol.makes_room(team.org, "other", "PUBLIC").await;

    // Rooms that were named alike before names were unique stay as they are.
    team.alice.patch(&format!("/rooms/{secret}/"), json!({"topic": "kept"})).await.is(200);
    let people = json!({"org": team.org, "user_ids": [team.bob.id]});
    team.alice.post("/rooms/dm/", people.clone()).await.is(201);
    let people = json!({"org": team.org, "user_ids": [team.carol.id]});
    team.alice.post("/rooms/dm/", people).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_concurrent_calls_one_gets_the_name() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut paths = Vec::new();
    for number in 0..4 {
        let room = team.alice.makes_room(team.org, &format!("room {number}"), "PUBLIC").await;
        paths.push(format!("/rooms/{room}/"));
    }
    let answers = tokio::join!(
        team.alice.patch(&paths[0], json!({"name": "wanted"})),
        team.alice.patch(&paths[1], json!({"name": "Wanted"})),
        team.carol.patch(&paths[2], json!({"name": "WANTED"})),
        team.carol.patch(&paths[3], json!({"name": "wantED"})),
        team.carol.post("/rooms/", json!({"org": team.org, "name": "wanted"})),
    );
    let answers = <[_; 5]>::from(answers);
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses[1..], [409; 4], "{statuses:?}");
    assert!(matches!(statuses[0], 200 | 201), "{statuses:?}");
}
