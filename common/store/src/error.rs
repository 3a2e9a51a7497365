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
    #[error("Postgres is unavailable")]
    Unavailable(#[source] sqlx::Error),
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
    /// The database lacks migrations: requests are answered as while Postgres is away.
    #[error("the schema is at {found}, this version needs {needed}: run `chatboard migrate`")]
    SchemaTooOld {
        /// The last migration that was applied; 0 for an empty database.
        found: i64,
        /// The last migration of this version.
        needed: i64,
    },
    /// This machine's clock and Postgres' differ by more than what may be removed by.
    #[error(
        "this machine's clock is {seconds:.0} s ahead of Postgres': nothing is removed until they agree"
    )]
    ClockSkewed {
        /// Seconds ahead; negative where it is behind.
        seconds: f64,
    },
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
            | Self::TimedOut
            | Self::Held(_)
            | Self::Contended(_)
            | Self::SchemaTooOld { .. }
            | Self::ClockSkewed { .. } => true,
            Self::Refused(_) | Self::Bug(_) | Self::Statement(_) => false,
        }
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
                    // Shutdown, crash, start-up, statement timeout; and what is the operator's to
                    // mend: no such table or column (the schema is too old for the checked
                    // statements of this version), no permission.
                    "57P01" | "57P02" | "57P03" | "57P05" | "57014" | "25P03" | "25006" | "42P01"
                    | "42703" | "42501" => Self::Unavailable(error),
                    // No connection, wrong password or database, out of connections or disk.
                    code if ["08", "28", "3D", "53"].iter().any(|class| code.starts_with(class)) => {
                        Self::Unavailable(error)
                    }
                    _ => Self::Statement(error),
                }
            }
            _ => Self::Statement(error),
        }
    }
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
