//! `POST /auth/register/`.

use axum::extract::State;
use domain::user::{self, NewUser};
use domain::{Email, FieldErrors, Refusal};
use serde::Deserialize;
use store::actions::accounts::create_user;
use utoipa::ToSchema;

use super::me::UserView;
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Anyone;
use crate::json::Created;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A new account.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Register {
    /// Shown as typed, with its domain in lower case; compared without case.
    #[schema(value_type = String, required, format = Email, max_length = 254)]
    #[serde(default)]
    email: Field<String>,
    /// 8..128 characters.
    #[schema(value_type = String, required, format = Password, min_length = 8, max_length = 128)]
    #[serde(default)]
    password: Field<String>,
    /// At most 100 characters.
    #[schema(value_type = Option<String>, max_length = 100)]
    #[serde(default)]
    first_name: Field<String>,
    /// At most 100 characters.
    #[schema(value_type = Option<String>, max_length = 100)]
    #[serde(default)]
    last_name: Field<String>,
    /// http or https.
    #[schema(value_type = Option<String>, max_length = 2_000)]
    #[serde(default)]
    avatar_url: Field<String>,
}

impl Register {
    fn parse(self) -> Result<(NewUser, String), Refusal> {
        let mut errors = FieldErrors::default();
        let email = self.email.required("email", &mut errors);
        let email = checked(email, "email", &mut errors, |email| Email::parse(&email));
        let password = self.password.required("password", &mut errors);
        let password = checked(password, "password", &mut errors, |password| {
            user::check_password(&password).map(|()| password)
        });
        let mut name = |field: Field<String>, label: &str| {
            let text = field.optional(label, &mut errors).unwrap_or_default();
            checked(Some(text), label, &mut errors, |text| user::person_name(&text))
        };
        let first_name = name(self.first_name, "first_name").unwrap_or_default();
        let last_name = name(self.last_name, "last_name").unwrap_or_default();
        let avatar_url = self.avatar_url.optional("avatar_url", &mut errors);
        let avatar_url =
            checked(avatar_url, "avatar_url", &mut errors, |url| user::avatar_url(&url));
        errors.finish()?;
        match (email, password) {
            (Some(email), Some(password)) => {
                Ok((NewUser { email, first_name, last_name, avatar_url }, password))
            }
            _ => Err(Refusal::Internal),
        }
    }
}

/// Makes an account.
#[utoipa::path(
    post,
    path = "/auth/register/",
    tag = "auth",
    security(()),
    request_body = Register,
    responses((status = 201, description = "The account", body = UserView), Problems)
)]
pub(crate) async fn register(
    State(api): State<Api>,
    _: Anyone,
    Body(body): Body<Register>,
) -> Result<Created<UserView>, Problem> {
    let (new, password) = body.parse()?;
    let hash = api.passwords().hash(password).await?;
    let now = api.clock().now();
    let user = transact!(api, |tx| create_user(tx, new.clone(), &hash, now).await)?;
    Ok(Created { location: api.link(&format!("/users/{}/", user.id)), view: UserView::from(user) })
}
