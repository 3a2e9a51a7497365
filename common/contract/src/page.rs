//! Pages of lists.

use serde::Serialize;
use utoipa::ToSchema;

/// A page of a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Page<T> {
    /// The address of the page after this one; null on the last.
    pub next: Option<String>,
    /// The address of the page before this one; null on the first.
    pub previous: Option<String>,
    /// What is on it.
    pub results: Vec<T>,
}
