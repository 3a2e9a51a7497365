//! Ids in paths. One that is no id is looked up, and not found, like any other that does not
//! exist: so its 404 comes where the contract wants it, after 401, 413, 415 and 400.

use std::convert::Infallible;
use std::str::FromStr;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use domain::UploadId;

/// The id of a path with one.
#[derive(Clone, Copy, Debug)]
pub struct PathId<T>(pub T);

/// The ids of a path with two, in its order.
#[derive(Clone, Copy, Debug)]
pub struct PathIds<A, B>(pub A, pub B);

/// The upload of a path.
#[derive(Clone, Copy, Debug)]
pub struct PathUpload(pub UploadId);

/// The id of a path, and a word after it.
#[derive(Clone, Debug)]
pub struct PathIdWord<T>(pub T, pub String);

impl<S: Send + Sync, T: From<i64>> FromRequestParts<S> for PathIdWord<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let [id] = ids(parts, state).await;
        let word = match RawPathParams::from_request_parts(parts, state).await {
            Ok(params) => params.iter().nth(1).map(|(_, text)| text.to_owned()),
            Err(_) => None,
        };
        Ok(Self(id.into(), word.unwrap_or_default()))
    }
}

impl<S: Send + Sync, T: From<i64>> FromRequestParts<S> for PathId<T> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let [id] = ids(parts, state).await;
        Ok(Self(id.into()))
    }
}

impl<S: Send + Sync, A: From<i64>, B: From<i64>> FromRequestParts<S> for PathIds<A, B> {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let [first, second] = ids(parts, state).await;
        Ok(Self(first.into(), second.into()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PathUpload {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Infallible> {
        let params = RawPathParams::from_request_parts(parts, state).await;
        let id = params.ok().and_then(|params| {
            let (_, text) = params.iter().next()?;
            UploadId::from_client(text)
        });
        Ok(Self(id.unwrap_or(UploadId::NOWHERE)))
    }
}

/// The ids of a path; 0, which no row bears, for what is no id.
async fn ids<const N: usize>(parts: &mut Parts, state: &(impl Send + Sync)) -> [i64; N] {
    let mut ids = [0; N];
    if let Ok(params) = RawPathParams::from_request_parts(parts, state).await {
        for (id, (_, text)) in ids.iter_mut().zip(params.iter()) {
            *id = domain::RoomId::from_str(text).map_or(0, |id| id.0);
        }
    }
    ids
}
