//! Rooms: making, changing, entering and leaving them.

use testkit::{Board, Person, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_room_has_no_events_whoever_is_in_it() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.room(team.room).await;
    assert_eq!((&room["first_seq"], &room["last_seq"]), (&json!(1), &json!(0)));
    assert_eq!(room["members_count"], 3);
    let mut fields: Vec<_> = room.as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "access_level",
            "auto_join",
            "created_at",
            "created_by",
            "first_seq",
            "id",
            "is_dm",
            "last_message_at",
            "last_seq",
            "members_count",
            "name",
            "org",
            "settings",
            "topic"
        ]
    );
    let body = json!({"org": team.org, "name": "x"});
    team.bob.post("/rooms/", body.clone()).await.refuses(403, "forbidden");
    team.mallory.post("/rooms/", body.clone()).await.refuses(404, "not_found");
    let made = team.carol.post("/rooms/", body).await.is(201);
    assert_eq!((&made["access_level"], &made["auto_join"]), (&json!("PUBLIC"), &json!(false)));
    assert_eq!(made["members_count"], 1);
    let private =
        json!({"org": team.org, "name": "x", "access_level": "PRIVATE", "auto_join": true});
    team.alice.post("/rooms/", private).await.blames(&["auto_join"]);
    // MANAGER_ONLY with auto_join: whom the level admits.
    let managers =
        json!({"org": team.org, "name": "m", "access_level": "MANAGER_ONLY", "auto_join": true});
    assert_eq!(team.alice.post("/rooms/", managers).await.is(201)["members_count"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joining_and_leaving_are_events_and_repeating_is_none() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "club", "PUBLIC").await;
    let mut witness = team.alice.opens(0, room).await;
    let join = format!("/rooms/{room}/join/");
    let joined = team.bob.post_empty(&join).await.is(201);
    assert_eq!(joined["room_id"], room);
    assert!(joined["detail"].is_string());
    team.bob.post_empty(&join).await.is(200);
    let event = witness.next_of_type("member.joined").await;
    assert_eq!((&event["user_id"], &event["seq"]), (&json!(team.bob.id), &json!(1)));
    assert_eq!(
        (&event["user_email"], &event["first_name"]),
        (&json!(team.bob.email), &json!("Bob"))
    );
    team.bob.post_empty(&format!("/rooms/{room}/leave/")).await.is(200);
    assert_eq!(witness.next_of_type("member.left").await["seq"], 2);
    team.bob.post_empty(&format!("/rooms/{room}/leave/")).await.refuses(403, "not_a_member");
    team.bob.post_empty(&join).await.is(201);
    assert_eq!(witness.next_of_type("member.joined").await["seq"], 3);
    assert_eq!(team.alice.room(room).await["members_count"], 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_is_changed_by_those_who_may_and_says_what_changed() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/rooms/{}/", team.room);
    let mut witness = team.bob.opens(1, team.room).await;
    team.bob.patch(&path, json!({"topic": "x"})).await.refuses(403, "forbidden");
    let unchanged = team.alice.patch(&path, json!({"name": "general"})).await.is(200);
    assert_eq!(unchanged["last_seq"], 0, "an unchanged room takes no seq");
    team.alice.patch(&path, json!({})).await.is(200);
    let changed = team.carol.patch(&path, json!({"topic": "Work", "name": " main "})).await.is(200);
    assert_eq!((&changed["topic"], &changed["name"]), (&json!("Work"), &json!("main")));
    let event = witness.next_of_type("room.updated").await;
    assert_eq!(event["changes"], json!({"topic": "Work", "name": "main"}));
    assert_eq!((&event["seq"], &event["user_id"]), (&json!(1), &json!(team.carol.id)));
    team.alice
        .patch(&path, json!({"name": null, "topic": "x".repeat(251)}))
        .await
        .blames(&["name", "topic"]);
    let private = json!({"access_level": "PRIVATE", "auto_join": true});
    team.alice.patch(&path, private).await.blames(&["auto_join"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn setting_auto_join_is_one_event_and_nobody_is_put_back() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "later", "PUBLIC").await;
    let path = format!("/rooms/{room}/");
    let changed = team.alice.patch(&path, json!({"auto_join": true})).await.is(200);
    assert_eq!((&changed["members_count"], &changed["last_seq"]), (&json!(3), &json!(1)));
    team.bob.post_empty(&format!("{path}leave/")).await.is(200);
    let changed = team.alice.patch(&path, json!({"topic": "x"})).await.is(200);
    assert_eq!(changed["members_count"], 2, "who left is not put back");
    // Who comes later is let in, with an event.
    let dave = board.person("dave").await;
    let invite = json!({"email": dave.email});
    let invite = team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    let mut witness = team.alice.opens(0, room).await;
    dave.post("/orgs/accept-invite/", json!({"token": invite["token"]})).await.is(200);
    assert_eq!(witness.next_of_type("member.joined").await["user_id"], dave.id);
    dave.room(room).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_invite_and_remove_by_role() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.carol.makes_room(team.org, "closed", "PRIVATE").await;
    let invite = format!("/rooms/{room}/invite/");
    let bob = json!({"user_id": team.bob.id});
    // An ADMIN sees the room, but is not in it.
    team.alice.post(&invite, bob.clone()).await.refuses(403, "not_a_member");
    team.bob.post(&invite, bob.clone()).await.refuses(404, "not_found");
    let mut of_bob = team.bob.opens_many(0).await;
    team.carol.post(&invite, bob.clone()).await.is(201);
    let added = of_bob.next_of_type("room.added").await;
    assert_eq!((&added["room_id"], &added["room"]["name"]), (&json!(room), &json!("closed")));
    team.carol.post(&invite, bob.clone()).await.is(200);
    team.bob.post(&invite, bob).await.refuses(403, "forbidden");
    team.carol.post(&invite, json!({"user_id": team.mallory.id})).await.blames(&["user_id"]);
    team.carol.post(&invite, json!({})).await.blames(&["user_id"]);
    let managers = team.alice.makes_room(team.org, "managers", "MANAGER_ONLY").await;
    let bob = json!({"user_id": team.bob.id});
    team.alice.post(&format!("/rooms/{managers}/invite/"), bob).await.blames(&["user_id"]);
    let remove = format!("/rooms/{room}/members/{}/", team.bob.id);
    team.bob
        .delete(&format!("/rooms/{room}/members/{}/", team.carol.id))
        .await
        .refuses(403, "forbidden");
    of_bob.subscribes(room, None).await;
    team.carol.delete(&remove).await.is(204);
    of_bob.next_of_type("member.left").await;
    of_bob.is_refused("removed").await;
    assert_eq!(of_bob.next_of_type("room.removed").await["room_id"], room);
    team.carol.delete(&remove).await.refuses(404, "not_found");
    team.bob.get(&format!("/rooms/{room}/")).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_ones_own_and_reach_ones_other_sockets() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/rooms/{}/settings/", team.room);
    let before = team.bob.get(&path).await.is(200);
    assert_eq!(before, json!({"notify": "all", "section": null, "starred": false}));
    let mut socket = team.bob.opens_many(1).await;
    let mut of_carol = team.carol.opens_many(1).await;
    let change = json!({"notify": "mentions", "section": "Work", "starred": true});
    assert_eq!(team.bob.patch(&path, change.clone()).await.is(200), change);
    let pushed = socket.next_of_type("room.settings").await;
    assert_eq!((&pushed["notify"], &pushed["section"]), (&json!("mentions"), &json!("Work")));
    of_carol.catches_up().await;
    assert!(!of_carol.has("room.settings"));
    assert_eq!(team.carol.get(&path).await.is(200), before);
    let cleared = team.bob.patch(&path, json!({"section": null})).await.is(200);
    assert!(cleared["section"].is_null() && cleared["starred"] == true);
    team.bob
        .patch(&path, json!({"notify": "some", "starred": "yes"}))
        .await
        .blames(&["notify", "starred"]);
    team.mallory.get(&path).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_says_how_the_caller_has_set_it_and_nobody_else() {
    let board = Board::start().await;
    let team = board.team().await;
    let (path, room) = (format!("/rooms/{}/", team.room), team.room);
    let fresh = json!({"notify": "all", "section": null, "starred": false});
    let set = json!({"notify": "none", "section": "Work", "starred": true});
    team.bob.patch(&format!("{path}settings/"), set.clone()).await.is(200);
    let listed = async |person: &Person| {
        let page = person.get("/rooms/").await.is(200);
        let of = |one: &&Value| one["id"] == room;
        page["results"].as_array().unwrap().iter().find(of).unwrap()["settings"].clone()
    };
    assert_eq!(listed(&team.bob).await, set);
    assert_eq!(listed(&team.carol).await, fresh);
    assert_eq!(team.bob.get(&path).await.is(200)["settings"], set);
    let changed = team.alice.patch(&path, json!({"topic": "new"})).await.is(200);
    assert_eq!(changed["settings"], fresh);
    let made = json!({"org": team.org, "name": "second"});
    let made = team.alice.post("/rooms/", made).await.is(201);
    assert_eq!(made["settings"], fresh);
    let joinable = team.bob.get("/rooms/?scope=joinable").await.is(200);
    assert_eq!(joinable["results"][0]["id"], made["id"]);
    assert!(joinable["results"][0].get("settings").is_none(), "who is not in it has set nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_makes_or_joins_is_told_to_ones_other_sockets() {
    let board = Board::start().await;
    let team = board.team().await;
    let (mut of_alice, mut of_bob) = (team.alice.opens_many(1).await, team.bob.opens_many(1).await);
    let room = team.alice.makes_room(team.org, "second", "PUBLIC").await;
    assert_eq!(of_alice.next_of_type("room.added").await["room_id"], room);
    team.bob.post(&format!("/rooms/{room}/join/"), json!({})).await.is(201);
    let added = of_bob.next_of_type("room.added").await;
    assert_eq!((&added["room_id"], &added["room"]["members_count"]), (&json!(room), &json!(2)));
    team.bob.post(&format!("/rooms/{room}/join/"), json!({})).await.is(200);
    let people = json!({"org": team.org, "user_ids": [team.carol.id]});
    let dm = team.bob.post("/rooms/dm/", people.clone()).await.is(201);
    // Nothing came of joining twice: the direct message is the next that is told.
    assert_eq!(of_bob.next_of_type("room.added").await["room_id"], dm["id"]);
    assert_eq!(dm["settings"]["notify"], "all");
    team.bob.post("/rooms/dm/", people).await.is(200);
    of_bob.catches_up().await;
    assert!(!of_bob.has("room.added"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_room_are_listed_with_who_is_online() {
    let board = Board::start().await;
    let team = board.team().await;
    let socket = team.bob.opens(1, team.room).await;
    let path = format!("/rooms/{}/members/", team.room);
    let members = team.carol.get(&path).await.results();
    let online: Vec<_> = members
        .iter()
        .filter(|member| member["online"] == true)
        .map(|member| member["user"].as_i64().unwrap())
        .collect();
    assert_eq!(online, [team.bob.id]);
    let mut fields: Vec<_> = members[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "id",
            "joined_at",
            "last_read_msg_id",
            "online",
            "org_role",
            "room",
            "user",
            "user_email",
            "user_first_name",
            "user_last_name"
        ]
    );
    let found = team.carol.get(&format!("{path}?search=CAR")).await.results();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["org_role"], "MANAGER");
    socket.leaves().await;
    testkit::eventually("bob is offline", testkit::DEADLINE, || async {
        let members = team.carol.get(&path).await.results();
        members.iter().all(|member| member["online"] == false).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_room_ends_for_everyone() {
    let board = Board::start().await;
    let team = board.team().await;
    team.bob.posts(team.room, "soon gone").await;
    let mut of_room = team.bob.opens(0, team.room).await;
    let mut of_many = team.carol.opens_many(1).await;
    of_many.subscribes(team.room, None).await;
    team.bob.delete(&format!("/rooms/{}/", team.room)).await.refuses(403, "forbidden");
    team.alice.delete(&format!("/rooms/{}/", team.room)).await.is(204);
    assert_eq!(of_room.next_of_type("room.deleted").await["room"], team.room);
    assert_eq!(of_room.closes().await.code, 4003);
    of_many.next_of_type("room.deleted").await;
    of_many.catches_up().await;
    team.alice.get(&format!("/rooms/{}/", team.room)).await.refuses(404, "not_found");
    team.alice.get(&format!("/messages/rooms/{}/", team.room)).await.refuses(404, "not_found");
    board.settle().await;
}
