//! `chatboard dev`: every role and the servers they need, from nothing to a chat in one command.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use devstack::folder::{Endpoints, Ports};
use devstack::{
    Folder, MailSink, NatsServer, ObjectStore, Options, Postgres, demo, ports, progress,
};
use runtime::config::{Settings, Source};
use runtime::tokens::SigningKeys;
use runtime::{Clock, Lifecycle};
use store::Store;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{database, files, roles, tools};

/// Where the search for free ports begins.
const HTTP_PORT: u16 = 8080;
const OPERATIONS_PORT: u16 = 9464;
/// Further edges that one process may have.
const EDGES_MAX: u16 = 100;
/// How long the roles may take to be ready once their servers are.
const READY_TIMEOUT: Duration = Duration::from_secs(20);

/// What `dev` can be told.
#[derive(Args, Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flags {
    /// Starts so many more edges, each on its own port.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=i64::from(EDGES_MAX)))]
    edges: u16,
    /// Leaves the demo data out.
    #[arg(long)]
    no_demo: bool,
}

/// Runs the guard of a server: see [`devstack::guard`].
pub(crate) async fn guard() -> anyhow::Result<ExitCode> {
    devstack::guard::run().await?;
    Ok(ExitCode::SUCCESS)
}

/// Runs a command with `DATABASE_URL` naming a new Postgres that has the schema, which is gone
/// afterwards.
pub(crate) async fn scratch_postgres(command: &[OsString]) -> anyhow::Result<ExitCode> {
    let Some((program, arguments)) = command.split_first() else {
        bail!("name a command to run: `chatboard scratch-postgres -- command`");
    };
    let postgres = Postgres::start(Options::temporary(std::env::current_exe()?)).await?;
    store::migrate(&postgres.url()).await?;
    let status = tokio::process::Command::new(program)
        .args(arguments)
        .env("DATABASE_URL", postgres.url())
        .status()
        .await
        .with_context(|| format!("cannot run {}", program.display()))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs the whole of ChatBoard until the process is asked to stop.
pub(crate) async fn run(mut settings: Settings, flags: Flags) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    // The people at this terminal want to see what is wrong; the rest is asked for.
    let filter = if is_default(&settings, "LOG") { "warn" } else { settings.log.as_str() };
    runtime::telemetry::log(filter, settings.log_format);
    let life = Lifecycle::new();
    life.heed_signals(Duration::ZERO)?;
    let folder = Folder::open(&settings.data_dir)?;
    let mut starting = Box::pin(start(&mut settings, &flags, &folder, &life));
    let servers = tokio::select! {
        servers = &mut starting => servers?,
        // What has been started stops before its servers do; a part of it may have failed.
        () = life.draining() => return Ok(roles::wait(&life).await),
    };
    drop(starting);
    tools::print(&greeting(&settings, &servers, &folder, started.elapsed()))?;
    let code = roles::wait(&life).await;
    folder.withdraw();
    progress("stopping the servers …");
    // Each waits for its server to end.
    tokio::task::spawn_blocking(move || drop(servers)).await?;
    Ok(code)
}

/// What runs besides the roles. Dropping it stops the servers.
struct Servers {
    _postgres: Option<Postgres>,
    _nats: Option<NatsServer>,
    endpoints: Endpoints,
    has_demo: bool,
}

async fn start(
    settings: &mut Settings,
    flags: &Flags,
    folder: &Folder,
    life: &Lifecycle,
) -> anyhow::Result<Servers> {
    let mut ports = folder.ports();
    let (postgres, nats) = start_servers(settings, folder, &mut ports).await?;
    let edges = choose_addresses(settings, flags, &mut ports)?;
    let mails = start_mail_sink(settings, folder, &mut ports, life).await?;
    start_object_store(settings, folder, &mut ports, life).await?;
    make_signing_key(settings, folder)?;
    let database = settings.database_url.clone().context("there is no database")?;
    store::migrate(database.expose()).await.with_context(|| {
        format!(
            "the schema could not be brought up to date (to begin anew, remove {})",
            folder.path().display()
        )
    })?;
    settle_retention(settings, database.expose()).await?;
    if !flags.no_demo {
        let files = files::connect(settings)?;
        if demo::make(database.expose(), files.as_ref(), Clock::system().now()).await? {
            progress("made the demo data");
        }
    }
    let has_demo = demo::is_there(database.expose()).await?;
    progress("starting ChatBoard …");
    roles::start(settings, &roles::Role::ALL, &edges, life).await?;
    let ws = settings.ws_addr.unwrap_or(settings.http_addr);
    let edges: Vec<SocketAddr> = [ws].into_iter().chain(edges).map(reachable).collect();
    let api = reachable(settings.http_addr);
    for address in [api].iter().chain(&edges) {
        wait_until_ready(*address).await?;
    }
    folder.remember(&ports)?;
    let endpoints = Endpoints {
        pid: std::process::id(),
        api: format!("http://{api}"),
        edges: edges.iter().map(|address| format!("ws://{address}")).collect(),
        operations: format!("http://{}", reachable(settings.ops_addr)),
        postgres: database.expose().to_owned(),
        nats: settings.nats_url.as_ref().map(|url| url.expose().to_owned()).unwrap_or_default(),
        s3: files::config(settings)?.and_then(|config| config.endpoint),
        smtp: settings.smtp_url.as_ref().map(|url| url.expose().to_owned()),
        mail: mails.as_ref().map(MailSink::page_url),
    };
    folder.publish(&endpoints)?;
    Ok(Servers { _postgres: postgres, _nats: nats, endpoints, has_demo })
}

