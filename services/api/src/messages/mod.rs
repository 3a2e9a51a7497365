//! Messages: section 4 of the contract.

mod change;
mod list;
mod post;
mod react;
mod search;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::Api;

pub(crate) use post::{PostMessage, Submitted, post_message};
pub(crate) use search::Searches;

/// The routes of messages.
pub(crate) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(list::list_messages, post::create_message))
        .routes(routes!(search::search_messages))
        .routes(routes!(change::get_message, change::edit_message, change::delete_message))
        .routes(routes!(react::add_reaction, react::remove_reaction))
}
