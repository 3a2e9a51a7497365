//! `POST /auth/register/`.

use std::time::Instant;

use axum::extract::State;
use contract::accounts::UserView;
use domain::password::{NewPassword, PasswordOwner};
use domain::registration::RegistrationMode;
use domain::user::{self, NewUser};
use domain::{Email, FieldErrors, Refusal};
use nats::counts::{Attempt, AuthCalls};
use serde::Deserialize;
use store::actions::known_clients::Client;
use store::actions::registration::{self, Registered, Registration};
use utoipa::ToSchema;

use super::{count_mail_limit, random_token};
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::ClientAddress;
use crate::json::Created;
use crate::limits::digest;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A new account.
#[derive(Deserialize, ToSchema)]
pub(crate) struct Register {
    /// Shown as typed, with its domain in lower case; compared without case.
    #[schema(value_type = String, required, format = Email, max_length = 254)]
    #[serde(default)]
    email: Field<String>,
    /// 8..128 characters, not a common password, not the e-mail address or name.
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
    /// An invite's token. Where registration is not open, a valid one admits its address; the
    /// mailed one proves it.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    invite_token: Field<String>,
}

/// A valid request to register.
struct Parsed {
    new: NewUser,
    password: NewPassword,
    invite_token: Option<String>,
}

impl Register {
    fn parse(self) -> Result<Parsed, Refusal> {
        let mut errors = FieldErrors::default();
        let email = self.email.required("email", &mut errors);
        let email = checked(email, "email", &mut errors, |email| Email::parse(&email));
        let password = self.password.required("password", &mut errors);
        let mut name = |field: Field<String>, label: &str| {
            let text = field.optional(label, &mut errors).unwrap_or_default();
            checked(Some(text), label, &mut errors, |text| user::person_name(&text))
        };
        let first_name = name(self.first_name, "first_name").unwrap_or_default();
        let last_name = name(self.last_name, "last_name").unwrap_or_default();
        let owner = PasswordOwner {
            email: email.as_ref().map(Email::as_str).unwrap_or_default(),
            first_name: &first_name,
            last_name: &last_name,
        };
        let password = checked(password, "password", &mut errors, |password| {
            NewPassword::parse(&password, &owner)
        });
        let avatar_url = self.avatar_url.optional("avatar_url", &mut errors);
        let avatar_url =
            checked(avatar_url, "avatar_url", &mut errors, |url| user::avatar_url(&url));
        let invite_token = self.invite_token.optional("invite_token", &mut errors);
        errors.finish()?;
        match (email, password) {
            (Some(email), Some(password)) => {
                let new = NewUser { email, first_name, last_name, avatar_url };
                Ok(Parsed { new, password, invite_token })
            }
            _ => Err(Refusal::Internal),
        }
    }
}

/// Creates an account, if the operator's rules admit the address (`GET /auth/registration/`): else
/// `registration_closed`. Where verification is required, a link that proves the address is mailed,
/// unless a mailed `invite_token` does already.
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
    ClientAddress(address): ClientAddress,
    body: Result<Body<Register>, Problem>,
) -> Result<Created<UserView>, Problem> {
    api.limits().client_attempt(AuthCalls::SignIn, address, Instant::now())?;
    let Body(body) = body?;
    let policy = &api.config().registration;
    // Who cannot be admitted whatever the body says learns nothing from it.
    if policy.mode == RegistrationMode::Closed
        || policy.needs_invite() && !body.invite_token.is_present()
    {
        return Err(Refusal::RegistrationClosed.into());
    }
    let Parsed { new, password, invite_token } = body.parse()?;
    let invite_token = invite_token.as_deref();
    let attempt = Attempt::Email(AuthCalls::SignIn, address, digest(&new.email.key()));
    api.limits().attempt(attempt, Instant::now())?;
    let turn = api.passwords().turn(address).await?;
    {
        let mut conn = api.store().read().await?;
        registration::check(&mut conn, policy, (&new, invite_token), api.clock().now()).await?;
    }
    let password_hash = turn.hash(&password).await?;
    let prefix = address.to_string();
    let verification_token = random_token();
    let now = api.clock().now();
    let Registered { user, revoked } = transact!(api, |tx| {
        let registration = Registration {
            new: new.clone(),
            password_hash: &password_hash,
            invite_token,
            client: Client { prefix: &prefix, device_token: None },
            verification_token: &verification_token,
            source: api.mail_source(address),
        };
        registration::register(tx, policy, registration, now).await
    })
    .inspect_err(count_mail_limit)?;
    api.revoke(&revoked);
    Ok(Created { location: api.link(&format!("/users/{}/", user.id)), view: UserView::from(user) })
}