/// Settles a new deployment's retention before the demo data makes it look like one of before.
async fn settle_retention(settings: &Settings, url: &str) -> anyhow::Result<()> {
    let store = Store::connect(url, 1).await?;
    database::settle_retention(&store, database::Retention::of(settings)).await?;
    store.pool().close().await;
    Ok(())
}

/// Starts the servers that no setting names.
async fn start_servers(
    settings: &mut Settings,
    folder: &Folder,
    ports: &mut Ports,
) -> anyhow::Result<(Option<Postgres>, Option<NatsServer>)> {
    let binary = std::env::current_exe().context("cannot find this program")?;
    let options = |name: &str| Options {
        port: ports.get(name).copied(),
        ..Options::kept(&binary, folder.path())
    };
    let (for_postgres, for_nats) = (options("postgres"), options("nats"));
    let wants_postgres = settings.database_url.is_none();
    let wants_nats = settings.nats_url.is_none();
    // Whoever develops may use a server of their own as it is.
    settings.nats_allow_unauthenticated = true;
    let postgres = async {
        if !wants_postgres {
            return Ok(None);
        }
        progress("starting Postgres …");
        Postgres::start(for_postgres).await.map(Some)
    };
    let nats = async {
        if !wants_nats {
            return Ok(None);
        }
        progress("starting nats-server …");
        NatsServer::start(for_nats).await.map(Some)
    };
    // Whoever lacks both is told of both.
    let (postgres, nats) = match tokio::join!(postgres, nats) {
        (Ok(postgres), Ok(nats)) => (postgres, nats),
        (Err(one), Err(other)) => bail!("{one:#}\nchatboard: {other:#}"),
        (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
    };
    let wrong = |fault: String| anyhow::anyhow!(fault);
    if let Some(postgres) = &postgres {
        ports.insert("postgres".to_owned(), postgres.port());
        settings.database_url = Some(postgres.url().parse().map_err(wrong)?);
    }
    if let Some(nats) = &nats {
        ports.insert("nats".to_owned(), nats.port());
        settings.nats_url = Some(nats.url().parse().map_err(wrong)?);
    }
    Ok((postgres, nats))
}

/// What a setting names is taken as it is; the rest is free ports on loopback, the same as last
/// time if they still are. Returns where further edges listen.
fn choose_addresses(
    settings: &mut Settings,
    flags: &Flags,
    ports: &mut Ports,
) -> anyhow::Result<Vec<SocketAddr>> {
    let mut taken = Vec::new();
    let mut choose = |name: &str, first: u16| -> anyhow::Result<SocketAddr> {
        let port = ports::free_from(first, ports.get(name).copied(), &taken)?;
        taken.push(port);
        ports.insert(name.to_owned(), port);
        Ok((Ipv4Addr::LOCALHOST, port).into())
    };
    if is_default(settings, "HTTP_ADDR") {
        settings.http_addr = choose("http", HTTP_PORT)?;
    }
    if is_default(settings, "OPS_ADDR") {
        settings.ops_addr = choose("operations", OPERATIONS_PORT)?;
    }
    // Whoever tries a webhook here has the receiver on the same machine.
    if is_default(settings, "WEBHOOK_ALLOWED_NETWORKS") {
        settings.webhook_allowed_networks =
            ["127.0.0.0/8", "::1/128"].into_iter().map(str::parse).collect::<Result<_, _>>()?;
    }
    (1..=flags.edges).map(|number| choose(&format!("edge {number}"), HTTP_PORT + 1)).collect()
}

/// Mails go to a sink of our own unless a setting names a server.
async fn start_mail_sink(
    settings: &mut Settings,
    folder: &Folder,
    ports: &mut Ports,
    life: &Lifecycle,
) -> anyhow::Result<Option<MailSink>> {
    if settings.smtp_url.is_some() {
        return Ok(None);
    }
    let wanted = (ports.get("smtp").copied(), ports.get("mail").copied());
    let sink = MailSink::start(&folder.path().join("mails"), wanted, life).await?;
    let (smtp, page) = sink.ports();
    ports.insert("smtp".to_owned(), smtp);
    ports.insert("mail".to_owned(), page);
    let url = sink.smtp_url().parse().map_err(|fault: String| anyhow::anyhow!(fault))?;
    settings.smtp_url = Some(url);
    Ok(Some(sink))
}

/// Files go to a store of our own unless settings name one.
async fn start_object_store(
    settings: &mut Settings,
    folder: &Folder,
    ports: &mut Ports,
    life: &Lifecycle,
) -> anyhow::Result<()> {
    if files::config(settings)?.is_some() {
        return Ok(());
    }
    let wanted = ports.get("s3").copied();
    let store =
        ObjectStore::start(&folder.path().join("objects"), wanted, Clock::system(), life).await?;
    ports.insert("s3".to_owned(), store.port());
    let wrong = |fault: String| anyhow::anyhow!(fault);
    let (access_key, secret_key) = store.key();
    settings.s3_endpoint = Some(store.url().parse().map_err(wrong)?);
    store.bucket().clone_into(&mut settings.s3_bucket);
    store.region().clone_into(&mut settings.s3_region);
    access_key.clone_into(&mut settings.s3_access_key);
    settings.s3_secret_key = Some(secret_key.parse().map_err(wrong)?);
    settings.s3_path_style = true;
    Ok(())
}

fn is_default(settings: &Settings, name: &str) -> bool {
    settings.effective().iter().any(|one| one.spec.name == name && one.source == Source::Default)
}

/// A key of our own, the same at every start, or everyone would have to sign in again.
fn make_signing_key(settings: &mut Settings, folder: &Folder) -> anyhow::Result<()> {
    if settings.signing_key_file.is_some() {
        return Ok(());
    }
    let path = folder.path().join("signing.key");
    if !path.exists() {
        let new = folder.path().join("signing.key.new");
        let _ = std::fs::remove_file(&new);
        tools::write_key(&new, &SigningKeys::generate()?)?;
        std::fs::rename(&new, &path)?;
    }
    settings.signing_key_file = Some(path);
    Ok(())
}

/// The address under which we reach ourselves.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    address
}

