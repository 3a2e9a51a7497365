//! Which connections become sockets, and what the others are told.

use testkit::{Board, Opening, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connection_comes_first_and_says_where_one_is() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    alice.posts(room, "one").await;
    let of_room = bob.opens(0, room).await;
    let hello = &of_room.hello;
    assert_eq!((&hello["user_id"], &hello["user_email"]), (&json!(bob.id), &json!(bob.email)));
    assert_eq!((&hello["room"], &hello["last_seq"]), (&json!(room), &json!(1)));
    assert!(hello["connection_id"].is_string());
    let of_many = bob.opens_many(1).await;
    assert!(of_many.hello.get("room").is_none() && of_many.hello.get("last_seq").is_none());
    assert_ne!(of_many.hello["connection_id"], hello["connection_id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_may_come_three_ways_in_one_precedence() {
    let board = Board::start().await;
    let (alice, bob, room) = board.two_members_of("eng").await;
    let url = |token: &str| format!("{}/ws/rooms/{room}/?token={token}", board.edge(0));
    let bare = |token: &str| Opening::new(url(token));
    let by_query = bare(&alice.token).served().await;
    assert_eq!(by_query.hello["user_id"], alice.id);
    let pair = format!("chatboard.v1, {}", bob.token);
    let by_protocol = bare(&alice.token).header("sec-websocket-protocol", &pair).served().await;
    assert_eq!(by_protocol.hello["user_id"], bob.id, "the subprotocol precedes the query");
    assert_eq!(by_protocol.protocol.as_deref(), Some("chatboard.v1"));
    let by_header = bare("nonsense")
        .header("sec-websocket-protocol", &pair)
        .bearer(&alice.token)
        .served()
        .await;
    assert_eq!(by_header.hello["user_id"], alice.id, "the header precedes both");
    assert_eq!(bare("").is_closed().await.code, 4001);
    assert_eq!(bare("nonsense").is_closed().await.code, 4001);
    let good_query = bare(&alice.token).bearer("nonsense").is_closed().await;
    assert_eq!(good_query.code, 4001, "what precedes counts, good or bad");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_close_codes_that_browsers_can_see() {
    let board = Board::start().await;
    let team = board.team().await;
    let close = |path: String| {
        let bob = team.bob.clone();
        async move { bob.opening(1, &path).is_closed().await.code }
    };
    let private = team.alice.makes_room(team.org, "private", "PRIVATE").await;
    let joinable = team.alice.makes_room(team.org, "open", "PUBLIC").await;
    for room in [private, joinable, 999_999, i64::MAX] {
        assert_eq!(close(format!("/ws/rooms/{room}/")).await, 4003, "{room}");
    }
    for room in ["0", "-1", "9223372036854775808", "18446744073709551616", "x", "1.0", "%20"] {
        assert_eq!(close(format!("/ws/rooms/{room}/")).await, 4400, "{room}");
    }
    for after in ["x", "-1", "1.0", "9223372036854775808", "+1"] {
        let path = format!("/ws/rooms/{}/?after={after}", team.room);
        assert_eq!(close(path).await, 4400, "after={after}");
    }
    let path = format!("/ws/rooms/{}/?after=", team.room);
    team.bob.opening(0, &path).served().await;
    team.bob.opening(0, &format!("/ws/rooms/{}", team.room)).served().await;
    team.bob.opening(0, "/ws").served().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_socket_is_refused_over_http() {
    let board = Board::start().await;
    let (alice, _, room) = board.two_members_of("eng").await;
    for path in ["/ws/x", "/ws/rooms/", "/ws/rooms/1/x", "/ws/roomsx/1/"] {
        assert_eq!(alice.opening(0, path).is_refused().await, 404, "{path}");
    }
    let http = board.edge(0).replace("ws://", "http://");
    for path in ["/ws/", &format!("/ws/rooms/{room}/")] {
        let plain = board.call("GET", &format!("{http}{path}"), &[], None).await;
        assert_eq!(plain.status, 426, "{}", plain.text);
        assert_eq!(plain.header("upgrade"), "websocket");
    }
    let opening = alice.opening(0, "/ws/");
    for foreign in ["https://foe.example", "null", "http://localhost.foe.example"] {
        assert_eq!(opening.clone().header("origin", foreign).is_refused().await, 403, "{foreign}");
    }
    for own in ["https://friend.example", board.api(), &http] {
        opening.clone().header("origin", own).served().await;
    }
}
