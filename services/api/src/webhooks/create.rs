//! `POST /webhooks/`.

use axum::extract::State;
use domain::webhook::{NewWebhook, WebhookSecret};
use domain::{FieldErrors, OrgId, Refusal};
use serde::Deserialize;
use store::access;
use store::actions::webhooks;
use utoipa::ToSchema;

use super::{WebhookView, WebhookWithSecretView, check_target, events, new_secret, target};
use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Created;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A new webhook.
#[derive(Deserialize, ToSchema)]
pub(crate) struct CreateWebhook {
    /// The organization whose events it hears of.
    #[schema(value_type = i64, required)]
    #[serde(default)]
    org: Field<i64>,
    /// Where deliveries go: http or https, no credentials, no fragment, a public address.
    #[schema(value_type = String, required, max_length = 2000, example = "https://example.com/hook")]
    #[serde(default)]
    url: Field<String>,
    /// `message.created`, `message.updated`, `message.deleted`, `member.invited`,
    /// `member.joined`, `member.left`, `room.created`, `webhook.test`.
    #[schema(value_type = Vec<String>, required, min_items = 1)]
    #[serde(default)]
    events: Field<Vec<String>>,
    /// Whether it hears of PRIVATE rooms too; not by default.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    include_private: Field<bool>,
    /// Whether anything is recorded for it; so it is by default.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    is_active: Field<bool>,
    /// `whsec_` and base64 of 24..64 bytes; made for you when absent.
    #[schema(value_type = Option<String>)]
    #[serde(default)]
    secret: Field<String>,
}

impl CreateWebhook {
    /// Without an organization no host is resolved.
    async fn parse(self, api: &Api, org: Option<OrgId>) -> Result<NewWebhook, Refusal> {
        let mut errors = FieldErrors::default();
        let url = self.url.required("url", &mut errors);
        let url = checked(url, "url", &mut errors, |url| target(&url));
        if let (Some(url), Some(org)) = (&url, org)
            && let Err(why) = check_target(api, url, org).await
        {
            errors.add("url", why);
        }
        let heard = self.events.required("events", &mut errors);
        let heard = checked(heard, "events", &mut errors, |words| events(&words));
        let include_private = self.include_private.patched("include_private", &mut errors);
        let is_active = self.is_active.patched("is_active", &mut errors);
        let secret = self.secret.optional("secret", &mut errors);
        let secret = checked(secret, "secret", &mut errors, |text| WebhookSecret::parse(&text));
        errors.finish()?;
        Ok(NewWebhook {
            url: url.ok_or(Refusal::Internal)?.as_str().to_owned(),
            events: heard.ok_or(Refusal::Internal)?,
            include_private: include_private.unwrap_or(false),
            is_active: is_active.unwrap_or(true),
            secret: secret.unwrap_or_else(new_secret),
        })
    }
}

/// Makes a webhook: ADMINs. Its secret is shown this once.
#[utoipa::path(
    post,
    path = "/webhooks/",
    tag = "webhooks",
    request_body = CreateWebhook,
    responses((status = 201, description = "The webhook", body = WebhookWithSecretView), Problems)
)]
pub(crate) async fn create_webhook(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(mut body): Body<CreateWebhook>,
) -> Result<Created<WebhookWithSecretView>, Problem> {
    let mut errors = FieldErrors::default();
    let org = std::mem::take(&mut body.org).required("org", &mut errors);
    let org = checked(org, "org", &mut errors, |id| {
        OrgId::from_client(id).ok_or_else(|| "must be an id".to_owned())
    });
    // A stranger's host is not even resolved.
    if let Some(org) = org {
        access::org_as_admin(&mut *api.store().read().await?, caller, org).await?;
    }
    let new = match (org, body.parse(&api, org).await) {
        (Some(org), Ok(new)) => (org, new),
        (Some(_), Err(refusal)) => return Err(refusal.into()),
        (None, other) => {
            if let Err(Refusal::ValidationFailed(others)) = other {
                for (field, faults) in others.iter() {
                    errors.extend(field, faults);
                }
            }
            return Err(Refusal::ValidationFailed(errors).into());
        }
    };
    let (org, new) = new;
    let now = api.clock().now();
    let webhook = transact!(api, |tx| {
        let access = access::org_as_admin(tx.conn(), caller, org).await?;
        webhooks::create_webhook(tx, access, new.clone(), now).await
    })?;
    let location = api.link(&format!("/webhooks/{}/", webhook.id));
    let secret = new.secret.expose();
    Ok(Created {
        location,
        view: WebhookWithSecretView { webhook: WebhookView::from(webhook), secret },
    })
}
