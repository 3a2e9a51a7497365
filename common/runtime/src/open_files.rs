//! How many files, sockets included, the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::meter::Gauge;

/// What is asked for where the hard limit is infinite: more sockets than one process can serve.
const ENOUGH: u64 = 1 << 20;
/// Files kept from connections of clients: listeners, logs, NATS, the object store, the mail
/// server, and requests to webhooks.
const RESERVE: u64 = 192;

/// Raises the soft limit of open files to the hard one, reports it, and returns it.
pub fn raise() -> u64 {
    let before = getrlimit(Resource::Nofile);
    let wanted = before.maximum.unwrap_or(ENOUGH);
    let is_lower = before.current.is_some_and(|current| current < wanted);
    if is_lower {
        let raised = Rlimit { current: Some(wanted), maximum: before.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(error = %error, "the limit of open files cannot be raised: {error}");
        }
    }
    let files = getrlimit(Resource::Nofile).current.unwrap_or(ENOUGH);
    Gauge::OpenFilesMax.set(f64::from(u32::try_from(files).unwrap_or(u32::MAX)));
    tracing::info!(open_files = files, "this process may have {files} files open");
    files
}

/// Connections of clients that fit into so many files, beside `own` connections of the process
/// to Postgres. At least half of the files are for clients.
pub fn client_connections(files: u64, own: u64) -> usize {
    let reserve = (RESERVE + own).min(files / 2);
    usize::try_from(files - reserve).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::{client_connections, raise};

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let files = raise();
        assert_eq!(raise(), files);
        assert_eq!(
            Some(files),
            rustix::process::getrlimit(rustix::process::Resource::Nofile).current
        );
    }

    #[test]
    fn a_reserve_is_kept_and_never_more_than_half() {
        assert_eq!(client_connections(64, 20), 32);
        assert_eq!(client_connections(1_024, 20), 812);
    }
}