/// Whoever reads that we are ready may come at once.
async fn wait_until_ready(address: SocketAddr) -> anyhow::Result<()> {
    let asking = async {
        while !is_ready(address).await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(READY_TIMEOUT, asking)
        .await
        .with_context(|| format!("what serves {address} is not ready"))
}

async fn is_ready(address: SocketAddr) -> bool {
    let Ok(mut stream) = tokio::net::TcpStream::connect(address).await else { return false };
    let request =
        format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).await.is_ok()
        && stream.read_to_string(&mut answer).await.is_ok()
        && answer.contains("{\"status\":\"ok\"")
}

fn greeting(settings: &Settings, servers: &Servers, folder: &Folder, took: Duration) -> String {
    let url = roles::public_url(settings);
    let mut text = format!("\n  ChatBoard is ready, after {:.1} s.\n\n", took.as_secs_f64());
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "    {name:<12} {value}");
    };
    line("Open", &format!("{url}/"));
    line("REST API", &format!("{url}/api/docs/"));
    line("WebSockets", &format!("{url}/api/asyncapi/"));
    if servers.has_demo {
        let people: Vec<_> = demo::PEOPLE.iter().map(|(email, ..)| *email).collect();
        line("Sign in as", &people.join(", "));
        line("password", demo::PASSWORD);
    }
    for (number, edge) in servers.endpoints.edges.iter().enumerate() {
        line(if number == 0 { "Edges" } else { "" }, &format!("{edge}/ws/"));
    }
    if let Some(mail) = &servers.endpoints.mail {
        line("Mails", &format!("{mail}/"));
    }
    if let Some(s3) = &servers.endpoints.s3 {
        line("Files", s3);
    }
    line("Metrics", &format!("{}/metrics", servers.endpoints.operations));
    line("Data", &format!("{}", folder.path().display()));
    text.push_str("\n  Ctrl-C stops it.\n\n");
    text
}
