//! `POST /auth/password/reset/` and `/auth/password/reset/confirm/`.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use axum::extract::State;
use axum::http::StatusCode;
use domain::password::{NewPassword, PasswordOwner};
use domain::{Email, FieldErrors, Refusal};
use nats::counts::{Attempt, AuthCalls};
use serde::Deserialize;
use store::actions::known_clients::Client;
use store::actions::password_resets::{self, Reset, ResetAccount};
use utoipa::ToSchema;

use super::{LookupPermit, random_token};
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::ClientAddress;
use crate::limits::digest;
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
    ClientAddress(address): ClientAddress,
    body: Result<Body<RequestReset>, Problem>,
) -> Result<StatusCode, Problem> {
    let started = Instant::now();
    api.limits().client_attempt(AuthCalls::Reset, address, started)?;
    let Body(body) = body?;
    let mut errors = FieldErrors::default();
    let email = body.email.required("email", &mut errors);
    errors.finish()?;
    // Invalid addresses belong to nobody, and are counted as one.
    let email = email.and_then(|email| Email::parse(&email).ok()).map(|email| email.key());
    let email = email.unwrap_or_default();
    let attempt = Attempt::Email(AuthCalls::Reset, address, digest(&email));
    api.limits().attempt(attempt, started)?;
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
    /// 8..128 characters, not a common password, not the e-mail address or name.
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
    ClientAddress(address): ClientAddress,
    body: Result<Body<ConfirmReset>, Problem>,
) -> Result<StatusCode, Problem> {
    let admitted = api.limits().client_attempt(AuthCalls::Reset, address, Instant::now());
    let Body(body) = match (body, &admitted) {
        (Ok(body), _) => body,
        (Err(_), Err(limited)) => return Err(limited.clone().into()),
        (Err(problem), Ok(())) => return Err(problem),
    };
    let mut errors = FieldErrors::default();
    let token = body.token.required("token", &mut errors);
    let new = body.new_password.required("new_password", &mut errors);
    let found = if let Some(token) = &token {
        find_account(&api, token, address, admitted).await?
    } else {
        admitted?;
        None
    };
    let (permit, account) = found.unzip();
    if token.is_some() && account.is_none() {
        errors.add("token", "is unknown, used or expired");
    }
    // All bad fields at once: so the password is looked at even when the token is bad.
    let owner = account.as_ref().map(owner).unwrap_or_default();
    let new = checked(new, "new_password", &mut errors, |new| NewPassword::parse(&new, &owner));
    errors.finish()?;
    let token = token.ok_or(Refusal::Internal)?;
    let turn = permit.ok_or(Refusal::Internal)?.into_turn(&api, address).await?;
    let hash = turn.hash(&new.ok_or(Refusal::Internal)?).await?;
    let (prefix, now) = (address.to_string(), api.clock().now());
    let revoked = transact!(api, |tx| {
        let client = Client { prefix: &prefix, device_token: None };
        let reset = Reset { password_hash: &hash, client };
        password_resets::confirm_reset(tx, &token, reset, now).await
    })?;
    api.revoke(&revoked);
    Ok(StatusCode::NO_CONTENT)
}

/// The account of a valid token, which is accepted although others have used up the address's limit.
async fn find_account<'a>(
    api: &'a Api,
    token: &str,
    client: IpAddr,
    admitted: Result<(), Refusal>,
) -> Result<Option<(LookupPermit<'a>, ResetAccount)>, Problem> {
    let permit = LookupPermit::acquire(api, client, &admitted).await?;
    let account = {
        let mut conn = api.store().read().await?;
        password_resets::find_reset(&mut conn, token, api.clock().now()).await?
    };
    match &account {
        Some(_) => api.limits().attempt(Attempt::Token(digest(token)), Instant::now())?,
        None => admitted?,
    }
    Ok(account.map(|account| (permit, account)))
}

fn owner(account: &ResetAccount) -> PasswordOwner<'_> {
    PasswordOwner {
        email: &account.email,
        first_name: &account.first_name,
        last_name: &account.last_name,
    }
}
