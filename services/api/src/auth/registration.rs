//! `GET /auth/registration/`.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::caller::Anyone;
use crate::json::Json;
use crate::problem::{Problem, Problems};

/// The operator's rules for new accounts.
#[derive(Serialize, ToSchema)]
#[schema(as = RegistrationRules)]
pub(crate) struct RegistrationView {
    /// `open`: anyone; with `domains`, their addresses and invited people only. `invite`: invited
    /// people and addresses of `domains`. `closed`: nobody.
    #[schema(example = "open")]
    mode: &'static str,
    /// Domains whose addresses may register without an invite.
    domains: Vec<String>,
    /// `required`: a new account must prove its address before it creates organizations, invites or
    /// joins, unless it registers with a mailed invite. `off`: it need not.
    #[schema(example = "off")]
    email_verification: &'static str,
}

/// Who may register here, for a sign-up form.
#[utoipa::path(
    get,
    path = "/auth/registration/",
    tag = "auth",
    security(()),
    responses((status = 200, description = "The rules", body = RegistrationView), Problems)
)]
pub(crate) async fn get_registration(
    State(api): State<Api>,
    _: Anyone,
) -> Result<Json<RegistrationView>, Problem> {
    let policy = &api.config().registration;
    Ok(Json(RegistrationView {
        mode: policy.mode.as_str(),
        domains: policy.domains.iter().map(ToString::to_string).collect(),
        email_verification: policy.verification.as_str(),
    }))
}
