//! Invites into an organization.

use std::time::Duration;

use testkit::{Board, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_lets_in_whom_it_names_and_nobody_else() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let invite = json!({"email": dave.email.to_uppercase()});
    let made = team.carol.post(&invites, invite.clone()).await.is(201);
    assert_eq!(made["role"], "MEMBER");
    for field in ["id", "token", "email", "expires_at"] {
        assert!(!made[field].is_null(), "{field}");
    }
    let token = json!({"token": made["token"]});
    team.carol.post(&invites, json!({"email": dave.email})).await.refuses(409, "invite_exists");
    let accept = "/orgs/accept-invite/";
    let unknown = json!({"token": "unknown"});
    dave.post(accept, unknown).await.refuses(404, "not_found");
    team.mallory.post(accept, token.clone()).await.refuses(403, "invite_email_mismatch");
    let accepted = dave.post(accept, token.clone()).await.is(200);
    assert_eq!((&accepted["org_id"], &accepted["role"]), (&json!(team.org), &json!("MEMBER")));
    assert!(accepted["detail"].is_string());
    dave.post(accept, token.clone()).await.refuses(409, "already_accepted");
    // The mismatch is looked at before the use.
    team.mallory.post(accept, token).await.refuses(403, "invite_email_mismatch");
    team.carol.post(&invites, json!({"email": dave.email})).await.refuses(409, "already_member");
    // Who comes is put into the rooms that everyone is in.
    assert_eq!(dave.get("/rooms/").await.results().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_says_what_it_is_for_before_it_is_accepted() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let invite = json!({"email": dave.email, "role": "MANAGER"});
    let made = team.alice.post(&invites, invite.clone()).await.is(201);
    let token = json!({"token": made["token"]});
    let check = "/orgs/check-invite/";
    // No sign-in is needed: an invited person may have no account yet.
    let nobody = dave.with_token("");
    let found = nobody.post(check, token.clone()).await.is(200);
    let expected = json!({"org_id": team.org, "org_name": "Acme", "invited_by": "Alice",
        "email": dave.email, "role": "MANAGER", "expires_at": made["expires_at"]});
    assert_eq!(found, expected);
    nobody.post(check, json!({"token": "unknown"})).await.refuses(404, "not_found");
    nobody.post(check, json!({})).await.blames(&["token"]);
    dave.post("/orgs/accept-invite/", token.clone()).await.is(200);
    nobody.post(check, token).await.refuses(409, "already_accepted");
    let withdrawn = team.alice.post(&invites, json!({"email": "x@chat.test"})).await.is(201);
    team.alice.delete(&format!("/orgs/{}/invites/{}/", team.org, withdrawn["id"])).await.is(204);
    let token = json!({"token": withdrawn["token"]});
    nobody.post(check, token).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_invites_above_their_own_role() {
    let board = Board::start().await;
    let team = board.team().await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let invite = |email: &str, role: &str| json!({"email": email, "role": role});
    team.bob.post(&invites, invite("x@chat.test", "MEMBER")).await.refuses(403, "forbidden");
    team.mallory.post(&invites, invite("x@chat.test", "MEMBER")).await.refuses(404, "not_found");
    team.carol.post(&invites, invite("x@chat.test", "ADMIN")).await.refuses(403, "forbidden");
    team.carol.post(&invites, invite("x@chat.test", "MANAGER")).await.is(201);
    team.alice.post(&invites, invite("y@chat.test", "ADMIN")).await.is(201);
    let bad = json!({"email": "nonsense", "role": "KING"});
    team.alice.post(&invites, bad).await.blames(&["email", "role"]);
    let email = team.bob.email.to_uppercase();
    team.alice.post(&invites, invite(&email, "MEMBER")).await.refuses(409, "already_member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_expires_after_seven_days_and_blocks_no_other() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let body = json!({"email": dave.email});
    let first = team.alice.post(&invites, body.clone()).await.is(201);
    board.clock.advance(Duration::from_secs(7 * 24 * 3600 + 1));
    let alice = team.alice.with_token(&team.alice.mint(Duration::from_secs(60)));
    let dave = dave.with_token(&dave.mint(Duration::from_secs(60)));
    let expired = json!({"token": first["token"]});
    dave.post("/orgs/check-invite/", expired.clone()).await.refuses(410, "invite_expired");
    dave.post("/orgs/accept-invite/", expired).await.refuses(410, "invite_expired");
    assert!(alice.get(&format!("/orgs/{}/invites/", team.org)).await.results().is_empty());
    let second = alice.post(&invites, body).await.is(201);
    dave.post("/orgs/accept-invite/", json!({"token": second["token"]})).await.is(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn open_invites_are_listed_without_their_tokens_and_can_be_withdrawn() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let invite = json!({"email": dave.email});
    let made = team.alice.post(&format!("/orgs/{}/invite/", team.org), invite).await.is(201);
    let list = format!("/orgs/{}/invites/", team.org);
    team.bob.get(&list).await.refuses(403, "forbidden");
    team.mallory.get(&list).await.refuses(404, "not_found");
    let listed = team.carol.get(&list).await;
    assert_eq!(listed.results().len(), 1);
    assert!(!listed.text.contains(made["token"].as_str().unwrap()), "{}", listed.text);
    let one = format!("{list}{}/", made["id"]);
    team.bob.delete(&one).await.refuses(403, "forbidden");
    team.carol.delete(&one).await.is(204);
    team.carol.delete(&one).await.refuses(404, "not_found");
    let token = json!({"token": made["token"]});
    dave.post("/orgs/accept-invite/", token).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_many_who_invite_or_accept_at_once_one_succeeds() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let body = json!({"email": dave.email});
    let made = super::auth::futures(6, |_| team.alice.post(&invites, body.clone())).await;
    let tokens: Vec<Value> =
        made.iter().filter(|answer| answer.status == 201).map(testkit::Reply::json).collect();
    assert_eq!(tokens.len(), 1);
    assert!(made.iter().all(|answer| [201, 409].contains(&answer.status)));
    let token = json!({"token": tokens[0]["token"]});
    let accepted =
        super::auth::futures(6, |_| dave.post("/orgs/accept-invite/", token.clone())).await;
    let mut statuses: Vec<_> = accepted.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409, 409, 409, 409, 409]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_came_by_another_way_keeps_the_higher_role() {
    let board = Board::start().await;
    let team = board.team().await;
    let (dave, erin) = (board.person("dave").await, board.person("erin").await);
    let invites = format!("/orgs/{}/invite/", team.org);
    let invite = |email: &str, role: &str| json!({"email": email, "role": role});
    let of_dave = team.alice.post(&invites, invite(&dave.email, "MEMBER")).await.is(201);
    let of_erin = team.alice.post(&invites, invite(&erin.email, "MANAGER")).await.is(201);
    board.put_into_org(team.org, &dave, "MANAGER").await;
    board.put_into_org(team.org, &erin, "MEMBER").await;
    for (who, invite) in [(&dave, of_dave), (&erin, of_erin)] {
        let token = json!({"token": invite["token"]});
        assert_eq!(who.post("/orgs/accept-invite/", token).await.is(200)["role"], "MANAGER");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_invite_ends_with_the_right_of_whoever_made_it() {
    let board = Board::start().await;
    let team = board.team().await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let invite = |email: &str, role: &str| json!({"email": email, "role": role});
    let (dave, erin, frank) =
        (board.person("dave").await, board.person("erin").await, board.person("frank").await);
    // An ADMIN becomes MANAGER: what only an ADMIN could invite to is withdrawn, the rest stays.
    let second = board.person("grace").await;
    board.put_into_org(team.org, &second, "ADMIN").await;
    let as_admin = second.post(&invites, invite(&dave.email, "ADMIN")).await.is(201);
    let as_member = second.post(&invites, invite(&erin.email, "MEMBER")).await.is(201);
    let of_carol = team.carol.post(&invites, invite(&frank.email, "MANAGER")).await.is(201);
    let role = |user: i64| format!("/orgs/{}/members/{user}/role/", team.org);
    team.alice.post(&role(second.id), json!({"role": "MANAGER"})).await.is(200);
    let accept = "/orgs/accept-invite/";
    let token = |invite: &Value| json!({"token": invite["token"]});
    dave.post(accept, token(&as_admin)).await.refuses(404, "not_found");
    let open = team.alice.get(&format!("/orgs/{}/invites/", team.org)).await.results();
    assert_eq!(open.len(), 2);
    // The withdrawn one blocks no other.
    team.alice.post(&invites, invite(&dave.email, "MEMBER")).await.is(201);
    // Who is removed, and who leaves, takes the rest along.
    team.alice.delete(&format!("/orgs/{}/members/{}/", team.org, second.id)).await.is(204);
    erin.post(accept, token(&as_member)).await.refuses(404, "not_found");
    team.carol.delete(&format!("/orgs/{}/members/{}/", team.org, team.carol.id)).await.is(204);
    frank.post(accept, token(&of_carol)).await.refuses(404, "not_found");
    // Coming back does not bring them back.
    board.put_into_org(team.org, &team.carol, "ADMIN").await;
    frank.post(accept, token(&of_carol)).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invite_is_looked_at_again_when_it_is_used() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let body = json!({"email": dave.email, "role": "MANAGER"});
    let made = team.carol.post(&format!("/orgs/{}/invite/", team.org), body).await.is(201);
    // As an older version leaves it behind, which withdraws nothing.
    board.sql("update organization_members set role = 'MEMBER' where role = 'MANAGER'").await;
    let token = json!({"token": made["token"]});
    dave.post("/orgs/accept-invite/", token.clone()).await.refuses(404, "not_found");
    let register = json!({"email": "x@chat.test", "password": "a good password",
        "invite_token": made["token"]});
    board.post("/auth/register/", register).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_deleted_account_invited_to_is_withdrawn() {
    let board = Board::start().await;
    let team = board.team().await;
    let dave = board.person("dave").await;
    let invites = format!("/orgs/{}/invite/", team.org);
    let made = team.carol.post(&invites, json!({"email": dave.email})).await.is(201);
    let body = json!({"password": testkit::PASSWORD});
    team.carol.call("DELETE", "/auth/me/", Some(&body)).await.is(204);
    let token = json!({"token": made["token"]});
    dave.post("/orgs/accept-invite/", token).await.refuses(404, "not_found");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn members_of_a_private_room_see_which_webhooks_hear_it() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.carol.makes_room(team.org, "secret", "PRIVATE").await;
    let settings = format!("/rooms/{room}/settings/");
    assert!(team.carol.get(&settings).await.is(200).get("webhooks").is_none());
    let hook = |include_private: bool| {
        json!({"org": team.org, "url": "https://hooks.example.com:8443/a-secret?b",
            "events": ["message.created"], "include_private": include_private})
    };
    team.alice.post("/webhooks/", hook(false)).await.is(201);
    let made = team.alice.post("/webhooks/", hook(true)).await.is(201);
    let answer = team.carol.get(&settings).await;
    let shown = answer.json();
    assert_eq!(shown["webhooks"].as_array().unwrap().len(), 1);
    assert_eq!(shown["webhooks"][0]["id"], made["id"]);
    assert_eq!(shown["webhooks"][0]["host"], "hooks.example.com:8443");
    assert_eq!(shown["webhooks"][0]["is_active"], true);
    assert!(!answer.text.contains("a-secret"), "{}", answer.text);
    assert_eq!(shown["notify"], "all", "one's own settings stay where they were");
    let changed = team.carol.patch(&settings, json!({"starred": true})).await.is(200);
    assert_eq!(changed["webhooks"], shown["webhooks"]);
    // Of other rooms nothing is said: every webhook hears them.
    let open = format!("/rooms/{}/settings/", team.room);
    assert!(team.carol.get(&open).await.is(200).get("webhooks").is_none());
}
