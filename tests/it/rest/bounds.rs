//! The bounds of a room's messages, in every combination, walked both ways; and read markers.

use testkit::{Board, Person, Value, json};

/// Ten messages by Bob in the team's room; their ids.
async fn ten(bob: &Person, room: i64) -> Vec<i64> {
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(bob.posts(room, &number.to_string()).await["id"].as_i64().unwrap());
    }
    ids
}

/// Every page of a walk over `next`, each as the texts on it, joined.
async fn pages(who: &Person, path: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(address) = next {
        let page = who.get(&address).await;
        let texts: Vec<Value> = page.results().iter().map(|one| one["body"].clone()).collect();
        found.push(texts.iter().map(|text| text.as_str().unwrap()).collect());
        next = page.json()["next"].as_str().map(str::to_owned);
        assert!(found.len() < 50, "{path} has no end");
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_combination_of_bounds_is_walked_to_its_end() {
    let board = Board::start().await;
    let team = board.team().await;
    let ids = ten(&team.bob, team.room).await;
    let (first, third, eighth, last) = (ids[0], ids[2], ids[7], ids[9]);
    let beyond = last + 1_000_000;
    for (query, expected) in [
        (String::new(), vec!["9876", "5432", "10"]),
        (format!("before={third}"), vec!["10"]),
        (format!("before={first}"), vec![""]),
        (format!("before={beyond}"), vec!["9876", "5432", "10"]),
        (format!("after={third}"), vec!["6543", "987"]),
        ("after=0".to_owned(), vec!["3210", "7654", "98"]),
        (format!("after={last}"), vec![""]),
        (format!("after={third}&before={eighth}"), vec!["6543"]),
        (format!("after={first}&before={eighth}"), vec!["6543", "21"]),
        (format!("after={eighth}&before={third}"), vec![""]),
        (format!("after={third}&before={third}"), vec![""]),
        ("after_seq=0".to_owned(), vec!["0123", "4567", "89"]),
        ("after_seq=8".to_owned(), vec!["89"]),
        ("after_seq=10".to_owned(), vec![""]),
        ("after_seq=9223372036854775807".to_owned(), vec![""]),
    ] {
        let path = format!("/messages/rooms/{}/?limit=4&{query}", team.room);
        assert_eq!(pages(&team.carol, &path).await, expected, "{query}");
    }
    for query in ["after_seq=1&before=5", "after_seq=1&after=5", "after_seq=1&after=5&before=9"] {
        let path = format!("/messages/rooms/{}/?{query}", team.room);
        team.carol.get(&path).await.refuses(400, "malformed_request");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_seq_counts_events_that_are_no_messages_too() {
    let board = Board::start().await;
    let team = board.team().await;
    let one = team.bob.posts(team.room, "one").await;
    let path = format!("/messages/{}/", one["id"]);
    team.bob.patch(&path, json!({"body": "One"})).await.is(200);
    team.alice.patch(&format!("/rooms/{}/", team.room), json!({"topic": "x"})).await.is(200);
    let two = team.bob.posts(team.room, "two").await;
    assert_eq!(two["seq"], 4);
    for (seq, expected) in [(0, "Onetwo"), (1, "two"), (2, "two"), (3, "two"), (4, "")] {
        let path = format!("/messages/rooms/{}/?after_seq={seq}", team.room);
        assert_eq!(pages(&team.carol, &path).await, [expected], "{seq}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_marker_moves_forward_only_and_to_messages_of_its_room() {
    let board = Board::start().await;
    let team = board.team().await;
    let ids = ten(&team.bob, team.room).await;
    let read =
        async |id: i64| team.carol.post_empty(&format!("/rooms/{}/read/{id}/", team.room)).await;
    let answer = read(ids[4]).await.is(200);
    assert_eq!(
        (&answer["room_id"], &answer["last_read_msg_id"]),
        (&json!(team.room), &json!(ids[4]))
    );
    assert_eq!((&answer["unread_count"], &answer["unread_capped"]), (&json!(5), &json!(false)));
    let back = read(ids[1]).await.is(200);
    assert_eq!((&back["last_read_msg_id"], &back["unread_count"]), (&json!(ids[4]), &json!(5)));
    read(ids[9] + 1000).await.refuses(404, "not_found");
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    let foreign = team.alice.posts(other, "elsewhere").await["id"].as_i64().unwrap();
    read(foreign).await.refuses(404, "not_found");
    // What is deleted after the marker is not unread; what is deleted can be read up to.
    team.bob.delete(&format!("/messages/{}/", ids[9])).await.is(204);
    team.bob.delete(&format!("/messages/{}/", ids[2])).await.is(204);
    assert_eq!(team.carol.unread(team.room).await, (4, 0));
    assert_eq!(read(ids[9]).await.is(200)["unread_count"], 0);
    assert_eq!(team.bob.unread(team.room).await, (0, 0), "one's own messages are not unread");
    assert_eq!(team.alice.unread(team.room).await, (8, 0));
    // Sending does not move the marker, an edit is not unread again.
    team.alice.posts(team.room, "mine").await;
    assert_eq!(team.alice.unread(team.room).await, (8, 0));
    team.bob.patch(&format!("/messages/{}/", ids[5]), json!({"body": "edited"})).await.is(200);
    assert_eq!(team.carol.unread(team.room).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_back_to_a_room_has_read_everything() {
    let board = Board::start().await;
    let team = board.team().await;
    ten(&team.bob, team.room).await;
    let path = format!("/rooms/{}/", team.room);
    team.carol.post_empty(&format!("{path}leave/")).await.is(200);
    let counts = team.carol.get("/auth/me/unread-counts/").await.is(200);
    assert_eq!(counts, json!({"unread_counts": []}));
    team.bob.posts(team.room, "meanwhile").await;
    team.carol.post_empty(&format!("{path}join/")).await.is(201);
    assert_eq!(team.carol.unread(team.room).await, (0, 0));
    let counts = team.carol.get("/auth/me/unread-counts/").await.is(200);
    assert_eq!(counts["unread_counts"][0]["last_read_msg_id"], Value::Null);
    team.bob.posts(team.room, "welcome back").await;
    assert_eq!(team.carol.unread(team.room).await, (1, 0));
}
