//! The types that settings have: how each is read and how it is shown.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// A type that a setting may have.
pub(super) trait Setting: Sized {
    /// What a value looks like, for the documentation.
    const KIND: &'static str;
    /// Whether values are never shown.
    const IS_SECRET: bool = false;

    /// Reads a value; the error says what would have been right.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value without secrets; empty for none.
    fn show(&self) -> String;
}

/// A word that is never shown.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// The word itself. Never log it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for Secret {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Setting for Secret {
    const KIND: &'static str = "secret";
    const IS_SECRET: bool = true;

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self(text.to_owned()))
    }

    fn show(&self) -> String {
        "***".to_owned()
    }
}

macro_rules! secret_urls {
    ($($(#[$doc:meta])* $type:ident, $kind:literal, $schemes:expr, $allows_several:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone)]
        pub struct $type(String);

        impl $type {
            /// The address with its password. Never log it.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                Self::parse(text)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.show())
            }
        }

        impl fmt::Display for $type {
            /// Without the password.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.show())
            }
        }

        impl Setting for $type {
            const KIND: &'static str = $kind;

            fn parse(text: &str) -> Result<Self, String> {
                let schemes: &[&str] = &$schemes;
                let are_good = split(text).all(|one| is_url(one, schemes));
                let is_one = split(text).count() == 1;
                if are_good && (is_one || $allows_several) {
                    Ok(Self(split(text).collect::<Vec<_>>().join(",")))
                } else {
                    Err(format!("is no address of the form {}://host:port", schemes[0]))
                }
            }

            fn show(&self) -> String {
                self.0.split(',').map(redacted).collect::<Vec<_>>().join(",")
            }
        }
    )*};
}

secret_urls! {
    /// The address of Postgres. Shown without its password.
    PostgresUrl, "URL", ["postgres", "postgresql"], false;
    /// The addresses of NATS, separated by commas. Shown without passwords.
    NatsUrl, "URL, or several", ["nats", "tls", "ws", "wss"], true;
    /// The address of a mail server. Shown without its password.
    SecretUrl, "URL", ["smtp", "smtps"], false;
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|one| !one.is_empty())
}

fn is_url(text: &str, schemes: &[&str]) -> bool {
    url::Url::parse(text).is_ok_and(|url| schemes.contains(&url.scheme()) && url.has_host())
}

/// An address without its password: everything up to the last `@` is taken for the user's part,
/// since an unescaped password may hold `/` and `@`.
pub(super) fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let rest = match rest.rsplit_once('@') {
        None => rest.to_owned(),
        Some((user, rest)) => match user.split_once(':') {
            Some((user, _)) => format!("{user}:***@{rest}"),
            // NATS takes a bare word for a token.
            None if scheme == "nats" || scheme == "tls" => format!("***@{rest}"),
            None => format!("{user}@{rest}"),
        },
    };
    let Some((path, query)) = rest.split_once('?') else { return format!("{scheme}://{rest}") };
    let query: Vec<_> = query
        .split('&')
        .map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.contains("pass") || name.contains("secret") => {
                format!("{name}=***")
            }
            _ => pair.to_owned(),
        })
        .collect();
    format!("{scheme}://{path}?{}", query.join("&"))
}

/// An http or https address, without a slash at its end.
#[derive(Clone, Debug)]
pub struct WebUrl(String);

impl WebUrl {
    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for WebUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::parse(text)
    }
}

impl Setting for WebUrl {
    const KIND: &'static str = "URL";

    fn parse(text: &str) -> Result<Self, String> {
        let url = url::Url::parse(text).ok();
        let is_plain = |url: &url::Url| {
            url.query().is_none() && url.fragment().is_none() && url.username().is_empty()
        };
        if is_url(text, &["http", "https"]) && url.as_ref().is_some_and(is_plain) {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err("is no address of the form https://host".to_owned())
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// Scheme, host and port of a page.
#[derive(Clone, Debug)]
pub struct Origin(String);

impl Origin {
    /// The origin as browsers write it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Origin {
    const KIND: &'static str = "origin";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no origin of the form https://host or https://host:port");
        let url = url::Url::parse(text).map_err(|_| wrong())?;
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let origin = url.origin();
        if !is_bare || !origin.is_tuple() || !matches!(url.scheme(), "http" | "https") {
            return Err(wrong());
        }
        Ok(Self(origin.ascii_serialization()))
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// A word that can stand in a subject and in the name of a stream.
#[derive(Clone, Debug)]
pub struct Name(String);

impl Name {
    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Name {
    const KIND: &'static str = "word";

    fn parse(text: &str) -> Result<Self, String> {
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if (1..=64).contains(&text.len()) && text.chars().all(is_good) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 64 of A-Z, a-z, 0-9, _ and -".to_owned())
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// What is logged, as tracing-subscriber's `EnvFilter` reads it.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter's text, which has been read once without fault.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for LogFilter {
    const KIND: &'static str = "filter";

    fn parse(text: &str) -> Result<Self, String> {
        match tracing_subscriber::EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!("is no filter: {error}")),
        }
    }

    fn show(&self) -> String {
        self.0.clone()
    }
}

/// How lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

impl Setting for LogFormat {
    const KIND: &'static str = "`json` or `pretty`";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "json" => Ok(Self::Json),
            "pretty" => Ok(Self::Pretty),
            _ => Err(format!("{text:?} is neither `json` nor `pretty`")),
        }
    }

    fn show(&self) -> String {
        match self {
            Self::Json => "json".to_owned(),
            Self::Pretty => "pretty".to_owned(),
        }
    }
}

impl Setting for u32 {
    const KIND: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?} is no whole number from 0 to {}", u32::MAX))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for bool {
    const KIND: &'static str = "true or false";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(format!("{text:?} is neither true nor false")),
        }
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

impl Setting for String {
    const KIND: &'static str = "text";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }

