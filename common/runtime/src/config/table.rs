//! Every setting there is.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use domain::registration::{EmailDomain, EmailVerification, RegistrationMode};
use ipnet::IpNet;

use super::host::HostName;
use super::load::{ConfigError, Reader};
use super::uploads::MediaType;
use super::value::{
    LogFilter, LogFormat, Name, NatsUrl, Origin, PostgresUrl, Replicas, Secret, SecretUrl, Setting,
    WebUrl,
};
use super::{Effective, Spec};

macro_rules! settings {
    ($($section:literal {
        $($field:ident: $type:ty = $default:literal $(in $range:expr)?, $name:literal, $doc:literal;)*
    })*) => {
        /// Every setting of every role. See `docs/config.md`.
        #[derive(Clone, Debug)]
        pub struct Settings {
            $($(#[doc = $doc] pub $field: $type,)*)*
            effective: Vec<Effective>,
        }

        /// The table, in the order of the documentation.
        pub(super) const SPECS: &[Spec] = &[$($(Spec {
            section: $section,
            name: $name,
            kind: <$type as Setting>::KIND,
            default: $default,
            doc: $doc,
            is_secret: <$type as Setting>::IS_SECRET,
        },)*)*];

        impl Settings {
            /// Reads every setting; the reader keeps the faults.
            pub(super) fn read(reader: &mut Reader) -> Result<Self, ConfigError> {
                $($(let $field = reader.read::<$type>($name)
                    $(.filter(|value| reader.is_within($name, value, $range)))?;)*)*
                let effective = reader.finish()?;
                // Without faults every setting has a value.
                match ($($($field,)*)*) {
                    ($($(Some($field),)*)*) => Ok(Self { $($($field,)*)* effective }),
                    _ => Err(ConfigError::default()),
                }
            }

            /// Every setting with its value in effect.
            pub fn effective(&self) -> &[Effective] {
                &self.effective
            }
        }
    };
}

settings! {
    "Record and bus" {
        database_url: Option<PostgresUrl> = "", "DATABASE_URL",
            "Where Postgres is: `postgres://user:password@host:5432/name`. Needed by all roles but `edge`; without it `dev` starts a Postgres of its own.";
        database_connections: u32 = "0" in 0..=1_000, "DATABASE_CONNECTIONS",
            "Connections to Postgres that one process may hold, at least 2. 0 is the number of its role: `api` 20, `webhooks` 6, `relay` and `notifier` 4, `janitor` 3, and their sum for `all` and `dev`. See `docs/operations.md` for the sum over a deployment.";
        nats_url: Option<NatsUrl> = "", "NATS_URL",
            "Where NATS is: `nats://host:4222`, several separated by commas. Needed by all roles; without it `dev` starts a nats-server of its own.";
        nats_allow_unauthenticated: bool = "false", "NATS_ALLOW_UNAUTHENTICATED",
            "Whether to start on a nats-server that accepts connections without a sign-in. Anyone who can connect to such a server can read and write every room in anyone's name. `dev` does not ask.";
        nats_prefix: Name = "chat", "NATS_PREFIX",
            "How every subject begins, so that several deployments can share one NATS.";
        nats_replicas: Replicas = "1", "NATS_REPLICAS",
            "Copies that a NATS cluster keeps of each stream: 1, 3 or 5, and no more than it has servers.";
        nats_rooms_mib: u32 = "1024" in 0..=1_048_576, "NATS_ROOMS_MIB",
            "MiB that the stream ROOMS may hold, in each copy; beyond that, and after 24 hours, its oldest events are dropped, which loses nothing. JetStream reserves that much, so it must fit into `max_file_store` of nats-server; 0 is no bound. `chatboard migrate` changes an existing stream.";
    }
    "Serving" {
        http_addr: SocketAddr = "127.0.0.1:8080", "HTTP_ADDR",
            "Where the REST api listens.";
        ws_addr: Option<SocketAddr> = "", "WS_ADDR",
            "Where an edge listens for WebSockets. Without it, or when equal to `CHATBOARD_HTTP_ADDR`, `all` and `dev` serve both on one port.";
        ops_addr: SocketAddr = "127.0.0.1:9464", "OPS_ADDR",
            "Where metrics and health are served; never make it public.";
        public_url: Option<Origin> = "", "PUBLIC_URL",
            "What clients reach us under, for the links in answers: `https://chat.example.org`, without a path. Without it, `http://localhost` with the port of `CHATBOARD_HTTP_ADDR`.";
        allowed_origins: Vec<Origin> = "", "ALLOWED_ORIGINS",
            "Other origins whose pages may call us: `https://chat.example.org`, separated by commas.";
        allowed_hosts: Vec<HostName> = "", "ALLOWED_HOSTS",
            "Host names, without port, under which the page is served besides `CHATBOARD_PUBLIC_URL`, separated by commas: an `Origin` that equals the request's `Host` counts as our own for these and for IP addresses alone. Without it, for any host: set it where browsers reach a server that the Internet does not, so that no foreign name can be made to lead to it (DNS rebinding).";
        api_docs: bool = "true", "API_DOCS",
            "Whether Swagger UI is served at `/api/docs/`. It shares its origin with the page; the OpenAPI document at `/api/schema/` is served in any case.";
        trusted_proxies: Vec<IpNet> = "", "TRUSTED_PROXIES",
            "Addresses and networks of proxies whose `X-Forwarded-For` counts, as `192.0.2.7` or `10.0.0.0/8`, separated by commas. The same for every `api` and `edge`.";
        drain_delay: Duration = "4s" in Duration::ZERO..=Duration::from_secs(60), "DRAIN_DELAY",
            "How long an `api` or `edge` that gets SIGTERM serves as before while `/health/ready` is 503, so that load balancers send new work elsewhere before it closes its listeners. A stop takes this long and up to 25 s more. `dev` does not wait.";
    }
    "Sign-in" {
        signing_key_file: Option<PathBuf> = "", "SIGNING_KEY_FILE",
            "The file with the key that signs access tokens, as `chatboard keys` writes it. Needed by `api`; `dev` makes one.";
        access_token_ttl: Duration = "15m" in Duration::from_secs(1)..=Duration::from_secs(86_400), "ACCESS_TOKEN_TTL",
            "How long an access token lives.";
        refresh_token_ttl: Duration = "7d" in Duration::from_secs(1)..=Duration::from_secs(366 * 86_400), "REFRESH_TOKEN_TTL",
            "How long a refresh token lives, from its issue.";
    }
    "Registration" {
        registration: RegistrationMode = "open", "REGISTRATION",
            "Who may create an account: `open` is anyone (with `CHATBOARD_REGISTRATION_DOMAINS`, addresses of these and invited people), `invite` invited people and addresses of these domains, `closed` nobody.";
        registration_domains: Vec<EmailDomain> = "", "REGISTRATION_DOMAINS",
            "Domains whose addresses may register without an invite, as `example.org`, separated by commas; subdomains count as others. A domain means something only where `CHATBOARD_EMAIL_VERIFICATION` is `required`.";
        email_verification: EmailVerification = "off", "EMAIL_VERIFICATION",
            "`required`: until a new account has opened the link mailed to it, it creates and joins no organization, invites nobody and is not found by its address; after 7 days it is removed. Needs `CHATBOARD_SMTP_URL`. A mailed invite proves the address too. `off`: addresses are believed, and shown as unverified. The same for every `api`.";
        invite_mails_per_day: u32 = "100", "INVITE_MAILS_PER_DAY",
            "Invite mails per account, and per organization, in a day (UTC). 0 switches the limit off.";
        invite_mails_per_address: u32 = "3", "INVITE_MAILS_PER_ADDRESS",
            "Invite mails to one mailbox in a day (UTC), from all organizations; `ada+1@` and `ada+2@` are one. 0 switches the limit off.";
        mails_per_client: u32 = "500", "MAILS_PER_CLIENT",
            "Invite mails, and links that verify an address, that requests from one address cause in a day (UTC). An IPv6 address counts as its /64, and a /48 has 16 times the limit. 0 switches the limit off.";
        organizations_per_account: u32 = "10", "ORGANIZATIONS_PER_ACCOUNT",
            "Organizations that one account may have created; deleted ones do not count. 0 switches the limit off.";
    }
    "Limits" {
        requests_per_minute: u32 = "100", "REQUESTS_PER_MINUTE",
            "Requests per user and minute, or per address where there is no user. An IPv6 address counts as its /64, and a /48 has 16 times the limit. 0 switches the limit off.";
        sign_ins_per_minute: u32 = "10", "SIGN_INS_PER_MINUTE",
            "Sign-ins and registrations per address and e-mail in a minute, and password resets; six times as many per address; ten times as many failed sign-ins per e-mail in an hour from addresses and devices that the account has not used before. 0 switches the limits off.";
        socket_frames_per_second: u32 = "20", "SOCKET_FRAMES_PER_SECOND",
            "Frames per second that a WebSocket may send. 0 switches the limit off.";
        user_frames_per_second: u32 = "40", "USER_FRAMES_PER_SECOND",
            "Frames per second that a user may send over all WebSockets and edges, of at most 512 KiB together, 2 MiB at once. 0 switches the limits off.";
        user_replay_kib_per_second: u32 = "2048", "USER_REPLAY_KIB_PER_SECOND",
            "KiB per second that are replayed to a user over all WebSockets and edges; further replay waits. 0 switches the limit off.";
        sockets_max: u32 = "100000" in 1..=10_000_000, "SOCKETS_MAX",
            "WebSockets that one edge holds at once; further ones are closed with 1013. One user has at most 100 of them on an edge.";
        connections_per_address: u32 = "1024", "CONNECTIONS_PER_ADDRESS",
            "Connections, besides WebSockets, that one client address may have open; a quarter of them may be without a complete request. Those of trusted proxies are not counted. 0 switches the limit off.";
        open_requests_per_address: u32 = "256", "OPEN_REQUESTS_PER_ADDRESS",
            "Requests of one client address that may be open at once: unanswered, or with an answer that the client has not read. 0 switches the limit off.";
        open_requests_per_user: u32 = "64", "OPEN_REQUESTS_PER_USER",
            "The same for one user, on one node. 0 switches the limit off.";
        post_batch_max: u32 = "256" in 1..=10_000, "POST_BATCH_MAX",
            "Messages that one commit may gather. 1 commits each by itself.";
    }
    "Webhooks" {
        webhook_allowed_networks: Vec<IpNet> = "", "WEBHOOK_ALLOWED_NETWORKS",
            "Networks besides the public Internet that webhooks may reach, as `10.0.0.0/8`, separated by commas; `dev` allows the loopback.";
        webhook_resolvers: Vec<SocketAddr> = "", "WEBHOOK_RESOLVERS",
            "Name servers that resolve the hosts of webhooks, as `9.9.9.9:53`, separated by commas. Without it, `/etc/hosts` and the name servers of `/etc/resolv.conf`; both files are read again within 30 s of a change.";
        webhook_retry_schedule: Vec<Duration> = "5s,30s,2m,10m,1h,6h,24h", "WEBHOOK_RETRY_SCHEDULE",
            "The pauses between attempts of a delivery; after the last it has failed.";
    }
    "Mail" {
        smtp_url: Option<SecretUrl> = "", "SMTP_URL",
            "Where mail is handed over: `smtp://user:password@host:587`, with TLS when the server offers it (`?tls=required` insists, as a password does unless the server is on this machine; `?tls=none` never uses it), or `smtps://…`. Without it mails wait, and `dev` catches them and shows them in the browser.";
        mail_from: String = "", "MAIL_FROM",
            "The sender of mails: `Name <address>`. Without it, `no-reply` at the host of `CHATBOARD_PUBLIC_URL`.";
        mail_delay: Duration = "1m" in Duration::ZERO..=Duration::from_secs(86_400), "MAIL_DELAY",
            "How long a notification may stay unread before it is mailed to who is not online.";
    }
    "Files" {
        s3_endpoint: Option<WebUrl> = "", "S3_ENDPOINT",
            "Where the object store for files is, of any kind that speaks S3: `https://s3.example.org`. Without it and with a bucket, Amazon's own; without either there are no uploads, and `dev` keeps them in its folder.";
        s3_public_endpoint: Option<WebUrl> = "", "S3_PUBLIC_ENDPOINT",
            "What browsers reach the object store under, where that is another address.";
        s3_bucket: String = "", "S3_BUCKET",
            "The bucket for files. It is made at the start unless it is there; its CORS rules must allow PUT and GET from the origins of `CHATBOARD_PUBLIC_URL` and `CHATBOARD_ALLOWED_ORIGINS`.";
        s3_region: String = "us-east-1", "S3_REGION",
            "The bucket's region.";
        s3_access_key: String = "", "S3_ACCESS_KEY",
            "The id of the key to the object store.";
        s3_secret_key: Option<Secret> = "", "S3_SECRET_KEY",
            "The key to the object store.";
        s3_path_style: bool = "true", "S3_PATH_STYLE",
            "Whether the bucket stands in the path, as most stores want it, and not in the host.";
        upload_max_mib: u32 = "100" in 1..=5_000, "UPLOAD_MAX_MIB",
            "MiB that one file may have.";
        upload_types: Vec<MediaType> = "", "UPLOAD_TYPES",
            "Media types that can be uploaded, separated by commas: `image/png,application/pdf`. Empty allows every type.";
        user_quota_mib: u32 = "10240", "USER_QUOTA_MIB",
            "MiB that one person's files may have together; 0 is no limit.";
        org_quota_mib: u32 = "102400", "ORG_QUOTA_MIB",
            "MiB that the files posted in one organization may have together; 0 is no limit.";
    }
    "Retention" {
        retention_days: u32 = "90" in 0..=36_500, "RETENTION_DAYS",
            "Days after which messages expire: they are served no more and then removed; 0 keeps all. It is a setting of the deployment, kept in Postgres: this variable sets it once, when a role or `chatboard migrate` starts and the deployment has none yet (the default counts only where there are no organizations yet). Afterwards another value is a warning in the log and changes nothing; `chatboard admin retention` shows and changes it. Until it is set, every message is kept. An organization's ADMIN can set fewer days.";
    }
    "Logs" {
        log: LogFilter = "info,sqlx=warn", "LOG",
            "What is logged: `info`, or by module as in `info,edge=debug`.";
        log_format: LogFormat = "pretty", "LOG_FORMAT",
            "How it is logged.";
    }
    "Development" {
        config_file: Option<PathBuf> = "", "CONFIG_FILE",
            "The TOML file with settings, as `--config` names it. Not a key of that file.";
        data_dir: PathBuf = ".chatboard", "DATA_DIR",
            "Where `dev` keeps its data, its key and `endpoints.json`.";
    }
}
