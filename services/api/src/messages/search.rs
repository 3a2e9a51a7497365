//! `GET /messages/search/`.

use std::time::Duration;

use axum::extract::State;
use contract::messages::MessageView;
use domain::search::{QUESTION_CHARS_MAX, Question};
use domain::{OrgId, Refusal, RoomId, UserId};
use runtime::meter::Histogram;
use runtime::turns::{Turn, Turns};
use store::queries::search::{Filter, search};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::Api;
use crate::caller::Authenticated;
use crate::json::Json;
use crate::page::{Page, Query, Walk};
use crate::problem::{Problem, Problems};

/// Searches that one node runs at once: the rest of its connections is for what is quick.
const SEARCHES_MAX: usize = 4;
/// How long a search may wait for its turn.
const TURN_TIMEOUT: Duration = Duration::from_secs(3);

/// Searches one user has running at once on a node: a search keeps a processor busy.
const SEARCHES_PER_USER: usize = 1;

/// Bounds the searches that run at once, so that they never take all connections to Postgres.
#[derive(Debug)]
pub(crate) struct Searches {
    of_node: Semaphore,
    of_user: Turns<UserId>,
}

/// The right to search, until it is dropped.
#[derive(Debug)]
struct SearchTurn<'a> {
    _of_user: Turn,
    _of_node: SemaphorePermit<'a>,
}

impl Default for Searches {
    fn default() -> Self {
        Self { of_node: Semaphore::new(SEARCHES_MAX), of_user: Turns::new(SEARCHES_PER_USER) }
    }
}

impl Searches {
    /// The user's own turn comes first: what waits for it takes no place of the node.
    async fn turn(&self, user: UserId) -> Result<SearchTurn<'_>, Refusal> {
        let turns = async {
            let of_user = self.of_user.turn(user).await;
            self.of_node
                .acquire()
                .await
                .map(|of_node| SearchTurn { _of_user: of_user, _of_node: of_node })
        };
        match tokio::time::timeout(TURN_TIMEOUT, turns).await {
            Ok(Ok(turn)) => Ok(turn),
            _ => Err(Refusal::Unavailable),
        }
    }
}

/// Messages with all the words of `q`, newest first, in rooms that the caller is in.
///
/// A word may be the beginning of a longer one; `"in quotes"` is a phrase. Case and accents do not
/// count. In scripts without spaces between words any part is found. Deleted messages never are.
/// `before` and `after` are message ids and combine; the page nearest the bound comes first.
#[utoipa::path(
    get,
    path = "/messages/search/",
    tag = "messages",
    params(
        ("q" = String, Query, description = "Words, 1..200 characters"),
        ("org" = Option<i64>, Query, description = "Rooms of this organization"),
        ("room" = Option<i64>, Query, description = "This room"),
        ("from" = Option<i64>, Query, description = "Messages of this sender"),
        ("before" = Option<i64>, Query, description = "Messages with a smaller id"),
        ("after" = Option<i64>, Query, description = "Messages with a greater id"),
        ("limit" = Option<u32>, Query, description = "1..200, default 50"),
        ("cursor" = Option<String>, Query, description = "From `next` or `previous`")
    ),
    responses((status = 200, description = "A page", body = Page<MessageView>), Problems)
)]
pub(crate) async fn search_messages(
    State(api): State<Api>,
    Authenticated(caller): Authenticated,
    mut query: Query,
) -> Result<Json<Page<MessageView>>, Problem> {
    let text = query.text("q").unwrap_or_default().to_owned();
    if text.trim().is_empty() || text.chars().count() > QUESTION_CHARS_MAX {
        query.fault("q", &format!("must have 1 to {QUESTION_CHARS_MAX} characters"));
    }
    let (org, room, from) = (query.id("org"), query.id("room"), query.id("from"));
    let (before, after) = (query.id("before"), query.number("after"));
    let walk = Walk {
        before: before.unwrap_or(i64::MAX),
        after: after.unwrap_or(0),
        is_descending: before.is_some() || after.is_none(),
        ..Walk::NEWEST_FIRST
    };
    let page = query.page(walk)?;
    let found = match Question::parse(&text) {
        Some(question) => {
            let filter = Filter {
                question,
                org: org.map(OrgId),
                room: room.map(RoomId),
                from: from.map(UserId),
            };
            let _turn = api.searches().turn(caller.user).await?;
            let started = std::time::Instant::now();
            let now = api.clock().now();
            let found = search(api.store(), caller.user, &filter, page.slice(), now).await?;
            Histogram::SearchSeconds.record(started.elapsed().as_secs_f64());
            found
        }
        // Marks alone: nothing has them.
        None => Vec::new(),
    };
    let views = |message| MessageView::from(&message);
    Ok(Json(page.page(&api.config().public_url, found, |message| message.id.0, views)))
}
