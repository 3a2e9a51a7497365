//! What the store refuses before anything is looked up or written.
//!
//! **Invariants:** what passes is signed by version 4, in the query or in a header (whether the
//! signature is right is checked behind the gate), and in time; it is about the one bucket, or one
//! key of it whose spelling is a plain path below the bucket's folder; a signed address says all:
//! no `x-amz-` header may be added to it.

use std::time::Duration;

use axum::extract::Request;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use domain::Timestamp;

use super::BUCKET;

/// Characters of a key: what is told of an object is a file whose name is made from it.
const KEY_CHARS_MAX: usize = 150;
/// Bytes of one object, as many as any S3 takes by one PUT.
const OBJECT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// How far the clocks of others may be off.
const SKEW_MAX: Duration = Duration::from_secs(900);
/// How long an address may live.
const LIFETIME_MAX: u64 = 7 * 24 * 3600;
/// What may be asked of a bucket or an object besides the signature and what it is to be called.
const PARAMETERS: [&str; 11] = [
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "list-type",
    "location",
    "marker",
    "max-keys",
    "prefix",
    "start-after",
    "x-id",
];

/// Why a request is refused: the status, the code, the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refusal(StatusCode, &'static str, &'static str);

const UNSIGNED: Refusal =
    Refusal(StatusCode::FORBIDDEN, "AccessDenied", "The request is not signed by version 4.");
const SIGNED_TWICE: Refusal =
    Refusal(StatusCode::BAD_REQUEST, "InvalidArgument", "The request is signed twice.");
const MALFORMED: Refusal = Refusal(
    StatusCode::BAD_REQUEST,
    "AuthorizationQueryParametersError",
    "The signed address is malformed.",
);
const EXPIRED: Refusal = Refusal(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
const SKEWED: Refusal = Refusal(
    StatusCode::FORBIDDEN,
    "RequestTimeTooSkewed",
    "The request's time is too far from the store's.",
);
const HEADERS_UNSIGNED: Refusal = Refusal(
    StatusCode::FORBIDDEN,
    "AccessDenied",
    "There were headers present in the request which were not signed",
);
const NO_BUCKET: Refusal =
    Refusal(StatusCode::NOT_FOUND, "NoSuchBucket", "There is no such bucket.");
const BAD_KEY: Refusal = Refusal(
    StatusCode::BAD_REQUEST,
    "InvalidArgument",
    "A key is made of letters, digits and .-_ with single slashes between.",
);
const NOT_OFFERED: Refusal =
    Refusal(StatusCode::NOT_IMPLEMENTED, "NotImplemented", "This store does not do that.");
const NO_LENGTH: Refusal = Refusal(
    StatusCode::LENGTH_REQUIRED,
    "MissingContentLength",
    "The length must be told before the bytes.",
);
const TOO_LARGE: Refusal =
    Refusal(StatusCode::BAD_REQUEST, "EntityTooLarge", "An object has at most 5 GiB.");
/// Two put the same key at once.
pub(super) const IS_BEING_PUT: Refusal = Refusal(
    StatusCode::CONFLICT,
    "ConditionalRequestConflict",
    "The object is being put at this moment.",
);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
             <Error><Code>{code}</Code><Message>{message}</Message></Error>"
        );
        (status, [(header::CONTENT_TYPE, "application/xml")], text).into_response()
    }
}

/// What a request that passed is about.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// The object's key; none when it is about the bucket, or all of them.
    pub(super) key: Option<String>,
}

/// Lets a request in, or says why not. `now` is the time that addresses live by, and the system's.
pub(super) fn check(request: &Request, now: (Timestamp, Timestamp)) -> Result<Asked, Refusal> {
    let query = Query::read(request.uri().query().unwrap_or_default())?;
    check_signature(&query, request.headers(), now)?;
    let asked = Asked { key: key_in(request.uri().path())? };
    let is_known = |name: &str| {
        name.starts_with("X-Amz-") || name.starts_with("response-") || PARAMETERS.contains(&name)
    };
    let is_about_all = request.uri().path() == "/";
    let is_offered = match *request.method() {
        Method::GET => true,
        Method::HEAD | Method::PUT => !is_about_all,
        Method::DELETE => asked.key.is_some(),
        _ => false,
    };
    let is_copy = request.headers().contains_key("x-amz-copy-source");
    if !is_offered || is_copy || !query.0.iter().all(|(name, _)| is_known(name)) {
        return Err(NOT_OFFERED);
    }
    if request.method() == Method::PUT && asked.key.is_some() {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if length.ok_or(NO_LENGTH)? > OBJECT_BYTES_MAX {
            return Err(TOO_LARGE);
        }
    }
    Ok(asked)
}

