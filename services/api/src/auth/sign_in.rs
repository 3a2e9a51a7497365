//! `POST /auth/token/`.

use std::net::IpAddr;
use std::time::Instant;

use axum::extract::State;
use axum::http::HeaderMap;
use contract::accounts::SignedInView;
use domain::{Email, FieldErrors, Refusal};
use nats::counts::{Attempt, AuthCalls};
use serde::Deserialize;
use store::actions::known_clients::{Client, DeviceToken};
use store::actions::logins;
use store::queries::users::{SignInAccount, sign_in_account};
use store::refresh_token::RefreshToken;
use utoipa::ToSchema;

use super::{LookupPermit, issue, issue_tokens, random_token, user_agent};
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::ClientAddress;
use crate::json::Json;
use crate::limits::{StrangerAttempt, digest};
use crate::passwords::Verified;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Who signs in.
#[derive(Deserialize, ToSchema)]
pub(crate) struct SignIn {
    /// Compared without case.
    #[schema(value_type = String, required, format = Email)]
    #[serde(default)]
    email: Field<String>,
    /// As it is: nothing is trimmed.
    #[schema(value_type = String, required, format = Password)]
    #[serde(default)]
    password: Field<String>,
    /// From an earlier sign-in to this account on this device: with it, other people's attempts
    /// never block the sign-in. An invalid one is ignored.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    device_token: Field<String>,
}

/// A parsed request.
struct Request {
    /// `Email::key`; empty for an invalid address.
    email: String,
    password: String,
    device_token: Option<String>,
}

impl SignIn {
    fn parse(self) -> Result<Request, Refusal> {
        let mut errors = FieldErrors::default();
        let email = self.email.required("email", &mut errors);
        let password = self.password.required("password", &mut errors).unwrap_or_default();
        let device_token = self.device_token.optional("device_token", &mut errors);
        errors.finish()?;
        // Invalid addresses belong to nobody, and are counted as one.
        let email = email.and_then(|email| Email::parse(&email).ok()).map(|email| email.key());
        Ok(Request { email: email.unwrap_or_default(), password, device_token })
    }
}

/// Signs in: a new login, with its tokens. An unknown address costs the same time as a wrong
/// password.
///
/// Limits: 60 sign-ins and registrations per address and minute, 10 of them per (address, e-mail);
/// 100 failed sign-ins per e-mail and hour, which never block an address from which the account
/// signed in within 30 days. With a `device_token` of the account 10 per minute are allowed,
/// whatever others do.
#[utoipa::path(
    post,
    path = "/auth/token/",
    tag = "auth",
    security(()),
    request_body = SignIn,
    responses((status = 200, description = "The login's tokens", body = SignedInView), Problems)
)]
pub(crate) async fn sign_in(
    State(api): State<Api>,
    ClientAddress(address): ClientAddress,
    headers: HeaderMap,
    body: Result<Body<SignIn>, Problem>,
) -> Result<Json<SignedInView>, Problem> {
    let admitted = api.limits().client_attempt(AuthCalls::SignIn, address, Instant::now());
    let request = body.and_then(|Body(body)| Ok(body.parse()?));
    // Once the client is over its limit, only a valid device token admits the request.
    let request = match &admitted {
        Ok(()) => request?,
        Err(limited) => request
            .ok()
            .filter(|request| request.device_token.is_some())
            .ok_or_else(|| limited.clone())?,
    };
    let Admitted { account, permit, stranger } = admit(&api, &request, address, admitted).await?;
    let turn = permit.into_turn(&api, address).await?;
    let hash = account.as_ref().map(|account| account.credentials.password_hash.as_str());
    let verified = turn.verify(&request.password, hash).await?;
    let account = account.filter(|_| verified.is_right()).ok_or(Refusal::InvalidCredentials)?;
    if let Some(attempt) = stranger {
        attempt.succeeded();
    }
    let rehashed = match &verified {
        Verified::Rehashed(hash) => Some(hash.as_str()),
        Verified::Right | Verified::Wrong => None,
    };

    let device_token = request.device_token.filter(|_| account.is_known_device);
    let device_token = device_token.unwrap_or_else(random_token);
    let token = RefreshToken::new(rand::random());
    let (user_agent, prefix) = (user_agent(&headers), address.to_string());
    let (issue, now) = (issue(&api), api.clock().now());
    let caller = transact!(api, |tx| {
        let sign_in = logins::SignIn {
            verified: &account.credentials,
            rehashed,
            user_agent: &user_agent,
            client: Client { prefix: &prefix, device_token: Some(DeviceToken(&device_token)) },
            token: &token,
            issue,
        };
        logins::sign_in(tx, sign_in, now).await
    })?;
    Ok(Json(SignedInView { tokens: issue_tokens(&api, caller, &token)?, device_token }))
}

/// A sign-in whose password may be verified.
struct Admitted<'a> {
    account: Option<SignInAccount>,
    permit: LookupPermit<'a>,
    stranger: Option<StrangerAttempt<'a>>,
}

/// Finds the account and checks the limits, in the same way for an unknown e-mail. A stranger's
/// attempt counts as failed until it succeeds.
async fn admit<'a>(
    api: &'a Api,
    request: &Request,
    address: IpAddr,
    admitted: Result<(), Refusal>,
) -> Result<Admitted<'a>, Problem> {
    let email = digest(&request.email);
    let by_address = Attempt::Email(AuthCalls::SignIn, address, email);
    if request.device_token.is_none() {
        admitted.clone()?;
        api.limits().attempt(by_address, Instant::now())?;
    }
    let permit = LookupPermit::acquire(api, address, &admitted).await?;
    let account = find(api, request, address).await?;
    if let Some(device_token) = &request.device_token {
        let now = Instant::now();
        if account.as_ref().is_some_and(|account| account.is_known_device) {
            api.limits().attempt(Attempt::Token(digest(device_token)), now)?;
        } else {
            admitted?;
            api.limits().attempt(by_address, now)?;
        }
    }
    let stranger = stranger_attempt(api, account.as_ref(), email)?;
    Ok(Admitted { account, permit, stranger })
}

/// Counts the attempt unless the client is known to the account.
fn stranger_attempt<'a>(
    api: &'a Api,
    account: Option<&SignInAccount>,
    email: nats::counts::Digest,
) -> Result<Option<StrangerAttempt<'a>>, Refusal> {
    let is_known = account.is_some_and(|it| it.is_known_address || it.is_known_device);
    if is_known { Ok(None) } else { api.limits().stranger_attempt(email, Instant::now()).map(Some) }
}

async fn find(
    api: &Api,
    request: &Request,
    address: IpAddr,
) -> Result<Option<SignInAccount>, Problem> {
    let prefix = address.to_string();
    let device_token = request.device_token.as_deref().map(DeviceToken);
    let client = Client { prefix: &prefix, device_token };
    let mut conn = api.store().read().await?;
    Ok(sign_in_account(&mut conn, &request.email, client, api.clock().now()).await?)
}
