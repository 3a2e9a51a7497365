//! Rooms, organizations and accounts that are deleted: gone at once for everyone, in batches from
//! the tables.

use testkit::{Board, Person, Reaction, Receiver, Value, json};

use super::none_left;

/// Gives a room a long past, in the record.
async fn long_past(board: &Board, room: i64, messages: i64) {
    board
        .sql(&format!(
            "insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at)
             select org_id, id, last_seq + n, created_by, 'canary ' || n, '', now()
             from rooms, generate_series(1, {messages}) n where id = {room};
             insert into message_mentions (message_id, user_id, room_id, seq)
             select id, sender_id, room_id, seq from messages
             where room_id = {room} and body like 'canary %' and seq % 10 = 0;
             insert into message_reactions (message_id, user_id, emoji, created_at)
             select id, sender_id, '👍', now() from messages
             where room_id = {room} and body like 'canary %' and seq % 10 = 1;
             update rooms set last_seq = last_seq + {messages} where id = {room}"
        ))
        .await;
}

const LEFT: [&str; 8] = [
    "select count(*) from removals",
    "select count(*) from messages",
    "select count(*) from message_mentions",
    "select count(*) from message_reactions",
    "select count(*) from room_events",
    "select count(*) from room_members",
    "select count(*) from notifications where room_id is not null",
    "select count(*) from notification_decisions where message_id is not null",
];

