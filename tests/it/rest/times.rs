//! Times within a room rise strictly with its places, whatever clocks say.

use std::time::Duration;

use testkit::{Board, DEADLINE, Person, eventually, json};

const MINUTE: i64 = 60;

/// Sends `count` messages at the same time: they share transactions.
async fn posts_at_once(person: &Person, room: i64, count: usize) {
    let sends = (0..count).map(|n| person.posts(room, if n % 2 == 0 { "even" } else { "odd" }));
    futures_util::future::join_all(sends).await;
}

/// The times of a room's log that its events tell, in the order of their places.
async fn times(person: &Person, room: i64) -> Vec<String> {
    let events = person.events(room, 0).await;
    let own = |event: &testkit::Value| {
        let field = if event["type"] == "message.updated" { "edited_at" } else { "created_at" };
        event[field].as_str().map(str::to_owned)
    };
    events.iter().filter(|event| event["type"] != "message.deleted").filter_map(own).collect()
}

/// Postgres' time and so many seconds, to the second, as the contract writes times.
async fn now_and(board: &Board, seconds: i64) -> String {
    let sql = format!(
        "select to_char((now() + interval '1 second' * {seconds}) at time zone 'utc',
                        'YYYY-MM-DD\"T\"HH24:MI:SS')"
    );
    board.texts(&sql).await.concat()
}

fn rise_strictly(times: &[String]) -> bool {
    times.windows(2).all(|pair| pair[0] < pair[1])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_rise_with_places_whatever_the_clocks_of_apis_say() {
    let board = Board::start().await;
    let team = board.team().await;
    let for_long = |person: &Person| person.with_token(&person.mint(Duration::from_secs(86_400)));
    let (alice, bob) = (for_long(&team.alice), for_long(&team.bob));
    let began = now_and(&board, 0).await;
    for (round, wrong_by) in [0, 50 * MINUTE, -50 * MINUTE, 7 * MINUTE, 0].into_iter().enumerate() {
        board.clock.set_wrong(wrong_by);
        posts_at_once(&bob, team.room, 20).await;
        let sent = alice.posts(team.room, "to be changed").await;
        let path = format!("/messages/{}/", sent["id"]);
        alice.patch(&path, json!({"body": format!("changed {round}")})).await.is(200);
        let topic = json!({"topic": format!("topic {round}")});
        alice.patch(&format!("/rooms/{}/", team.room), topic).await.is(200);
        bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
        bob.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    }
    board.clock.set_wrong(0);
    let last = alice.posts(team.room, "last").await;
    let times = times(&alice, team.room).await;
    assert!(times.len() >= 5 * 25, "{}", times.len());
    let falls = times.windows(2).find(|pair| pair[0] >= pair[1]);
    assert!(rise_strictly(&times), "{falls:?}");
    // None is of a wrong clock.
    let room = alice.room(team.room).await;
    assert_eq!(room["last_message_at"], last["created_at"]);
    assert!(times.iter().all(|time| *time >= began), "{began} {times:?}");
    let soon = now_and(&board, MINUTE).await;
    assert!(times.iter().all(|time| *time < soon), "{soon} {times:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logs_of_earlier_versions_are_put_in_order() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    posts_at_once(&team.bob, team.room, 30).await;
    team.bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
    team.bob.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    posts_at_once(&team.bob, team.room, 30).await;
    // As an earlier version left them: equal times, times that fall, and one far ahead. One
    // statement, so that the janitor sees it whole.
    board
        .sql(&format!(
            "with of_messages as (
                 update messages set created_at = case
                     when seq % 5 = 0 then now() - interval '1 day'
                     when seq = 7 then now() + interval '90 days'
                     else now() - interval '1 hour' end
                 where room_id = {room}
             ), of_events as (
                 update room_events set created_at = now() - interval '2 hours'
                 where room_id = {room}
             )
             update rooms set last_event_at = null, ordered_seq = 0,
                 last_message_at = now() + interval '90 days'
             where id = {room}",
            room = team.room
        ))
        .await;
    eventually("the room's times rise", DEADLINE, async || {
        rise_strictly(&times(&team.alice, team.room).await).then_some(())
    })
    .await;
    let before = times(&team.alice, team.room).await;
    assert_eq!(before.len(), 62);
    let sent = team.bob.posts(team.room, "after").await;
    let sent = sent["created_at"].as_str().unwrap_or_default().to_owned();
    assert!(before.iter().all(|time| *time < sent), "{before:?} {sent}");
    assert!(sent < now_and(&board, MINUTE).await, "{sent}: the time that lay ahead is gone");
}
