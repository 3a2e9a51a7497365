//! What runs in the guard's process.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, Write};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use runtime::Lifecycle;
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Answer, Order, STOP_GRACE, Server, Signal};

/// The pause before a server that ended by itself is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(500);

/// Runs the guard until its standard input ends; then stops the server.
///
/// # Errors
/// When there is no order on the input, or it cannot be read.
pub async fn run() -> anyhow::Result<()> {
    let life = Lifecycle::new();
    outlive_signals(&life)?;
    let mut orders = orders();
    let Some(Order::Start(server)) = orders.recv().await else {
        bail!("`chatboard guard` is started by ChatBoard itself");
    };
    let mut watch = Watch { server, child: None, is_wanted: true, again_at: None };
    answer(watch.start());
    loop {
        tokio::select! {
            order = orders.recv() => match order {
                Some(order) => answer(watch.obey(order).await),
                None => break,
            },
            // One attempt at a time: the end of the input must be seen between two.
            () = watch.calls() => watch.heed(),
        }
    }
    let signal = watch.server.stop;
    watch.stop(signal).await;
    if let Some(folder) = &watch.server.remove {
        let _ = std::fs::remove_dir_all(folder);
    }
    Ok(())
}

/// The guard ends with its input and with nothing else: whoever signals our group means us.
fn outlive_signals(life: &Lifecycle) -> anyhow::Result<()> {
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut ignored = signal(kind)?;
        life.spawn(async move { while ignored.recv().await.is_some() {} });
    }
    Ok(())
}

/// The orders on the standard input, until it ends; read by a thread, as that waits.
fn orders() -> mpsc::Receiver<Order> {
    let (sender, receiver) = mpsc::channel(1);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Some(order) = line.ok().and_then(|line| serde_json::from_str(&line).ok()) else {
                return;
            };
            if sender.blocking_send(order).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Whoever asked may be gone, which is no fault.
fn answer(result: anyhow::Result<Option<u32>>) {
    let answer = match result {
        Ok(pid) => Answer::Pid(pid),
        Err(error) => Answer::Failed(format!("{error:#}")),
    };
    let Ok(mut line) = serde_json::to_string(&answer) else { return };
    line.push('\n');
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(line.as_bytes());
    let _ = out.flush();
}

struct Watch {
    server: Server,
    child: Option<Child>,
    is_wanted: bool,
    /// When a server that ended by itself is started again.
    again_at: Option<Instant>,
}

impl Watch {
    fn start(&mut self) -> anyhow::Result<Option<u32>> {
        let program = self.server.program.display();
        let log = open_log(&self.server)
            .with_context(|| format!("cannot write {}", self.server.log.display()))?;
        let mut command = Command::new(&self.server.program);
        command
            .args(&self.server.args)
            .current_dir(&self.server.cwd)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        if let Some((uid, gid)) = self.server.user {
            // Our supplementary groups are given up with the uid.
            command.gid(gid).uid(uid);
        }
        let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
        let pid = child.id();
        self.child = Some(child);
        self.again_at = None;
        Ok(pid)
    }

    async fn obey(&mut self, order: Order) -> anyhow::Result<Option<u32>> {
        match order {
            Order::Start(_) => bail!("a guard watches one server"),
            Order::StartAgain => {
                self.is_wanted = true;
                if self.pid().is_some() { Ok(self.pid()) } else { self.start() }
            }
            Order::Stop(signal) => {
                self.is_wanted = false;
                self.stop(signal).await;
                Ok(None)
            }
            Order::Pid => Ok(self.pid()),
        }
    }

    fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Resolves when the server has ended by itself, or is to be started again. Cancel-safe.
    async fn calls(&mut self) {
        match (&mut self.child, self.again_at) {
            (Some(child), _) => {
                let _ = child.wait().await;
            }
            (None, Some(again_at)) => tokio::time::sleep_until(again_at).await,
            (None, None) => std::future::pending().await,
        }
    }

    fn heed(&mut self) {
        let has_ended = self.child.take().is_some();
        if has_ended || self.start().is_err() {
            let may_start = self.is_wanted && self.server.restarts;
            self.again_at = may_start.then(|| Instant::now() + RESTART_PAUSE);
        }
    }

    async fn stop(&mut self, signal: Signal) {
        self.again_at = None;
        let Some(mut child) = self.child.take() else { return };
        if let Some(pid) = child.id() {
            signal.send(pid);
        }
        if tokio::time::timeout(STOP_GRACE, child.wait()).await.is_err() {
            let _ = child.kill().await;
        }
    }
}

/// Each start begins a new log; the last one is kept beside it.
fn open_log(server: &Server) -> std::io::Result<File> {
    let last = server.log.with_extension("log.1");
    let _ = std::fs::rename(&server.log, last);
    OpenOptions::new().create(true).append(true).open(&server.log)
}
