//! The deployment files name only what exists: subcommands, settings, ports, users, metrics.
//!
//! They are read line by line, as far as these files go; nothing here needs Docker.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use nats::bus::Bus;
use nats::streams::StreamSettings;
use nats::subjects::Subjects;
use runtime::config::Settings;

const ROLES: [&str; 7] = ["api", "edge", "relay", "webhooks", "notifier", "janitor", "migrate"];

fn file(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every scalar of a YAML file under the path of its keys, as far as our files go: mappings by
/// indentation, lists in brackets or by dashes (numbered), comments on lines of their own.
fn yaml(text: &str) -> BTreeMap<String, String> {
    let mut scalars = BTreeMap::new();
    let mut path: Vec<(usize, String)> = Vec::new();
    let mut items = 0;
    for line in text.lines() {
        let content = line.trim();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        path.retain(|(outer, _)| *outer < indent);
        let (key, value) = match content.strip_prefix("- ") {
            Some(item) => {
                items += 1;
                (items.to_string(), item)
            }
            None => match content.split_once(": ") {
                Some((key, value)) => (key.to_owned(), value),
                None => (content.trim_end_matches(':').to_owned(), ""),
            },
        };
        path.push((indent, key));
        if !value.is_empty() {
            let name: Vec<_> = path.iter().map(|(_, key)| key.as_str()).collect();
            scalars.insert(name.join("/"), value.trim_matches('"').to_owned());
        }
    }
    scalars
}

fn compose() -> BTreeMap<String, String> {
    yaml(&file("docker-compose.yml"))
}

/// A list in brackets.
fn list(text: &str) -> Vec<String> {
    let inner = text.trim_start_matches('[').trim_end_matches(']');
    inner.split(", ").map(|item| item.trim_matches('"').to_owned()).collect()
}

/// The instructions of the Dockerfile, continued lines joined.
fn dockerfile() -> Vec<(String, String)> {
    let joined: String = file("Dockerfile")
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .map(|line| line.strip_suffix('\\').map_or_else(|| format!("{line}\n"), str::to_owned))
        .collect();
    let instructions = joined.lines().filter_map(|line| line.split_once(' '));
    instructions.map(|(name, rest)| (name.to_owned(), rest.trim().to_owned())).collect()
}

fn instruction(name: &str) -> String {
    let found = dockerfile().into_iter().rfind(|(one, _)| one == name);
    found.unwrap_or_else(|| panic!("the Dockerfile has no {name}")).1
}

/// The settings that the image sets.
fn image_settings() -> BTreeMap<String, String> {
    let pairs = dockerfile().into_iter().filter(|(name, _)| name == "ENV");
    let pairs: Vec<String> = pairs
        .flat_map(|(_, pairs)| pairs.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    pairs
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .filter(|(name, _)| name.starts_with("CHATBOARD_"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What compose makes of `${NAME:-default}` and `${NAME:?message}`.
fn interpolated(value: &str) -> String {
    let Some((before, rest)) = value.split_once("${") else { return value.to_owned() };
    let Some((inside, after)) = rest.split_once('}') else { panic!("{value}: `${{` stays open") };
    let inside = inside.split_once(":-").map_or("secret", |(_, default)| default);
    interpolated(&format!("{before}{inside}{after}"))
}

/// The settings of a service: the image's under its own.
fn settings_of(service: &str) -> BTreeMap<String, String> {
    let prefix = format!("services/{service}/environment/");
    let mut settings = image_settings();
    settings.extend(compose().into_iter().filter_map(|(path, value)| {
        Some((path.strip_prefix(&prefix)?.to_owned(), interpolated(&value)))
    }));
    settings
}

fn port(address: &str) -> u16 {
    let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
    port.unwrap_or_else(|| panic!("{address} has no port"))
}

fn is_known(arguments: &[String]) -> bool {
    let mut help = Command::new(env!("CARGO_BIN_EXE_chatboard"));
    help.args(arguments).arg("--help").output().is_ok_and(|output| output.status.success())
}

#[test]
fn every_command_is_one_that_the_binary_knows() {
    assert_eq!(instruction("ENTRYPOINT"), r#"["chatboard"]"#);
    let compose = compose();
    for role in ROLES {
        let command = list(&compose[&format!("services/{role}/command")]);
        assert!(is_known(&command), "`chatboard {}` is unknown", command.join(" "));
    }
    assert!(!is_known(&["no-such-role".to_owned()]));
    let keys = &list(&compose["services/keys/command"])[0];
    let (_, arguments) = keys.split_once("chatboard ").expect("the service `keys` makes a key");
    let arguments: Vec<_> = arguments.split(' ').map(str::to_owned).collect();
    assert!(is_known(&arguments), "`chatboard {}` is unknown", arguments.join(" "));
    let written = arguments.last().expect("a file");
    assert_eq!(&settings_of("api")["CHATBOARD_SIGNING_KEY_FILE"], written);
}

#[test]
fn every_role_has_the_settings_that_it_needs_and_no_other() {
    let needs: [(&str, &[&str]); 7] = [
        ("api", &["DATABASE_URL", "NATS_URL", "SIGNING_KEY_FILE"]),
        ("edge", &["NATS_URL"]),
        ("relay", &["DATABASE_URL", "NATS_URL"]),
        ("webhooks", &["DATABASE_URL", "NATS_URL"]),
        ("notifier", &["DATABASE_URL", "NATS_URL"]),
        ("janitor", &["DATABASE_URL"]),
        ("migrate", &["DATABASE_URL", "NATS_URL"]),
    ];
    for (role, names) in needs {
        let variables = settings_of(role);
        let pairs: Vec<_> =
            variables.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let settings = Settings::from_sources(None, &pairs).unwrap_or_else(|error| {
            panic!("{role}: {error}");
        });
        settings.require(role, names).unwrap();
    }
    assert!(!settings_of("edge").contains_key("CHATBOARD_DATABASE_URL"));
    assert!(!settings_of("janitor").contains_key("CHATBOARD_NATS_URL"));
    let files = |role| -> BTreeMap<String, String> {
        let is_of_files = |name: &String| name.starts_with("CHATBOARD_S3_");
        settings_of(role).into_iter().filter(|(name, _)| is_of_files(name)).collect()
    };
    assert_eq!(files("api"), files("janitor"));
    for role in ["edge", "relay", "webhooks", "notifier", "migrate"] {
        assert_eq!(files(role), BTreeMap::new(), "{role} has nothing to do with files");
    }
    // Retention is the deployment's: one process sets it, once.
    assert_eq!(settings_of("migrate")["CHATBOARD_RETENTION_DAYS"], "90");
    for role in ["api", "relay", "webhooks", "notifier", "janitor"] {
        assert!(!settings_of(role).contains_key("CHATBOARD_RETENTION_DAYS"), "{role}");
    }
}

#[test]
fn every_port_is_one_that_a_role_listens_on() {
    let image = image_settings();
    let [http, ws, ops] = ["HTTP", "WS", "OPS"]
        .map(|name| port(&image[&format!("CHATBOARD_{name}_ADDR")]).to_string());
    assert_eq!(instruction("EXPOSE"), format!("{http} {ws} {ops}"));
    let caddy = file("deploy/Caddyfile");
    assert_eq!(yaml(&file("docker-compose.yml"))["name"], "chatboard");
    for number in 1..=4 {
        assert!(caddy.contains(&format!(" chatboard-api-{number}:{http}")), "{caddy}");
        assert!(caddy.contains(&format!(" chatboard-edge-{number}:{ws}")), "{caddy}");
    }
    let prometheus = yaml(&file("deploy/prometheus.yml"));
    let scraped = prometheus.iter().find(|(path, _)| path.ends_with("/port"));
    assert_eq!(scraped.map(|(_, port)| port), Some(&ops));
    let compose = file("docker-compose.yml");
    assert!(compose.contains(&format!("/dev/tcp/127.0.0.1/{ops} ")));

    // The proxy: the port it publishes, and the address that the api trusts.
    let compose = self::compose();
    let published = list(&compose["services/proxy/ports"]);
    let (outside, inside) = published[0].split_once(':').expect("a published port");
    assert!(caddy.contains(&format!("\n:{inside} {{")));
    assert!(settings_of("api")["CHATBOARD_PUBLIC_URL"].ends_with(outside));
    for role in ["api", "edge"] {
        assert_eq!(
            settings_of(role)["CHATBOARD_TRUSTED_PROXIES"],
            compose["services/proxy/networks/default/ipv4_address"],
        );
    }
}

#[test]
fn every_role_has_a_user_of_its_own_at_nats() {
    let server = file("nats/server.conf");
    let compose = compose();
    for role in ROLES.into_iter().filter(|&role| role != "janitor") {
        let url = &settings_of(role)["CHATBOARD_NATS_URL"];
        let user = format!("nats://{role}:secret@nats:");
        assert!(url.starts_with(&user), "{role} signs in as another: {url}");
        assert!(server.contains(&format!("port: {}\n", port(url))));
        let variable = format!("NATS_{}_PASSWORD", role.to_uppercase());
        let is_user = format!("user: {role}\n            password: ${variable}\n");
        assert!(server.contains(&is_user), "nats/server.conf has no {role}");
        let given = &compose[&format!("services/nats/environment/{variable}")];
        let sent = &compose[&format!("services/{role}/environment/CHATBOARD_NATS_URL")];
        let given = given.trim_matches(['\'', '"']);
        assert!(sent.contains(given), "{role} and NATS disagree on {variable}");
    }
}

#[test]
fn made_settings_have_passwords_of_their_own() {
    let script = testkit::root().join("deploy/make-env.sh");
    let made = Command::new("sh").arg(script).output().unwrap();
    let made = String::from_utf8(made.stdout).unwrap();
    let example = file("deploy/env.example");
    let passwords: BTreeSet<_> =
        made.lines().filter_map(|line| line.split_once("_PASSWORD=")).collect();
    let wanted = example.lines().filter(|line| line.contains("_PASSWORD=")).count();
    let values: BTreeSet<_> = passwords.iter().map(|(_, password)| *password).collect();
    assert_eq!((passwords.len(), values.len()), (wanted, wanted), "{made}");
    for password in values {
        let is_plain = password.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let begins_with_letter = password.starts_with(|c: char| c.is_ascii_alphabetic());
        assert!(password.len() >= 32 && is_plain && begins_with_letter, "{password}");
    }
    assert_eq!(made.lines().count(), example.lines().count());
    let others = |text: &str| -> Vec<String> {
        text.lines().filter(|line| !line.contains("_PASSWORD=")).map(str::to_owned).collect()
    };
    assert_eq!(others(&made), others(&example));
}

#[test]
fn both_shipped_nats_servers_are_set_up_alike() {
    let common = |name: &str| {
        let text = file(name);
        let (begin, end) =
            (text.find("server_name:").unwrap(), text.find("authorization {").unwrap());
        text[begin..end].to_owned()
    };
    assert_eq!(common("nats/server.conf"), common("nats/all.conf"));
}

/// The subjects that a user may publish to or subscribe to, with their wildcards.
fn allowed(user: &str, verb: &str) -> Vec<String> {
    let server = file("nats/server.conf");
    let of_user = server.split("user: ").find(|part| part.starts_with(&format!("{user}\n")));
    let of_verb = of_user.and_then(|part| part.split(&format!("{verb}: {{")).nth(1));
    let list = of_verb.and_then(|part| part.split('[').nth(1)?.split(']').next());
    let quoted = list.unwrap_or_default().split('"').skip(1).step_by(2);
    quoted.filter_map(|subject| subject.split(' ').next()).map(str::to_owned).collect()
}

fn may(user: &str, verb: &str, subject: &str) -> bool {
    let covers = |pattern: &str| {
        let (mut pattern, mut subject) = (pattern.split('.'), subject.split('.'));
        loop {
            match (pattern.next(), subject.next()) {
                (Some(">"), Some(_)) | (None, None) => return true,
                (Some("*"), Some(_)) => {}
                (Some(one), Some(other)) if one == other => {}
                _ => return false,
            }
        }
    };
    allowed(user, verb).iter().any(|pattern| covers(pattern))
}

#[test]
fn nats_lets_each_role_do_its_work_and_no_more() {
    let subjects = Subjects::new("chat");
    let (log, live) = (subjects.room_log(1.into()), subjects.room_live(1.into()));
    let (org_log, user) = (subjects.org_log(1.into()), subjects.user(1.into()));
    let (again, revoked) = (subjects.room_again(1.into()), subjects.revoked());
    let (beat, roll) = (subjects.edge_heartbeat("e1"), subjects.edge_full_sync());
    let (push, push_all) = (subjects.edge_push("e1"), subjects.edge_push_all());
    for subject in [&log, &live, &org_log, &user, &revoked, &push, &push_all] {
        assert!(may("api", "publish", subject), "the api cannot publish {subject}");
    }
    let of_node = subjects.rpc_of_node("1f", "post");
    for subject in [&subjects.rpc_all(), &of_node, &revoked] {
        assert!(may("api", "subscribe", subject), "the api cannot hear {subject}");
    }
    let counts = subjects.edge_counts();
    for subject in [&live, &beat, &roll, &counts, &subjects.rpc("open"), &of_node] {
        assert!(may("edge", "publish", subject), "an edge cannot publish {subject}");
    }
    let beats = subjects.edge_heartbeats();
    for subject in [&subjects.room_all(1.into()), &push, &push_all, &revoked, &beats, &roll] {
        assert!(may("edge", "subscribe", subject), "an edge cannot hear {subject}");
    }
    let delivery = subjects.webhook_work(1.into());
    for subject in [&delivery, &subjects.user(domain::UserId::NOWHERE)] {
        assert!(may("webhooks", "publish", subject), "the worker cannot publish {subject}");
        assert!(!may("edge", "publish", &delivery), "an edge may hand out deliveries");
    }
    assert!(!may("webhooks", "publish", &user), "the webhooks' worker may push to users");
    for subject in [&again, &org_log, &user, &push, &push_all, &delivery] {
        assert!(may("relay", "publish", subject), "the relay cannot publish {subject}");
    }
    let nobody = subjects.user(domain::UserId::NOWHERE);
    for subject in [&subjects.mail_work("digest"), &nobody] {
        assert!(may("notifier", "publish", subject), "the notifier cannot publish {subject}");
    }
    for subject in [&log, &org_log, &again, &revoked, &push, &push_all] {
        assert!(!may("notifier", "publish", subject), "the notifier may publish {subject}");
    }
    for subject in [&log, &org_log, &again, &revoked, &user, &push, &push_all] {
        assert!(!may("edge", "publish", subject), "an edge may publish {subject}");
    }
    for subject in [&subjects.rpc_all(), &of_node] {
        assert!(!may("edge", "subscribe", subject), "an edge may answer for the api");
    }
    assert!(!may("relay", "publish", &log), "the relay may write a room's log");
    let others = ["_INBOX.x.1", "_INBOX_api.x.1", "_INBOX_edge.x.1", "_INBOX_relay.x.1"];
    for other in others {
        assert!(!may("edge", "publish", other), "an edge may forge answers on {other}");
    }
    for role in ROLES.into_iter().filter(|&role| role != "janitor") {
        let own = format!("_INBOX_{role}.x.1");
        assert!(may(role, "subscribe", &own), "{role} does not hear its answers");
        for other in others.into_iter().filter(|other| *other != own) {
            assert!(!may(role, "subscribe", other), "{role} may overhear {other}");
        }
    }
    for listener in ["api", "relay", "notifier"] {
        assert!(may(listener, "subscribe", &beats), "{listener} does not hear who is online");
        assert!(may(listener, "publish", &roll), "{listener} cannot ask for full lists");
        assert!(!may(listener, "publish", &beat), "{listener} may speak for an edge");
    }
}

#[test]
fn files_go_to_a_store_that_the_roles_and_browsers_reach() {
    let (compose, api) = (compose(), settings_of("api"));
    assert_eq!(port(&api["CHATBOARD_S3_ENDPOINT"]), 9000);
    assert!(api["CHATBOARD_S3_ENDPOINT"].contains("//objects:"));
    // Through the proxy, so that TLS ends in one place.
    let published = list(&compose["services/proxy/ports"]);
    let outside = port(&api["CHATBOARD_S3_PUBLIC_ENDPOINT"]);
    assert_eq!(published[1..], [format!("{outside}:9000")]);
    assert!(file("deploy/Caddyfile").contains("\n:9000 {\n"));
    let of_store = |name: &str| &compose[&format!("services/objects/environment/{name}")];
    let of_api = |name: &str| &compose[&format!("services/api/environment/{name}")];
    assert_eq!(of_store("MINIO_ROOT_USER"), of_api("CHATBOARD_S3_ACCESS_KEY"));
    assert_eq!(of_store("MINIO_ROOT_PASSWORD"), of_api("CHATBOARD_S3_SECRET_KEY"));
    assert_eq!(of_store("MINIO_API_CORS_ALLOW_ORIGIN"), of_api("CHATBOARD_PUBLIC_URL"));
}

#[test]
fn a_new_signing_key_is_one_that_others_can_read() {
    use base64::Engine;
    let made = Command::new(env!("CARGO_BIN_EXE_chatboard")).arg("keys").output().unwrap();
    let pem = String::from_utf8(made.stdout).unwrap();
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    // PKCS#8 version 1 (RFC 8410): of version 2, with the public key, OpenSSL 3.0 says nothing good.
    assert_eq!(der.len(), 48, "a header of 16 bytes and a key of 32");
    assert_eq!(der[..5], [0x30, 0x2e, 2, 1, 0]);
    runtime::tokens::SigningKeys::parse(&pem).unwrap();
}

#[test]
fn images_are_pinned() {
    let compose = compose();
    let images = compose.iter().filter(|(path, _)| path.ends_with("/image"));
    let mut images: BTreeSet<String> = images.map(|(_, image)| image.clone()).collect();
    images.extend(
        dockerfile()
            .into_iter()
            .filter(|(name, _)| name == "FROM")
            .map(|(_, from)| from.split(' ').next().unwrap_or_default().to_owned()),
    );
    for image in images {
        let tag = image.split_once(':').map_or("", |(_, tag)| tag);
        let tag = tag.trim_start_matches("RELEASE.").trim_start_matches('v');
        let is_version = tag.starts_with(|c: char| c.is_ascii_digit());
        assert!(is_version || tag.starts_with("bookworm"), "{image} is not pinned");
    }
    let ours = format!("chatboard:{}", env!("CARGO_PKG_VERSION"));
    assert_eq!(compose["x-role/image"], ours);
}

#[test]
fn alerts_and_dashboard_use_metrics_that_exist() {
    let meter = file("common/runtime/src/meter.rs");
    for name in ["deploy/rules.yml", "deploy/grafana-dashboard.json"] {
        let text = file(name);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == ':'));
        for word in words.filter(|word| word.starts_with("chatboard_")) {
            let metric = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(meter.contains(&format!("\"{metric}\"")), "{name}: {metric} does not exist");
        }
    }
}

#[test]
fn the_example_names_every_word_that_compose_asks_for() {
    let example = file("deploy/env.example");
    for rest in file("docker-compose.yml").split("${").skip(1) {
        let name: String =
            rest.chars().take_while(|c| c.is_ascii_uppercase() || *c == '_').collect();
        assert!(example.contains(&format!("\n{name}=")), "deploy/env.example lacks {name}");
    }
}

#[tokio::test]
async fn of_a_stream_that_nats_will_not_change_is_said_that_it_may_be_deleted() {
    let servers = testkit::Servers::shared().await;
    let bus = Bus::connect(&servers.nats.url(), Subjects::new("fixed"), "test").await.unwrap();
    let mut connections = bus.connections();
    testkit::within("NATS answers", connections.wait_for(|&count| count > 0)).await.unwrap();
    let name = bus.subjects().scoped("ROOMS");
    let in_memory = testkit::json!({"name": name, "subjects": bus.subjects().rooms_stream(),
        "retention": "limits", "storage": "memory", "num_replicas": 1});
    let create = format!("$JS.API.STREAM.CREATE.{name}");
    bus.client().request(create, in_memory.to_string().into()).await.unwrap();
    let refused = nats::streams::migrate(&bus, StreamSettings::default()).await.unwrap_err();
    assert!(format!("{refused:#}").contains("may then be deleted"), "{refused:#}");
    let delete = format!("$JS.API.STREAM.DELETE.{name}");
    bus.client().request(delete, String::new().into()).await.unwrap();
    nats::streams::migrate(&bus, StreamSettings::default()).await.unwrap();
}
