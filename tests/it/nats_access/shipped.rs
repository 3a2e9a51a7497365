//! Everything works with the shipped permissions, and no role tries what it may not do.

use std::time::Duration;

use nats::streams::StreamKind;
use testkit::{Board, DEADLINE, PASSWORD, Person, Receiver, Socket, Value, eventually, json};

/// How long a role may take to make a stream again that was deleted, and to hand out again what
/// was in it.
const PATIENCE: Duration = Duration::from_secs(60);

struct Scene {
    board: Board,
    receiver: Receiver,
    /// Registered over REST.
    dora: Person,
    bob: Person,
    room: i64,
}

impl Scene {
    async fn start(file: &'static str) -> Self {
        let builder = Board::builder().webhooks().mails_after(Duration::from_millis(300));
        let board = builder.janitors(1).limits_on().shipped_nats(file).start().await;
        let receiver = Receiver::start().await;
        let dora = registered(&board, "dora@chat.test").await;
        let bob = registered(&board, "bob@chat.test").await;
        let org = dora.makes_org("Acme").await;
        board.put_into_org(org, &bob, "MEMBER").await;
        let room = dora.makes_room_for_all(org, "general").await;
        let hook = json!({"org": org, "url": receiver.url(), "events": ["message.created"]});
        dora.post("/webhooks/", hook).await.is(201);
        Self { board, receiver, dora, bob, room }
    }

    /// A message is seen on the other edge, delivered to the webhook, and pushed to who it mentions.
    async fn a_message_arrives(&self, from: &mut Socket, to: &mut Socket, body: &str) {
        let text = format!("{body} @{}", self.bob.email);
        from.posts(self.room, &text).await;
        to.sees(&text).await;
        to.next_of_type("notification").await;
        eventually("its delivery", PATIENCE, async || {
            let mut received = self.receiver.received().into_iter();
            received.find(|call| call.body.contains(&text)).map(drop)
        })
        .await;
    }

    async fn people_are_seen(&self, of_dora: &mut Socket, of_bob: &mut Socket) {
        of_bob.sends(json!({"type": "typing", "room": self.room, "is_typing": true})).await;
        assert_eq!(of_dora.next_of_type("typing").await["user_id"], self.bob.id);
        let message = self.dora.history(self.room).await[0]["id"].clone();
        of_bob.sends(json!({"type": "read", "room": self.room, "msg_id": message})).await;
        assert_eq!(of_bob.next_of_type("read").await["unread_count"], 0);
    }

    /// Deletes the streams as an accident would; whoever needs one makes it again.
    async fn loses_the_streams(&self, admin: &str) {
        let admin = super::connected(&self.board.shipped_nats()[0].url_of(admin), "chat").await;
        let names = StreamKind::ALL.map(StreamKind::name);
        for name in names {
            let info = format!("$JS.API.STREAM.INFO.{name}");
            let exists = async || {
                let asked = admin.client().request(info.clone(), "".into()).await.ok()?;
                let answer: Value = serde_json::from_slice(&asked.payload).ok()?;
                answer["config"].is_object().then_some(())
            };
            eventually(&format!("{name} was made by its role"), DEADLINE, exists).await;
            let delete = format!("$JS.API.STREAM.DELETE.{name}");
            admin.client().request(delete, "".into()).await.unwrap();
            eventually(&format!("{name} is made again"), PATIENCE, exists).await;
        }
    }

    async fn ends(self) {
        for process in self.board.processes().await.iter_mut() {
            assert_eq!(process.stop().await, Some(0), "{process:?}");
        }
        assert_eq!(self.board.shipped_nats()[0].violations(), Vec::<String>::new());
        assert_eq!(self.board.count("select count(*) from outbox_dead").await, 0);
    }
}

async fn registered(board: &Board, email: &str) -> Person {
    let user = board.register(email, PASSWORD).await;
    let tokens = board.sign_in(email, PASSWORD).await;
    let id = user["id"].as_i64().unwrap();
    board.person_with(id, email, tokens["access"].as_str().unwrap())
}

async fn everything_works(scene: Scene, admin: &str) {
    let (dora, bob, room) = (&scene.dora, &scene.bob, scene.room);
    let mut of_dora = dora.opens(0, room).await;
    of_dora.next_of_type("presence.snapshot").await;
    let mut of_bob = bob.opens(1, room).await;
    of_dora.sees_presence(bob.id, "online").await;
    scene.a_message_arrives(&mut of_dora, &mut of_bob, "first").await;
    // That @here includes Bob is known from his edge.
    of_dora.posts(room, "@here").await;
    of_bob.next_of_type("notification").await;
    scene.people_are_seen(&mut of_dora, &mut of_bob).await;
    scene.loses_the_streams(admin).await;
    scene.a_message_arrives(&mut of_dora, &mut of_bob, "second").await;

    // Signing out closes the socket, and what Bob misses is mailed.
    let sessions = bob.get("/auth/sessions/").await.results();
    bob.delete(&format!("/auth/sessions/{}/", sessions[0]["sid"])).await.is(204);
    assert_eq!(of_bob.closes().await.code, 4001);
    of_dora.sees_presence(bob.id, "offline").await;
    of_dora.posts(room, &format!("missed @{}", bob.email)).await;
    scene.board.mailbox().mail_to(&bob.email).await;
    of_dora.leaves().await;
    scene.board.settle().await;
    scene.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_shipped_permissions_every_role_does_its_work() {
    let scene = Scene::start("server.conf").await;
    everything_works(scene, "migrate").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_shipped_permissions_one_process_plays_every_role() {
    let scene = Scene::start("all.conf").await;
    everything_works(scene, "all").await;
}