async fn registered(board: &Board, name: &str) -> (Person, String) {
    let email = format!("{name}@chat.test");
    let user = board.register(&email, "correct horse").await;
    let tokens = board.sign_in(&email, "correct horse").await;
    let id = user["id"].as_i64().unwrap();
    (board.person_with(id, &email, tokens["access"].as_str().unwrap()), email)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_room_that_is_deleted_is_gone_at_once_and_leaves_nothing() {
    let board = Board::builder().janitors(2).start().await;
    let team = board.team().await;
    let said = team.bob.posts(team.room, &format!("@{} look", team.alice.email)).await;
    board.settle().await;
    long_past(&board, team.room, 3_000).await;
    assert_eq!(team.alice.get("/notifications/").await.results().len(), 1);
    team.alice.delete(&format!("/rooms/{}/", team.room)).await.is(204);
    team.bob.get(&format!("/messages/{}/", said["id"])).await.refuses(404, "not_found");
    assert!(team.alice.get("/notifications/").await.results().is_empty());
    assert_eq!(team.alice.get("/notifications/unread-count/").await.is(200)["unread_count"], 0);
    for sql in LEFT {
        none_left(&board, sql).await;
    }
    let records = team.alice.get(&format!("/orgs/{}/purges/", team.org)).await.results();
    let removed: i64 =
        records.iter().filter_map(|record| record["removed"]["messages"].as_i64()).sum();
    assert_eq!(removed, 3_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_under_a_hold_stays_and_without_one_goes_with_everything() {
    let board = Board::builder().janitors(1).webhooks().start().await;
    let team = board.team().await;
    let hook =
        json!({"org": team.org, "url": "http://127.0.0.1:9/", "events": ["message.created"]});
    team.alice.post("/webhooks/", hook).await.is(201);
    team.bob.posts(team.room, &format!("@{} look", team.alice.email)).await;
    board.settle().await;
    long_past(&board, team.room, 1_200).await;
    let rule = format!("/orgs/{}/retention/", team.org);
    team.alice.patch(&rule, json!({"legal_hold": true})).await.is(200);
    let (org, room) = (format!("/orgs/{}/", team.org), format!("/rooms/{}/", team.room));
    team.alice.delete(&room).await.refuses(409, "legal_hold");
    team.alice.delete(&org).await.refuses(409, "legal_hold");
    team.alice.patch(&rule, json!({"legal_hold": false})).await.is(200);
    team.alice.delete(&org).await.is(204);
    team.alice.get(&org).await.refuses(404, "not_found");
    team.bob.get(&room).await.refuses(404, "not_found");
    for sql in LEFT {
        none_left(&board, sql).await;
    }
    for sql in [
        "select count(*) from webhooks",
        "select count(*) from webhook_payloads",
        "select count(*) from webhook_outbox",
        "select count(*) from organization_members",
        "select count(*) from outbox",
    ] {
        none_left(&board, sql).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_deletes_their_account_leaves_their_words_and_nothing_that_says_who_they_were() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    let (dora, email) = registered(&board, "dora").await;
    board.put_into_org(team.org, &dora, "MEMBER").await;
    dora.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    let alone = dora.makes_org("Just me").await;
    let mine = dora.makes_room_for_all(alone, "diary").await;
    dora.posts(mine, "dear diary").await;
    let said = dora.posts(team.room, "remember this").await;
    team.alice.posts(team.room, &format!("@{email} hello")).await;
    board.settle().await;
    // A room's socket could end with the membership as well, which is 4003.
    let mut socket = dora.opens_many(0).await;

    let path = "/auth/me/";
    dora.call("DELETE", path, Some(&json!({}))).await.blames(&["password"]);
    dora.call("DELETE", path, Some(&json!({"password": "wrong horse"})))
        .await
        .blames(&["password"]);
    let proof = json!({"password": "correct horse"});
    dora.call("DELETE", path, Some(&proof)).await.is(204);
    assert_eq!(socket.closes().await.code, 4001);
    let sign_in = json!({"email": email, "password": "correct horse"});
    board.post("/auth/token/", sign_in).await.refuses(401, "invalid_credentials");

    let history = team.bob.history(team.room).await;
    let kept = history.iter().find(|message| message["id"] == said["id"]).unwrap();
    assert_eq!((&kept["body"], &kept["sender"]), (&said["body"], &json!(dora.id)));
    let ghost = team.bob.get(&format!("/users/{}/", dora.id)).await.is(200);
    assert_eq!(ghost["first_name"], "Deleted");
    assert_eq!(ghost["last_name"], "user");
    assert!(!ghost.to_string().contains("dora"), "{ghost}");
    let members = team.bob.walks(&format!("/rooms/{}/members/", team.room)).await;
    assert!(members.iter().all(|member| member["user"] != dora.id));
    let mut events = team.bob.events(team.room, 0).await;
    events.retain(|event| event["type"].as_str().unwrap().starts_with("member."));
    assert!(!json!(events).to_string().contains("dora@"), "a name is read when it is shown");
    let of_dora = "select count(*) from notifications n join users u on u.id = n.user_id
                   where u.deleted_at is not null";
    none_left(&board, of_dora).await;
    none_left(&board, "select count(*) from messages where body = 'dear diary'").await;
    none_left(&board, "select count(*) from organizations where name = 'Just me'").await;

    // The address is free again, and somebody else's.
    let again = board.register(&email, "correct horse").await;
    assert_ne!(again["id"], dora.id);
}

/// Where in the whole schema a text stands: `table.column`, but for what people wrote themselves.
async fn stands(board: &Board, text: &str) -> Vec<String> {
    let columns = board
        .texts(
            "select table_name || '.' || column_name from information_schema.columns
             where table_schema = 'public'
                 and data_type in ('text', 'jsonb', 'json', 'ARRAY', 'character varying')
                 and table_name || '.' || column_name not in ('messages.body', 'messages.search')
             order by 1",
        )
        .await;
    let mut found = Vec::new();
    for column in columns {
        let (table, name) = column.split_once('.').unwrap_or_default();
        let sql = format!(
            "select '{column}' from {table} where \"{name}\"::text ilike '%{text}%' limit 1"
        );
        found.extend(board.texts(&sql).await);
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_copy_of_a_deleted_account_s_name_or_address_is_left_anywhere() {
    let board = Board::builder().webhooks().janitors(1).start().await;
    let team = board.team().await;
    let (alice, org) = (&team.alice, team.org);
    // An endpoint that never takes anything: payloads stay.
    let receiver = Receiver::start().await;
    receiver.always(Reaction::Status(500));
    let all = json!({"org": org, "url": receiver.url(), "events": [
        "message.created", "member.invited", "member.joined", "member.left"]});
    alice.post("/webhooks/", all).await.is(201);
    let (zelda, email) = registered(&board, "zelda-quux").await;
    zelda
        .patch("/auth/me/", json!({"first_name": "Xanthippe", "last_name": "Quuxly"}))
        .await
        .is(200);
    let invite = json!({"email": email, "role": "ADMIN"});
    let path = format!("/orgs/{org}/invite/");
    let token = alice.post(&path, invite).await.is(201)["token"].as_str().map(str::to_owned);
    zelda.post("/orgs/accept-invite/", json!({"token": token})).await.is(200);
    zelda.posts(team.room, &format!("@{} look", team.bob.email)).await;
    let dm = json!({"org": org, "user_ids": [team.bob.id]});
    let dm = zelda.post("/rooms/dm/", dm).await.is(201)["id"].as_i64().unwrap();
    zelda.posts(dm, "psst").await;
    let theirs = zelda.makes_room(org, "theirs", "PRIVATE").await;
    zelda
        .post(&format!("/rooms/{theirs}/invite/"), json!({"user_id": team.carol.id}))
        .await
        .is(201);
    let role = json!({"role": "MANAGER"});
    zelda.post(&format!("/orgs/{org}/members/{}/role/", team.bob.id), role).await.is(200);
    let other = json!({"email": "someone@chat.test", "role": "MEMBER"});
    zelda.post(&path, other).await.is(201);
    board.settle().await;
    for word in ["xanthippe", "quuxly", "zelda-quux"] {
        assert!(!stands(&board, word).await.is_empty(), "{word} stands somewhere before");
    }

    let proof = json!({"password": "correct horse"});
    zelda.call("DELETE", "/auth/me/", Some(&proof)).await.is(204);
    board.settle().await;
    none_left(&board, "select count(*) from removals").await;
    for word in ["xanthippe", "quuxly", "zelda-quux"] {
        assert_eq!(stands(&board, word).await, Vec::<String>::new(), "{word}");
    }
    let titles: Vec<String> = team
        .bob
        .walks("/notifications/")
        .await
        .iter()
        .filter_map(|one| one["title"].as_str().map(str::to_owned))
        .collect();
    assert!(
        titles.iter().any(|title| title == "Deleted user mentioned you in general"),
        "{titles:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_admin_of_others_cannot_go() {
    let board = Board::start().await;
    let (dora, _) = registered(&board, "dora").await;
    let bob = board.person("bob").await;
    let org = dora.makes_org("Acme").await;
    board.put_into_org(org, &bob, "MEMBER").await;
    let proof = json!({"password": "correct horse"});
    dora.call("DELETE", "/auth/me/", Some(&proof)).await.refuses(409, "last_admin");
    let role = format!("/orgs/{org}/members/{}/role/", bob.id);
    dora.post(&role, json!({"role": "ADMIN"})).await.is(200);
    dora.call("DELETE", "/auth/me/", Some(&proof)).await.is(204);
    let orgs: Vec<Value> = bob.get("/orgs/").await.results();
    assert_eq!(orgs.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_janitor_that_is_killed_again_and_again_leaves_nothing_behind() {
    let board = Board::builder().edges(1).janitors(1).processes().start().await;
    let team = board.team().await;
    long_past(&board, team.room, 6_000).await;
    let aged = "update messages set created_at = created_at - interval '100 days' where seq > 0";
    let other = team.alice.makes_room_for_all(team.org, "old").await;
    long_past(&board, other, 3_000).await;
    board.sql(&format!("{aged} and room_id = {other}")).await;
    let janitor = board.processes().await.len() - 1;
    team.alice.delete(&format!("/rooms/{}/", team.room)).await.is(204);
    for _ in 0..4 {
        board.crash(janitor).await;
    }
    for sql in LEFT.into_iter().filter(|sql| !sql.contains("room_members")) {
        none_left(&board, sql).await;
    }
    none_left(&board, "select count(*) from log_trims").await;
    let records = team.alice.walks(&format!("/orgs/{}/purges/", team.org)).await;
    let removed: i64 =
        records.iter().filter_map(|record| record["removed"]["messages"].as_i64()).sum();
    assert_eq!(removed, 9_000, "each is in one record: {records:?}");
}
