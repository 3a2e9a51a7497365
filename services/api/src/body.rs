//! Request bodies: a JSON object, every field of which is judged by itself.
//!
//! A body type derives `Deserialize` and holds [`Field`]s, each `#[serde(default)]`. Reading it
//! fails only for what is no JSON object (400); a wrong field waits as [`Field::Invalid`], so that
//! the object's 404 or 403 comes first and all bad fields are named at once (422).

use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use domain::limits::BODY_BYTES_MAX;
use domain::{FieldErrors, Refusal};
use futures_util::StreamExt;
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::problem::Problem;

/// Bytes of a body that is too large that are read before it is refused.
const DISCARDED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How long a body may take to come. A connection of 18 KiB/s sends the largest in this time.
const BODY_TIMEOUT: Duration = Duration::from_secs(15);

/// One field of a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not there.
    #[default]
    Absent,
    /// `null`.
    Null,
    /// Of the right type.
    Value(T),
    /// Of a wrong type, with a sentence for the client.
    Invalid(String),
}

impl<T> Field<T> {
    /// Whether the client sent something other than null.
    pub fn is_present(&self) -> bool {
        !matches!(self, Self::Absent | Self::Null)
    }

    /// A field that must be there. `None` once a fault is noted.
    pub fn required(self, name: &str, errors: &mut FieldErrors) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent => fault(errors, name, "is required"),
            Self::Null => fault(errors, name, "must not be null"),
            Self::Invalid(why) => fault(errors, name, why),
        }
    }

    /// A field that may be absent or null. `None` for these, and once a fault is noted.
    pub fn optional(self, name: &str, errors: &mut FieldErrors) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
            Self::Invalid(why) => fault(errors, name, why),
        }
    }

    /// A field of a PATCH that may not be null: `None` leaves it unchanged.
    pub fn patched(self, name: &str, errors: &mut FieldErrors) -> Option<T> {
        match self {
            Self::Absent => None,
            other => other.required(name, errors),
        }
    }

    /// A field of a PATCH that null clears: `None` leaves it unchanged.
    pub fn cleared(self, name: &str, errors: &mut FieldErrors) -> Option<Option<T>> {
        match self {
            Self::Absent => None,
            Self::Null => Some(None),
            Self::Value(value) => Some(Some(value)),
            Self::Invalid(why) => fault(errors, name, why),
        }
    }
}

fn fault<T>(errors: &mut FieldErrors, name: &str, why: impl Into<String>) -> Option<T> {
    errors.add(name, why);
    None
}

/// Passes a value through a check of the domain, noting its fault under `name`.
pub fn checked<T, U>(
    value: Option<T>,
    name: &str,
    errors: &mut FieldErrors,
    check: impl FnOnce(T) -> Result<U, String>,
) -> Option<U> {
    match check(value?) {
        Ok(value) => Some(value),
        Err(why) => fault(errors, name, why),
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get() == "null" {
            return Ok(Self::Null);
        }
        match serde_json::from_str::<T>(raw.get()) {
            Ok(_) if holds_nul(raw.get()) => {
                Ok(Self::Invalid("must not contain the character U+0000".to_owned()))
            }
            Ok(value) => Ok(Self::Value(value)),
            Err(error) if is_lone_surrogate(&error) => {
                Err(D::Error::custom("a string holds a lone surrogate"))
            }
            Err(_) => Ok(Self::Invalid(expected::<T>())),
        }
    }
}

/// Whether a JSON text has the escape of U+0000 in a string.
fn holds_nul(json: &str) -> bool {
    json.match_indices("\\u0000").any(|(at, _)| {
        let backslashes = json[..at].bytes().rev().take_while(|&byte| byte == b'\\').count();
        backslashes % 2 == 0
    })
}

/// `serde_json` has no kind for it: the words are those of its 1.0 line, and a test holds them.
fn is_lone_surrogate(error: &serde_json::Error) -> bool {
    let words = error.to_string();
    words.contains("surrogate") || words.contains("unexpected end of hex escape")
}

fn expected<T>() -> String {
    let name = std::any::type_name::<T>();
    let what = match name {
        "bool" => "must be true or false",
        "i64" | "u64" | "i32" | "u32" => "must be an integer",
        "alloc::string::String" => "must be a string",
        _ if name.contains("Vec<") => "must be a list",
        _ => "has a wrong type",
    };
    what.to_owned()
}

/// A body that is there: extracts last, after who is asking.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    /// Refuses, in this order, with `PayloadTooLarge` or `RequestTimeout`, `UnsupportedMediaType`,
    /// `MalformedRequest`.
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, bytes) = read(request).await?;
        if !is_json(&parts.headers) {
            return Err(Refusal::UnsupportedMediaType.into());
        }
        Ok(Self(parse(&bytes)?))
    }
}

/// A body that may be missing: then it is the default.
#[derive(Debug)]
pub struct OptionalBody<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for OptionalBody<T> {
    type Rejection = Problem;

    /// Refuses what is there as [`Body`] does.
    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, bytes) = read(request).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        if !is_json(&parts.headers) {
            return Err(Refusal::UnsupportedMediaType.into());
        }
        Ok(Self(parse(&bytes)?))
    }
}

/// Takes a request apart and reads its body.
async fn read(request: Request) -> Result<(Parts, Vec<u8>), Refusal> {
    let (parts, body) = request.into_parts();
    // A client that asks before it sends is told at once, and sends nothing.
    if parts.headers.contains_key(header::EXPECT) && is_declared_too_large(&parts.headers) {
        return Err(Refusal::PayloadTooLarge);
    }
    let read = tokio::time::timeout(BODY_TIMEOUT, read_all(body)).await;
    Ok((parts, read.unwrap_or(Err(Refusal::RequestTimeout))?))
}

fn is_declared_too_large(headers: &HeaderMap) -> bool {
    let length = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok());
    length
        .and_then(|length| length.parse().ok())
        .is_some_and(|length: usize| length > BODY_BYTES_MAX)
}

/// Reads a body to its end. One that is too large is still read, and thrown away, up to a bound: a
/// client that is cut off while it sends sees a broken connection instead of the answer.
async fn read_all(body: axum::body::Body) -> Result<Vec<u8>, Refusal> {
    let mut chunks = body.into_data_stream();
    let (mut bytes, mut total) = (Vec::new(), 0);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Refusal::malformed("the body could not be read"))?;
        total += chunk.len();
        if total <= BODY_BYTES_MAX {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes.clear();
        }
        if total > DISCARDED_BYTES_MAX {
            break;
        }
    }
    if total > BODY_BYTES_MAX { Err(Refusal::PayloadTooLarge) } else { Ok(bytes) }
}

fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|essence| essence.trim().eq_ignore_ascii_case("application/json"))
}

/// Reads a JSON object.
///
/// # Errors
/// `MalformedRequest`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    // A derived struct would also take an array.
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    match first {
        None => return Err(Refusal::malformed("the body is empty")),
        Some(b'{') => {}
        Some(_) => return Err(Refusal::malformed("the body must be a JSON object")),
    }
    serde_json::from_slice(bytes).map_err(|error| {
        Refusal::malformed(match error.classify() {
            serde_json::error::Category::Data => format!("the body must be a JSON object: {error}"),
            _ => format!("the body is not JSON: {error}"),
        })
    })
}
