//! What one account can make ChatBoard mail to strangers.

use domain::registration::AbuseLimits;
use testkit::{Board, Person, json};

use super::{DELAY, PASSWORD, registers};

const NAME: &str = "IT Security (password expired) https://evil.example/renew www.evil.example";

fn invite(email: &str) -> testkit::Value {
    json!({"email": email})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_account_reaches_its_limit_and_its_words_stay_quoted() {
    let limits = AbuseLimits { invite_mails: 8, ..AbuseLimits::default() };
    let board = Board::builder().mails_after(DELAY).abuse_limits(limits).start().await;
    let mallory = registers(&board, "mallory@chat.test", None).await;
    mallory.patch("/auth/me/", json!({"first_name": NAME, "last_name": "x"})).await.is(200);
    let org = mallory.makes_org(NAME).await;
    let path = format!("/orgs/{org}/invite/");
    let answers = futures_util::future::join_all((0..20).map(|number| {
        let (path, mallory) = (path.clone(), mallory.clone());
        async move { mallory.post(&path, invite(&format!("v{number}@victim.test"))).await }
    }))
    .await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 8);
    let limited = answers.iter().find(|answer| answer.status == 429).unwrap();
    limited.refuses(429, "rate_limited");
    let wait: u64 = limited.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=86_400).contains(&wait), "{wait}");
    // Neither another organization nor withdrawing gives one back.
    let other = mallory.makes_org("Other").await;
    let body = invite("w@victim.test");
    mallory.post(&format!("/orgs/{other}/invite/"), body).await.refuses(429, "rate_limited");
    let open = mallory.get(&format!("/orgs/{org}/invites/")).await.results();
    let first = format!("/orgs/{org}/invites/{}/", open[0]["id"]);
    mallory.delete(&first).await.is(204);
    mallory.post(&path, invite("again@victim.test")).await.refuses(429, "rate_limited");

    let invited = open[1]["email"].as_str().unwrap();
    let mail = board.mailbox().mail_to(invited).await;
    let subject = "You are invited to join “IT Security (password expired) … …” on ChatBoard";
    assert_eq!(mail.subject, subject);
    for text in [&mail.text, mail.html.as_ref().unwrap()] {
        assert!(!text.contains("://evil") && !text.contains("evil.example"), "{text}");
        assert!(text.contains("ignore this mail"), "{text}");
        let ours = text.matches(&format!("{}/invite/?token=", board.api())).count();
        assert_eq!(text.matches("http").count(), ours, "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_of_one_organization_share_a_limit() {
    let limits = AbuseLimits { invite_mails: 4, ..AbuseLimits::default() };
    let board = Board::builder().abuse_limits(limits).start().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/invite/", team.org);
    for number in 0..4 {
        let who = if number % 2 == 0 { &team.alice } else { &team.carol };
        who.post(&path, invite(&format!("v{number}@chat.test"))).await.is(201);
    }
    for who in [&team.alice, &team.carol] {
        who.post(&path, invite("late@chat.test")).await.refuses(429, "rate_limited");
    }
    // Each has two left, elsewhere.
    let other = team.carol.makes_org("Other").await;
    team.carol.post(&format!("/orgs/{other}/invite/"), invite("late@chat.test")).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_address_gets_three_invites_a_day_from_all_organizations() {
    let board = Board::builder().abuse_limits(AbuseLimits::default()).start().await;
    let team = board.team().await;
    let other = team.carol.makes_org("Other").await;
    let path = format!("/orgs/{}/invite/", team.org);
    for _ in 0..2 {
        let made = team.alice.post(&path, invite("victim@chat.test")).await.is(201);
        team.alice.delete(&format!("/orgs/{}/invites/{}/", team.org, made["id"])).await.is(204);
    }
    team.carol.post(&format!("/orgs/{other}/invite/"), invite("Victim@chat.test")).await.is(201);
    team.alice.post(&path, invite("VICTIM@chat.test")).await.refuses(429, "rate_limited");
    team.alice.post(&path, invite("someone.else@chat.test")).await.is(201);
    // The next day is another.
    board.clock.advance(std::time::Duration::from_secs(86_400));
    let alice = team.alice.with_token(&team.alice.mint(std::time::Duration::from_secs(60)));
    alice.post(&path, invite("victim@chat.test")).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn details_behind_a_plus_are_one_mailbox() {
    let board = Board::builder().abuse_limits(AbuseLimits::default()).start().await;
    let team = board.team().await;
    let path = format!("/orgs/{}/invite/", team.org);
    for detail in ["", "+1", "+two"] {
        team.alice.post(&path, invite(&format!("victim{detail}@chat.test"))).await.is(201);
    }
    let fourth = team.alice.post(&path, invite("Victim+3@chat.test")).await;
    fourth.refuses(429, "rate_limited");
    team.alice.post(&path, invite("victim2@chat.test")).await.is(201);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_accounts_of_one_client_share_a_limit_of_mails() {
    let limits = AbuseLimits { mails_per_client: 3, ..AbuseLimits::NONE };
    let board = Board::builder()
        .verification_required()
        .mails_after(DELAY)
        .behind_a_proxy()
        .abuse_limits(limits)
        .start()
        .await;
    let team = board.team().await;
    let from = async |client: &str, person: Option<&Person>, path: &str, body: testkit::Value| {
        let bearer = person.map(|person| format!("Bearer {}", person.token)).unwrap_or_default();
        let mut headers = vec![("content-type", "application/json"), ("x-forwarded-for", client)];
        if person.is_some() {
            headers.push(("authorization", &bearer));
        }
        board.call("POST", path, &headers, Some(&body.to_string())).await
    };
    let (here, there) = ("192.0.2.1", "192.0.2.2");
    let invites = format!("/orgs/{}/invite/", team.org);
    let account = |name: &str| json!({"email": format!("{name}@chat.test"), "password": PASSWORD});
    let reset = json!({"email": "alice@chat.test"});
    // By two accounts and by a stranger.
    from(here, Some(&team.alice), &invites, invite("v1@chat.test")).await.is(201);
    from(here, Some(&team.carol), &invites, invite("v2@chat.test")).await.is(201);
    from(here, None, "/auth/register/", account("eve")).await.is(201);
    // No more, whoever asks and for whomever.
    let late = [
        from(here, Some(&team.alice), &invites, invite("v3@chat.test")).await,
        from(here, None, "/auth/register/", account("mallory")).await,
    ];
    for answer in late {
        answer.refuses(429, "rate_limited");
    }
    // A reset is its owner's matter: others who share an address cannot use it up.
    from(here, None, "/auth/password/reset/", reset).await.is(202);
    // Another client goes on, and the account that was not created can be.
    from(there, Some(&team.alice), &invites, invite("v3@chat.test")).await.is(201);
    from(there, None, "/auth/register/", account("mallory")).await.is(201);
    // The clients of an IPv6 site have sixteen times as many together.
    let mut sent = 0;
    for number in 0..70 {
        let client = format!("2001:db8:1:{number:x}::1");
        let email = format!("w{number}@chat.test");
        let answer = from(&client, Some(&team.alice), &invites, invite(&email)).await;
        sent += u32::from(answer.status == 201);
    }
    assert_eq!(sent, 48);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_account_creates_ten_organizations_also_in_parallel() {
    let board = Board::builder().abuse_limits(AbuseLimits::default()).start().await;
    let ada = board.person("ada").await;
    let answers = futures_util::future::join_all((0..14).map(|_| {
        let ada = ada.clone();
        async move { ada.post("/orgs/", json!({"name": "One of many"})).await }
    }))
    .await;
    let made: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
    assert_eq!(made.len(), 10);
    assert!(answers.iter().all(|answer| [201, 422].contains(&answer.status)));
    ada.post("/orgs/", json!({"name": "Eleventh"})).await.blames(&["name"]);
    let id = made[0].json()["id"].clone();
    ada.delete(&format!("/orgs/{id}/")).await.is(204);
    ada.post("/orgs/", json!({"name": "Eleventh"})).await.is(201);
}
