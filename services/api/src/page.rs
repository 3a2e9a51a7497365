//! Pages of lists (API, "Lists"): keyset by id, so that walking shows what existed throughout
//! exactly once, whatever comes and goes meanwhile.
//!
//! A cursor is opaque to clients: where the page begins, and whether it leads back.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
pub use contract::page::Page;
use domain::limits::{PAGE_BYTES_MAX, PAGE_DEFAULT, PAGE_MAX};
use domain::{FieldErrors, Refusal};
use serde::Serialize;
use store::page::Slice;

use crate::problem::Problem;

/// The query string, each parameter once read noted for what is wrong with it.
#[derive(Clone, Debug)]
pub struct Query {
    path: String,
    pairs: Vec<(String, String)>,
    errors: FieldErrors,
}

impl<S: Send + Sync> FromRequestParts<S> for Query {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        // Behind nested routers only the original URI has the whole path.
        let uri = parts
            .extensions
            .get::<axum::extract::OriginalUri>()
            .map_or_else(|| parts.uri.clone(), |original| original.0.clone());
        Ok(Self::of(&uri))
    }
}

impl Query {
    /// The query of an address.
    pub fn of(uri: &Uri) -> Self {
        let text = uri.query().unwrap_or_default();
        let pairs = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
        Self { path: uri.path().to_owned(), pairs, errors: FieldErrors::default() }
    }

    /// A parameter's text: the last, if it is given more than once.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A positive integer.
    pub fn id(&mut self, name: &str) -> Option<i64> {
        self.parsed(name, "must be an integer from 1 to 9223372036854775807", |text| {
            plain_number(text).filter(|&id| id > 0)
        })
    }

    /// An integer that is not negative.
    pub fn number(&mut self, name: &str) -> Option<i64> {
        self.parsed(name, "must be an integer from 0 to 9223372036854775807", plain_number)
    }

    /// `true` or `false`.
    pub fn bool(&mut self, name: &str) -> Option<bool> {
        self.parsed(name, "must be true or false", |text| match text {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        })
    }

    /// Notes a fault of a parameter.
    pub fn fault(&mut self, name: &str, why: &str) {
        self.errors.add(name, why);
    }

    fn parsed<T>(&mut self, name: &str, why: &str, parse: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = parse(self.text(name)?);
        if value.is_none() {
            self.errors.add(name, why);
        }
        value
    }

    /// The stretch of the list that is asked for, once all other parameters have been read.
    /// `walk` says how `next` leads through the list.
    ///
    /// # Errors
    /// `MalformedRequest` with every bad parameter.
    pub fn page(mut self, walk: Walk) -> Result<PageRequest, Refusal> {
        let limit = match self.text("limit").map(plain_number) {
            None => PAGE_DEFAULT,
            Some(limit) => match limit.and_then(|limit| u32::try_from(limit).ok()) {
                Some(limit) if (1..=PAGE_MAX).contains(&limit) => limit,
                _ => {
                    self.errors.add("limit", format!("must be an integer from 1 to {PAGE_MAX}"));
                    PAGE_DEFAULT
                }
            },
        };
        let cursor = self.text("cursor").map(Cursor::parse);
        if matches!(cursor, Some(None)) {
            self.errors.add("cursor", "is not a cursor of this list");
        }
        self.finish()?;
        Ok(PageRequest { query: self, walk, limit, cursor: cursor.flatten() })
    }

    /// Ends a query without pages.
    ///
    /// # Errors
    /// `MalformedRequest` with every bad parameter.
    pub fn finish(&self) -> Result<(), Refusal> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(Refusal::MalformedRequest {
            reason: "some query parameters are invalid".to_owned(),
            errors: self.errors.clone(),
        })
    }
}

fn plain_number(text: &str) -> Option<i64> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_plain.then(|| text.parse().ok()).flatten()
}

/// How `next` leads through a list.
#[derive(Clone, Copy, Debug)]
pub struct Walk {
    /// Ids greater than this alone.
    pub after: i64,
    /// Ids less than this alone.
    pub before: i64,
    /// Whether `next` leads to smaller ids.
    pub is_descending: bool,
    /// Whether each page shows the greatest id first.
    pub shows_newest_first: bool,
}

impl Walk {
    /// By id: orgs, rooms, members, webhooks.
    pub const OLDEST_FIRST: Self =
        Self { after: 0, before: i64::MAX, is_descending: false, shows_newest_first: false };
    /// Newest first: messages, notifications, uploads, invites.
    pub const NEWEST_FIRST: Self =
        Self { after: 0, before: i64::MAX, is_descending: true, shows_newest_first: true };
}

