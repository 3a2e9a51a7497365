//! Levels and auto-join: what a change does to who is in a room, as events show it.

use testkit::{Board, Person, Value, json};

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap()).collect()
}

async fn makes(admin: &Person, org: i64, whom: &Person, role: &str) {
    let path = format!("/orgs/{org}/members/{}/role/", whom.id);
    admin.post(&path, json!({"role": role})).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn becoming_manager_only_is_one_update_and_one_leave_for_each_below() {
    let board = Board::start().await;
    let team = board.team().await;
    let second = board.person("dave").await;
    board.put_into_org(team.org, &second, "MEMBER").await;
    second.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    let path = format!("/rooms/{}/", team.room);
    let room = team.alice.patch(&path, json!({"access_level": "MANAGER_ONLY"})).await.is(200);
    assert_eq!(
        (&room["members_count"], &room["access_level"]),
        (&json!(2), &json!("MANAGER_ONLY"))
    );
    let events = team.alice.events(team.room, 1).await;
    let mut happened = kinds(&events);
    happened.sort_unstable();
    assert_eq!(happened, ["member.left", "member.left", "room.updated"]);
    let update = events.iter().find(|event| event["type"] == "room.updated").unwrap();
    assert_eq!(update["changes"], json!({"access_level": "MANAGER_ONLY"}));
    assert_eq!(room["last_seq"], 4);
    team.bob.post_empty(&format!("{path}join/")).await.refuses(404, "not_found");
    // Coming back to PUBLIC with auto_join puts nobody back who is not new.
    let room = team.alice.patch(&path, json!({"access_level": "PUBLIC"})).await.is(200);
    assert_eq!(room["access_level"], "PUBLIC");
    team.bob.get(&path).await.is(200);
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn becoming_private_keeps_its_members_and_hides_it_from_others() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.carol.makes_room(team.org, "club", "PUBLIC").await;
    team.bob.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    let path = format!("/rooms/{room}/");
    let dave = board.person("dave").await;
    board.put_into_org(team.org, &dave, "MEMBER").await;
    dave.get(&path).await.is(200);
    team.carol.patch(&path, json!({"access_level": "PRIVATE"})).await.is(200);
    assert_eq!(team.bob.room(room).await["members_count"], 2);
    dave.get(&path).await.refuses(404, "not_found");
    dave.post_empty(&format!("{path}join/")).await.refuses(404, "not_found");
    assert!(dave.get("/rooms/?scope=joinable").await.results().iter().all(|one| one["id"] != room));
    team.alice.get(&path).await.is(200);
    team.alice.get(&format!("{path}members/")).await.refuses(403, "not_a_member");
    team.carol.patch(&path, json!({"auto_join": true})).await.blames(&["auto_join"]);
    // Whom the level does not admit cannot be asked in; whom it admits can.
    team.carol.post(&format!("{path}invite/"), json!({"user_id": dave.id})).await.is(201);
    dave.get(&path).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn auto_join_takes_in_who_comes_and_who_is_promoted_but_nobody_who_left() {
    let board = Board::start().await;
    let team = board.team().await;
    let body = json!({"org": team.org, "name": "leads", "access_level": "MANAGER_ONLY", "auto_join": true});
    let leads = team.alice.post("/rooms/", body).await.is(201);
    let (leads, count) = (leads["id"].as_i64().unwrap(), leads["members_count"].clone());
    assert_eq!(count, 2, "alice and carol");
    team.bob.get(&format!("/rooms/{leads}/")).await.refuses(404, "not_found");
    makes(&team.alice, team.org, &team.bob, "MANAGER").await;
    let room = team.bob.room(leads).await;
    assert_eq!((&room["members_count"], &room["last_seq"]), (&json!(3), &json!(1)));
    assert_eq!(kinds(&team.alice.events(leads, 0).await), ["member.joined"]);
    // Carol leaves of her own will, and a promotion does not put her back.
    team.carol.post_empty(&format!("/rooms/{leads}/leave/")).await.is(200);
    makes(&team.alice, team.org, &team.carol, "ADMIN").await;
    assert_eq!(team.alice.room(leads).await["members_count"], 2);
    let path = format!("/rooms/{leads}/");
    team.alice.patch(&path, json!({"auto_join": true, "topic": "x"})).await.is(200);
    assert_eq!(team.alice.room(leads).await["members_count"], 2, "it was on already");
    // A demotion takes bob out; the room that is for all keeps him.
    makes(&team.alice, team.org, &team.bob, "MEMBER").await;
    team.bob.get(&path).await.refuses(404, "not_found");
    team.bob.get(&format!("/rooms/{}/", team.room)).await.is(200);
    let later = team.alice.posts(team.room, "still here?").await;
    team.bob.get(&format!("/messages/{}/", later["id"])).await.is(200);
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_changes_nothing_is_no_event() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/rooms/{}/", team.room);
    let before = team.alice.room(team.room).await;
    for same in [
        json!({}),
        json!({"name": " general "}),
        json!({"topic": ""}),
        json!({"access_level": "PUBLIC", "auto_join": true}),
        json!({"unknown": [1, {"deep": null}]}),
    ] {
        assert_eq!(team.alice.patch(&path, same).await.is(200), before);
    }
    for bad in [
        json!({"name": null}),
        json!({"name": "   "}),
        json!({"name": "x".repeat(81)}),
        json!({"name": "a\u{0}b"}),
        json!({"name": "bell\u{7}"}),
    ] {
        team.alice.patch(&path, bad).await.blames(&["name"]);
    }
    team.alice.patch(&path, json!({"access_level": null})).await.blames(&["access_level"]);
    team.alice.patch(&path, json!({"auto_join": 1})).await.blames(&["auto_join"]);
    let changed = team.alice.patch(&path, json!({"topic": "é".repeat(250)})).await.is(200);
    assert_eq!(changed["last_seq"], 1);
    assert!(team.bob.events(team.room, 1).await.is_empty());
}
