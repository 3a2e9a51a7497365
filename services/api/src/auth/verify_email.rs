//! `POST /auth/verify-email/` and `/auth/verify-email/resend/`.

use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use domain::{FieldErrors, Refusal};
use serde::Deserialize;
use store::actions::email_verification;
use utoipa::ToSchema;

use super::{count_mail_limit, random_token};
use crate::Api;
use crate::body::{Body, Field};
use crate::caller::{Anyone, Authenticated, ClientAddress};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// Accounts that one transaction brings in line with the configuration.
const POLICY_BATCH: i64 = 1_000;
/// Pause before the configuration is applied again after Postgres was away.
const POLICY_RETRY: Duration = Duration::from_secs(5);

/// A link's token.
#[derive(Deserialize, ToSchema)]
pub(crate) struct VerifyEmail {
    /// From the link in the mail.
    #[schema(value_type = String, required)]
    #[serde(default)]
    token: Field<String>,
}

/// Proves the address of an account by a mailed token, which works once, for 7 days.
#[utoipa::path(
    post,
    path = "/auth/verify-email/",
    tag = "auth",
    security(()),
    request_body = VerifyEmail,
    responses((status = 204, description = "The address is proven"), Problems)
)]
pub(crate) async fn verify_email(
    State(api): State<Api>,
    _: Anyone,
    Body(body): Body<VerifyEmail>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let token = body.token.required("token", &mut errors);
    errors.finish()?;
    let token = token.ok_or(Refusal::Internal)?;
    let now = api.clock().now();
    transact!(api, |tx| email_verification::verify(tx, &token, now).await)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Mails another link that proves the caller's address: at most 5 a day. Nothing is mailed when the
/// address is proven.
#[utoipa::path(
    post,
    path = "/auth/verify-email/resend/",
    tag = "auth",
    responses((status = 202, description = "A mail is on its way, unless the address is proven"), Problems)
)]
pub(crate) async fn resend_verification(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    ClientAddress(address): ClientAddress,
) -> Result<StatusCode, Problem> {
    let token = random_token();
    let mail = (token.as_str(), api.mail_source(address));
    let now = api.clock().now();
    transact!(api, |tx| email_verification::resend(tx, caller, mail, now).await)
        .inspect_err(count_mail_limit)?;
    Ok(StatusCode::ACCEPTED)
}

/// Brings accounts in line with the configured verification, in batches; ends when all are.
pub(crate) async fn apply_policy(api: Api) {
    let policy = api.config().registration.verification;
    while !api.life().is_draining() {
        match apply_batch(&api).await {
            Ok(0) => break,
            Ok(changed) => {
                tracing::info!(
                    changed,
                    "e-mail verification is {}: accounts updated",
                    policy.as_str()
                );
            }
            Err(error) => {
                tracing::debug!(error = %error, "e-mail verification could not be applied: {error}");
                api.life().pause(POLICY_RETRY).await;
            }
        }
    }
}

async fn apply_batch(api: &Api) -> store::Result<u64> {
    let mut tx = api.store().begin().await?;
    let policy = api.config().registration.verification;
    let changed = email_verification::apply_policy(&mut tx, policy, POLICY_BATCH).await?;
    api.try_commit(tx).await?;
    Ok(changed)
}
