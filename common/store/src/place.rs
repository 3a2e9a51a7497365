//! Which Postgres is meant, and what is wrong with it, in an operator's words.

use std::fmt;

use sqlx::postgres::PgConnectOptions;

/// Where a Postgres is and as whom it is used: never the password.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    server: String,
    user: String,
    database: String,
}

impl Place {
    pub(crate) fn of(options: &PgConnectOptions) -> Self {
        let server = match options.get_socket() {
            Some(socket) => socket.display().to_string(),
            None => format!("{}:{}", options.get_host(), options.get_port()),
        };
        let user = options.get_username().to_owned();
        let database = options.get_database().unwrap_or(&user).to_owned();
        Self { server, user, database }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, user, database } = self;
        write!(f, "Postgres at {server} (user \"{user}\", database \"{database}\")")
    }
}

/// What Postgres, or the network, says.
pub(crate) fn reason(error: &sqlx::Error) -> String {
    match error {
        sqlx::Error::Database(database) => database.message().to_owned(),
        other => other.to_string(),
    }
}

/// Whether a connection may succeed a moment later: the server starts, or is full.
pub(crate) fn is_starting(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(error) => error.kind() == std::io::ErrorKind::ConnectionRefused,
        sqlx::Error::Database(database) => {
            matches!(database.code().as_deref(), Some("57P03" | "53300"))
        }
        _ => false,
    }
}
