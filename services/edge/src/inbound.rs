//! What clients send, frame by frame.

use std::time::Duration;

use contract::close::Close;
use contract::frames::{ClientFrameKind, ServerFrame, WarningCode};
use domain::{Refusal, RoomId};
use runtime::meter::{Counter, label};
use tokio::time::Instant;

use crate::follow;
use crate::frame::{self, BatchItem, Echo, RawFrame, StartFrom, Text};
use crate::limit::Verdict;
use crate::posts;
use crate::session::Session;
use crate::socket::{Added, Kind};

impl Session {
    /// Takes a client's frame. `Err` closes the socket.
    pub(crate) async fn take_frame(&mut self, text: &str) -> Result<(), Close> {
        let echo = || RawFrame::parse(text).map(|frame| frame.echo()).unwrap_or_default();
        if !self.admit(text.len(), echo)? {
            return Ok(());
        }
        let frame = match RawFrame::parse(text) {
            Ok(frame) => frame,
            Err(refusal) => {
                self.refuse(&refusal, &Echo::default());
                return Ok(());
            }
        };
        let mut echo = frame.echo();
        if let (None, Kind::Room(room)) = (echo.room, self.socket.kind)
            && frame.room() == Ok(None)
        {
            echo.room = Some(room);
        }
        if let Err(refusal) = self.heed(&frame, text, &echo).await {
            self.refuse(&refusal, &echo);
        }
        Ok(())
    }

    /// Counts a frame against the limit of the socket and the budget of its user, and tells the
    /// client; whether it is taken.
    pub(crate) fn admit(
        &mut self,
        bytes: usize,
        echo: impl FnOnce() -> Echo,
    ) -> Result<bool, Close> {
        match self.count(bytes) {
            Verdict::Admit => {}
            Verdict::AdmitNear { retry_after } => self.socket.say(
                ServerFrame::Warning {
                    code: WarningCode::RateLimitNear,
                    retry_after_ms: u64::try_from(retry_after.as_millis()).ok(),
                    expires_at: None,
                }
                .text()
                .into(),
            ),
            Verdict::Drop { retry_after } => {
                let retry_after = retry_after.max(Duration::from_millis(1));
                self.refuse(&Refusal::RateLimited { retry_after }, &echo());
                return Ok(false);
            }
            Verdict::Flood => return Err(Close::Flood),
        }
        Ok(true)
    }

    fn count(&mut self, bytes: usize) -> Verdict {
        let now = Instant::now();
        let verdict = self.limit.count(now);
        if matches!(verdict, Verdict::Drop { .. } | Verdict::Flood) {
            Counter::RateLimited.add_with(1, vec![label("limit", "socket_frames")]);
            return verdict;
        }
        match self.edge.budgets().admit_frame(self.socket.user, bytes, now.into_std()) {
            Ok(()) => verdict,
            Err(retry_after) => self.limit.drop_for(retry_after, now),
        }
    }

    fn refuse(&self, refusal: &Refusal, echo: &Echo) {
        self.socket.say(frame::refusal(refusal, echo));
    }

    async fn heed(&mut self, frame: &RawFrame<'_>, text: &str, echo: &Echo) -> Result<(), Refusal> {
        match frame.kind()? {
            ClientFrameKind::Ping => self.socket.say(ServerFrame::Pong.text().into()),
            ClientFrameKind::Subscribe => self.subscribe(frame)?,
            ClientFrameKind::Unsubscribe => self.unsubscribe(frame)?,
            ClientFrameKind::Message => {
                let room = self.room_of(frame)?;
                frame.require_nonce()?;
                posts::submit(&self.edge, &self.socket, room, text, echo.clone());
            }
            ClientFrameKind::Typing => {
                let typing = (self.room_of(frame)?, frame.is_typing()?);
                self.edge.take_typing(&self.socket, typing, echo);
            }
            ClientFrameKind::Read => {
                let read = (self.room_of(frame)?, frame.message()?);
                posts::read(&self.edge, &self.socket, read, echo.clone());
            }
            // Boxed, or every idle socket would keep room for it.
            ClientFrameKind::Auth => Box::pin(self.authenticate(&frame.token()?)).await?,
        }
        Ok(())
    }

    /// The room that a frame is about: on a room's own socket it need not be named.
    fn room_of(&self, frame: &RawFrame<'_>) -> Result<RoomId, Refusal> {
        match (self.socket.kind, frame.room()?) {
            (Kind::Room(own), None) => Ok(own),
            (Kind::Room(own), Some(named)) if named != own => {
                Err(Refusal::invalid("room", "this socket is for another room"))
            }
            (_, Some(named)) => Ok(named),
            (Kind::Many, None) => Err(Refusal::invalid("room", "is required")),
        }
    }

    fn require_many(&self) -> Result<(), Refusal> {
        match self.socket.kind {
            Kind::Many => Ok(()),
            Kind::Room(_) => Err(Refusal::invalid("type", "this socket is for one room")),
        }
    }

    fn subscribe(&self, frame: &RawFrame<'_>) -> Result<(), Refusal> {
        self.require_many()?;
        let Some(batch) = frame.batch()? else {
            return self.subscribe_to(self.room_of(frame)?, frame.from()?);
        };
        for BatchItem { room, from } in batch {
            let subscribed = match (room, from) {
                (Some(room), Ok(from)) => self.subscribe_to(room, from),
                (None, Ok(_)) => Err(Refusal::invalid("room", "is required")),
                (_, Err(refusal)) => Err(refusal),
            };
            if let Err(refusal) = subscribed {
                self.refuse(&refusal, &Echo { nonce: None, room });
            }
        }
        Ok(())
    }

    fn subscribe_to(&self, room: RoomId, from: StartFrom) -> Result<(), Refusal> {
        match self.socket.add(room) {
            Added::New(subscription) => {
                let edge = self.edge.clone();
                let opening = follow::subscribe(edge, subscription, from);
                self.edge.life().spawn(Box::pin(opening));
                Ok(())
            }
            Added::Known(subscription) => {
                if subscription.asked_again() {
                    let last = subscription.position().max(subscription.opened_at());
                    subscription.say_subscribed(last, false);
                }
                Ok(())
            }
            Added::Full => Err(Refusal::TooManyRooms),
        }
    }

    fn unsubscribe(&self, frame: &RawFrame<'_>) -> Result<(), Refusal> {
        self.require_many()?;
        let room = self.room_of(frame)?;
        let unsubscribed: Text = ServerFrame::Unsubscribed { room }.text().into();
        let Some(subscription) = self.socket.remove(room) else {
            self.socket.say(unsubscribed);
            return Ok(());
        };
        if !self.socket.out.end(&subscription, Some(unsubscribed.clone())) {
            self.socket.say(unsubscribed);
        }
        self.edge.leave_rooms(vec![subscription]);
        Ok(())
    }

    async fn authenticate(&mut self, token: &str) -> Result<(), Refusal> {
        let verified = self.edge.auth().authenticate(token).await.map_err(|close| match close {
            Close::Overloaded => Refusal::Unavailable,
            _ => Refusal::Unauthenticated,
        })?;
        if verified.caller.user != self.socket.user {
            return Err(Refusal::Unauthenticated);
        }
        self.socket.renew(verified.caller.login, token.into());
        self.renew(verified.expires_at);
        let expires_at = verified.expires_at;
        self.socket.say(ServerFrame::Authenticated { expires_at }.text().into());
        if self.edge.auth().revoked().contains(verified.caller.login) {
            self.socket.out.close(Close::Unauthenticated);
        }
        Ok(())
    }
}
