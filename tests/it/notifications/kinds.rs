//! What makes a notification, and what it says.

use testkit::{Board, json};

use super::{decided, told};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mention_is_pushed_to_every_socket_and_listed_once() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut here = team.bob.opens(0, team.room).await;
    let mut there = team.bob.opens_many(1).await;
    let body = format!("look, @{}", team.bob.email);
    let sent = team.alice.posts(team.room, &body).await;
    let pushed = here.next_of_type("notification").await["notification"].clone();
    assert_eq!(there.next_of_type("notification").await["notification"], pushed);
    assert_eq!(pushed["notification_type"], "mention");
    assert_eq!(pushed["message"], body);
    assert_eq!(pushed["is_read"], false);
    let data = json!({
        "org": team.org, "room": team.room, "message": sent["id"], "by": team.alice.id,
    });
    assert_eq!(pushed["data"], data);
    assert_eq!(told(&team.bob, 1).await, std::slice::from_ref(&pushed));
    let path = format!("/notifications/{}/", pushed["id"]);
    assert_eq!(team.bob.get(&path).await.is(200), pushed);
    team.alice.get(&path).await.refuses(404, "not_found");
    assert!(team.alice.get("/notifications/").await.results().is_empty(), "never to its author");
}

#[tokio::test]
async fn everyone_is_told_of_a_direct_message_and_of_room_but_not_of_plain_talk() {
    let board = Board::start().await;
    let team = board.team().await;
    team.alice.posts(team.room, "nothing of note").await;
    let dm = json!({"org": team.org, "user_ids": [team.bob.id]});
    let dm = team.alice.post("/rooms/dm/", dm).await.is(201)["id"].as_i64().unwrap();
    team.alice.posts(dm, "psst").await;
    let kinds = |page: Vec<testkit::Value>| -> Vec<String> {
        page.iter().map(|one| one["notification_type"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(told(&team.bob, 1).await), ["dm"]);
    team.alice.posts(dm, &format!("psst @{}", team.bob.email)).await;
    assert_eq!(kinds(told(&team.bob, 2).await), ["mention", "dm"]);
    team.alice.posts(team.room, "@room lunch").await;
    let page = told(&team.bob, 3).await;
    assert_eq!(page[0]["message"], "@room lunch");
    assert_eq!(kinds(page), ["mention", "mention", "dm"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn here_means_who_is_online() {
    let board = Board::start().await;
    let team = board.team().await;
    team.alice.posts(team.room, "@here anyone?").await;
    team.alice.posts(team.room, &format!("@{} wake up", team.bob.email)).await;
    assert_eq!(told(&team.bob, 1).await.len(), 1, "bob was away when @here was said");
    let mut socket = team.bob.opens(1, team.room).await;
    team.alice.posts(team.room, "@Here again").await;
    let pushed = socket.next_of_type("notification").await;
    assert_eq!(pushed["notification"]["message"], "@Here again");
    assert_eq!(team.bob.unread(team.room).await.1, 1, "@here is not in mention_count");
}

#[tokio::test]
async fn an_edit_notifies_only_who_is_newly_mentioned() {
    let board = Board::start().await;
    let team = board.team().await;
    let carol = board.person("carol").await;
    board.put_into_org(team.org, &carol, "MEMBER").await;
    carol.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    let sent = team.alice.posts(team.room, &format!("@{}", team.bob.email)).await;
    told(&team.bob, 1).await;
    let path = format!("/messages/{}/", sent["id"]);
    let body = format!("@{} and @{}", team.bob.email, carol.email);
    team.alice.patch(&path, json!({"body": body})).await.is(200);
    assert_eq!(told(&carol, 1).await[0]["notification_type"], "mention");
    team.alice.post(&format!("{path}reactions/"), json!({"emoji": "👍"})).await.is(200);
    team.alice.posts(team.room, &format!("@{} once more", team.bob.email)).await;
    assert_eq!(told(&team.bob, 2).await.len(), 2);
    assert_eq!(told(&carol, 1).await.len(), 1);
}

#[tokio::test]
async fn invites_and_changes_of_role_are_told() {
    let board = Board::start().await;
    let team = board.team().await;
    let carol = board.person("carol").await;
    let invite = json!({"email": carol.email.to_uppercase(), "role": "MANAGER"});
    let path = format!("/orgs/{}/invite/", team.org);
    let invite = team.alice.post(&path, invite).await.is(201);
    let told_of = told(&carol, 1).await.remove(0);
    assert_eq!(told_of["notification_type"], "org_invite");
    assert_eq!(told_of["message"], "You're invited as a manager.");
    let data = json!({"org": team.org, "invite_id": invite["id"], "by": team.alice.id});
    assert_eq!(told_of["data"], data);
    let token = invite["token"].as_str().unwrap();
    assert!(!told_of.to_string().contains(token));

    let private = team.alice.makes_room(team.org, "private", "PRIVATE").await;
    let path = format!("/rooms/{private}/invite/");
    team.alice.post(&path, json!({"user_id": team.bob.id})).await.is(201);
    let told_of = told(&team.bob, 1).await.remove(0);
    assert_eq!(told_of["notification_type"], "room_invite");
    let data = json!({"org": team.org, "room": private, "by": team.alice.id});
    assert_eq!(told_of["data"], data);

    let path = format!("/orgs/{}/members/{}/role/", team.org, team.bob.id);
    team.alice.post(&path, json!({"role": "MANAGER"})).await.is(200);
    let told_of = told(&team.bob, 2).await.remove(0);
    assert_eq!(told_of["notification_type"], "role_change");
    assert!(
        told_of["title"].as_str().unwrap().starts_with("You're now a manager in "),
        "{told_of}"
    );
}

#[tokio::test]
async fn a_deleted_message_is_told_nowhere() {
    let board = Board::start().await;
    let team = board.team().await;
    let sent = team.alice.posts(team.room, &format!("@{} canary", team.bob.email)).await;
    assert_eq!(decided(&team.bob, &sent, "app").await.0, "sent");
    team.alice.delete(&format!("/messages/{}/", sent["id"])).await.is(204);
    let page = told(&team.bob, 1).await;
    assert_eq!((&page[0]["message"], &page[0]["is_read"]), (&json!(""), &json!(true)));
    assert_eq!(team.bob.get("/notifications/unread-count/").await.is(200)["unread_count"], 0);
}
