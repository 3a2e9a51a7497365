//! Who sees a room, who may enter it, and what a change of level or role does.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sees_a_room_follows_its_level() {
    let board = Board::start().await;
    let team = board.team().await;
    let owner = board.person("owner").await;
    board.put_into_org(team.org, &owner, "MANAGER").await;
    // None of the three is in these rooms. Columns: member, manager, admin, stranger.
    let table = [
        ("PUBLIC", [200, 200, 200, 404], [201, 201, 201, 404]),
        ("MANAGER_ONLY", [404, 200, 200, 404], [404, 201, 201, 404]),
        ("PRIVATE", [404, 404, 200, 404], [404, 404, 403, 404]),
    ];
    for (level, sees, joins) in table {
        let room = owner.makes_room(team.org, level, level).await;
        let people = [&team.bob, &team.carol, &team.alice, &team.mallory];
        for ((person, sees), joins) in people.into_iter().zip(sees).zip(joins) {
            let seen = person.get(&format!("/rooms/{room}/")).await;
            assert_eq!(seen.status, sees, "{level} {}", person.email);
            // Whoever sees it without being in it.
            let beyond = if sees == 200 { (403, "not_a_member") } else { (404, "not_found") };
            for path in [
                format!("/messages/rooms/{room}/"),
                format!("/rooms/{room}/members/"),
                format!("/rooms/{room}/events/"),
            ] {
                person.get(&path).await.refuses(beyond.0, beyond.1);
            }
            let leave = person.post_empty(&format!("/rooms/{room}/leave/")).await;
            leave.refuses(beyond.0, beyond.1);
            let invite = json!({"user_id": team.bob.id});
            let invite = person.post(&format!("/rooms/{room}/invite/"), invite).await;
            invite.refuses(beyond.0, beyond.1);
            let read = person.post_empty(&format!("/rooms/{room}/read/1/")).await;
            read.refuses(beyond.0, beyond.1);
            let joined = person.post_empty(&format!("/rooms/{room}/join/")).await;
            assert_eq!(joined.status, joins, "{level} {}: {}", person.email, joined.text);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joinable_is_what_one_could_join_and_has_not() {
    let board = Board::start().await;
    let team = board.team().await;
    let public = team.carol.makes_room(team.org, "public", "PUBLIC").await;
    let managers = team.carol.makes_room(team.org, "managers", "MANAGER_ONLY").await;
    team.carol.makes_room(team.org, "private", "PRIVATE").await;
    let ids = |rooms: Vec<testkit::Value>| -> Vec<i64> {
        rooms.iter().map(|room| room["id"].as_i64().unwrap()).collect()
    };
    assert_eq!(ids(team.bob.get("/rooms/?scope=joinable").await.results()), [public]);
    assert_eq!(ids(team.alice.get("/rooms/?scope=joinable").await.results()), [public, managers]);
    assert!(team.mallory.get("/rooms/?scope=joinable").await.results().is_empty());
    assert_eq!(ids(team.bob.get("/rooms/").await.results()), [team.room]);
    let foreign = team.mallory.makes_org("Other").await;
    assert!(team.bob.get(&format!("/rooms/?org={foreign}")).await.results().is_empty());
    let own = format!("/rooms/?org={}&scope=joinable", team.org);
    assert_eq!(ids(team.bob.get(&own).await.results()), [public]);
    for bad in ["scope=all", "org=x", "org=0", "org=-1"] {
        let answer = team.bob.get(&format!("/rooms/?{bad}")).await;
        assert!(answer.refuses(400, "malformed_request")["errors"].is_object(), "{bad}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demotion_removes_from_rooms_of_managers() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "managers", "MANAGER_ONLY").await;
    team.carol.post_empty(&format!("/rooms/{room}/join/")).await.is(201);
    let mut of_carol = team.carol.opens(1, room).await;
    let mut of_alice = team.alice.opens(0, room).await;
    let role = format!("/orgs/{}/members/{}/role/", team.org, team.carol.id);
    team.alice.post(&role, json!({"role": "MEMBER"})).await.is(200);
    team.carol.get(&format!("/rooms/{room}/")).await.refuses(404, "not_found");
    assert_eq!(of_alice.next_of_type("member.left").await["user_id"], team.carol.id);
    of_carol.next_of_type("member.left").await;
    of_carol.is_refused("removed").await;
    assert_eq!(of_carol.closes().await.code, 4003);
    assert_eq!(
        of_carol.backlog().iter().filter(|frame| frame["type"] == "room.updated").count(),
        0
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_becomes_the_managers_loses_its_members() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut of_bob = team.bob.opens(1, team.room).await;
    let change = json!({"access_level": "MANAGER_ONLY"});
    let changed = team.alice.patch(&format!("/rooms/{}/", team.room), change).await.is(200);
    assert_eq!(changed["members_count"], 2);
    of_bob.is_refused("removed").await;
    assert_eq!(of_bob.closes().await.code, 4003);
    team.bob.get(&format!("/rooms/{}/", team.room)).await.refuses(404, "not_found");
    let members = team.alice.get(&format!("/rooms/{}/members/", team.room)).await.results();
    assert_eq!(members.len(), 2);
    // A promotion puts into rooms that everyone of the level is in.
    let role = format!("/orgs/{}/members/{}/role/", team.org, team.bob.id);
    team.alice.post(&role, json!({"role": "MANAGER"})).await.is(200);
    team.bob.room(team.room).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_creator_keeps_a_say_while_a_member() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.carol.makes_room(team.org, "private", "PRIVATE").await;
    let role = format!("/orgs/{}/members/{}/role/", team.org, team.carol.id);
    team.alice.post(&role, json!({"role": "MEMBER"})).await.is(200);
    let path = format!("/rooms/{room}/");
    team.carol.patch(&path, json!({"topic": "mine"})).await.is(200);
    let bob = json!({"user_id": team.bob.id});
    team.carol.post(&format!("{path}invite/"), bob).await.is(201);
    team.carol.post_empty(&format!("{path}leave/")).await.is(200);
    team.carol.patch(&path, json!({"topic": "mine"})).await.refuses(404, "not_found");
    // An ADMIN may change what they only see; a MANAGER who may not join may not.
    team.alice.patch(&path, json!({"topic": "the admin's"})).await.is(200);
    let dave = board.person("dave").await;
    board.put_into_org(team.org, &dave, "MANAGER").await;
    dave.patch(&path, json!({"topic": "no"})).await.refuses(404, "not_found");
}