/// The key that a path names, if it names one.
fn key_in(path: &str) -> Result<Option<String>, Refusal> {
    let path = path.strip_prefix('/').ok_or(BAD_KEY)?;
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    match (bucket, key) {
        ("" | BUCKET, "") => Ok(None),
        (BUCKET, key) => {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let is_part = |part: &str| {
                !part.is_empty() && !part.starts_with('.') && part.chars().all(is_plain)
            };
            let is_good = key.len() <= KEY_CHARS_MAX && key.split('/').all(is_part);
            if is_good { Ok(Some(key.to_owned())) } else { Err(BAD_KEY) }
        }
        _ => Err(NO_BUCKET),
    }
}

/// The parameters of an address, as they are spelled, in their order.
struct Query<'a>(Vec<(&'a str, &'a str)>);

impl<'a> Query<'a> {
    fn read(text: &'a str) -> Result<Self, Refusal> {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs: Vec<_> = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let mut names: Vec<_> = pairs.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        // Two readers could otherwise take two different ones.
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(MALFORMED);
        }
        Ok(Self(pairs))
    }

    fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(one, _)| *one == name).map(|(_, value)| *value)
    }
}

fn check_signature(
    query: &Query<'_>,
    headers: &HeaderMap,
    (now, system): (Timestamp, Timestamp),
) -> Result<(), Refusal> {
    let authorization = headers.get(header::AUTHORIZATION).map(header::HeaderValue::as_bytes);
    match (query.get("X-Amz-Signature"), authorization) {
        (Some(_), Some(_)) => Err(SIGNED_TWICE),
        (Some(_), None) => check_address(query, headers, now),
        (None, Some(text)) if text.starts_with(b"AWS4-HMAC-SHA256 ") => {
            let date = headers.get("x-amz-date").and_then(|date| date.to_str().ok());
            let date = date.and_then(time_of).ok_or(UNSIGNED)?;
            let is_near = date <= system + SKEW_MAX && system <= date + SKEW_MAX;
            if is_near { Ok(()) } else { Err(SKEWED) }
        }
        _ => Err(UNSIGNED),
    }
}

fn check_address(query: &Query<'_>, headers: &HeaderMap, now: Timestamp) -> Result<(), Refusal> {
    let date = query.get("X-Amz-Date").and_then(time_of).ok_or(MALFORMED)?;
    let lives = query.get("X-Amz-Expires").and_then(|text| text.parse::<u64>().ok());
    let lives = lives.filter(|lives| *lives <= LIFETIME_MAX).ok_or(MALFORMED)?;
    let signed = query.get("X-Amz-SignedHeaders").ok_or(MALFORMED)?.to_ascii_lowercase();
    let signed = signed.replace("%3b", ";");
    if now > date + Duration::from_secs(lives) {
        return Err(EXPIRED);
    }
    if date > now + SKEW_MAX {
        return Err(SKEWED);
    }
    let is_signed = |name: &str| signed.split(';').any(|one| one == name);
    let mut names = headers.keys().map(header::HeaderName::as_str);
    let is_added = names.any(|name| name.starts_with("x-amz-") && !is_signed(name));
    if is_added { Err(HEADERS_UNSIGNED) } else { Ok(()) }
}

/// The time that `20261123T064516Z` tells.
fn time_of(text: &str) -> Option<Timestamp> {
    // Chrono would also take signs and blanks.
    let is_shaped = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let time = chrono::NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%SZ").ok()?;
    is_shaped.then(|| time.and_utc().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read() {
        let seconds = |text| time_of(text).map(Timestamp::unix_seconds);
        assert_eq!(seconds("19700101T000000Z"), Some(0));
        assert_eq!(seconds("20000229T235959Z"), Some(951_868_799));
        assert_eq!(seconds("20261123T064516Z"), Some(1_795_416_316));
        for text in
            ["", "20261323T064516Z", "2026-11-23T06:45Z", "20261123T064516+", "+0261123T064516Z"]
        {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_is_a_plain_path_in_the_bucket() {
        assert_eq!(key_in("/"), Ok(None));
        assert_eq!(key_in("/chatboard"), Ok(None));
        assert_eq!(key_in("/chatboard/"), Ok(None));
        assert_eq!(key_in("/chatboard/a/b-1.png"), Ok(Some("a/b-1.png".to_owned())));
        for path in [
            "/chatboard/../key",
            "/chatboard/a/../../key",
            "/chatboard/.hidden",
            "/chatboard/%2e%2e/key",
            "/chatboard/a%2Fb",
            "/chatboard//a",
            "/chatboard/a/",
            "/chatboard/a\\b",
        ] {
            assert_eq!(key_in(path), Err(BAD_KEY), "{path}");
        }
        assert_eq!(key_in(&format!("/chatboard/{}", "k".repeat(151))), Err(BAD_KEY));
        for path in ["/other", "/other/a", "//chatboard/a", "/chatboard%2Fa", "/./chatboard/a"] {
            assert_eq!(key_in(path), Err(NO_BUCKET), "{path}");
        }
    }
}