    fn show(&self) -> String {
        self.clone()
    }
}

impl Setting for PathBuf {
    const KIND: &'static str = "path";

    fn parse(text: &str) -> Result<Self, String> {
        Ok(Self::from(text))
    }

    fn show(&self) -> String {
        self.display().to_string()
    }
}

impl Setting for IpNet {
    const KIND: &'static str = "network";

    fn parse(text: &str) -> Result<Self, String> {
        let single = |address: IpAddr| Self::from(address.to_canonical());
        text.parse()
            .or_else(|_| text.parse().map(single))
            .map_err(|_| format!("{text:?} is no network of the form 10.0.0.0/8 and no address"))
    }

    fn show(&self) -> String {
        if self.prefix_len() == self.max_prefix_len() {
            self.addr().to_string()
        } else {
            self.to_string()
        }
    }
}

impl Setting for SocketAddr {
    const KIND: &'static str = "IP address and port";

    fn parse(text: &str) -> Result<Self, String> {
        let text = text.replacen("localhost:", "127.0.0.1:", 1);
        text.parse().map_err(|_| format!("{text:?} is no address of the form 0.0.0.0:8080"))
    }

    fn show(&self) -> String {
        self.to_string()
    }
}

/// How many copies a cluster keeps: an even number would survive no more than the odd one below.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Replicas(usize);

impl Replicas {
    /// The number.
    pub fn count(self) -> usize {
        self.0
    }
}

impl Setting for Replicas {
    const KIND: &'static str = "number";

    fn parse(text: &str) -> Result<Self, String> {
        match text {
            "1" => Ok(Self(1)),
            "3" => Ok(Self(3)),
            "5" => Ok(Self(5)),
            _ => Err(format!("{text:?} is not 1, 3 or 5")),
        }
    }

    fn show(&self) -> String {
        self.0.to_string()
    }
}

const UNITS: [(&str, u64); 5] =
    [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

impl Setting for Duration {
    const KIND: &'static str = "duration (`30s`, `15m`, `1h30m`, `7d`)";

    fn parse(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is no duration: write 500ms, 30s, 15m, 1h30m or 7d");
        let mut millis = 0_u64;
        let mut rest = text.trim();
        if rest.is_empty() {
            return Err(wrong());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
            let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
            rest = &rest[digits..];
            let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
            let (_, unit) = UNITS
                .into_iter()
                .find(|(unit, _)| *unit == rest[..letters].trim())
                .ok_or_else(wrong)?;
            millis = number
                .checked_mul(unit)
                .and_then(|part| millis.checked_add(part))
                .ok_or_else(wrong)?;
            rest = &rest[letters..];
        }
        Ok(Self::from_millis(millis))
    }

    fn show(&self) -> String {
        let millis = u64::try_from(self.as_millis()).unwrap_or(u64::MAX);
        let unit = UNITS.into_iter().find(|(_, unit)| millis >= *unit && millis % unit == 0);
        unit.map_or_else(|| "0s".to_owned(), |(name, unit)| format!("{}{name}", millis / unit))
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: &'static str = T::KIND;
    const IS_SECRET: bool = T::IS_SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::parse(text).map(Some) }
    }

    fn show(&self) -> String {
        self.as_ref().map(Setting::show).unwrap_or_default()
    }
}

impl<T: Setting> Setting for Vec<T> {
    const KIND: &'static str = "list";
    const IS_SECRET: bool = T::IS_SECRET;

    fn parse(text: &str) -> Result<Self, String> {
        split(text).map(T::parse).collect()
    }

    fn show(&self) -> String {
        self.iter().map(Setting::show).collect::<Vec<_>>().join(",")
    }
}
