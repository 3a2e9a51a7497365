//! The end of uploads: what nobody uses is gone, row and object.

use std::time::Duration;

use testkit::{Board, DEADLINE, Person, Value, eventually, json, uploads};

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The same person with a token that outlives every test.
fn for_long(person: &Person) -> Person {
    person.with_token(&person.mint(1_000 * DAY))
}

/// Uploads a note.
async fn note(person: &Person) -> Value {
    person.uploads("note.txt", "text/plain", b"hello").await
}

/// Waits until a janitor has looked at all that there is now: it removes what came last.
async fn a_janitor_looks(board: &Board, person: &Person, room: i64) {
    let before = board.files().keys();
    let upload = note(person).await;
    let sent = person.posts_file(room, &upload).await;
    person.delete(&format!("/messages/{}/", sent["id"])).await.is(204);
    eventually("what came last is gone", DEADLINE, async || {
        let keys = board.files().keys();
        keys.iter().all(|key| before.contains(key)).then_some(())
    })
    .await;
}

/// Waits until so many uploads and objects are there.
async fn left(board: &Board, rows: i64, objects: usize) {
    let what = format!("{rows} rows and {objects} objects are left");
    eventually(&what, DEADLINE, async || {
        let there = board.count("select count(*) from file_uploads").await;
        (there == rows && board.files().keys().len() == objects).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_completed_or_not_posted_in_time_goes() {
    let board = Board::builder().edges(1).janitors(2).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    alice.announces("never.txt", "text/plain", 5).await.is(201);
    alice.puts("half.txt", "text/plain", b"hello").await;
    note(&alice).await;
    let posted = note(&alice).await;
    alice.posts_file(team.room, &posted).await;

    board.clock.advance(23 * HOUR + 59 * HOUR / 60);
    a_janitor_looks(&board, &alice, team.room).await;
    assert_eq!(board.files().keys().len(), 3, "gone before its time");
    board.clock.advance(HOUR / 30);
    // The bytes at once, the rows when nothing can be put under their address any more.
    left(&board, 5, 2).await;
    board.clock.advance(3 * DAY);
    left(&board, 2, 2).await;
    board.clock.advance(25 * DAY + 22 * HOUR);
    a_janitor_looks(&board, &alice, team.room).await;
    assert_eq!(board.files().keys().len(), 2, "gone before its time");
    board.clock.advance(2 * DAY);
    left(&board, 1, 1).await;
    alice.upload(&posted).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_message_carries_any_more_goes() {
    let board = Board::builder().edges(1).janitors(2).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    let upload = note(&alice).await;
    let first = alice.posts_file(team.room, &upload).await;
    let second = alice.posts_file(team.room, &upload).await;
    alice.delete(&format!("/messages/{}/", first["id"])).await.is(204);
    eventually("the janitor has looked", DEADLINE, async || {
        let waiting = board.count("select count(*) from file_uploads where is_let_go").await;
        (waiting == 0).then_some(())
    })
    .await;
    left(&board, 1, 1).await;
    team.bob.upload(&upload).await.is(200);

    alice.delete(&format!("/messages/{}/", second["id"])).await.is(204);
    // The bytes at once; the row when nothing can be put under its address any more.
    left(&board, 1, 0).await;
    alice.upload(&upload).await.refuses(404, "not_found");
    board.clock.advance(26 * HOUR);
    left(&board, 0, 0).await;
    let purges = alice.get(&format!("/orgs/{}/purges/", team.org)).await.results();
    assert!(purges.iter().any(|purge| purge["removed"]["files"] == 1), "{purges:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_with_their_messages_unless_they_are_held() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    let upload = note(&alice).await;
    alice.posts_file(team.room, &upload).await;
    let retention = format!("/orgs/{}/retention/", team.org);
    alice.patch(&retention, json!({"legal_hold": true})).await.is(200);
    board.clock.advance(91 * DAY);
    // Two rounds later it is there still: what came after it has gone.
    let other = note(&alice).await;
    board.clock.advance(31 * DAY);
    eventually("the other has gone", DEADLINE, async || {
        (alice.upload(&other).await.status == 404).then_some(())
    })
    .await;
    left(&board, 1, 1).await;
    alice.upload(&upload).await.is(200);
    alice.patch(&retention, json!({"legal_hold": false})).await.is(200);
    left(&board, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_go_with_their_room() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    let room = alice.makes_room(team.org, "short", "PUBLIC").await;
    let upload = note(&alice).await;
    alice.posts_file(room, &upload).await;
    alice.delete(&format!("/rooms/{room}/")).await.is(204);
    left(&board, 1, 0).await;
    board.clock.advance(26 * HOUR);
    left(&board, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_posted_is_served_as_long_as_a_message_carries_it_and_no_longer() {
    let board = Board::builder().edges(1).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    let (first, second) = (note(&alice).await, note(&alice).await);
    let short = alice.makes_room(team.org, "short", "PUBLIC").await;
    let third = note(&alice).await;
    alice.posts_file(short, &third).await;
    let sent = alice.posts_file(team.room, &first).await;
    alice.posts_file(team.room, &second).await;
    alice.delete(&format!("/messages/{}/", sent["id"])).await.is(204);
    alice.upload(&first).await.refuses(404, "not_found");
    alice.delete(&format!("/rooms/{short}/")).await.is(204);
    alice.upload(&third).await.refuses(404, "not_found");
    board.clock.advance(89 * DAY);
    alice.upload(&second).await.is(200);
    board.clock.advance(DAY);
    alice.upload(&second).await.refuses(404, "not_found");
    assert!(alice.get("/uploads/my-uploads/").await.results().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_janitors_share_the_work_and_count_each_file_once() {
    let board = Board::builder().edges(1).janitors(3).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    let room = alice.makes_room(team.org, "full", "PUBLIC").await;
    for _ in 0..45 {
        let upload = note(&alice).await;
        alice.posts_file(room, &upload).await;
    }
    board.clock.advance(26 * HOUR);
    alice.delete(&format!("/rooms/{room}/")).await.is(204);
    left(&board, 0, 0).await;
    let purges = alice.get(&format!("/orgs/{}/purges/", team.org)).await.results();
    let files = purges.iter().filter_map(|purge| purge["removed"]["files"].as_i64());
    assert_eq!(files.sum::<i64>(), 45, "{purges:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_an_account_goes_what_it_never_posted() {
    let board = Board::builder().edges(1).janitors(1).start().await;
    let team = board.team().await;
    let email = "dora@chat.test";
    let user = board.register(email, "correct horse").await;
    let tokens = board.sign_in(email, "correct horse").await;
    let token = tokens["access"].as_str().unwrap();
    let dora = board.person_with(user["id"].as_i64().unwrap(), email, token);
    board.put_into_org(team.org, &dora, "MEMBER").await;
    dora.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    let posted = note(&dora).await;
    dora.posts_file(team.room, &posted).await;
    note(&dora).await;
    dora.announces("pending.txt", "text/plain", 5).await.is(201);
    let body = json!({"password": "correct horse"});
    dora.call("DELETE", "/auth/me/", Some(&body)).await.is(204);
    // The bytes at once; what was posted stays, by "Deleted user".
    left(&board, 3, 1).await;
    team.bob.upload(&posted).await.is(200);
    board.clock.advance(26 * HOUR);
    left(&board, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_janitor_that_died_in_between_leaves_nothing_behind() {
    let board = Board::builder().edges(1).janitors(2).start().await;
    let team = board.team().await;
    let alice = for_long(&team.alice);
    for name in ["a", "b", "c"] {
        alice.uploads(name, "text/plain", b"hello").await;
    }
    board.files().goes_away().await;
    board.clock.advance(31 * DAY);
    eventually("they have ended", DEADLINE, async || {
        let sql = "select count(*) from file_uploads where status = 'removing'";
        (board.count(sql).await == 3).then_some(())
    })
    .await;
    // One died after the object went, another before; and nobody could reach the store so far.
    let gone = board.texts("select object_key from file_uploads order by number limit 1").await;
    let object = board.files().store().folder().join("chatboard").join(&gone[0]);
    std::fs::remove_file(object).unwrap();
    assert_eq!(board.count("select count(*) from file_uploads").await, 3);
    board.files().comes_back().await;
    // Whoever had claimed them has them for a minute.
    board.clock.advance(HOUR);
    left(&board, 0, 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_removed_counts_until_its_address_has_ended() {
    let board = Board::builder().edges(1).janitors(1).quotas(1_000, 0).start().await;
    let team = board.team().await;
    let alice = &for_long(&team.alice);
    let bytes = [b'a'; 900];
    let announced = alice.announces("a.txt", "text/plain", bytes.len()).await.is(201);
    let (url, headers) = (announced["upload_url"].as_str().unwrap(), &announced["headers"]);
    assert_eq!(uploads::put(url, headers, &bytes).await.status, 200);
    let upload = alice.completes(&announced).await.is(200);
    let sent = alice.posts_file(team.room, &upload).await;
    alice.delete(&format!("/messages/{}/", sent["id"])).await.is(204);
    left(&board, 1, 0).await;
    // The store takes the bytes again, so they still count.
    assert_eq!(uploads::put(url, headers, &bytes).await.status, 200);
    alice.announces("b.txt", "text/plain", bytes.len()).await.blames(&["file_size"]);
    board.clock.advance(HOUR + HOUR / 60);
    // They go with the address, not a day later, and leave their room.
    left(&board, 1, 0).await;
    eventually("what was removed counts no more", DEADLINE, async || {
        (alice.announces("b.txt", "text/plain", bytes.len()).await.status == 201).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_counts_is_added_up_again_each_day() {
    let board = Board::builder().edges(1).janitors(1).quotas(1_000, 500).start().await;
    let team = board.team().await;
    let alice = &for_long(&team.alice);
    let upload = alice.uploads("a.txt", "text/plain", &[b'a'; 400]).await;
    alice.posts_file(team.room, &upload).await;
    // An older version, running beside this one, changes files without keeping count.
    board.sql("update file_usage set bytes = 1000").await;
    alice.announces("b.txt", "text/plain", 100).await.blames(&["file_size"]);
    board.clock.advance(25 * HOUR);
    let counted = "select count(*) from file_usage where bytes < 1000";
    eventually("both are counted again", DEADLINE, async || {
        (board.count(counted).await == 2).then_some(())
    })
    .await;
    alice.announces("b.txt", "text/plain", 1).await.is(201);
    let fits = alice.uploads("c.txt", "text/plain", &[b'c'; 100]).await;
    alice.posts_file(team.room, &fits).await;
    let too_much = alice.uploads("d.txt", "text/plain", &[b'd'; 1]).await;
    let message = json!({"upload_id": too_much["id"]});
    alice.post(&format!("/messages/rooms/{}/", team.room), message).await.blames(&["upload_id"]);
}
