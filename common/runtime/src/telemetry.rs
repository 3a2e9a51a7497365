//! Logs and metrics of the process.
//!
//! Both are the process's own, so many tests in one process may each install them: the first
//! wins, the others get the same.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use parking_lot::Mutex;
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;

use crate::Lifecycle;
use crate::config::LogFormat;
use crate::meter::Counter;

/// Seconds: from a NATS hop to the longest that a request may take.
const SECONDS_BUCKETS: [f64; 14] =
    [0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Messages of a batch, and other sizes.
const SIZE_BUCKETS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 1_024.0];
/// How often recorded values are folded into the histograms, or memory would grow with them.
const UPKEEP: Duration = Duration::from_secs(5);

/// Modules that are off unless the filter names them: the `nats` crate logs every fault itself, with
/// server and user, where async-nats repeats a bare "authorization violation" many times a second.
const QUIET: &str = "async_nats=off,";

/// Log lines that wait to be written; further ones are dropped and counted.
const LOG_LINES_MAX: usize = 8_192;

/// Lines that were taken from the queue and could not be written.
static UNWRITTEN_LINES: AtomicU64 = AtomicU64::new(0);
/// Lines that found the queue full.
static QUEUE_DROPS: OnceLock<ErrorCounter> = OnceLock::new();
/// Ends the writer thread, which first writes what waits.
static WRITER: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// How long the last words of a process may take to be written.
const COMPLAIN_PATIENCE: Duration = Duration::from_secs(1);

/// Starts logging to stderr. `filter` is an `EnvFilter`; a wrong one is `info`.
///
/// A thread of its own writes the lines. A log that cannot be written (full disk, reader gone or
/// stalled) costs its lines, which are counted in `chatboard_log_lines_dropped_total`, and never
/// blocks or fails the task that logs. Call [`flush`] before the process ends.
///
/// Does nothing when the process logs already.
pub fn log(filter: &str, format: LogFormat) {
    // Lines that are dropped are counted from the first on.
    Metrics::install();
    let of = |filter: &str| EnvFilter::try_new(format!("{QUIET}{filter}"));
    let filter = of(filter).unwrap_or_else(|_| EnvFilter::new(format!("{QUIET}info")));
    let (writer, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(LOG_LINES_MAX)
        .thread_name("log writer")
        .finish(StderrLines);
    let drops = writer.error_counter();
    // By default a failed write is reported with `eprintln!`, which panics where stderr fails.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .log_internal_errors(false);
    // Colours are for terminals: a file full of escapes is hard to read.
    let is_terminal = io::IsTerminal::is_terminal(&io::stderr());
    let started = match format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Pretty => builder.with_ansi(is_terminal).with_target(false).try_init(),
    };
    if started.is_ok() {
        let _ = QUEUE_DROPS.set(drops);
        *WRITER.lock() = Some(guard);
        std::panic::set_hook(Box::new(log_panic));
    }
}

/// Writes the lines that wait; gives up after about a second where they cannot be written.
pub fn flush() {
    drop(WRITER.lock().take());
}

/// Stderr, where a failed write counts as done: there is nobody to tell.
#[derive(Debug)]
struct StderrLines;

