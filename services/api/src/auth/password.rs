//! `POST /auth/password/change/`.

use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use domain::{Email, FieldErrors, Refusal, user};
use serde::Deserialize;
use store::actions::accounts;
use store::queries::users;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::{Authenticated, ClientAddress};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A password and the one that replaces it.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangePassword {
    /// The one that is valid now.
    #[schema(value_type = String, required, format = Password)]
    #[serde(default)]
    current_password: Field<String>,
    /// 8..128 characters.
    #[schema(value_type = String, required, format = Password, min_length = 8, max_length = 128)]
    #[serde(default)]
    new_password: Field<String>,
}

/// Changes the caller's password, and revokes all their other logins and open reset links. A wrong current password
/// is a fault of that field.
#[utoipa::path(
    post,
    path = "/auth/password/change/",
    tag = "auth",
    request_body = ChangePassword,
    responses((status = 204, description = "Changed"), Problems)
)]
pub(crate) async fn change_password(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    ClientAddress(address): ClientAddress,
    Body(body): Body<ChangePassword>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let current = body.current_password.required("current_password", &mut errors);
    let new = body.new_password.required("new_password", &mut errors);
    let new =
        checked(new, "new_password", &mut errors, |new| user::check_password(&new).map(|()| new));
    let credentials = {
        let mut conn = api.store().read().await?;
        users::credentials(&mut conn, caller.user).await?.ok_or(Refusal::Unauthenticated)?
    };
    // All bad fields at once: so the current one is looked at even when the new one is bad.
    if let Some(current) = current {
        let key = Email::parse(&credentials.email).map(|email| email.key()).unwrap_or_default();
        api.limits().sign_in(address, &key, Instant::now())?;
        let hash = Some(credentials.password_hash.clone());
        if !api.passwords().verify(current, hash).await? {
            errors.add("current_password", "is wrong");
        }
    }
    errors.finish()?;
    let hash = api.passwords().hash(new.ok_or(Refusal::Internal)?).await?;
    let now = api.clock().now();
    let revoked = transact!(api, |tx| {
        accounts::change_password(tx, caller, (&credentials, &hash), now).await
    })?;
    api.revoke(&revoked);
    Ok(StatusCode::NO_CONTENT)
}
