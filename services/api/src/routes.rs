//! All routes, and the OpenAPI document that is made from them.

use axum::{Router, middleware};
use tower::Layer;
use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::problem::Problems;
use crate::{Api, documents, http};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "ChatBoard",
        description = "Team chat of your own: organizations, rooms, direct messages, in real time.",
        license(name = "AGPL-3.0-or-later", identifier = "AGPL-3.0-or-later")
    ),
    modifiers(&Bearer),
    tags(
        (name = "auth", description = "Accounts, sign-in, sessions"),
        (name = "orgs", description = "Organizations, members, invites"),
        (name = "rooms", description = "Rooms and direct messages"),
        (name = "messages", description = "Messages and reactions"),
        (name = "uploads", description = "Files"),
        (name = "notifications", description = "What concerns you, and why you were told"),
        (name = "webhooks", description = "What happens, told to other systems"),
        (name = "operations", description = "Health and documents")
    )
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(
            "bearerAuth",
            SecurityScheme::Http(
                HttpBuilder::new().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build(),
            ),
        );
        document.security = Some(vec![SecurityRequirement::new("bearerAuth", [""; 0])]);
    }
}

fn documented() -> OpenApiRouter<Api> {
    let versioned = OpenApiRouter::new()
        .merge(crate::auth::routes())
        .merge(crate::orgs::routes())
        .merge(crate::rooms::routes())
        .merge(crate::messages::routes())
        .merge(crate::notifications::routes())
        .merge(crate::unsubscribe::routes())
        .merge(crate::uploads::routes())
        .merge(crate::webhooks::routes());
    let mut router = OpenApiRouter::with_openapi(Document::openapi())
        .merge(crate::auth::root_routes())
        .merge(crate::operations::routes())
        .nest("/api/v1", versioned);
    show_public_calls(router.get_openapi_mut());
    show_refusals(router.get_openapi_mut());
    router
}

/// Any call may be refused before it is looked at: a client may have too many requests open.
fn show_refusals(document: &mut utoipa::openapi::OpenApi) {
    let Some(refused) = Problems::responses().remove("429") else { return };
    for operation in operations_mut(document) {
        let responses = &mut operation.responses.responses;
        responses.entry("429".to_owned()).or_insert_with(|| refused.clone());
    }
}

/// Public calls bear `security: []`; what the attribute `security(())` makes is `[{}]`.
fn show_public_calls(document: &mut utoipa::openapi::OpenApi) {
    let optional = Some(vec![SecurityRequirement::default()]);
    for operation in operations_mut(document) {
        if operation.security == optional {
            operation.security = Some(Vec::new());
        }
    }
}

/// Every operation of the document.
fn operations_mut(document: &mut utoipa::openapi::OpenApi) -> impl Iterator<Item = &mut Operation> {
    document.paths.paths.values_mut().flat_map(|path| {
        let operations = [&mut path.get, &mut path.post, &mut path.patch, &mut path.delete];
        operations.into_iter().flatten()
    })
}

/// The OpenAPI 3.1 document, as JSON text that ends with a newline.
pub fn openapi() -> String {
    let document = documented().into_openapi();
    let mut text = document.to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}

/// REST whole: every route, and a 404 for all else.
pub fn router(api: &Api) -> Router {
    let (router, document) = documented().split_for_parts();
    let mut router = router.route("/api/schema/", documents::schema(&document));
    if api.config().has_docs {
        router = router.merge(documents::docs());
    }
    let router = router
        .fallback(http::not_found)
        .method_not_allowed_fallback(http::method_not_allowed)
        .layer(middleware::from_fn_with_state(api.clone(), http::around))
        .with_state(api.clone());
    let normalized = tower::util::MapRequestLayer::new(http::normalize_path).layer(router);
    Router::new().fallback_service(normalized)
}
