//! Lists: bounds, cursors, and walking while the list changes.

use std::collections::HashMap;

use testkit::{Board, Value, json};

fn bodies(page: &[Value]) -> Vec<&str> {
    page.iter().map(|message| message["body"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_of_messages_lead_away_from_their_bound() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut ids = Vec::new();
    for number in 0..10 {
        ids.push(team.bob.posts(team.room, &number.to_string()).await["id"].as_i64().unwrap());
    }
    let path = format!("/messages/rooms/{}/", team.room);
    let page = |query: String| {
        let (bob, path) = (&team.bob, &path);
        async move { bob.get(&format!("{path}?{query}")).await }
    };
    let newest = page("limit=3".to_owned()).await;
    assert_eq!(bodies(&newest.results()), ["9", "8", "7"]);
    let next = newest.json()["next"].as_str().unwrap().to_owned();
    assert!(next.starts_with(board.api()), "absolute: {next}");
    assert_eq!(bodies(&team.bob.get(&next).await.results()), ["6", "5", "4"]);
    let before = page(format!("limit=2&before={}", ids[5])).await;
    assert_eq!(bodies(&before.results()), ["4", "3"]);
    // After a message: those that follow it, each page newest first, next leads to the newer.
    let after = page(format!("limit=3&after={}", ids[2])).await;
    assert_eq!(bodies(&after.results()), ["5", "4", "3"]);
    let next = after.json()["next"].as_str().unwrap().to_owned();
    assert_eq!(bodies(&team.bob.get(&next).await.results()), ["8", "7", "6"]);
    let both = page(format!("limit=2&after={}&before={}", ids[2], ids[7])).await;
    assert_eq!(bodies(&both.results()), ["6", "5"]);
    let next = both.json()["next"].as_str().unwrap().to_owned();
    let rest = team.bob.get(&next).await;
    assert_eq!(bodies(&rest.results()), ["4", "3"]);
    assert!(rest.json()["next"].is_null());
    let log = page("after_seq=7&limit=2".to_owned()).await;
    assert_eq!(bodies(&log.results()), ["7", "8"], "oldest first");
    let end = page(format!("after={}", ids[9])).await;
    assert!(end.results().is_empty() && end.json()["next"].is_null());
    let all = team.bob.walks(&format!("{path}?limit=3")).await;
    assert_eq!(bodies(&all), ["9", "8", "7", "6", "5", "4", "3", "2", "1", "0"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn previous_leads_back() {
    let board = Board::start().await;
    let team = board.team().await;
    for number in 0..9 {
        team.bob.posts(team.room, &number.to_string()).await;
    }
    let path = format!("/messages/rooms/{}/?limit=3", team.room);
    let first = team.bob.get(&path).await;
    assert!(first.json()["previous"].is_null(), "{}", first.text);
    let second = team.bob.get(first.json()["next"].as_str().unwrap()).await;
    let back = team.bob.get(second.json()["previous"].as_str().unwrap()).await;
    assert_eq!(back.results(), first.results());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_queries_are_named() {
    let board = Board::start().await;
    let team = board.team().await;
    let messages = format!("/messages/rooms/{}/", team.room);
    let events = format!("/rooms/{}/events/", team.room);
    for (path, query, field) in [
        (&messages, "limit=0", "limit"),
        (&messages, "limit=201", "limit"),
        (&messages, "limit=x", "limit"),
        (&messages, "limit=", "limit"),
        (&messages, "before=x", "before"),
        (&messages, "after=9223372036854775808", "after"),
        (&messages, "after_seq=-1", "after_seq"),
        (&messages, "after_seq=x", "after_seq"),
        (&messages, "cursor=nonsense", "cursor"),
        (&events, "after_seq=x", "after_seq"),
        (&events, "cursor=%00", "cursor"),
    ] {
        let problem = team.bob.get(&format!("{path}?{query}")).await;
        let problem = problem.refuses(400, "malformed_request");
        assert!(problem["errors"][field].is_array(), "{query}: {problem}");
    }
    let mixed = team.bob.get(&format!("{messages}?after_seq=0&before=5")).await;
    mixed.refuses(400, "malformed_request");
    // A stranger's bad query tells nothing.
    let stranger = team.mallory.get(&format!("{messages}?limit=0")).await;
    assert!([400, 404].contains(&stranger.status));
    team.bob.get(&format!("{messages}?limit=200")).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn walking_shows_what_was_there_throughout_exactly_once() {
    let board = Board::start().await;
    let team = board.team().await;
    board.fill_room(team.room, team.alice.id, 60).await;
    let there: Vec<i64> = ids(&team.bob.history(team.room).await);
    let path = format!("/messages/rooms/{}/?limit=7", team.room);
    let writing = async {
        for number in 0..30 {
            let message = team.carol.posts(team.room, &format!("new {number}")).await;
            if number % 3 == 0 {
                team.carol.delete(&format!("/messages/{}/", message["id"])).await.is(204);
            }
        }
    };
    let as_a_log = format!("/messages/rooms/{}/?after_seq=0&limit=7", team.room);
    let (walked, oldest_first, ()) =
        tokio::join!(team.bob.walks(&path), team.bob.walks(&as_a_log), writing);
    for (what, walked) in [("newest first", walked), ("oldest first", oldest_first)] {
        let mut times: HashMap<i64, u32> = HashMap::new();
        for id in ids(&walked) {
            *times.entry(id).or_default() += 1;
        }
        assert!(times.values().all(|&times| times == 1), "{what}: shown twice: {times:?}");
        let missing: Vec<_> = there.iter().filter(|id| !times.contains_key(id)).collect();
        assert!(missing.is_empty(), "{what}: missing: {missing:?}");
    }
}

fn ids(rows: &[Value]) -> Vec<i64> {
    rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_list_is_a_page() {
    let board = Board::start().await;
    let team = board.team().await;
    board.crowd(team.org, 5).await;
    for number in 0..4 {
        team.alice.makes_org(&format!("Org {number}")).await;
        team.alice.makes_room(team.org, &format!("room {number}"), "PUBLIC").await;
        team.alice.on_another_device(&board).await;
        let invite = json!({"email": format!("x{number}@chat.test")});
        team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    }
    for (path, key, is_newest_first) in [
        ("/orgs/".to_owned(), "id", false),
        ("/rooms/".to_owned(), "id", false),
        (format!("/orgs/{}/members/", team.org), "id", false),
        (format!("/rooms/{}/members/", team.room), "id", false),
        (format!("/orgs/{}/invites/", team.org), "id", true),
        ("/auth/sessions/".to_owned(), "sid", true),
    ] {
        let all = team.alice.get(&path).await.results();
        let walked = team.alice.walks(&format!("{path}?limit=2")).await;
        assert_eq!(walked, all, "{path}");
        let ids: Vec<_> = all.iter().map(|row| row[key].as_i64().unwrap()).collect();
        if is_newest_first {
            if key == "id" {
                assert!(ids.is_sorted_by(|a, b| a > b), "{path}: {ids:?}");
            }
        } else {
            assert!(ids.is_sorted_by(|a, b| a < b), "{path}: {ids:?}");
        }
        let bad = team.alice.get(&format!("{path}?cursor=x")).await;
        bad.refuses(400, "malformed_request");
    }
}
