//! Direct messages.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_people_always_get_the_same_room() {
    let board = Board::start().await;
    let team = board.team().await;
    let dm = |ids: Vec<i64>| json!({"org": team.org, "user_ids": ids});
    let made = team.bob.post("/rooms/dm/", dm(vec![team.alice.id])).await.is(201);
    assert_eq!((&made["name"], &made["access_level"]), (&json!(""), &json!("PRIVATE")));
    assert_eq!((&made["is_dm"], &made["last_seq"]), (&json!(true), &json!(0)));
    let people: Vec<_> =
        made["dm_users"].as_array().unwrap().iter().map(|one| one["id"].clone()).collect();
    assert_eq!(people.len(), 2, "everyone in it, the caller included: {people:?}");
    let same = dm(vec![team.bob.id, team.bob.id, team.alice.id]);
    let again = team.alice.post("/rooms/dm/", same).await.is(200);
    assert_eq!(again["id"], made["id"]);
    let three = dm(vec![team.bob.id, team.carol.id]);
    let three = team.alice.post("/rooms/dm/", three).await.is(201);
    assert_ne!(three["id"], made["id"]);
    assert_eq!(three["members_count"], 3);
    team.alice.post("/rooms/dm/", dm(vec![])).await.blames(&["user_ids"]);
    team.alice.post("/rooms/dm/", dm(vec![team.alice.id])).await.blames(&["user_ids"]);
    team.alice.post("/rooms/dm/", dm(vec![team.mallory.id])).await.blames(&["user_ids"]);
    team.alice.post("/rooms/dm/", json!({"org": team.org})).await.blames(&["user_ids"]);
    let foreign = dm(vec![team.alice.id]);
    team.mallory.post("/rooms/dm/", foreign).await.refuses(404, "not_found");
    let crowd = board.crowd(team.org, 9).await;
    let nine: Vec<i64> = crowd.iter().map(|person| person.id).collect();
    team.alice.post("/rooms/dm/", dm(nine.clone())).await.blames(&["user_ids"]);
    team.alice.post("/rooms/dm/", dm(nine[..8].to_vec())).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_open_it_at_once_open_one() {
    let board = Board::start().await;
    let team = board.team().await;
    let dm = |id: i64| json!({"org": team.org, "user_ids": [id]});
    let answers = super::auth::futures(8, |number| match number % 2 {
        0 => team.alice.post("/rooms/dm/", dm(team.bob.id)),
        _ => team.bob.post("/rooms/dm/", dm(team.alice.id)),
    })
    .await;
    let made = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(made, 1);
    let first = answers[0].json()["id"].clone();
    assert!(answers.iter().all(|answer| answer.json()["id"] == first));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dm_is_its_peoples_alone_and_cannot_be_changed() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut of_carol = team.carol.opens_many(1).await;
    let dm = json!({"org": team.org, "user_ids": [team.carol.id]});
    let dm = team.bob.post("/rooms/dm/", dm).await.is(201)["id"].as_i64().unwrap();
    assert_eq!(of_carol.next_of_type("room.added").await["room_id"], dm);
    let path = format!("/rooms/{dm}/");
    let member = format!("/rooms/{dm}/members/{}/", team.carol.id);
    for (person, refused) in [(&team.bob, (403, "forbidden")), (&team.alice, (404, "not_found"))] {
        let (status, code) = refused;
        person.patch(&path, json!({"topic": "x"})).await.refuses(status, code);
        person.delete(&path).await.refuses(status, code);
        person.post_empty(&format!("{path}join/")).await.refuses(status, code);
        person.post_empty(&format!("{path}leave/")).await.refuses(status, code);
        let invite = json!({"user_id": team.alice.id});
        person.post(&format!("{path}invite/"), invite).await.refuses(status, code);
        person.delete(&member).await.refuses(status, code);
    }
    team.alice.get(&path).await.refuses(404, "not_found");
    team.alice.get(&format!("/messages/rooms/{dm}/")).await.refuses(404, "not_found");
    assert_eq!(team.alice.opening(0, &format!("/ws/rooms/{dm}/")).is_closed().await.code, 4003);
    let message = team.bob.posts(dm, "secret").await;
    let message = format!("/messages/{}/", message["id"]);
    team.alice.get(&message).await.refuses(404, "not_found");
    team.alice.delete(&message).await.refuses(404, "not_found");
    // In a DM nobody deletes another's message.
    team.carol.delete(&message).await.refuses(403, "forbidden");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_left_and_came_back_is_put_back_by_opening_it() {
    let board = Board::start().await;
    let team = board.team().await;
    let body = json!({"org": team.org, "user_ids": [team.bob.id]});
    let dm = team.alice.post("/rooms/dm/", body.clone()).await.is(201)["id"].as_i64().unwrap();
    team.alice.posts(dm, "before").await;
    let member = format!("/orgs/{}/members/{}/", team.org, team.bob.id);
    team.alice.delete(&member).await.is(204);
    team.alice.post("/rooms/dm/", body.clone()).await.blames(&["user_ids"]);
    let invite = json!({"email": team.bob.email});
    let invite = team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    team.bob.post("/orgs/accept-invite/", json!({"token": invite["token"]})).await.is(200);
    team.bob.get(&format!("/rooms/{dm}/")).await.refuses(404, "not_found");
    let again = team.alice.post("/rooms/dm/", body).await.is(200);
    assert_eq!((&again["id"], &again["members_count"]), (&json!(dm), &json!(2)));
    assert_eq!(team.bob.history(dm).await.len(), 1);
}
