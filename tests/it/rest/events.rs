//! The events of a room over REST are the frames that sockets get.

use testkit::{Board, Value, json};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_list_of_events_is_what_a_socket_gets() {
    let board = Board::start().await;
    let team = board.team().await;
    let mut live = team.bob.opens(0, team.room).await;
    let message = team.alice.posts(team.room, "one").await;
    let one = format!("/messages/{}/", message["id"]);
    team.alice.posts(team.room, "two").await;
    team.carol.post(&format!("{one}reactions/"), json!({"emoji": "🚀"})).await.is(200);
    team.carol.post_empty(&format!("/rooms/{}/leave/", team.room)).await.is(200);
    team.carol.post_empty(&format!("/rooms/{}/join/", team.room)).await.is(201);
    team.alice.patch(&format!("/rooms/{}/", team.room), json!({"topic": "x"})).await.is(200);
    team.alice.posts(team.room, "last").await;
    live.reaches(team.room, 7).await;
    let listed = team.bob.events(team.room, 0).await;
    let kinds: Vec<_> = listed.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "message",
            "message",
            "message.updated",
            "member.left",
            "member.joined",
            "room.updated",
            "message"
        ]
    );
    // Live frames are of their time: the first message had no reaction then. All others agree.
    let of_socket: Vec<Value> =
        live.backlog().into_iter().filter(|frame| frame.get("seq").is_some()).collect();
    assert_eq!(of_socket[1..], listed[1..]);
    let mut resumed = team.carol.resumes(1, team.room, 0).await;
    resumed.reaches(team.room, 7).await;
    let replayed: Vec<Value> =
        resumed.backlog().into_iter().filter(|frame| frame.get("seq").is_some()).collect();
    assert_eq!(replayed[1..], listed[1..]);
    let paged = team.bob.walks(&format!("/rooms/{}/events/?after_seq=2&limit=2", team.room)).await;
    assert_eq!(paged, listed[2..]);
    assert!(team.bob.events(team.room, 7).await.is_empty());
}