impl Write for StderrLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if io::stderr().write_all(line).is_err() {
            UNWRITTEN_LINES.fetch_add(1, Ordering::Relaxed);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Log lines that were lost since the process began.
fn lines_dropped() -> u64 {
    let queued = QUEUE_DROPS.get().map_or(0, ErrorCounter::dropped_lines);
    UNWRITTEN_LINES.load(Ordering::Relaxed) + u64::try_from(queued).unwrap_or(u64::MAX)
}

/// The default hook writes to stderr itself, and would wait for a pipe that nobody reads.
fn log_panic(panic: &std::panic::PanicHookInfo<'_>) {
    let reason = panic.payload_as_str().unwrap_or("a value that is not text");
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let backtrace = std::backtrace::Backtrace::capture();
    let is_captured = backtrace.status() == std::backtrace::BacktraceStatus::Captured;
    let backtrace = if is_captured { format!("\n{backtrace}") } else { String::new() };
    tracing::error!(place, "panic at {place}: {reason}{backtrace}");
}

/// Writes a line to stderr outside of the log, and gives up after a second: the process ends for
/// the reason in this line, whether or not stderr can be written.
pub fn complain(line: String) {
    let (done, written) = std::sync::mpsc::channel();
    let writing = std::thread::Builder::new().spawn(move || {
        let _ = writeln!(io::stderr(), "{line}");
        let _ = done.send(());
    });
    if writing.is_ok() {
        let _ = written.recv_timeout(COMPLAIN_PATIENCE);
    }
}

/// The process's metrics.
#[derive(Clone)]
pub struct Metrics(PrometheusHandle);

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// The process's metrics, which are recorded from the first call on.
    pub fn install() -> Self {
        static METRICS: OnceLock<Metrics> = OnceLock::new();
        METRICS
            .get_or_init(|| {
                let recorder = builder().build_recorder();
                let handle = recorder.handle();
                // It fails only where another recorder was installed, which then has the values.
                if metrics::set_global_recorder(recorder).is_ok() {
                    crate::meter::describe();
                }
                Self(handle)
            })
            .clone()
    }

    /// All of them in Prometheus' text format, without gauges whose source does not answer.
    pub fn render(&self) -> String {
        Counter::LogLinesDropped.reach(lines_dropped());
        without_unknown(&self.0.render())
    }

    /// Folds recorded values into the histograms from time to time, while `life` lasts.
    pub fn keep_up(&self, life: &Lifecycle) {
        let (handle, life_of_task) = (self.0.clone(), life.clone());
        life.spawn(async move {
            loop {
                tokio::select! {
                    () = tokio::time::sleep(UPKEEP) => handle.run_upkeep(),
                    () = life_of_task.draining() => return,
                }
            }
        });
    }
}

/// Removes samples that are `NaN`: see [`crate::meter::Gauge::forget`].
fn without_unknown(text: &str) -> String {
    text.split_inclusive('\n').filter(|line| !line.trim_end().ends_with(" NaN")).collect()
}

fn builder() -> PrometheusBuilder {
    let seconds = Matcher::Suffix("_seconds".to_owned());
    let sizes = Matcher::Suffix("_messages".to_owned());
    // The lists are not empty, which is the only fault there is.
    PrometheusBuilder::new()
        .set_buckets_for_metric(seconds, &SECONDS_BUCKETS)
        .and_then(|builder| builder.set_buckets_for_metric(sizes, &SIZE_BUCKETS))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::Metrics;
    use crate::meter::{Counter, Gauge, Histogram};

    #[test]
    fn metrics_can_be_installed_many_times_and_have_buckets() {
        Metrics::install();
        let metrics = Metrics::install();
        Counter::MessagesPosted.add(2);
        Histogram::CommitSeconds.record(0.003);
        let text = metrics.render();
        assert!(text.contains("chatboard_messages_posted_total 2"), "{text}");
        assert!(text.contains("chatboard_post_commit_duration_seconds_bucket{le=\"0.005\"} 1"));
        assert!(text.contains("# HELP chatboard_messages_posted_total Messages committed"));
        assert!(text.contains("chatboard_events_dead_total 0"), "there before the first: {text}");
        assert!(!text.contains("chatboard_rpc_answered_total"), "not without its label: {text}");
    }

    #[test]
    fn a_gauge_whose_source_failed_is_not_exported() {
        let metrics = Metrics::install();
        Gauge::OutboxAge.set(7.0);
        assert!(metrics.render().contains("chatboard_outbox_oldest_seconds 7"));
        Gauge::OutboxAge.forget();
        assert!(!metrics.render().contains("\nchatboard_outbox_oldest_seconds "));
        Gauge::OutboxAge.set(8.0);
        assert!(metrics.render().contains("chatboard_outbox_oldest_seconds 8"));
    }
}
