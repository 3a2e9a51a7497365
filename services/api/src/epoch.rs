//! The epoch in REST: compared with the one that a client names, and named in answers.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use domain::{Epoch, Refusal};
use serde::Serialize;

use crate::Api;
use crate::json::Json;
use crate::problem::Problem;

const CHAT_EPOCH: HeaderName = HeaderName::from_static("chat-epoch");

/// A body whose numbers belong to an epoch, which the answer names in its header `Chat-Epoch`.
#[derive(Debug)]
pub(crate) struct InEpoch<T>(pub(crate) Epoch, pub(crate) T);

impl<T: Serialize> IntoResponse for InEpoch<T> {
    fn into_response(self) -> Response {
        let Self(epoch, body) = self;
        let mut response = Json(body).into_response();
        stamp(response.headers_mut(), epoch);
        response
    }
}

/// Names an epoch in an answer.
pub(crate) fn stamp(headers: &mut HeaderMap, epoch: Epoch) {
    if let Ok(value) = HeaderValue::from_str(&epoch.to_string()) {
        headers.insert(CHAT_EPOCH, value);
    }
}

/// The present epoch, for a client that has `named` one or none; an empty one counts as none. To be
/// called once the connection that reads is there: then it is no older than what is read.
///
/// # Errors
/// `EpochChanged` when it is another, `Unavailable` while this node knows none.
pub(crate) fn require(api: &Api, named: Option<&str>) -> Result<Epoch, Problem> {
    let present = api.store().epoch().ok_or(Refusal::Unavailable)?;
    match named.filter(|named| !named.is_empty()) {
        Some(named) if Epoch::parse(named) != Some(present) => {
            Err(Refusal::EpochChanged { present }.into())
        }
        _ => Ok(present),
    }
}
