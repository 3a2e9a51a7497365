//! `GET /auth/registration/`.

use axum::extract::State;
use contract::accounts::RegistrationView;

use crate::Api;
use crate::caller::Anyone;
use crate::json::Json;
use crate::problem::{Problem, Problems};

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
