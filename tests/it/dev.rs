//! The dev stack: one command, nothing left behind.
//!
//! The processes are real, and killed as the system's out-of-memory killer would. That nothing
//! is left is seen in `/proc`; that nothing was lost, by signing in again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use testkit::{Process, eventually};

/// How long a stack may take to come up or to go.
const PATIENCE: Duration = Duration::from_secs(120);

/// A project's folder, removed at the end.
struct Project(PathBuf);

impl Project {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("chatboard-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn data(&self) -> PathBuf {
        self.0.join(".chatboard")
    }

    /// What a dev stack of this process says about itself, once it is ready.
    async fn endpoints(&self, dev: &Process) -> Value {
        let file = self.data().join("endpoints.json");
        eventually("the dev stack is ready", PATIENCE, || async {
            let text = std::fs::read_to_string(&file).ok()?;
            let endpoints: Value = serde_json::from_str(&text).ok()?;
            (endpoints["pid"].as_u64() == dev.pid().map(u64::from)).then_some(endpoints)
        })
        .await
    }

    /// The pids of its servers.
    fn servers(&self) -> Vec<u32> {
        ["postgres/postmaster.pid", "nats/nats.pid"]
            .into_iter()
            .map(|file| {
                let text = std::fs::read_to_string(self.data().join(file)).unwrap();
                text.lines().next().unwrap().trim().parse().unwrap()
            })
            .collect()
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        // Root's Postgres keeps its data elsewhere, linked from here.
        if let Ok(data) = std::fs::read_link(self.data().join("postgres")) {
            let _ = std::fs::remove_dir_all(data.parent().unwrap_or(&data));
        }
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn dev(project: &Project) -> Process {
    let operations = devstack::ports::free_port(None).unwrap();
    let environment = vec![
        ("PATH".to_owned(), std::env::var_os("PATH").unwrap().into_string().unwrap()),
        ("CHATBOARD_DATA_DIR".to_owned(), project.data().display().to_string()),
    ];
    Process::start("dev", &format!("127.0.0.1:{operations}"), environment)
}

async fn wait_until_gone(pids: &[u32]) {
    eventually("the servers are gone", PATIENCE, || {
        // What has ended and waits to be noticed has no command line.
        let runs = |pid: &u32| {
            std::fs::read(Path::new("/proc").join(pid.to_string()).join("cmdline"))
                .is_ok_and(|line| !line.is_empty())
        };
        std::future::ready((!pids.iter().any(runs)).then_some(()))
    })
    .await;
}

async fn sign_in(endpoints: &Value) -> Value {
    let url = format!("{}/api/v1/auth/token/", endpoints["api"].as_str().unwrap());
    let body = json!({"email": "ada@acme.example", "password": "chatboard-demo"});
    let response =
        testkit::http::client(testkit::DEADLINE).post(url).json(&body).send().await.unwrap();
    response.json().await.unwrap()
}

/// Uploads a file; the address under which its bytes are.
async fn uploads_a_file(endpoints: &Value) -> String {
    let http = testkit::http::client(testkit::DEADLINE);
    let token = sign_in(endpoints).await["access"].as_str().unwrap().to_owned();
    let uploads = format!("{}/api/v1/uploads", endpoints["api"].as_str().unwrap());
    let body = json!({"filename": "a.txt", "content_type": "text/plain", "file_size": 5});
    let asked = http.post(format!("{uploads}/presign/")).bearer_auth(&token).json(&body);
    let announced: Value = asked.send().await.unwrap().json().await.unwrap();
    let (url, id) = (announced["upload_url"].as_str().unwrap(), announced["id"].as_str().unwrap());
    assert!(url.starts_with(endpoints["s3"].as_str().unwrap()), "{url}");
    let put = testkit::uploads::put(url, &announced["headers"], b"hello").await;
    assert_eq!(put.status, 200);
    let done = http.post(format!("{uploads}/{id}/complete/")).bearer_auth(&token);
    assert_eq!(done.send().await.unwrap().status().as_u16(), 200);
    let asked = http.get(format!("{uploads}/{id}/")).bearer_auth(&token);
    let upload: Value = asked.send().await.unwrap().json().await.unwrap();
    upload["download_url"].as_str().unwrap().to_owned()
}

/// Its nats-server turns away who does not sign in; the password is its owner's alone.
async fn nats_wants_its_password(project: &Project, endpoints: &Value) {
    use std::os::unix::fs::PermissionsExt;
    let url = endpoints["nats"].as_str().unwrap();
    let (_, address) = url.rsplit_once('@').unwrap();
    let refused = async_nats::ConnectOptions::new().connect(address).await.unwrap_err();
    assert_eq!(refused.kind(), async_nats::ConnectErrorKind::AuthorizationViolation);
    for file in ["nats.password", "nats.conf"] {
        let path = project.data().join("nats").join(file);
        let mode = std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}

/// Asks for a new password, finds the mail in the browser's page, and that its link leads on.
async fn finds_a_mail(endpoints: &Value) {
    let http = testkit::http::client(testkit::DEADLINE);
    let (api, mail) = (endpoints["api"].as_str().unwrap(), endpoints["mail"].as_str().unwrap());
    let url = format!("{api}/api/v1/auth/password/reset/");
    let asked = http.post(url).json(&json!({"email": "ada@acme.example"})).send().await.unwrap();
    assert_eq!(asked.status().as_u16(), 202);
    eventually("the mail is shown", testkit::DEADLINE, || async {
        let page = http.get(mail).send().await.ok()?.text().await.ok()?;
        (page.contains("ada@acme.example") && page.contains("Reset your ChatBoard password"))
            .then_some(())
    })
    .await;
    for page in ["/reset/?token=x", "/invite/?token=x"] {
        let answer = http.get(format!("{api}{page}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{page}");
    }
}

/// What Ada sees of the demo data.
struct Demo {
    api: String,
    token: String,
}

impl Demo {
    async fn open(endpoints: &Value) -> Self {
        let token = sign_in(endpoints).await["access"].as_str().unwrap().to_owned();
        Self { api: format!("{}/api/v1", endpoints["api"].as_str().unwrap()), token }
    }

    async fn get(&self, path: &str) -> Value {
        let asked = testkit::http::client(testkit::DEADLINE).get(format!("{}{path}", self.api));
        asked.bearer_auth(&self.token).send().await.unwrap().json().await.unwrap()
    }

    async fn list(&self, path: &str) -> Vec<Value> {
        self.get(path).await["results"].as_array().unwrap().clone()
    }

    /// The messages of a room, the newest first.
    async fn talk(&self, room: &str) -> Vec<Value> {
        let rooms = self.list("/rooms/?limit=200").await;
        let found = rooms.iter().find(|one| one["name"] == room).unwrap();
        self.list(&format!("/messages/rooms/{}/?limit=200", found["id"])).await
    }
}

/// People of the demo data talk as people do: in working hours and until now, with answers,
/// reactions, a table and a picture, and not one line twice.
async fn demo_looks_alive(demo: &Demo) {
    let said = demo.talk("general").await;
    assert!(said.len() >= 20, "{} messages", said.len());
    let bodies: Vec<_> = said.iter().map(|one| one["body"].as_str().unwrap()).collect();
    let mut unique = bodies.clone();
    unique.sort_unstable();
    unique.dedup();
    assert_eq!(unique.len(), bodies.len(), "a line is said twice");
    for part in ["| Step | Who | When |", "**Decision:**", "@Alan.Turing"] {
        assert!(bodies.iter().any(|body| body.contains(part)), "{part}");
    }
    assert!(said.iter().any(|one| one["reply_to"].is_number()), "nobody answers");
    assert!(said.iter().any(|one| !one["reactions"].as_array().unwrap().is_empty()));
    let times: Vec<_> = said.iter().map(|one| one["created_at"].as_str().unwrap()).collect();
    assert!(times.windows(2).all(|pair| pair[0] > pair[1]), "{times:?}");
    let days: std::collections::BTreeSet<_> = times.iter().map(|at| &at[..10]).collect();
    assert!(days.len() >= 4, "the lines are of few days: {times:?}");
    // The last conversation is going on now, at whatever hour; the others were at work.
    for at in times.iter().skip_while(|at| at[..10] == times[0][..10] || at[..10] == times[3][..10])
    {
        let hour: u32 = at[11..13].parse().unwrap();
        assert!((8..18).contains(&hour), "{at}");
    }
    let shown = said.iter().find(|one| one["upload_id"].is_string()).unwrap();
    let path = format!("/uploads/{}/", shown["upload_id"].as_str().unwrap());
    let upload = demo.get(&path).await;
    let file = testkit::uploads::fetch(upload["download_url"].as_str().unwrap()).await;
    assert!(file.bytes.starts_with(b"\x89PNG"), "the picture can be had");
    eventually("the picture has its size", testkit::DEADLINE, || async {
        demo.get(&path).await["width"].as_u64()
    })
    .await;
    let unread = demo.get("/auth/me/unread-counts/").await;
    assert!(unread["unread_counts"].as_array().is_some_and(|all| !all.is_empty()), "{unread}");
}

#[tokio::test]
async fn a_dev_stack_killed_hard_leaves_nothing_running_and_comes_back_where_it_was() {
    let project = Project::new("dev");
    let mut dev = dev(&project);
    let first = project.endpoints(&dev).await;
    let servers = project.servers();
    assert!(sign_in(&first).await["access"].is_string());
    let file = uploads_a_file(&first).await;
    nats_wants_its_password(&project, &first).await;
    let demo = Demo::open(&first).await;
    demo_looks_alive(&demo).await;
    let said = demo.talk("engineering").await.len();

    dev.kill();
    wait_until_gone(&servers).await;

    dev.start_again();
    let second = project.endpoints(&dev).await;
    for name in ["api", "edges", "operations", "postgres", "nats", "s3", "smtp", "mail"] {
        assert_eq!(first[name], second[name], "{name}");
    }
    assert!(sign_in(&second).await["access"].is_string());
    finds_a_mail(&second).await;
    let demo = Demo::open(&second).await;
    demo_looks_alive(&demo).await;
    assert_eq!(demo.talk("engineering").await.len(), said, "the demo data is made once");
    assert_eq!(testkit::uploads::fetch(&file).await.bytes, b"hello", "files are kept");

    let servers = project.servers();
    assert_eq!(dev.stop().await, Some(0));
    wait_until_gone(&servers).await;
    assert!(!project.data().join("endpoints.json").exists());
}

#[tokio::test]
async fn a_guard_ends_with_its_input_though_its_server_cannot_be_started() {
    use std::io::Write;
    use std::os::unix::fs::PermissionsExt;
    use std::process::{Command, Stdio};

    let project = Project::new("guard");
    let server = project.0.join("server");
    // It ends at once, and cannot be started again.
    std::fs::write(&server, "#!/bin/sh\nrm \"$0\"\n").unwrap();
    std::fs::set_permissions(&server, std::fs::Permissions::from_mode(0o700)).unwrap();
    let order = json!({"Start": {"program": server, "args": [], "user": null, "cwd": "/",
        "log": project.0.join("log"), "stop": "Terminate", "restarts": true, "remove": null}});
    let mut guard = Command::new(testkit::binary())
        .arg("guard")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut orders = guard.stdin.take().unwrap();
    writeln!(orders, "{order}").unwrap();
    eventually("the server has come and gone", PATIENCE, || {
        std::future::ready((!server.exists()).then_some(()))
    })
    .await;
    drop(orders);
    let status = eventually("the guard ends", testkit::DEADLINE, || {
        std::future::ready(guard.try_wait().unwrap())
    });
    assert!(status.await.success());
}
