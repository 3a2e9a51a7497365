//! What a word, a mention, a blank and an equal text is: the cases of `tests/cases/text.json`, against
//! the API. The page's functions are held to the same cases by `tests/web/texts.mjs`.

use testkit::http::encoded;
use testkit::{Board, PASSWORD, Person, Team, Value, json};

fn cases(part: &str) -> Vec<Value> {
    let cases: Value = include_str!("../../cases/text.json").parse().unwrap();
    let cases = cases[part].as_array().unwrap();
    assert!(!cases.is_empty(), "{part}");
    cases.clone()
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn pairs(part: &str) -> Vec<(String, String)> {
    cases(part)
        .iter()
        .map(|pair| (pair[0].as_str().unwrap().to_owned(), pair[1].as_str().unwrap().to_owned()))
        .collect()
}

async fn renames(person: &Person, first: &str, last: &str) {
    let names = json!({"first_name": first, "last_name": last});
    person.patch("/auth/me/", names).await.is(200);
}

/// Whether a search among the members of the organization, and among those of the room, finds someone.
async fn is_found(team: &Team, person: i64, search: &str) -> bool {
    let search = encoded(search);
    let mut found = Vec::new();
    for path in [format!("/orgs/{}", team.org), format!("/rooms/{}", team.room)] {
        let members = team.alice.get(&format!("{path}/members/?search={search}")).await.results();
        found.push(members.iter().any(|member| member["user"] == person));
    }
    assert_eq!(found[0], found[1], "both searches agree on {search}");
    found[0]
}

/// Whether a message mentions someone.
async fn mentions(team: &Team, person: &Person, body: &str) -> bool {
    let before = person.unread(team.room).await.1;
    team.alice.posts(team.room, body).await;
    person.unread(team.room).await.1 > before
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_without_visible_characters_are_refused_everywhere() {
    let board = Board::start().await;
    let team = board.team().await;
    let (messages, room) = (format!("/messages/rooms/{}/", team.room), team.room);
    let message = team.alice.posts(room, "hello").await;
    let message = format!("/messages/{}/", message["id"]);
    for blank in cases("blank") {
        let body = json!({"body": blank});
        team.alice.post(&messages, body.clone()).await.blames(&["body"]);
        team.alice.patch(&message, body).await.blames(&["body"]);
        let name = json!({"name": blank, "org": team.org});
        team.alice.post("/rooms/", name.clone()).await.blames(&["name"]);
        team.alice.patch(&format!("/rooms/{room}/"), name.clone()).await.blames(&["name"]);
        team.alice.post("/orgs/", name.clone()).await.blames(&["name"]);
        team.alice.patch(&format!("/orgs/{}/", team.org), name).await.blames(&["name"]);
        // A person may have no name; not one that nobody sees.
        if !blank.as_str().unwrap().trim().is_empty() {
            for field in ["first_name", "last_name"] {
                team.alice.patch("/auth/me/", json!({field: blank})).await.blames(&[field]);
            }
        }
    }
    for visible in cases("visible") {
        team.alice.post(&messages, json!({"body": visible})).await.is(201);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_are_compared_without_case_normal_form_and_invisible_characters() {
    let board = Board::start().await;
    let team = board.team().await;
    let room = team.alice.makes_room(team.org, "renamed", "PUBLIC").await;
    let room = format!("/rooms/{room}/");
    for (part, are_same) in [("same", true), ("different", false)] {
        for (name, other) in pairs(part) {
            renames(&team.bob, &name, "Case").await;
            let (mention, search) = (format!("hi @{other}.case"), format!("{other} case"));
            assert_eq!(mentions(&team, &team.bob, &mention).await, are_same, "{name}: {mention}");
            assert_eq!(is_found(&team, team.bob.id, &search).await, are_same, "{name}: {search}");
            team.alice.patch(&room, json!({"name": name})).await.is(200);
            let twin = json!({"org": team.org, "name": other});
            let answer = team.alice.post("/rooms/", twin).await;
            if are_same {
                answer.refuses(409, "name_taken");
            } else {
                answer.is(201);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_of_every_script_are_mentioned() {
    let board = Board::start().await;
    let team = board.team().await;
    for case in cases("names") {
        renames(&team.bob, case["first"].as_str().unwrap(), case["last"].as_str().unwrap()).await;
        for (list, are_mentions) in [("mentions", true), ("others", false)] {
            for body in texts(&case[list]) {
                let found = mentions(&team, &team.bob, &body).await;
                assert_eq!(found, are_mentions, "{body:?} for {case}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_found_without_case_accents_and_marks() {
    let board = Board::start().await;
    let team = board.team().await;
    for (part, are_found) in [("found", true), ("missed", false)] {
        for (body, q) in pairs(part) {
            let body = format!("before {body} after");
            team.alice.posts(team.room, &body).await;
            let path = format!("/messages/search/?q={}&limit=1", encoded(&q));
            let found = team.bob.get(&path).await.results();
            let is_found = found.first().is_some_and(|message| message["body"] == body);
            assert_eq!(is_found, are_found, "{q:?} in {body:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_is_one_in_every_spelling_of_its_domain() {
    let board = Board::start().await;
    let team = board.team().await;
    let credentials = |email: &str| json!({"email": email, "password": PASSWORD});
    for case in cases("addresses") {
        let address = case["address"].as_str().unwrap();
        let id = board.register(address, PASSWORD).await["id"].as_i64().unwrap();
        let token = board.sign_in(address, PASSWORD).await["access"].as_str().unwrap().to_owned();
        let max = board.person_with(id, address, &token);
        board.put_into_org(team.org, &max, "MEMBER").await;
        max.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
        for other in std::iter::once(address.to_owned()).chain(texts(&case["same"])) {
            board.sign_in(&other, PASSWORD).await;
            board.post("/auth/register/", credentials(&other)).await.refuses(409, "email_taken");
            assert!(mentions(&team, &max, &format!("ask @{other}, please")).await, "{other}");
            assert!(is_found(&team, id, &other).await, "{other}");
        }
        for other in texts(&case["others"]) {
            let answer = board.post("/auth/token/", credentials(&other)).await;
            answer.refuses(401, "invalid_credentials");
            assert!(!mentions(&team, &max, &format!("ask @{other}, please")).await, "{other}");
            assert!(!is_found(&team, id, &other).await, "{other}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_one_in_every_normal_form() {
    let board = Board::start().await;
    for (number, (set, typed)) in pairs("passwords").into_iter().enumerate() {
        assert_ne!(set, typed, "two spellings");
        for (email, set, typed) in [
            (format!("a{number}@chat.test"), &set, &typed),
            (format!("b{number}@chat.test"), &typed, &set),
        ] {
            board.register(&email, set).await;
            board.sign_in(&email, set).await;
            board.sign_in(&email, typed).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lengths_are_counted_in_characters() {
    let board = Board::start().await;
    let team = board.team().await;
    let messages = format!("/messages/rooms/{}/", team.room);
    // Four bytes, or two UTF-16 units, each.
    let stars = |count: usize| "🌟".repeat(count);
    let org = team.org;
    let room = |name: String| json!({"org": org, "name": name});
    team.alice.post("/rooms/", room(stars(80))).await.is(201);
    team.alice.post("/rooms/", room(stars(81))).await.blames(&["name"]);
    team.alice.post("/rooms/", room("e\u{301}".repeat(80))).await.is(201);
    team.alice.post("/orgs/", json!({"name": stars(120)})).await.is(201);
    team.alice.post("/orgs/", json!({"name": stars(121)})).await.blames(&["name"]);
    team.alice.patch("/auth/me/", json!({"first_name": stars(100)})).await.is(200);
    team.alice.patch("/auth/me/", json!({"first_name": stars(101)})).await.blames(&["first_name"]);
    team.alice.post(&messages, json!({"body": stars(10_000)})).await.is(201);
    team.alice.post(&messages, json!({"body": stars(10_001)})).await.blames(&["body"]);
    let register = |email: &str, stars: usize| {
        let password: String = "🌟💫✨".chars().cycle().take(stars).collect();
        json!({"email": email, "password": password})
    };
    board.post("/auth/register/", register("long@chat.test", 128)).await.is(201);
    board.post("/auth/register/", register("longer@chat.test", 129)).await.blames(&["password"]);
}
