//! `POST /auth/password/reset/` and `/auth/password/reset/confirm/`.

use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use domain::{Email, FieldErrors, Refusal, user};
use serde::Deserialize;
use store::actions::password_resets;
use utoipa::ToSchema;

use super::random_token;
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Anyone;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// When asking is answered. The same statements are made for everyone, but an index more or less
/// is still a fraction of a millisecond, which many questions would show.
const ANSWER_AFTER: Duration = Duration::from_millis(200);

/// Whose password is to be reset.
#[derive(Deserialize, ToSchema)]
pub(crate) struct RequestReset {
    /// Compared without case.
    #[schema(value_type = String, required, format = Email)]
    #[serde(default)]
    email: Field<String>,
}

/// Mails a link that sets a new password: it works once, for an hour. The answer is the same, in
/// time and body, whether there is such an account or not.
#[utoipa::path(
    post,
    path = "/auth/password/reset/",
    tag = "auth",
    security(()),
    request_body = RequestReset,
    responses((status = 202, description = "If there is such an account, a mail is on its way"), Problems)
)]
pub(crate) async fn request_reset(
    State(api): State<Api>,
    Anyone { address }: Anyone,
    Body(body): Body<RequestReset>,
) -> Result<StatusCode, Problem> {
    let started = Instant::now();
    let mut errors = FieldErrors::default();
    let email = body.email.required("email", &mut errors);
    errors.finish()?;
    // What is no address is nobody's, and they are all counted as one.
    let email = email.and_then(|email| Email::parse(&email).ok()).map(|email| email.key());
    let email = email.unwrap_or_default();
    api.limits().sign_in(address, &email, started)?;
    let token = random_token();
    let now = api.clock().now();
    transact!(api, |tx| password_resets::request_reset(tx, &email, &token, now).await)?;
    tokio::time::sleep_until((started + ANSWER_AFTER).into()).await;
    Ok(StatusCode::ACCEPTED)
}

/// A token and the password that it sets.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ConfirmReset {
    /// From the link in the mail.
    #[schema(value_type = String, required)]
    #[serde(default)]
    token: Field<String>,
    /// 8..128 characters.
    #[schema(value_type = String, required, format = Password, min_length = 8, max_length = 128)]
    #[serde(default)]
    new_password: Field<String>,
}

/// Sets a new password by a mailed token, which proves the account's address too. Every login of the
/// account is revoked, and every other token for it.
#[utoipa::path(
    post,
    path = "/auth/password/reset/confirm/",
    tag = "auth",
    security(()),
    request_body = ConfirmReset,
    responses((status = 204, description = "The password is set"), Problems)
)]
pub(crate) async fn confirm_reset(
    State(api): State<Api>,
    Anyone { address }: Anyone,
    Body(body): Body<ConfirmReset>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let token = body.token.required("token", &mut errors);
    let new = body.new_password.required("new_password", &mut errors);
    let new =
        checked(new, "new_password", &mut errors, |new| user::check_password(&new).map(|()| new));
    // All bad fields at once: so the token is looked at even when the password is bad.
    if let Some(token) = &token {
        let email = {
            let mut conn = api.store().read().await?;
            password_resets::find_reset(&mut conn, token, api.clock().now()).await?
        };
        // Guesses are counted by address alone: they are nobody's.
        let key = email.as_deref().map_or_else(|| format!("guess {address}"), str::to_owned);
        api.limits().sign_in(address, &key, Instant::now())?;
        if email.is_none() {
            errors.add("token", "is unknown, used or expired");
        }
    }
    errors.finish()?;
    let token = token.ok_or(Refusal::Internal)?;
    let hash = api.passwords().hash(new.ok_or(Refusal::Internal)?).await?;
    let now = api.clock().now();
    let revoked =
        transact!(api, |tx| password_resets::confirm_reset(tx, &token, &hash, now).await)?;
    api.revoke(&revoked);
    Ok(StatusCode::NO_CONTENT)
}
