//! The guard: a process that starts one server and outlives us by as long as stopping it takes.
//!
//! We hold its standard input. Orders are lines of JSON on it, each answered by a line; its end,
//! which comes with ours even after `kill -9`, means to stop the server. A process group of its
//! own keeps a Ctrl-C in the terminal away from both.

mod process;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

pub use process::run;

/// How long a server may take to stop before it is killed.
const STOP_GRACE: Duration = Duration::from_secs(10);
/// How long a guard may take to end once its input has ended.
const END_GRACE: Duration = Duration::from_secs(15);

/// A server to start.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Server {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// The user and group to run it as; ours when absent.
    pub user: Option<(u32, u32)>,
    /// The folder to run it in.
    pub cwd: PathBuf,
    /// Where its output goes.
    pub log: PathBuf,
    /// What stops it at the end.
    pub stop: Signal,
    /// Whether to start it again when it ends by itself.
    pub restarts: bool,
    /// A folder to remove at the end.
    pub remove: Option<PathBuf>,
}

/// A signal, as far as servers are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Signal {
    /// SIGINT: Postgres' fast shutdown.
    Interrupt,
    /// SIGTERM: what nats-server stops at.
    Terminate,
    /// SIGQUIT: Postgres' immediate shutdown, which leaves it to recover at the next start.
    Quit,
    /// SIGKILL.
    Kill,
}

impl Signal {
    /// Sends it. A process that has ended is no fault.
    pub(crate) fn send(self, pid: u32) {
        let signal = match self {
            Self::Interrupt => rustix::process::Signal::INT,
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Kill => rustix::process::Signal::KILL,
        };
        let pid = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            let _ = rustix::process::kill_process(pid, signal);
        }
    }
}

/// A line to the guard.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Order {
    /// Start this; the first order.
    Start(Server),
    /// Start it again after [`Order::Stop`].
    StartAgain,
    /// Stop it and keep it down.
    Stop(Signal),
    /// Tell its pid.
    Pid,
}

/// A line from the guard.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Answer {
    /// It runs, or it does not.
    Pid(Option<u32>),
    /// It could not be started.
    Failed(String),
}

/// A guard and the server it watches. Dropping it stops the server.
#[derive(Debug)]
pub(crate) struct Guard {
    child: Child,
    pipes: Mutex<Option<Pipes>>,
}

#[derive(Debug)]
struct Pipes {
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Guard {
    /// Starts a guard, and through it a server.
    pub(crate) fn start(binary: &Path, server: &Server) -> anyhow::Result<Self> {
        let mut child = Command::new(binary)
            .arg("guard")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .current_dir("/")
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the guard has no pipes");
        };
        let pipes = Pipes { orders, answers: BufReader::new(answers) };
        let guard = Self { child, pipes: Mutex::new(Some(pipes)) };
        guard.ask(&Order::Start(server.clone()))?;
        Ok(guard)
    }

    /// The server's pid; `None` while it is down.
    pub(crate) fn pid(&self) -> anyhow::Result<Option<u32>> {
        self.ask(&Order::Pid)
    }

    /// Stops the server by a signal and keeps it down. Returns once it has ended.
    pub(crate) fn stop_server(&self, signal: Signal) -> anyhow::Result<()> {
        self.ask(&Order::Stop(signal)).map(drop)
    }

    /// Starts the server again.
    pub(crate) fn start_server(&self) -> anyhow::Result<()> {
        self.ask(&Order::StartAgain).map(drop)
    }

    fn ask(&self, order: &Order) -> anyhow::Result<Option<u32>> {
        let mut pipes = self.pipes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let pipes = pipes.as_mut().context("the guard has ended")?;
        let mut line = serde_json::to_string(order)?;
        line.push('\n');
        pipes.orders.write_all(line.as_bytes()).context("the guard has ended")?;
        let mut answer = String::new();
        pipes.answers.read_line(&mut answer)?;
        match serde_json::from_str(&answer).context("the guard has ended")? {
            Answer::Pid(pid) => Ok(pid),
            Answer::Failed(reason) => bail!(reason),
        }
    }
}

impl Drop for Guard {
    /// Stops the server, and waits until it has ended.
    fn drop(&mut self) {
        drop(self.pipes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
        let deadline = Instant::now() + END_GRACE;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                tracing::warn!(pid = self.child.id(), "guard {} does not end", self.child.id());
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
