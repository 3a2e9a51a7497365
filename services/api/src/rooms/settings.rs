//! `GET` and `PATCH /rooms/{id}/settings/`.

use axum::extract::State;
use contract::frames::LiveFrame;
use contract::rooms::RoomSettingsAndWebhooksView;
use contract::rooms::RoomSettingsView;
use domain::room::{self, Notify, RoomSettingsChange};
use domain::{FieldErrors, Refusal, RoomId};
use serde::Deserialize;
use store::access;
use store::actions::room_settings as action;
use store::queries::webhooks::covering_webhooks;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Json;
use crate::path::PathId;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// The caller's own settings of a room, and the webhooks that cover it.
#[utoipa::path(
    get,
    path = "/rooms/{id}/settings/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    responses((status = 200, description = "The settings", body = RoomSettingsAndWebhooksView), Problems)
)]
pub(crate) async fn room_settings(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
) -> Result<Json<RoomSettingsAndWebhooksView>, Problem> {
    let mut conn = api.store().read().await?;
    let room = access::room_as_member(&mut conn, caller.user, id).await?;
    let settings = action::room_settings(&mut conn, &room, caller.user).await?;
    let webhooks = covering_webhooks(&mut conn, &room).await?;
    Ok(Json(RoomSettingsAndWebhooksView::new(&settings, webhooks)))
}

/// What to change of the settings; what is absent stays.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ChangeRoomSettings {
    /// `all`, `mentions` or `none`.
    #[schema(value_type = Option<String>, example = "mentions")]
    #[serde(default)]
    notify: Field<String>,
    /// 1..80 characters; null takes the room out of its section.
    #[schema(value_type = Option<String>, min_length = 1, max_length = 80)]
    #[serde(default)]
    section: Field<String>,
    /// Whether the room is starred.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    starred: Field<bool>,
}

impl ChangeRoomSettings {
    fn into_change(self) -> Result<RoomSettingsChange, Refusal> {
        let mut errors = FieldErrors::default();
        let notify = self.notify.patched("notify", &mut errors);
        let notify = checked(notify, "notify", &mut errors, |word| {
            Notify::parse(&word).ok_or_else(|| "must be all, mentions or none".to_owned())
        });
        let section = self.section.cleared("section", &mut errors);
        let section = checked(section, "section", &mut errors, |section| {
            section.map(|section| room::section(&section)).transpose()
        });
        let starred = self.starred.patched("starred", &mut errors);
        errors.finish().map(|()| RoomSettingsChange { notify, section, starred })
    }
}

/// Changes the caller's own settings of a room; their sockets learn it.
#[utoipa::path(
    patch,
    path = "/rooms/{id}/settings/",
    tag = "rooms",
    params(("id" = i64, Path, description = "The room")),
    request_body = ChangeRoomSettings,
    responses((status = 200, description = "The settings", body = RoomSettingsAndWebhooksView), Problems)
)]
pub(crate) async fn change_room_settings(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    PathId(id): PathId<RoomId>,
    Body(body): Body<ChangeRoomSettings>,
) -> Result<Json<RoomSettingsAndWebhooksView>, Problem> {
    let change = body.into_change();
    let ((settings, has_changed), webhooks) = transact!(api, |tx| {
        let room = access::room_as_member(tx.conn(), caller.user, id).await?;
        let changed = action::change_settings(tx, &room, caller.user, change.clone()?).await?;
        Ok((changed, covering_webhooks(tx.conn(), &room).await?))
    })?;
    if has_changed {
        let settings = &RoomSettingsView::from(&settings);
        api.push(caller.user, &LiveFrame::RoomSettings { room_id: id, settings });
    }
    Ok(Json(RoomSettingsAndWebhooksView::new(&settings, webhooks)))
}
