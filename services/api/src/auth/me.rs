//! `GET` and `PATCH /auth/me/`.

use axum::extract::State;
use contract::accounts::UserView;
use domain::user::{self, EmailNotifications, UserChange};
use domain::{FieldErrors, Refusal};
use serde::Deserialize;
use store::actions::accounts;
use store::queries::users;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// The caller's account.
#[utoipa::path(
    get,
    path = "/auth/me/",
    tag = "auth",
    responses((status = 200, description = "The account", body = UserView), Problems)
)]
pub(crate) async fn get_me(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
) -> Result<Json<UserView>, Problem> {
    let mut conn = api.store().read().await?;
    let user = users::user(&mut conn, caller.user).await?.ok_or(Refusal::Unauthenticated)?;
    Ok(Json(UserView::from(user)))
}

/// What changes of an account; what is absent stays.
#[derive(Deserialize, ToSchema)]
pub(crate) struct ChangeMe {
    /// At most 100 characters.
    #[schema(value_type = Option<String>, max_length = 100)]
    #[serde(default)]
    first_name: Field<String>,
    /// At most 100 characters.
    #[schema(value_type = Option<String>, max_length = 100)]
    #[serde(default)]
    last_name: Field<String>,
    /// http or https; null removes it.
    #[schema(value_type = Option<String>, max_length = 2_000)]
    #[serde(default)]
    avatar_url: Field<String>,
    /// `all`, `mentions` or `none`.
    #[schema(value_type = Option<String>, example = "mentions")]
    #[serde(default)]
    email_notifications: Field<String>,
}

impl ChangeMe {
    fn parse(self) -> Result<UserChange, Refusal> {
        let mut errors = FieldErrors::default();
        let mut name = |field: Field<String>, label: &str| {
            let text = field.patched(label, &mut errors);
            checked(text, label, &mut errors, |text| user::person_name(&text))
        };
        let first_name = name(self.first_name, "first_name");
        let last_name = name(self.last_name, "last_name");
        let avatar_url = match self.avatar_url.cleared("avatar_url", &mut errors) {
            Some(Some(url)) => {
                checked(Some(url), "avatar_url", &mut errors, |url| user::avatar_url(&url))
                    .map(Some)
            }
            other => other,
        };
        let mails = self.email_notifications.patched("email_notifications", &mut errors);
        let email_notifications = checked(mails, "email_notifications", &mut errors, |mails| {
            EmailNotifications::parse(&mails)
                .ok_or_else(|| "must be all, mentions or none".to_owned())
        });
        errors.finish()?;
        Ok(UserChange { first_name, last_name, avatar_url, email_notifications })
    }
}

/// Changes the caller's account.
#[utoipa::path(
    patch,
    path = "/auth/me/",
    tag = "auth",
    request_body = ChangeMe,
    responses((status = 200, description = "The account", body = UserView), Problems)
)]
pub(crate) async fn change_me(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<ChangeMe>,
) -> Result<Json<UserView>, Problem> {
    let change = body.parse()?;
    let user = transact!(api, |tx| accounts::change_user(tx, caller, change.clone()).await)?;
    Ok(Json(UserView::from(user)))
}
