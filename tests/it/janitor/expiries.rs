//! Spent secrets, old mails, old records.

use testkit::{Board, json};

use super::{DAY, none_left};

const TOKENS: &str = "select count(*) from refresh_tokens t join logins l on l.id = t.login_id
                      join users u on u.id = l.user_id where u.email = 'dora@chat.test'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_spent_is_removed_and_what_is_not_is_kept() {
    let board = Board::builder().janitors(2).start().await;
    let team = board.team().await;
    board.register("dora@chat.test", "correct horse").await;
    let old = board.sign_in("dora@chat.test", "correct horse").await;
    let invite = json!({"email": "erin@chat.test"});
    team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    board.post("/auth/password/reset/", json!({"email": "dora@chat.test"})).await.is(202);
    board.settle().await;
    assert_eq!(board.count("select count(*) from known_addresses").await, 1);
    assert_eq!(board.count(TOKENS).await, 1);
    assert_eq!(board.count("select count(*) from password_resets").await, 1);

    // A day later all of it may still be of use.
    board.clock.advance(DAY);
    let new = board.post("/auth/token/refresh/", json!({"refresh": old["refresh"]})).await.is(200);
    assert_eq!(board.count(TOKENS).await, 2);

    // A token lives seven days; it is known for two more as one that has expired.
    board.clock.advance(8 * DAY);
    board
        .post("/auth/token/refresh/", json!({"refresh": new["refresh"]}))
        .await
        .refuses(401, "unauthenticated");
    none_left(&board, "select count(*) from password_resets").await;
    none_left(&board, "select count(*) from mail_counts").await;
    board.clock.advance(2 * DAY);
    none_left(&board, TOKENS).await;
    let of_dora = "select count(*) from logins l join users u on u.id = l.user_id
                   where u.email = 'dora@chat.test'";
    none_left(&board, of_dora).await;

    // An invite lives seven days, and is known as expired for thirty more.
    assert_eq!(board.count("select count(*) from organization_invites").await, 1);
    board.clock.advance(30 * DAY);
    none_left(&board, "select count(*) from organization_invites").await;
    // Nobody has sent the mails. Their links have expired, so their tokens are gone, and so are they.
    none_left(&board, "select count(*) from mails where secret is not null").await;
    none_left(&board, "select count(*) from mails").await;

    // An address is known for thirty days after the last sign-in from it, a device for a year.
    none_left(&board, "select count(*) from known_addresses").await;
    assert_eq!(board.count("select count(*) from device_tokens").await, 1);
    board.clock.advance(366 * DAY);
    none_left(&board, "select count(*) from device_tokens").await;
}
