//! What is hard about belonging: invites in every state, the last ADMIN, removal everywhere.

use std::time::Duration;

use testkit::{Board, Person, Reply, Value, json};

/// The deadline of the contract for what live sockets must learn.
const AT_ONCE: Duration = Duration::from_secs(2);

async fn invites(who: &Person, org: i64, email: &str, role: &str) -> Reply {
    who.post(&format!("/orgs/{org}/invite/"), json!({"email": email, "role": role})).await
}

async fn accepts(who: &Person, invite: &Value) -> Reply {
    who.post("/orgs/accept-invite/", json!({"token": invite["token"]})).await
}

async fn role_of(who: &Person, org: i64) -> Value {
    who.get(&format!("/orgs/{org}/")).await.is(200)["role"].clone()
}

async fn makes(who: &Person, org: i64, whom: &Person, role: &str) -> Reply {
    who.post(&format!("/orgs/{org}/members/{}/role/", whom.id), json!({"role": role})).await
}

#[tokio::test]
async fn accepting_an_invite_is_checked_in_the_order_of_the_contract() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let (bob, eve) = (board.person("bob").await, board.person("eve").await);
    let org = alice.makes_org("Acme").await;
    let invite = invites(&alice, org, &bob.email.to_uppercase(), "MANAGER").await.is(201);
    assert_eq!(invite["role"], "MANAGER");
    for field in ["token", "expires_at", "email"] {
        assert!(invite[field].is_string(), "{field} of {invite}");
    }
    bob.post("/orgs/accept-invite/", json!({})).await.blames(&["token"]);
    bob.post("/orgs/accept-invite/", json!({"token": "unknown"})).await.refuses(404, "not_found");
    accepts(&eve, &invite).await.refuses(403, "invite_email_mismatch");
    let accepted = accepts(&bob, &invite).await.is(200);
    assert_eq!((&accepted["org_id"], &accepted["role"]), (&json!(org), &json!("MANAGER")));
    assert!(accepted["detail"].is_string());
    assert_eq!(role_of(&bob, org).await, "MANAGER");
    // Another account comes before used, used before expired.
    accepts(&eve, &invite).await.refuses(403, "invite_email_mismatch");
    accepts(&bob, &invite).await.refuses(409, "already_accepted");

    let late = invites(&alice, org, &eve.email, "MEMBER").await.is(201);
    board.clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    let [alice, bob, eve] =
        [&alice, &bob, &eve].map(|who| who.with_token(&who.mint(Duration::from_secs(600))));
    accepts(&bob, &late).await.refuses(403, "invite_email_mismatch");
    accepts(&eve, &late).await.refuses(410, "invite_expired");
    accepts(&bob, &invite).await.refuses(409, "already_accepted");
    // An expired one is not open, and blocks no other.
    assert!(alice.get(&format!("/orgs/{org}/invites/")).await.results().is_empty());
    let again = invites(&alice, org, &eve.email, "MEMBER").await.is(201);
    accepts(&eve, &again).await.is(200);
}

#[tokio::test]
async fn there_is_one_open_invite_for_an_address_and_it_can_be_withdrawn() {
    let board = Board::start().await;
    let team = board.team().await;
    let (org, eve) = (team.org, board.person("eve").await);
    let path = format!("/orgs/{org}/invites/");
    let invite = invites(&team.alice, org, &eve.email, "MEMBER").await.is(201);
    for email in [eve.email.clone(), eve.email.to_uppercase()] {
        invites(&team.carol, org, &email, "MEMBER").await.refuses(409, "invite_exists");
    }
    invites(&team.carol, org, &team.bob.email, "MEMBER").await.refuses(409, "already_member");
    invites(&team.carol, org, "no address", "KING").await.blames(&["email", "role"]);
    invites(&team.carol, org, "no address", "MEMBER").await.blames(&["email"]);

    let open = team.carol.get(&path).await.results();
    assert_eq!(open.len(), 1);
    assert_eq!(open[0]["id"], invite["id"]);
    assert!(!open[0].to_string().contains(invite["token"].as_str().unwrap()), "never its token");
    assert!(open[0].get("token").is_none_or(Value::is_null));
    let other = team.mallory.makes_org("Other").await;
    let foreign = format!("/orgs/{other}/invites/{}/", invite["id"]);
    team.mallory.delete(&foreign).await.refuses(404, "not_found");

    let one = format!("{path}{}/", invite["id"]);
    team.carol.delete(&one).await.is(204);
    team.carol.delete(&one).await.refuses(404, "not_found");
    accepts(&eve, &invite).await.refuses(404, "not_found");
    assert!(team.carol.get(&path).await.results().is_empty());
    invites(&team.carol, org, &eve.email, "MEMBER").await.is(201);
}

