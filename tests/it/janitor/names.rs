//! Accounts and messages that an older version wrote, which had other rules for texts.

use testkit::http::encoded;
use testkit::{Board, DEADLINE, Team, eventually, json};

const UNKEYED: &str = "select count(*) from users where keyed_names is distinct from first_name || E'\\n' || last_name";

/// Renames Bob as an older node does who was renamed by a newer one: the keys are those of the other name.
async fn renames_bob(board: &Board, team: &Team, last: &str) {
    let name = json!({"first_name": "Robert", "last_name": "Paulson"});
    team.bob.patch("/auth/me/", name).await.is(200);
    let id = team.bob.id;
    let renamed =
        format!("update users set first_name = 'Zoë', last_name = '{last}' where id = {id}");
    board.sql(&renamed).await;
}

async fn is_mentioned(team: &Team, name: &str) -> bool {
    let before = team.bob.unread(team.room).await.1;
    team.alice.posts(team.room, &format!("@{name} hi")).await;
    team.bob.unread(team.room).await.1 > before
}

async fn found(team: &Team, search: &str) -> usize {
    let search = encoded(search);
    team.alice.get(&format!("/orgs/{}/members/?search={search}", team.org)).await.results().len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_an_older_version_wrote_is_found_at_once() {
    let board = Board::start().await;
    let team = board.team().await;
    renames_bob(&board, &team, "Brontë").await;
    assert!(is_mentioned(&team, "Zoe\u{308}.BRONTË").await);
    assert!(!is_mentioned(&team, "robert.paulson").await);
    assert_eq!((found(&team, "zoë bro").await, found(&team, "paulson").await), (1, 0));
    assert!(board.count(UNKEYED).await > 0, "nobody has keyed the name");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_an_older_version_wrote_are_keyed() {
    let board = Board::builder().janitors(2).start().await;
    let team = board.team().await;
    renames_bob(&board, &team, "Groß").await;
    eventually("all names are keyed", DEADLINE, async || {
        (board.count(UNKEYED).await == 0).then_some(())
    })
    .await;
    assert!(is_mentioned(&team, "zoe\u{308}.GROSS").await);
    assert!(!is_mentioned(&team, "robert.paulson").await);
    assert_eq!((found(&team, "ZOE\u{308} GROSS").await, found(&team, "paulson").await), (1, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_an_older_version_indexed_are_indexed_again() {
    let board = Board::builder().janitors(2).start().await;
    let team = board.team().await;
    team.alice.posts(team.room, "Οδός").await;
    team.alice.posts(team.room, "straße").await;
    let deleted = team.alice.posts(team.room, "gone straße").await;
    team.alice.delete(&format!("/messages/{}/", deleted["id"])).await.is(204);
    let by_q = async |q: &str| {
        let path = format!("/messages/search/?q={}", encoded(q));
        team.bob.get(&path).await.results().len()
    };
    assert_eq!((by_q("ΟΔΟΣ").await, by_q("STRASSE").await), (1, 1));
    // The words that an older version kept: the room's and the sender's stay.
    board
        .sql(
            "update messages set created_at = created_at - interval '1 hour',
                 search = replace(replace(search::text, 'οδοσ', 'οδος'), 'strasse', 'straße')::tsvector",
        )
        .await;
    assert_eq!((by_q("ΟΔΟΣ").await, by_q("STRASSE").await), (0, 0));
    board.sql("insert into search_reindex values (0, now() - interval '10 minutes')").await;
    eventually("everything is indexed again", DEADLINE, async || {
        (board.count("select count(*) from search_reindex").await == 0).then_some(())
    })
    .await;
    assert_eq!((by_q("ΟΔΟΣ").await, by_q("STRASSE").await), (1, 1));
}
