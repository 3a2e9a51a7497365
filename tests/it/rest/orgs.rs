//! Organizations and their members.

use testkit::{Board, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_organization_is_its_members_business() {
    let board = Board::start().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/", team.org);
    let of_bob = team.bob.get(&path).await.is(200);
    assert_eq!((&of_bob["name"], &of_bob["role"]), (&json!("Acme"), &json!("MEMBER")));
    assert_eq!(team.alice.get(&path).await.is(200)["role"], "ADMIN");
    team.mallory.get(&path).await.refuses(404, "not_found");
    team.mallory.patch(&path, json!({"name": "Mine"})).await.refuses(404, "not_found");
    team.carol.patch(&path, json!({"name": "Mine"})).await.refuses(403, "forbidden");
    let renamed = team.alice.patch(&path, json!({"name": " Acme Ltd "})).await.is(200);
    assert_eq!((&renamed["name"], &renamed["role"]), (&json!("Acme Ltd"), &json!("ADMIN")));
    team.alice.patch(&path, json!({"name": null})).await.blames(&["name"]);
    assert!(team.mallory.get("/orgs/").await.results().is_empty());
    assert_eq!(team.bob.get("/orgs/").await.results().len(), 1);
    team.carol.delete(&path).await.refuses(403, "forbidden");
    team.alice.delete(&path).await.is(204);
    team.alice.get(&path).await.refuses(404, "not_found");
    team.bob.get(&format!("/rooms/{}/", team.room)).await.refuses(404, "not_found");
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_are_listed_and_found_by_name_and_address() {
    let board = Board::start().await;
    let team = board.team().await;
    let members = format!("/orgs/{}/members/", team.org);
    let all = team.bob.get(&members).await.results();
    assert_eq!(all.len(), 3);
    let mut fields: Vec<_> = all[0].as_object().unwrap().keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "id",
            "joined_at",
            "org",
            "role",
            "user",
            "user_email",
            "user_email_verified",
            "user_first_name",
            "user_last_name"
        ]
    );
    let ids: Vec<_> = all.iter().map(|member| member["id"].as_i64().unwrap()).collect();
    assert!(ids.is_sorted(), "{ids:?}");
    let found = |query: &'static str| {
        let (bob, members) = (&team.bob, &members);
        async move { bob.get(&format!("{members}?search={query}")).await.results().len() }
    };
    assert_eq!(found("BOB").await, 1);
    assert_eq!(found("chat.test").await, 3);
    assert_eq!(found("%25").await, 0, "% is literal");
    assert_eq!(found("_").await, 0, "_ is literal");
    assert_eq!(found("nobody").await, 0);
    team.mallory.get(&members).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roles_are_changed_by_an_admin_and_one_admin_always_remains() {
    let board = Board::start().await;
    let team = board.team().await;
    let role = |user: i64| format!("/orgs/{}/members/{user}/role/", team.org);
    let manager = json!({"role": "MANAGER"});
    team.carol.post(&role(team.bob.id), manager.clone()).await.refuses(403, "forbidden");
    team.mallory.post(&role(team.bob.id), manager.clone()).await.refuses(404, "not_found");
    let mallory = role(team.mallory.id);
    team.alice.post(&mallory, manager.clone()).await.refuses(404, "not_found");
    let changed = team.alice.post(&role(team.bob.id), manager).await.is(200);
    assert_eq!(changed, json!({"org_id": team.org, "user_id": team.bob.id, "role": "MANAGER"}));
    let member = json!({"role": "MEMBER"});
    team.alice.post(&role(team.alice.id), member.clone()).await.refuses(409, "last_admin");
    let alone = format!("/orgs/{}/members/{}/", team.org, team.alice.id);
    team.alice.delete(&alone).await.refuses(409, "last_admin");
    team.alice.post(&role(team.bob.id), json!({"role": "ADMIN"})).await.is(200);
    team.bob.post(&role(team.alice.id), member).await.is(200);
    assert_eq!(team.alice.get(&format!("/orgs/{}/", team.org)).await.is(200)["role"], "MEMBER");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_admins_who_demote_each_other_at_once_leave_one() {
    let board = Board::start().await;
    let team = board.team().await;
    let role = |user: i64| format!("/orgs/{}/members/{user}/role/", team.org);
    team.alice.post(&role(team.bob.id), json!({"role": "ADMIN"})).await.is(200);
    let member = json!({"role": "MEMBER"});
    let (bobs, alices) = (role(team.bob.id), role(team.alice.id));
    let (of_alice, of_bob) = tokio::join!(
        team.alice.post(&bobs, member.clone()),
        team.bob.post(&alices, member.clone()),
    );
    let done = [&of_alice, &of_bob].iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{} {}", of_alice.text, of_bob.text);
    let admins =
        board.count("select count(*) from organization_members where role = 'ADMIN'").await;
    assert_eq!(admins, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_leaves_an_organization_leaves_its_rooms_within_two_seconds() {
    let board = Board::start().await;
    let team = board.team().await;
    let private = team.alice.makes_room(team.org, "private", "PRIVATE").await;
    let invite = json!({"user_id": team.bob.id});
    team.alice.post(&format!("/rooms/{private}/invite/"), invite).await.is(201);
    let mut of_room = team.bob.opens(1, team.room).await;
    let mut of_many = team.bob.opens_many(0).await;
    of_many.subscribes(private, None).await;
    let mut witness = team.alice.opens(0, team.room).await;
    let member = format!("/orgs/{}/members/{}/", team.org, team.bob.id);
    team.mallory.delete(&member).await.refuses(404, "not_found");
    team.carol.delete(&member).await.refuses(403, "forbidden");
    let began = std::time::Instant::now();
    team.alice.delete(&member).await.is(204);
    let left = of_many.next_of_type("member.left").await;
    assert_eq!((&left["room"], &left["user_id"]), (&json!(private), &json!(team.bob.id)));
    of_many.is_refused("removed").await;
    of_room.next_of_type("member.left").await;
    of_room.is_refused("removed").await;
    assert_eq!(of_room.closes().await.code, 4003);
    assert!(began.elapsed().as_secs_f64() < 2.5, "{:?}", began.elapsed());
    assert_eq!(witness.next_of_type("member.left").await["user_id"], team.bob.id);
    team.bob.get(&format!("/rooms/{}/", team.room)).await.refuses(404, "not_found");
    let path = format!("/messages/rooms/{}/", team.room);
    team.bob.post(&path, json!({"body": "still here"})).await.refuses(404, "not_found");
    // A member may go by themselves.
    let own = format!("/orgs/{}/members/{}/", team.org, team.carol.id);
    team.carol.delete(&own).await.is(204);
    board.settle().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_organization_ends_its_rooms() {
    let board = Board::start().await;
    let team = board.team().await;
    let other = team.alice.makes_room_for_all(team.org, "other").await;
    let mut of_bob = team.bob.opens(0, team.room).await;
    let mut of_carol = team.carol.opens_many(1).await;
    of_carol.subscribes(team.room, None).await;
    of_carol.subscribes(other, None).await;
    team.alice.delete(&format!("/orgs/{}/", team.org)).await.is(204);
    of_bob.next_of_type("room.deleted").await;
    assert_eq!(of_bob.closes().await.code, 4003);
    let mut gone = [
        of_carol.next_of_type("room.deleted").await["room"].as_i64().unwrap(),
        of_carol.next_of_type("room.deleted").await["room"].as_i64().unwrap(),
    ];
    gone.sort_unstable();
    assert_eq!(gone, [team.room, other]);
    of_carol.catches_up().await;
}