#[tokio::test]
async fn an_organization_always_has_an_admin() {
    let board = Board::start().await;
    let team = board.team().await;
    let (alice, bob, org) = (&team.alice, &team.bob, team.org);
    let leave = format!("/orgs/{org}/members/{}/", alice.id);
    makes(alice, org, alice, "MEMBER").await.refuses(409, "last_admin");
    alice.delete(&leave).await.refuses(409, "last_admin");
    assert_eq!(makes(alice, org, alice, "ADMIN").await.is(200)["role"], "ADMIN");
    let answer = makes(alice, org, bob, "ADMIN").await.is(200);
    assert_eq!(answer, json!({"org_id": org, "user_id": bob.id, "role": "ADMIN"}));
    makes(alice, org, &team.mallory, "ADMIN").await.refuses(404, "not_found");
    // Two leave at once: one of them stays.
    let other = format!("/orgs/{org}/members/{}/", bob.id);
    let (one, two) = tokio::join!(alice.delete(&leave), bob.delete(&other));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 409]);
}

#[tokio::test]
async fn members_are_searched_literally() {
    let board = Board::start().await;
    let alice = board.person("alice").await;
    let org = alice.makes_org("Acme").await;
    for name in ["per%cent", "under_score", "back\\slash", "plain"] {
        let person = board.person(name).await;
        board.put_into_org(org, &person, "MEMBER").await;
    }
    let found = async |search: &str| {
        let path = format!("/orgs/{org}/members/?search={search}");
        alice.get(&path).await.results().len()
    };
    for (search, expected) in [
        ("%25", 1),
        ("_", 1),
        ("%5C", 1),
        ("PLAIN", 1),
        ("", 5),
        ("chat.test", 5),
        ("r%25c", 1),
        ("p_ain", 0),
        ("nobody", 0),
    ] {
        assert_eq!(found(search).await, expected, "{search}");
    }
    let member = &alice.get(&format!("/orgs/{org}/members/?search=plain")).await.results()[0];
    for field in [
        "id",
        "org",
        "user",
        "user_email",
        "user_email_verified",
        "user_first_name",
        "user_last_name",
        "role",
        "joined_at",
    ] {
        assert!(!member[field].is_null(), "{field} of {member}");
    }
    assert_eq!(member.as_object().unwrap().len(), 9, "{member}");
}

#[tokio::test]
async fn who_is_removed_leaves_every_room_and_live_sockets_lose_them() {
    let board = Board::start().await;
    let team = board.team().await;
    let (alice, bob) = (&team.alice, &team.bob);
    let second = alice.makes_room_for_all(team.org, "second").await;
    let mut watching = alice.opens(0, team.room).await;
    let mut room_sockets = [bob.opens(0, team.room).await, bob.opens(1, second).await];
    let mut many = [bob.opens_many(0).await, bob.opens_many(1).await];
    for socket in &mut many {
        socket.subscribes(team.room, None).await;
        socket.subscribes(second, None).await;
    }
    alice.delete(&format!("/orgs/{}/members/{}/", team.org, bob.id)).await.is(204);
    let losing = async {
        for (socket, room) in room_sockets.iter_mut().zip([team.room, second]) {
            assert_eq!(socket.next_of_type("member.left").await["user_id"], bob.id);
            assert_eq!(socket.is_refused("removed").await["room"], room);
            assert_eq!(socket.closes().await.code, 4003);
        }
        for socket in &mut many {
            socket.is_refused("removed").await;
            socket.is_refused("removed").await;
            assert!(socket.has("member.left"));
        }
    };
    tokio::time::timeout(AT_ONCE, losing).await.expect("within two seconds");
    assert_eq!(watching.next_of_type("member.left").await["user_id"], bob.id);
    bob.get(&format!("/rooms/{}/", team.room)).await.refuses(404, "not_found");
    assert!(bob.get("/rooms/").await.results().is_empty());
    alice
        .delete(&format!("/orgs/{}/members/{}/", team.org, bob.id))
        .await
        .refuses(404, "not_found");
    assert_eq!(alice.room(second).await["members_count"], 2);
    // The sockets for many rooms live on, without these.
    alice.posts(second, "without bob").await;
    for socket in &mut many {
        socket.catches_up().await;
        assert!(!socket.has("message"));
        socket.sends(json!({"type": "subscribe", "room": second})).await;
        socket.is_refused("not_found").await;
    }
}

#[tokio::test]
async fn a_deleted_organization_is_gone_with_its_rooms() {
    let board = Board::start().await;
    let team = board.team().await;
    let message = team.alice.posts(team.room, "soon gone").await;
    let mut socket = team.bob.opens(1, team.room).await;
    let mut many = team.carol.opens_many(0).await;
    many.subscribes(team.room, None).await;
    team.alice.delete(&format!("/orgs/{}/", team.org)).await.is(204);
    let learning = async {
        assert_eq!(socket.next_of_type("room.deleted").await["room"], team.room);
        assert_eq!(socket.closes().await.code, 4003);
        assert_eq!(many.next_of_type("room.deleted").await["room"], team.room);
    };
    tokio::time::timeout(AT_ONCE, learning).await.expect("within two seconds");
    many.catches_up().await;
    for path in [
        format!("/orgs/{}/", team.org),
        format!("/rooms/{}/", team.room),
        format!("/messages/{}/", message["id"]),
        format!("/orgs/{}/members/", team.org),
    ] {
        team.alice.get(&path).await.refuses(404, "not_found");
    }
    assert!(team.bob.get("/rooms/").await.results().is_empty());
    team.bob.get(&format!("/users/{}/", team.alice.id)).await.is(200);
    board.settle().await;
}
