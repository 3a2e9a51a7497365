//! What can go wrong: a refusal, Postgres being away, or our bug.

use domain::Refusal;

/// A store result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// We say no.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Postgres is away, or too busy: try again.
    #[error("Postgres is unavailable: {0}")]
    Unavailable(sqlx::Error),
    /// Postgres cannot be used until an operator, or time, changes something: it refuses us, is
    /// full or unreachable, or its schema is not the one that this version needs. The text says
    /// where and why.
    #[error("{0}")]
    Unusable(String),
    /// Postgres did not answer in time; nothing is known of what it did.
    #[error("Postgres did not answer in time")]
    TimedOut,
    /// What the transaction needs is held by another for too long (SQLSTATE 55P03): try again.
    #[error("what is needed is locked by another transaction")]
    Held(#[source] sqlx::Error),
    /// Two transactions stood in each other's way and one must be tried again (SQLSTATE 40P01,
    /// 40001).
    #[error("the transaction lost to another")]
    Contended(#[source] sqlx::Error),
    /// A row or statement is not what it must be.
    #[error("bug in the store: {0}")]
    Bug(String),
    /// A statement failed in a way that it must not.
    #[error("a statement failed")]
    Statement(#[source] sqlx::Error),
}

impl Error {
    /// Whether the same may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unavailable(_)
            | Self::Unusable(_)
            | Self::TimedOut
            | Self::Held(_)
            | Self::Contended(_) => true,
            Self::Refused(_) | Self::Bug(_) | Self::Statement(_) => false,
        }
    }

    /// Whether another transaction was in the way, so that it says nothing about what was worked on.
    pub fn is_conflict(&self) -> bool {
        matches!(self, Self::Held(_) | Self::Contended(_))
    }

    /// A value in the database that cannot be.
    pub fn corrupt(table: &str, column: &str, value: impl std::fmt::Display) -> Self {
        Self::Bug(format!("{table}.{column} holds {value}"))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            // A connection that breaks in mid-answer looks like a protocol error.
            | sqlx::Error::Protocol(_) => Self::Unavailable(error),
            sqlx::Error::Database(database) => {
                let code = database.code().unwrap_or_default();
                match code.as_ref() {
                    "40P01" | "40001" => Self::Contended(error),
                    "55P03" => Self::Held(error),
                    code if is_away(code) => Self::Unavailable(error),
                    _ => Self::Statement(error),
                }
            }
            _ => Self::Statement(error),
        }
    }
}

/// Whether a SQLSTATE blames Postgres or its configuration rather than the statement.
fn is_away(code: &str) -> bool {
    // Connection lost, not let in, no such database, out of resources (also too many connections),
    // shutdown and start-up.
    let classes = ["08", "28", "3D", "53", "57P"];
    // Statement timeout, idle in a transaction, read-only, permission denied.
    let codes = ["57014", "25P03", "25006", "42501"];
    codes.contains(&code)
        || MISSING.contains(&code)
        || classes.iter().any(|class| code.starts_with(class))
}

/// SQLSTATEs of what does not exist: statements are checked against the schema when this is
/// compiled, so it was not migrated, or was taken away.
const MISSING: [&str; 4] = ["42P01", "42703", "42883", "3F000"];

/// Whether the schema lacks what a statement names.
pub(crate) fn is_schema_lacking(error: &sqlx::Error) -> bool {
    let sqlx::Error::Database(database) = error else { return false };
    database.code().is_some_and(|code| MISSING.contains(&code.as_ref()))
}

/// Turns a named constraint into a refusal, so that no check races with its insert.
pub trait OnConstraint<T> {
    /// Refuses with `refusal` when the statement broke `constraint`.
    ///
    /// # Errors
    /// The refusal, or the error as it was.
    fn on_constraint(self, constraint: &str, refusal: Refusal) -> Result<T>;
}

impl<T> OnConstraint<T> for std::result::Result<T, sqlx::Error> {
    fn on_constraint(self, constraint: &str, refusal: Refusal) -> Result<T> {
        self.map_err(|error| match &error {
            sqlx::Error::Database(database) if database.constraint() == Some(constraint) => {
                Error::Refused(refusal)
            }
            _ => error.into(),
        })
    }
}
