//! A client that follows one room whatever happens: it comes back with `after`, on another edge.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::person::Person;
use crate::seen::{Event, Seen};
use crate::wait::spawn;

/// The pause before the next try: servers are being killed.
const PAUSE: Duration = Duration::from_millis(50);

/// A client that follows one room until it is told to stop.
#[derive(Debug)]
pub struct Follower {
    room: i64,
    place: watch::Receiver<Option<i64>>,
    stop: mpsc::Sender<()>,
    task: JoinHandle<(Seen, Returns)>,
}

/// How often a client had to come back.
#[derive(Clone, Copy, Debug, Default)]
pub struct Returns {
    /// Sockets that ended before the client was done.
    pub ended: u32,
    /// Sockets that could not be opened.
    pub refused: u32,
}

impl Follower {
    /// Starts to follow a room from its first event on.
    pub fn start(person: &Person, room: i64, edge: usize) -> Self {
        let (told, place) = watch::channel(None);
        let (stop, stopped) = mpsc::channel(1);
        let task = spawn(follow(person.clone(), room, edge, (Arc::new(told), stopped)));
        Self { room, place, stop, task }
    }

    /// Waits until it has seen an event.
    pub async fn reaches(&mut self, seq: i64, patience: Duration) {
        let reached = self.place.wait_for(|place| place.is_some_and(|place| place >= seq));
        // An error is the end of the task, by a panic: finish() shows it.
        let is_there = tokio::time::timeout(patience, reached).await.map(drop).is_ok();
        let place = *self.place.borrow();
        assert!(is_there, "room {}: at {place:?}, not at {seq}, after {patience:?}", self.room);
    }

    /// Waits until it is connected for the first time.
    pub async fn begins(&mut self, patience: Duration) {
        self.reaches(0, patience).await;
    }

    /// Stops; returns all events that it saw, and how often it had to come back.
    pub async fn finish(self) -> (Vec<Event>, Returns) {
        let _ = self.stop.send(()).await;
        match self.task.await {
            Ok((seen, returns)) => (seen.events(self.room).to_vec(), returns),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
}

type Line = (Arc<watch::Sender<Option<i64>>>, mpsc::Receiver<()>);

async fn follow(person: Person, room: i64, mut edge: usize, line: Line) -> (Seen, Returns) {
    let (told, mut stopped) = line;
    let mut seen = Seen::default();
    let mut returns = Returns::default();
    loop {
        let after = seen.events(room).last().map_or(0, |event| event.seq);
        let opening = person.opening(edge, &format!("/ws/rooms/{room}/?after={after}"));
        let Ok(mut socket) = opening.try_connect().await else {
            returns.refused += 1;
            if pause(&mut stopped).await {
                return (seen, returns);
            }
            edge += 1;
            continue;
        };
        socket.carries_on(std::mem::take(&mut seen));
        let is_done = tokio::select! {
            _ = stopped.recv() => true,
            () = read(&mut socket, room, &told) => false,
        };
        if let Some(closed) = socket.closed() {
            assert!(![4001, 4003, 4400].contains(&closed.code), "closed with {closed:?}");
        }
        seen = socket.into_seen();
        if is_done || pause(&mut stopped).await {
            return (seen, returns);
        }
        returns.ended += 1;
        edge += 1;
    }
}

async fn read(socket: &mut crate::Socket, room: i64, told: &watch::Sender<Option<i64>>) {
    if !socket.is_greeted().await {
        return;
    }
    told.send_replace(socket.place(room));
    while let Some(frame) = socket.try_next().await {
        assert_ne!(frame["type"], "resync", "everything is kept: {frame}");
        told.send_if_modified(|place| {
            let is_new = *place != socket.place(room);
            *place = socket.place(room);
            is_new
        });
    }
}

/// Waits a moment; whether it was told to stop meanwhile.
async fn pause(stopped: &mut mpsc::Receiver<()>) -> bool {
    tokio::time::timeout(PAUSE, stopped.recv()).await.is_ok()
}
