//! `DELETE /auth/me/`.

use std::time::Instant;

use axum::extract::State;
use axum::http::StatusCode;
use contract::frames::LiveFrame;
use domain::{FieldErrors, Refusal};
use nats::counts::Attempt;
use serde::Deserialize;
use store::actions::delete_user::delete_user;
use store::queries::users;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field};
use crate::caller::{Authenticated, ClientAddress};
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// What proves that the account's owner asks.
#[derive(Deserialize, ToSchema)]
pub(crate) struct DeleteMe {
    /// The password.
    #[schema(value_type = String, required, format = Password)]
    #[serde(default)]
    password: Field<String>,
}

/// Deletes the caller's account, for good. What they said stays, by "Deleted user"; organizations
/// that nobody else is in go with it. The last ADMIN of any other has to make another first.
#[utoipa::path(
    delete,
    path = "/auth/me/",
    tag = "auth",
    request_body = DeleteMe,
    responses((status = 204, description = "Deleted"), Problems)
)]
pub(crate) async fn delete_me(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    ClientAddress(address): ClientAddress,
    Body(body): Body<DeleteMe>,
) -> Result<StatusCode, Problem> {
    let mut errors = FieldErrors::default();
    let password = body.password.required("password", &mut errors);
    let credentials = {
        let mut conn = api.store().read().await?;
        users::credentials(&mut conn, caller.user).await?.ok_or(Refusal::Unauthenticated)?
    };
    if let Some(password) = password {
        // Counted by login, so other people's attempts do not count.
        api.limits().attempt(Attempt::Login(caller.login), Instant::now())?;
        let hash = Some(credentials.password_hash.as_str());
        let turn = api.passwords().turn(address).await?;
        if !turn.verify(&password, hash).await?.is_right() {
            errors.add("password", "is wrong");
        }
    }
    errors.finish()?;
    let now = api.clock().now();
    let deleted = transact!(api, |tx| delete_user(tx, caller, &credentials, now).await)?;
    api.revoke(&deleted.logins);
    for room in deleted.rooms {
        api.live(room, caller.user, &LiveFrame::RoomDeleted { room });
    }
    Ok(StatusCode::NO_CONTENT)
}