/// A page that is asked for.
#[derive(Debug)]
pub struct PageRequest {
    query: Query,
    walk: Walk,
    limit: u32,
    cursor: Option<Cursor>,
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cursor {
    /// The id that it begins after, as the page is walked.
    from: i64,
    /// Whether it leads back towards the first page.
    is_back: bool,
}

impl Cursor {
    fn parse(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (way, from) = text.split_once(':')?;
        let is_back = match way {
            "n" => false,
            "p" => true,
            _ => return None,
        };
        Some(Self { from: plain_number(from)?, is_back })
    }

    fn text(self) -> String {
        let way = if self.is_back { "p" } else { "n" };
        URL_SAFE_NO_PAD.encode(format!("{way}:{}", self.from))
    }
}

impl PageRequest {
    /// A parameter's text: the last, if it is given more than once.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.query.text(name)
    }

    /// Narrows the list to ids greater than `after`.
    pub fn start_after(&mut self, after: i64) {
        self.walk.after = self.walk.after.max(after);
    }

    /// What to read: one more than the page holds, to see whether another follows.
    pub fn slice(&self) -> Slice {
        let is_back = self.cursor.is_some_and(|cursor| cursor.is_back);
        let descending = self.walk.is_descending != is_back;
        let (mut after, mut before) = (self.walk.after, self.walk.before);
        if let Some(cursor) = self.cursor {
            if descending {
                before = before.min(cursor.from);
            } else {
                after = after.max(cursor.from);
            }
        }
        Slice { after, before, descending, limit: i64::from(self.limit) + 1 }
    }

    /// The page of what was read by [`Self::slice`], in that order: at most `limit` results, and no
    /// more than fit into [`PAGE_BYTES_MAX`].
    pub fn page<T, V: Serialize>(
        self,
        public_url: &str,
        rows: Vec<T>,
        id: impl Fn(&T) -> i64,
        view: impl Fn(T) -> V,
    ) -> Page<V> {
        let slice = self.slice();
        let read = rows.len();
        let mut rows: Vec<_> = rows
            .into_iter()
            .take(self.limit as usize)
            .map(|row| Entry { id: id(&row), view: view(row) })
            .collect();
        rows.truncate(fitting(&rows));
        let has_more = read > rows.len();
        let is_back = self.cursor.is_some_and(|cursor| cursor.is_back);
        // In the order of the walk, whatever way this page was read.
        if is_back {
            rows.reverse();
        }
        let first = rows.first().map(|entry| entry.id);
        let last = rows.last().map(|entry| entry.id);
        let (has_next, has_previous) =
            if is_back { (true, has_more) } else { (has_more, self.cursor.is_some()) };
        let link = |from: Option<i64>, is_back: bool| {
            let from = from.or_else(|| {
                // An empty page: the way back must show the row that the cursor stood at.
                let from = self.cursor?.from;
                let up = if is_back == self.walk.is_descending { -1 } else { 1 };
                Some(from.saturating_add(up).max(0))
            })?;
            Some(self.link(public_url, Cursor { from, is_back }))
        };
        let next = has_next.then(|| link(last, false)).flatten();
        let previous = has_previous.then(|| link(first, true)).flatten();
        let shows_descending = self.walk.shows_newest_first;
        let walks_descending = slice.descending != is_back;
        if shows_descending != walks_descending {
            rows.reverse();
        }
        Page { next, previous, results: rows.into_iter().map(|entry| entry.view).collect() }
    }

    fn link(&self, public_url: &str, cursor: Cursor) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in self.query.pairs.iter().filter(|(name, _)| name != "cursor") {
            query.append_pair(name, value);
        }
        query.append_pair("cursor", &cursor.text());
        format!("{}{}?{}", public_url.trim_end_matches('/'), self.query.path, query.finish())
    }
}

/// One result of a page.
struct Entry<V> {
    id: i64,
    view: V,
}

/// How many results fit on a page; at least one, however large.
fn fitting<V: Serialize>(rows: &[Entry<V>]) -> usize {
    let mut bytes = ByteCount(0);
    let is_over = |entry: &Entry<V>| {
        // Counting cannot fail; what cannot be written is answered as a bug later.
        let _ = serde_json::to_writer(&mut bytes, &entry.view);
        bytes.0 > PAGE_BYTES_MAX
    };
    rows.iter().position(is_over).map_or(rows.len(), |over| over.max(1))
}

/// Counts what is written.
struct ByteCount(usize);

impl std::io::Write for ByteCount {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
