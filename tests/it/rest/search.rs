//! Search: who finds what.

use testkit::http::encoded;
use testkit::{Board, DEADLINE, Person, Value, eventually, json};

fn bodies(page: &[Value]) -> Vec<&str> {
    page.iter().map(|message| message["body"].as_str().unwrap()).collect()
}

/// What someone finds, on the first page; `query` is appended as it is.
async fn finds_with(person: &Person, q: &str, query: &str) -> Vec<Value> {
    let q = encoded(q);
    person.get(&format!("/messages/search/?q={q}{query}")).await.results()
}

async fn finds(person: &Person, q: &str) -> Vec<String> {
    let found = finds_with(person, q, "").await;
    bodies(&found).into_iter().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn words_phrases_and_beginnings_are_found() {
    let board = Board::start().await;
    let team = board.team().await;
    for body in [
        "The deploy failed again, see https://ci.example.org/runs/4711",
        "Again: deploy on Friday?",
        "Café au lait für Zoë",
        "nothing of the kind",
        "`fn main()` panics with E0308",
        "ship it 🚀",
    ] {
        team.bob.posts(team.room, body).await;
    }
    let found = |q: &'static str| {
        let carol = &team.carol;
        async move {
            let found = finds(carol, q).await;
            found.into_iter().map(|body| body[..5].to_owned()).collect::<Vec<_>>()
        }
    };
    assert_eq!(found("deploy").await, ["Again", "The d"], "newest first");
    assert_eq!(found("DEPLOY failed").await, ["The d"], "all words, whatever their case");
    assert_eq!(found("depl fri").await, ["Again"], "beginnings");
    assert_eq!(found("a*").await, ["Café", "Again", "The d"], "a star makes one letter one");
    assert_eq!(found("\"failed again\"").await, ["The d"], "a phrase");
    assert_eq!(found("\"again failed\"").await, Vec::<String>::new());
    assert_eq!(found("ci.example.org").await, ["The d"], "a part of an address");
    assert_eq!(found("4711").await, ["The d"]);
    assert_eq!(found("cafe ZOE fur").await, ["Café"], "without accents");
    assert_eq!(found("e0308").await, ["`fn m"]);
    assert_eq!(finds(&team.carol, "🚀").await.len(), 1);
    assert_eq!(found("eploy").await, Vec::<String>::new(), "no middle of a word");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn languages_without_spaces_are_found_by_any_part() {
    let board = Board::start().await;
    let team = board.team().await;
    for body in
        ["明日の会議は東京タワーです", "今天下午开会讨论发布计划", "พรุ่งนี้ประชุมที่กรุงเทพ", "京東に行く"]
    {
        team.bob.posts(team.room, body).await;
    }
    for (q, found) in [
        ("会議", "明日の会議は東京タワーです"),
        ("東京", "明日の会議は東京タワーです"),
        ("タワー", "明日の会議は東京タワーです"),
        ("发布", "今天下午开会讨论发布计划"),
        ("午", "今天下午开会讨论发布计划"),
        ("ประชุม", "พรุ่งนี้ประชุมที่กรุงเทพ"),
        ("京東", "京東に行く"),
    ] {
        assert_eq!(finds(&team.alice, q).await, [found], "{q}");
    }
    assert_eq!(finds(&team.alice, "京").await.len(), 2);
    assert!(finds(&team.alice, "議会").await.is_empty(), "the letters in another order");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_members_find_and_only_what_is_there() {
    let board = Board::start().await;
    let team = board.team().await;
    let secret = team.alice.makes_room(team.org, "secret", "PRIVATE").await;
    team.alice.posts(secret, "the zebra project").await;
    let edited = team.alice.posts(team.room, "a zebra crossing").await;
    let deleted = team.alice.posts(team.room, "zebra stripes").await;

    assert_eq!(finds(&team.bob, "zebra").await.len(), 2);
    assert_eq!(finds(&team.alice, "zebra").await.len(), 3);
    assert!(finds(&team.mallory, "zebra").await.is_empty(), "a stranger finds nothing");
    for query in [format!("&room={secret}"), format!("&org={}&room={secret}", team.org)] {
        let page = team.bob.get(&format!("/messages/search/?q=zebra{query}")).await;
        assert_eq!(page.is(200), json!({"next": null, "previous": null, "results": []}));
    }

    let path = format!("/messages/{}/", edited["id"]);
    team.alice.patch(&path, json!({"body": "a giraffe crossing"})).await.is(200);
    team.alice.delete(&format!("/messages/{}/", deleted["id"])).await.is(204);
    assert!(finds(&team.bob, "zebra").await.is_empty());
    assert_eq!(finds(&team.bob, "giraffe").await, ["a giraffe crossing"]);

    team.bob.post_empty(&format!("/rooms/{}/leave/", team.room)).await;
    assert!(finds(&team.bob, "giraffe").await.is_empty(), "who has left finds nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_search_is_narrowed_and_walked() {
    let board = Board::start().await;
    let team = board.team().await;
    let other = team.alice.makes_room_for_all(team.org, "random").await;
    let mut ids = Vec::new();
    for number in 0..7 {
        let sender = if number % 2 == 0 { &team.alice } else { &team.bob };
        let message = sender.posts(team.room, &format!("tide {number}")).await;
        ids.push(message["id"].as_i64().unwrap());
    }
    team.alice.posts(other, "tide elsewhere").await;
    let elsewhere = board.person("olga").await;
    let org = elsewhere.makes_org("Else").await;
    let room = elsewhere.makes_room_for_all(org, "general").await;
    elsewhere.posts(room, "tide of others").await;

    let alice = &team.alice;
    assert_eq!(finds(alice, "tide").await.len(), 8);
    assert_eq!(finds_with(alice, "tide", &format!("&room={other}")).await.len(), 1);
    assert_eq!(finds_with(alice, "tide", &format!("&org={}", team.org)).await.len(), 8);
    assert_eq!(finds_with(alice, "tide", &format!("&org={org}")).await.len(), 0);
    let from_bob = finds_with(alice, "tide", &format!("&from={}", team.bob.id)).await;
    assert_eq!(bodies(&from_bob), ["tide 5", "tide 3", "tide 1"]);
    let before = finds_with(alice, "tide", &format!("&limit=2&before={}", ids[3])).await;
    assert_eq!(bodies(&before), ["tide 2", "tide 1"]);
    let after = finds_with(alice, "tide", &format!("&limit=2&after={}", ids[3])).await;
    assert_eq!(bodies(&after), ["tide 5", "tide 4"]);
    let all = alice.walks(&format!("/messages/search/?q=tide&limit=3&room={}", team.room)).await;
    let texts: Vec<String> = (0..7).rev().map(|number| format!("tide {number}")).collect();
    assert_eq!(bodies(&all), texts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn odd_questions_are_answered() {
    let board = Board::start().await;
    let team = board.team().await;
    team.bob.posts(team.room, "it's a 'quoted' \\ word:* & more | (here)").await;
    for q in ["", " ", &"x".repeat(201)] {
        let q = encoded(q);
        let reply = team.bob.get(&format!("/messages/search/?q={q}")).await;
        assert!(reply.refuses(400, "malformed_request")["errors"]["q"].is_array());
    }
    let reply = team.bob.get("/messages/search/?q=x&room=zero&from=-1").await;
    let errors = reply.refuses(400, "malformed_request")["errors"].clone();
    assert!(errors["room"].is_array() && errors["from"].is_array(), "{errors}");
    let long = "y".repeat(200);
    for q in ["'", "&|!():*", "\0", "\"", "'''\\''", "!here", "#1", "@1", "-", "%", &long] {
        assert!(finds(&team.bob, q).await.len() <= 1, "{q}");
    }
    assert_eq!(finds(&team.bob, "it's 'quoted' word:* (here)").await.len(), 1);
    assert_eq!(finds(&team.bob, &"word ".repeat(40)).await.len(), 1, "words beyond are not asked");
}

/// More messages than are walked through, so that the index answers, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_messages_are_found_behind_thousands_of_newer_ones() {
    let board = Board::builder().janitors(1).start().await;
    let team = board.team().await;
    let other = team.alice.makes_room(team.org, "noise", "PRIVATE").await;
    team.alice.posts(team.room, "the first heron").await;
    team.alice.posts(other, "a hidden heron").await;
    let noise = format!(
        "with room as (update rooms set last_seq = last_seq + 9000 where id = {other} returning *)
         insert into messages (org_id, room_id, seq, sender_id, body, content_hash, created_at)
         select room.org_id, room.id, room.last_seq - 9000 + n, {}, 'noise ' || n, '', now()
         from room, generate_series(1, 9000) n",
        team.alice.id
    );
    board.sql(&noise).await;
    team.alice.posts(team.room, "the last heron").await;
    // What came from elsewhere has no words yet; they are filled in.
    eventually("the noise is found", DEADLINE, async || {
        (finds(&team.alice, "noise 9000").await == ["noise 9000"]).then_some(())
    })
    .await;
    eventually("the first of it, too", DEADLINE, async || {
        (finds(&team.alice, "\"noise 1\"").await == ["noise 1"]).then_some(())
    })
    .await;
    assert_eq!(finds(&team.bob, "heron").await, ["the last heron", "the first heron"]);
    assert!(finds(&team.bob, "noise").await.is_empty());
    assert_eq!(finds(&team.alice, "heron").await.len(), 3);
    let in_room = finds_with(&team.alice, "noise", &format!("&room={other}&limit=200")).await;
    assert_eq!(in_room.len(), 200);
    let oldest = finds_with(&team.alice, "noise", &format!("&room={other}&limit=2&after=0")).await;
    assert_eq!(bodies(&oldest), ["noise 2", "noise 1"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_text_is_indexed_after_it_was_posted_and_found_soon() {
    let board = Board::start().await;
    let team = board.team().await;
    board
        .sql(
            "create table counted (words integer not null);
             create function count_words() returns trigger language plpgsql as $$ begin
                 insert into counted values (coalesce(length(new.search), 0));
                 return new;
             end $$;
             create trigger count_words before insert on messages
                 for each row execute function count_words()",
        )
        .await;
    let han: String = (0x4e00..).filter_map(char::from_u32).take(10_000).collect();
    for text in [han.as_str(), "short and sweet"] {
        team.bob.posts(team.room, text).await;
    }
    assert_eq!(finds(&team.carol, "sweet").await, ["short and sweet"], "short ones at once");
    let in_a_group = board.count("select max(words)::bigint from counted").await;
    assert!(in_a_group <= 102, "{in_a_group} entries in the transaction of a group");
    eventually("the long text is found", DEADLINE, async || {
        (finds(&team.carol, "一丁丂").await == [han.clone()]).then_some(())
    })
    .await;
    // Only so many words of it are indexed.
    assert!(finds(&team.carol, "\u{7500}").await.is_empty());
}
