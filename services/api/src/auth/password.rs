//! `POST /auth/password/change/`.

use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use domain::password::{NewPassword, PasswordOwner};
use domain::{FieldErrors, Refusal};
use nats::counts::Attempt;
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
    /// 8..128 characters, not a common password, not the e-mail address or name.
    #[schema(value_type = String, required, format = Password, min_length = 8, max_length = 128)]
    #[serde(default)]
    new_password: Field<String>,
}

/// Changes the caller's password, and revokes all their other logins and open reset links. A wrong
/// current password is an error of that field.
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
    let (credentials, user) = {
        let mut conn = api.store().read().await?;
        let credentials = users::credentials(&mut conn, caller.user).await?;
        credentials
            .zip(users::user(&mut conn, caller.user).await?)
            .ok_or(Refusal::Unauthenticated)?
    };
    let owner = PasswordOwner {
        email: &user.email,
        first_name: &user.first_name,
        last_name: &user.last_name,
    };
    let new = checked(new, "new_password", &mut errors, |new| NewPassword::parse(&new, &owner));
    // All bad fields at once: so the current one is looked at even when the new one is bad.
    if let Some(current) = current {
        // Counted by login, so other people's attempts do not count.
        api.limits().attempt(Attempt::Login(caller.login), Instant::now())?;
        let hash = Some(credentials.password_hash.as_str());
        let turn = api.passwords().turn(address).await?;
        if !turn.verify(&current, hash).await?.is_right() {
            errors.add("current_password", "is wrong");
        }
    }
    errors.finish()?;
    let turn = api.passwords().turn(address).await?;
    let hash = turn.hash(&new.ok_or(Refusal::Internal)?).await?;
    let now = api.clock().now();
    let revoked = transact!(api, |tx| {
        accounts::change_password(tx, caller, (&credentials, &hash), now).await
    })?;
    api.revoke(&revoked);
    Ok(StatusCode::NO_CONTENT)
}
