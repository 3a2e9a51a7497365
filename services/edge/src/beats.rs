//! Heartbeats between edges: who is online on each.
//!
//! Changes go out at once (gathered for some milliseconds), everything now and then and whenever
//! someone calls the roll. Beats are numbered, so that a lost one is noticed by the next.

use std::time::Duration;

use async_nats::{HeaderMap, Subscriber};
use domain::UserId;
use futures_util::StreamExt;
use nats::rpc::{Beat, Roster};
use tokio::time::Instant;

use crate::Edge;
use crate::presence::Heard;

/// A change goes out at once, and those that follow within this time together.
const GATHER: Duration = Duration::from_millis(50);
/// A beat goes out at least this often.
const BEAT_EVERY: Duration = Duration::from_secs(3);
/// Silence and what is due are looked at this often, however much is sent meanwhile.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Everyone who is here is named at least this often.
const WHOLE_EVERY: Duration = Duration::from_secs(30);
/// The roll is called, or answered, at most this often.
const ROLL_EVERY: Duration = Duration::from_millis(500);
/// Users named in one beat.
const USERS_MAX: usize = 50_000;

struct Beats {
    edge: Edge,
    number: u64,
    /// When [`Beats::tick`] ran last. What is sent must not move it: an edge where people come and
    /// go all the time would never look whether another one is silent.
    looked_at: Instant,
    beat_at: Instant,
    whole_at: Instant,
    told_at: Instant,
    called_at: Option<Instant>,
    /// When a roll call that came too early is answered.
    answer_at: Option<Instant>,
}

/// Beats until the edge stops; then says that it is gone.
pub(crate) async fn run(edge: Edge) -> anyhow::Result<()> {
    let client = edge.bus().client();
    let subjects = edge.bus().subjects();
    let mut heard = client.subscribe(subjects.edge_beats()).await?;
    let mut calls = client.subscribe(subjects.edge_roll_call()).await?;
    let mut connections = edge.bus().connections();
    let stopped = edge.stopped().clone();
    let now = Instant::now();
    let mut beats = Beats {
        edge,
        number: 0,
        looked_at: now,
        beat_at: now,
        whole_at: now,
        told_at: now,
        called_at: None,
        answer_at: None,
    };
    beats.call_the_roll().await;
    loop {
        tokio::select! {
            () = stopped.cancelled() => break,
            Some(message) = heard.next() => beats.hear(message.payload, &mut heard).await,
            Some(_) = calls.next() => beats.answer_at = Some(beats.whole_at + ROLL_EVERY),
            Ok(()) = connections.changed() => beats.connected().await,
            () = beats.has_changes() => beats.tell_changes().await,
            () = tokio::time::sleep_until(beats.due()) => beats.tick().await,
        }
    }
    beats.send(Roster::Gone).await;
    // The process is about to end, and NATS drops what it has not read of a connection that is reset:
    // an answer means that it has read everything.
    let bus = beats.edge.bus();
    let _ = bus.round_trip(bus.subjects().rpc("ping")).await;
    Ok(())
}

impl Beats {
    fn due(&self) -> Instant {
        let look_at = self.looked_at + LOOK_EVERY;
        self.answer_at.map_or(look_at, |answer_at| answer_at.min(look_at))
    }

    async fn hear(&mut self, first: bytes::Bytes, heard: &mut Subscriber) {
        let mut payload = Some(first);
        let mut has_hole = false;
        while let Some(text) = payload {
            match serde_json::from_slice::<Beat>(&text) {
                Ok(beat) => {
                    has_hole |= self.edge.presence().hear(beat, Instant::now()) == Heard::Hole;
                }
                Err(error) => {
                    tracing::warn!(error = %error, "a heartbeat cannot be read: {error}");
                }
            }
            payload = futures_util::FutureExt::now_or_never(heard.next())
                .flatten()
                .map(|message| message.payload);
        }
        if has_hole {
            self.call_the_roll().await;
        }
    }

    async fn call_the_roll(&mut self) {
        if self.called_at.is_some_and(|called| called.elapsed() < ROLL_EVERY) {
            return;
        }
        self.called_at = Some(Instant::now());
        let bus = self.edge.bus();
        bus.tell(bus.subjects().edge_roll_call(), HeaderMap::new(), bytes::Bytes::new()).await;
    }

    async fn connected(&mut self) {
        self.edge.presence().forgive_silence(Instant::now());
        self.called_at = None;
        self.call_the_roll().await;
        self.tell_everyone().await;
    }

    /// Resolves when changes may be told. Cancel-safe.
    async fn has_changes(&self) {
        tokio::time::sleep_until(self.told_at + GATHER).await;
        self.edge.presence().has_untold().await;
    }

    async fn tell_changes(&mut self) {
        self.told_at = Instant::now();
        if let Some(changes) = self.edge.presence().take_untold()
            && !self.send(changes).await
        {
            // Said again, whole, once NATS is back.
            self.answer_at = Some(Instant::now() + ROLL_EVERY);
        }
    }

    async fn tick(&mut self) {
        let now = Instant::now();
        self.looked_at = now;
        if self.edge.bus().is_connected() {
            self.edge.presence().drop_silent(now);
        } else {
            self.edge.presence().forgive_silence(now);
        }
        let is_asked = self.answer_at.is_some_and(|answer_at| answer_at <= now);
        if is_asked || now.duration_since(self.whole_at) >= WHOLE_EVERY {
            self.tell_everyone().await;
        } else if now.duration_since(self.beat_at) >= BEAT_EVERY {
            self.send(Roster::Same).await;
        }
    }

    async fn tell_everyone(&mut self) {
        self.answer_at = None;
        self.whole_at = Instant::now();
        // What came before the list was made is in it.
        self.edge.presence().take_untold();
        let users = self.edge.hub().users();
        let parts: Vec<&[UserId]> = match users.len() {
            0 => vec![&[]],
            _ => users.chunks(USERS_MAX).collect(),
        };
        let count = u32::try_from(parts.len()).unwrap_or(u32::MAX);
        for (part, online) in (0..count).zip(parts) {
            self.send(Roster::Whole { part, parts: count, online: online.to_vec() }).await;
        }
    }

    async fn send(&mut self, roster: Roster) -> bool {
        self.beat_at = Instant::now();
        self.number += 1;
        let edge = self.edge.presence().edge();
        let beat = Beat { edge: edge.to_owned(), number: self.number, roster };
        let Ok(payload) = serde_json::to_vec(&beat) else { return false };
        let bus = self.edge.bus();
        bus.tell(bus.subjects().edge_beat(edge), HeaderMap::new(), payload.into()).await
    }
}
