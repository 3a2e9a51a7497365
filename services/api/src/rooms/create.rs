//! `POST /rooms/`.

use axum::extract::State;
use contract::rooms::RoomView;
use domain::room::{self, NewRoom};
use domain::{AccessLevel, FieldErrors, OrgId, Refusal};
use serde::Deserialize;
use store::actions::create_room as action;
use utoipa::ToSchema;

use crate::Api;
use crate::body::{Body, Field, checked};
use crate::caller::Authenticated;
use crate::json::Created;
use crate::problem::{Problem, Problems};
use crate::transact::transact;

/// A room to make.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct CreateRoom {
    /// The organization.
    #[schema(value_type = i64)]
    #[serde(default)]
    org: Field<i64>,
    /// 1..80 characters.
    #[schema(value_type = String, min_length = 1, max_length = 80)]
    #[serde(default)]
    name: Field<String>,
    /// At most 250 characters.
    #[schema(value_type = Option<String>, max_length = 250)]
    #[serde(default)]
    topic: Field<String>,
    /// `PUBLIC` (the default), `MANAGER_ONLY` or `PRIVATE`.
    #[schema(value_type = Option<String>, example = "PUBLIC")]
    #[serde(default)]
    access_level: Field<String>,
    /// Makes members of everyone whom the level admits, now and as they come. Not for PRIVATE.
    #[schema(value_type = Option<bool>)]
    #[serde(default)]
    auto_join: Field<bool>,
}

impl CreateRoom {
    /// The organization, and the room to make in it: whether that is any good is for members of
    /// the organization to know.
    fn into_room(self) -> Result<(OrgId, Result<NewRoom, Refusal>), Refusal> {
        let mut errors = FieldErrors::default();
        let org = org_id(self.org, &mut errors);
        let name = self.name.required("name", &mut errors);
        let name = checked(name, "name", &mut errors, |name| room::room_name(&name));
        let topic = self.topic.optional("topic", &mut errors);
        let topic = checked(topic, "topic", &mut errors, |topic| room::topic(&topic));
        let access_level = self.access_level.optional("access_level", &mut errors);
        let access_level = checked(access_level, "access_level", &mut errors, level);
        let access_level = access_level.unwrap_or(AccessLevel::Public);
        let auto_join = self.auto_join.optional("auto_join", &mut errors).unwrap_or_default();
        if auto_join && access_level == AccessLevel::Private {
            errors.add("auto_join", "must be false for a PRIVATE room");
        }
        let (Some(org), name) = (org, name) else {
            return Err(Refusal::ValidationFailed(errors));
        };
        let room = errors.finish().map(|()| NewRoom {
            org,
            name: name.unwrap_or_default(),
            topic: topic.unwrap_or_default(),
            access_level,
            auto_join,
        });
        Ok((org, room))
    }
}

/// The organization that a body names.
pub(super) fn org_id(field: Field<i64>, errors: &mut FieldErrors) -> Option<OrgId> {
    let org = field.required("org", errors);
    checked(org, "org", errors, |org| {
        OrgId::from_client(org).ok_or_else(|| domain::ids::NotAnId.to_string())
    })
}

/// Takes the word of an access level.
#[expect(clippy::needless_pass_by_value, reason = "a check takes what the field held")]
pub(super) fn level(word: String) -> Result<AccessLevel, String> {
    AccessLevel::parse(&word).ok_or_else(|| "must be PUBLIC, MANAGER_ONLY or PRIVATE".to_owned())
}

/// Makes a room, for MANAGERs and ADMINs. The caller is its first member. When a room of the
/// organization that the caller sees has the same name, in any case and normal form: 409 `name_taken`.
#[utoipa::path(
    post,
    path = "/rooms/",
    tag = "rooms",
    request_body = CreateRoom,
    responses((status = 201, description = "The room", body = RoomView), Problems)
)]
pub(crate) async fn create_room(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    Body(body): Body<CreateRoom>,
) -> Result<Created<RoomView>, Problem> {
    let (org, new) = body.into_room()?;
    let now = api.clock().now();
    let opened = transact!(api, |tx| {
        let org = action::org_for_rooms(tx, caller, org).await?;
        action::create_room(tx, org, caller, new.clone()?, now).await
    })?;
    let view = RoomView::from(&opened.room);
    super::push_added(&api, &opened.added, &view);
    // Their other tabs and devices list it too.
    super::push_added(&api, &[caller.user], &view);
    Ok(Created { location: api.link(&format!("/rooms/{}/", view.id)), view })
}
