//! Whether the database has the schema that this binary needs.

use std::fmt;

use sqlx::PgConnection;
use sqlx::migrate::Migrator;

/// Every migration that this binary knows.
pub(crate) static MIGRATOR: Migrator = sqlx::migrate!("../../migrations");

/// A relation does not exist (SQLSTATE).
const UNDEFINED_TABLE: &str = "42P01";

/// How the database's schema compares with what this binary needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schema {
    /// It has everything, and perhaps more.
    Current {
        /// The newest version that was applied.
        version: i64,
    },
    /// Migrations of this binary were not applied.
    Outdated {
        /// The newest version that was applied; `None` when there is no schema at all.
        version: Option<i64>,
        /// The first that lacks.
        lacks: i64,
    },
    /// It declares that a binary must know more than this one does.
    TooNew {
        /// The newest version that was applied.
        version: i64,
        /// What a binary must know.
        minimum: i64,
    },
}

/// The newest schema version that this binary knows.
pub fn known_version() -> i64 {
    MIGRATOR.iter().map(|migration| migration.version).max().unwrap_or(0)
}

impl Schema {
    /// Whether this binary can serve from it.
    pub fn is_current(&self) -> bool {
        matches!(self, Self::Current { .. })
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs = known_version();
        match self {
            Self::Current { version } => write!(f, "the schema is at {version}"),
            Self::Outdated { version: None, .. } => write!(
                f,
                "the database has no schema, this version needs {needs}: run `chatboard migrate`"
            ),
            Self::Outdated { version: Some(version), .. } if *version < needs => write!(
                f,
                "the schema is at {version}, this version needs {needs}: run `chatboard migrate`"
            ),
            Self::Outdated { version: Some(version), lacks } => {
                write!(f, "the schema is at {version} but lacks {lacks}: run `chatboard migrate`")
            }
            Self::TooNew { version, minimum } => write!(
                f,
                "the schema is at {version} and serves only versions that know {minimum}, this one \
                 knows {needs}: run a newer chatboard"
            ),
        }
    }
}

/// The versions that were applied, in order; none where there is no schema.
pub(crate) async fn applied(conn: &mut PgConnection) -> Result<Vec<i64>, sqlx::Error> {
    let versions =
        sqlx::query_scalar("select version from _sqlx_migrations where success order by version");
    match versions.fetch_all(conn).await {
        Err(sqlx::Error::Database(error)) if error.code().as_deref() == Some(UNDEFINED_TABLE) => {
            Ok(Vec::new())
        }
        versions => versions,
    }
}

/// Compares the database's schema with what this binary needs.
pub(crate) async fn look(conn: &mut PgConnection) -> Result<Schema, sqlx::Error> {
    let applied = applied(conn).await?;
    let lacks = MIGRATOR.iter().map(|migration| migration.version).find(|v| !applied.contains(v));
    let version = applied.last().copied();
    let (Some(version), None) = (version, lacks) else {
        return Ok(Schema::Outdated { version, lacks: lacks.unwrap_or(0) });
    };
    let minimum: Option<i64> =
        sqlx::query_scalar("select minimum_version from schema_requirements where is_only")
            .fetch_optional(conn)
            .await?;
    Ok(match minimum {
        Some(minimum) if minimum > known_version() => Schema::TooNew { version, minimum },
        _ => Schema::Current { version },
    })
}
