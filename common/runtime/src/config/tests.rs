//! Precedence, faults and secrets.

use std::path::Path;
use std::time::Duration;

use super::value::{Setting, redacted};
use super::{Settings, Source};

#[test]
fn defaults_have_no_faults() {
    let settings = Settings::from_sources(None, &[]).unwrap();
    assert_eq!(settings.access_token_ttl, Duration::from_secs(900));
    assert_eq!(settings.webhook_retry_schedule.len(), 7);
    assert!(settings.database_url.is_none());
}

#[test]
fn the_environment_beats_the_file_and_the_file_the_defaults() {
    let file = "requests_per_minute = 7\nsign_ins_per_minute = 8\nallowed_origins = [\"https://a.example\", \"https://b.example:8443\"]\n";
    let settings = Settings::from_sources(
        Some((Path::new("chat.toml"), file)),
        &[("CHATBOARD_REQUESTS_PER_MINUTE", "9"), ("CHATBOARD_LOG", ""), ("HOME", "/")],
    )
    .unwrap();
    assert_eq!(settings.requests_per_minute, 9);
    assert_eq!(settings.sign_ins_per_minute, 8);
    assert_eq!(settings.allowed_origins[1].as_str(), "https://b.example:8443");
    let sources: Vec<_> = settings
        .effective()
        .iter()
        .filter(|one| one.spec.name.ends_with("_PER_MINUTE"))
        .map(|one| one.source.clone())
        .collect();
    assert_eq!(sources, [Source::Environment, Source::File("chat.toml".into())]);
}

#[test]
fn every_fault_is_told_at_once_and_names_its_option() {
    let file = "databse_url = \"x\"\nlog_format = \"xml\"\nhttp_addr = { port = 1 }\n";
    let error = Settings::from_sources(
        Some((Path::new("chat.toml"), file)),
        &[
            ("CHATBOARD_HTTP_ADR", "127.0.0.1:1"),
            ("CHATBOARD_ACCESS_TOKEN_TTL", "soon"),
            ("CHATBOARD_NATS_REPLICAS", "9"),
            ("CHATBOARD_TEST_SECONDS", "9"),
        ],
    )
    .unwrap_err();
    assert_eq!(
        error.faults,
        [
            "CHATBOARD_HTTP_ADR: unknown variable, did you mean CHATBOARD_HTTP_ADDR?",
            "chat.toml: unknown key `databse_url`, did you mean database_url?",
            "chat.toml: `http_addr` must be text, number, true or false, or a list",
            "CHATBOARD_NATS_REPLICAS (environment): \"9\" is not 1, 3 or 5",
            "CHATBOARD_ACCESS_TOKEN_TTL (environment): \"soon\" is no duration: write 500ms, 30s, 15m, 1h30m or 7d",
            "chat.toml: `log_format` \"xml\" is neither `json` nor `pretty`",
        ]
    );
}

#[test]
fn secrets_are_never_shown() {
    let settings = Settings::from_sources(
        None,
        &[
            ("CHATBOARD_DATABASE_URL", "postgres://chat:hunter2@db/chat?sslpassword=hunter2"),
            ("CHATBOARD_NATS_URL", "nats://hunter2@a:4222, nats://u:hunter2@b:4222"),
            ("CHATBOARD_S3_SECRET_KEY", "hunter2"),
            ("CHATBOARD_SMTP_URL", "smtp://u:hunter2@mail:587"),
        ],
    )
    .unwrap();
    assert!(!settings.show().contains("hunter2"), "{}", settings.show());
    assert!(!format!("{settings:?}").contains("hunter2"));
    assert!(settings.show().contains("postgres://chat:***@db/chat?sslpassword=***"));
    assert_eq!(redacted("postgres://u:p/a@s@s@host/db"), "postgres://u:***@host/db");
}

#[test]
fn a_wrong_secret_is_not_repeated() {
    let error =
        Settings::from_sources(None, &[("CHATBOARD_DATABASE_URL", "mysql://u:hunter2@h/d")])
            .unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
}

#[test]
fn what_a_role_needs_is_named() {
    let settings = Settings::from_sources(None, &[]).unwrap();
    let error = settings.require("api", &["DATABASE_URL", "HTTP_ADDR"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "CHATBOARD_DATABASE_URL: needed by `chatboard api` (or `database_url` in a file)"
    );
}

#[test]
fn durations_read_as_they_are_shown() {
    for text in ["500ms", "30s", "15m", "1h", "7d", "90m"] {
        assert_eq!(Duration::parse(text).unwrap().show(), text);
    }
    assert_eq!(Duration::parse("1h30m").unwrap(), Duration::from_secs(5_400));
    for text in ["", "5", "h", "5x", "-1s", "99999999999999999999s", "9999999999999999d"] {
        assert!(Duration::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_public_url_with_a_path_and_types_that_are_none_are_refused() {
    let error = Settings::from_sources(
        None,
        &[
            ("CHATBOARD_PUBLIC_URL", "https://example.org/chat"),
            ("CHATBOARD_UPLOAD_TYPES", "image/png,jpeg"),
        ],
    )
    .unwrap_err();
    assert_eq!(
        error.faults,
        [
            "CHATBOARD_PUBLIC_URL (environment): \"https://example.org/chat\" is no origin of the form https://host or https://host:port",
            "CHATBOARD_UPLOAD_TYPES (environment): \"jpeg\" is no media type of the form image/png",
        ]
    );
    for types in ["image/*", "text/plain; charset=utf-8", "text/"] {
        assert!(Settings::from_sources(None, &[("CHATBOARD_UPLOAD_TYPES", types)]).is_err());
    }
    let settings = Settings::from_sources(
        None,
        &[
            ("CHATBOARD_PUBLIC_URL", "https://example.org/"),
            ("CHATBOARD_UPLOAD_TYPES", "image/PNG,application/octet-stream"),
        ],
    )
    .unwrap();
    assert_eq!(settings.public_url.unwrap().as_str(), "https://example.org");
    let types: Vec<_> = settings.upload_types.iter().map(super::MediaType::as_str).collect();
    assert_eq!(types, ["image/png", "application/octet-stream"]);
}

#[test]
fn a_password_of_the_example_is_refused_wherever_it_stands() {
    let with = |name: &str, value: &str| {
        let settings = Settings::from_sources(None, &[(name, value)]).unwrap();
        settings.require("edge", &[]).map_err(|error| error.to_string())
    };
    for (name, value) in [
        ("CHATBOARD_NATS_URL", "nats://edge:change4me@nats:4222"),
        ("CHATBOARD_NATS_URL", "nats://edge:good@a:4222,nats://edge:change10me@b:4222"),
        ("CHATBOARD_DATABASE_URL", "postgres://chatboard_app:change2me@postgres:5432/chatboard"),
        ("CHATBOARD_S3_SECRET_KEY", "change9me"),
    ] {
        let refused = with(name, value).unwrap_err();
        assert!(
            refused.starts_with(&format!("{name} (environment): has a password of")),
            "{refused}"
        );
        assert!(!refused.contains(value) && refused.lines().count() == 1, "{refused}");
    }
    for value in ["changeme", "change1meeting", "exchange1me", "change1"] {
        with("CHATBOARD_S3_SECRET_KEY", value).unwrap();
    }
}

#[test]
fn a_file_may_say_true_and_false_without_quotes() {
    let file = Some((Path::new("chat.toml"), "nats_allow_unauthenticated = true\n"));
    assert!(Settings::from_sources(file, &[]).unwrap().nats_allow_unauthenticated);
}
