//! Over TLS, with a user and a password, everything works as it does without.

use testkit::{
    Board, DEADLINE, NATS_PASSWORD, NATS_TLS_PEM, NatsProcess, Opening, eventually, json,
};

fn configuration(pem: &str) -> String {
    format!(
        "host: \"127.0.0.1\"\nport: {{port}}\njetstream {{ store_dir: \"{{store}}\" }}\n\
         tls {{ cert_file: \"{pem}\", key_file: \"{pem}\" }}\n\
         authorization {{ user: chat, password: \"{NATS_PASSWORD}\" }}\n"
    )
}

fn free_address() -> String {
    format!("127.0.0.1:{}", devstack::ports::free_port(None).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn over_tls_people_are_online_and_get_pushes() {
    let pem = std::env::temp_dir().join(format!("chatboard-test-nats-{}.pem", std::process::id()));
    std::fs::write(&pem, NATS_TLS_PEM).unwrap();
    let pem = pem.display().to_string();
    let server = NatsProcess::start(&configuration(&pem), &[]).await;
    let board = Board::builder().processes().edges(1).start().await;
    let team = board.team().await;
    board.settle().await;
    let (http, ws) = (free_address(), free_address());
    let url = format!("tls://chat:{NATS_PASSWORD}@{}", server.address());
    let over_tls = [
        ("CHATBOARD_NATS_URL", url.as_str()),
        ("SSL_CERT_FILE", pem.as_str()),
        ("CHATBOARD_HTTP_ADDR", http.as_str()),
        ("CHATBOARD_WS_ADDR", ws.as_str()),
    ];
    let mut processes = {
        let mut of_board = board.processes().await;
        of_board[Board::RELAY].kill();
        [Board::API, Board::RELAY, Board::EDGE].map(|role| of_board[role].another_with(&over_tls))
    };
    for process in &mut processes {
        process.ready(board.http()).await;
    }
    let room = team.room;
    let address = format!("ws://{ws}/ws/?token={}", team.bob.token);
    let mut of_bob = Opening::new(address).served().await;
    let members = format!("http://{http}/api/v1/rooms/{room}/members/");
    eventually("bob is online", DEADLINE, async || {
        let members = team.alice.get(&members).await.results();
        let bob = members.iter().find(|member| member["user"] == team.bob.id)?;
        (bob["online"] == true).then_some(())
    })
    .await;
    let messages = format!("http://{http}/api/v1/messages/rooms/{room}/");
    team.alice.post(&messages, json!({"body": "@here", "nonce": "1"})).await.is(201);
    let pushed = of_bob.next_of_type("notification").await;
    assert_eq!(pushed["notification"]["message"], "@here");
}
