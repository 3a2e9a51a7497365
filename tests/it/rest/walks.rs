//! Lists: limits, cursors, and walks while rows come and go.

use std::collections::BTreeSet;

use testkit::{Board, Person, Value, json};

fn ids(results: &[Value]) -> Vec<i64> {
    results.iter().map(|one| one["id"].as_i64().unwrap()).collect()
}

/// A room of Alice's with so many messages, whose ids are returned.
async fn room_of(board: &Board, messages: usize) -> (Person, i64, Vec<i64>) {
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    let room = alice.makes_room(org, "general", "PUBLIC").await;
    let mut ids = Vec::new();
    for number in 0..messages {
        ids.push(alice.posts(room, &format!("{number}")).await["id"].as_i64().unwrap());
    }
    (alice, room, ids)
}

#[tokio::test]
async fn a_bad_limit_or_cursor_is_malformed_and_named() {
    let board = Board::start().await;
    let team = board.team().await;
    let lists = [
        "/orgs/".to_owned(),
        "/rooms/".to_owned(),
        "/auth/sessions/".to_owned(),
        format!("/orgs/{}/members/", team.org),
        format!("/orgs/{}/invites/", team.org),
        format!("/rooms/{}/members/", team.room),
        format!("/rooms/{}/events/", team.room),
        format!("/messages/rooms/{}/", team.room),
    ];
    for list in &lists {
        for limit in ["0", "201", "-1", "abc", "", "1.5", "99999999999999999999"] {
            let problem = team.alice.get(&format!("{list}?limit={limit}")).await;
            let problem = problem.refuses(400, "malformed_request");
            assert!(problem["errors"]["limit"].is_array(), "{list} {limit}: {problem}");
        }
        for cursor in ["x", "", "bjo", "%00", "bjotMQ", "!!!!"] {
            let problem = team.alice.get(&format!("{list}?cursor={cursor}")).await;
            let problem = problem.refuses(400, "malformed_request");
            assert!(problem["errors"]["cursor"].is_array(), "{list} {cursor}: {problem}");
        }
        team.alice.get(&format!("{list}?limit=1")).await.is(200);
        team.alice.get(&format!("{list}?limit=200")).await.is(200);
        // Who may not see the list learns nothing about its queries, and the other way round.
        let both = team.alice.get(&format!("{list}?limit=x&cursor=x")).await;
        let errors = both.refuses(400, "malformed_request")["errors"].clone();
        assert_eq!(errors.as_object().map(serde_json::Map::len), Some(2), "{list}: {errors}");
    }
    for query in ["org=0", "org=abc", "org=-1", "scope=all"] {
        team.alice.get(&format!("/rooms/?{query}")).await.refuses(400, "malformed_request");
    }
}

#[tokio::test]
async fn a_list_has_fifty_on_a_page_unless_asked_otherwise() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    board.crowd(org, 119).await;
    let path = format!("/orgs/{org}/members/");
    let first = alice.get(&path).await.is(200);
    assert_eq!(first["results"].as_array().unwrap().len(), 50);
    assert_eq!(first["previous"], Value::Null);
    let next = first["next"].as_str().expect("there are more");
    assert!(next.starts_with(&format!("{}/api/v1{path}", board.api())), "absolute: {next}");
    let all = ids(&alice.walks(&path).await);
    assert_eq!(all.len(), 120);
    assert!(all.is_sorted(), "by id");
    assert_eq!(alice.get(&format!("{path}?limit=200")).await.is(200)["next"], Value::Null);
    assert_eq!(alice.get(&format!("{path}?limit=120")).await.is(200)["next"], Value::Null);
}

#[tokio::test]
async fn walking_shows_what_was_there_exactly_once_while_rows_come_and_go() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    let mut rooms = Vec::new();
    for number in 0..12 {
        rooms.push(alice.makes_room(org, &format!("room {number}"), "PUBLIC").await);
    }
    let mut next = Some("/rooms/?limit=3".to_owned());
    let (mut shown, mut page) = (Vec::new(), 0);
    while let Some(address) = next {
        let answer = alice.get(&address).await;
        shown.extend(ids(&answer.results()));
        next = answer.json()["next"].as_str().map(str::to_owned);
        // Before, at and after the place that the walk has reached.
        if page == 0 {
            for gone in [rooms[0], rooms[2], rooms[5]] {
                alice.delete(&format!("/rooms/{gone}/")).await.is(204);
            }
        }
        alice.makes_room(org, &format!("late {page}"), "PUBLIC").await;
        page += 1;
        assert!(page < 20, "the walk has an end");
    }
    let unique: BTreeSet<_> = shown.iter().copied().collect();
    assert_eq!(unique.len(), shown.len(), "nothing twice: {shown:?}");
    for (number, room) in rooms.iter().enumerate() {
        assert_eq!(unique.contains(room), number != 5, "room {number} in {shown:?}");
    }
}

#[tokio::test]
async fn walking_messages_is_not_disturbed_by_new_and_deleted_ones() {
    let board = Board::start().await;
    let (alice, room, mut expected) = room_of(&board, 11).await;
    let mut next = Some(format!("/messages/rooms/{room}/?limit=3"));
    let mut shown = Vec::new();
    while let Some(address) = next {
        let answer = alice.get(&address).await;
        shown.extend(ids(&answer.results()));
        next = answer.json()["next"].as_str().map(str::to_owned);
        alice.posts(room, "another").await;
        alice.delete(&format!("/messages/{}/", shown[0])).await.is(204);
    }
    expected.reverse();
    assert_eq!(shown, expected, "newest first, deleted ones too");
}

#[tokio::test]
async fn previous_leads_back_over_the_same_pages() {
    let board = Board::start().await;
    let (alice, room, _) = room_of(&board, 10).await;
    for path in [format!("/messages/rooms/{room}/"), format!("/rooms/{room}/events/")] {
        let mut address = format!("{path}?limit=4");
        let mut pages = Vec::new();
        loop {
            let page = alice.get(&address).await.is(200);
            pages.push(page.clone());
            match page["next"].as_str() {
                Some(next) => address = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(pages.len(), 3, "{path}");
        assert_eq!(pages[0]["previous"], Value::Null);
        for number in (0..pages.len() - 1).rev() {
            let back = pages[number + 1]["previous"].as_str().expect("a page before it");
            let page = alice.get(back).await.is(200);
            assert_eq!(page["results"], pages[number]["results"], "{path} page {number}");
            let forth = page["next"].as_str().expect("and after it");
            assert_eq!(alice.get(forth).await.is(200)["results"], pages[number + 1]["results"]);
        }
    }
}

#[tokio::test]
async fn a_cursor_keeps_the_filter_of_its_list() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let (first, second) = (alice.makes_org("First").await, alice.makes_org("Second").await);
    for number in 0..5 {
        alice.makes_room(first, &format!("first {number}"), "PUBLIC").await;
        alice.makes_room(second, &format!("second {number}"), "PUBLIC").await;
    }
    let rooms = alice.walks(&format!("/rooms/?org={second}&limit=2")).await;
    assert_eq!(rooms.len(), 5);
    assert!(rooms.iter().all(|room| room["org"] == second), "{rooms:?}");
    let path = format!("/rooms/?org={}", first + second + 1000);
    assert_eq!(
        alice.get(&path).await.is(200),
        json!({"next": null, "previous": null, "results": []})
    );
}
