//! Who types where, and when it ends.
//!
//! The rooms in which a socket's user types lie on the socket, so that the other sockets of the
//! same user can look: what ends by itself, at its time or with its socket, is told only while
//! the user types in that room on no other socket of this edge. Two edges do not know of each
//! other: between them it is best effort.
//!
//! **Invariant:** typing is shown only in a room whose membership was looked at, by a
//! subscription that is open or by a question of its own.

use std::sync::Arc;
use std::time::Duration;

use domain::RoomId;
use tokio::time::Instant;

use crate::Edge;
use crate::follow;
use crate::frame::Echo;
use crate::posts;
use crate::socket::Socket;

/// How long after the last sign of typing someone has stopped.
const TYPING: Duration = Duration::from_secs(6);
/// Rooms in which one socket may type at once; what goes beyond is not shown.
const ROOMS_MAX: usize = 1_000;

/// One room.
#[derive(Debug)]
struct Place {
    room: RoomId,
    /// Shown to others until then.
    until: Option<Instant>,
    /// While membership is being looked at: what was said last.
    waiting: Option<bool>,
}

/// Where a socket's user types.
#[derive(Debug, Default)]
pub(crate) struct Typing {
    places: Vec<Place>,
}

/// What a sign in a room that the socket does not follow calls for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfollowed {
    /// Membership has to be looked at.
    Look,
    /// It was shown, and ends.
    Ends,
    /// Nothing: membership is being looked at, or there are too many rooms.
    Nothing,
}

impl Typing {
    /// When the next one ends by itself.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.places.iter().filter_map(|place| place.until).min()
    }

    /// Takes out what ends by itself.
    pub(crate) fn take_due(&mut self, now: Instant) -> Vec<RoomId> {
        let mut ended = Vec::new();
        for place in &mut self.places {
            if place.until.is_some_and(|until| until <= now) {
                place.until = None;
                ended.push(place.room);
            }
        }
        self.tidy();
        ended
    }

    /// The socket is gone: takes out where its user was typing.
    pub(crate) fn clear(&mut self) -> Vec<RoomId> {
        let places = std::mem::take(&mut self.places);
        places.into_iter().filter(|place| place.until.is_some()).map(|place| place.room).collect()
    }

    fn types_in(&self, room: RoomId) -> bool {
        self.places.iter().any(|place| place.room == room && place.until.is_some())
    }

    /// Notes a sign where the user is a member; whether others are to be told.
    fn note(&mut self, room: RoomId, is_typing: bool, now: Instant) -> bool {
        let until = is_typing.then(|| now + TYPING);
        let news = match self.place(room) {
            Some(place) => std::mem::replace(&mut place.until, until).is_some() || is_typing,
            None => false,
        };
        self.tidy();
        news
    }

    /// Notes a sign in a room that the socket does not follow.
    fn note_unfollowed(&mut self, room: RoomId, is_typing: bool) -> Unfollowed {
        let Some(place) = self.place(room) else { return Unfollowed::Nothing };
        let news = match (place.waiting, is_typing, place.until) {
            // The answer that is awaited serves the last sign.
            (Some(_), ..) => {
                place.waiting = Some(is_typing);
                Unfollowed::Nothing
            }
            (None, false, Some(_)) => {
                place.until = None;
                Unfollowed::Ends
            }
            (None, ..) => {
                place.waiting = Some(is_typing);
                Unfollowed::Look
            }
        };
        self.tidy();
        news
    }

    /// Membership has been looked at: what was said last, unless the socket is gone.
    fn take_waiting(&mut self, room: RoomId) -> Option<bool> {
        let place = self.places.iter_mut().find(|place| place.room == room)?;
        let waiting = place.waiting.take();
        self.tidy();
        waiting
    }

    /// A room's place, made if there is none; `None` when there are too many.
    fn place(&mut self, room: RoomId) -> Option<&mut Place> {
        let known = self.places.iter().position(|place| place.room == room);
        let at = known.unwrap_or(self.places.len());
        if known.is_none() && at < ROOMS_MAX {
            self.places.push(Place { room, until: None, waiting: None });
        }
        self.places.get_mut(at)
    }

    fn tidy(&mut self) {
        self.places.retain(|place| place.until.is_some() || place.waiting.is_some());
    }
}

impl Edge {
    /// The user types in a room, or has stopped.
    pub(crate) fn take_typing(
        &self,
        socket: &Arc<Socket>,
        (room, is_typing): (RoomId, bool),
        echo: &Echo,
    ) {
        if socket.follows(room) {
            return self.note_typing(socket, room, is_typing);
        }
        let news = socket.typing.lock().note_unfollowed(room, is_typing);
        match news {
            Unfollowed::Look => self.look_and_note(socket, room, echo.clone()),
            Unfollowed::Ends => self.tell_typing(socket, room, false),
            Unfollowed::Nothing => {}
        }
    }

    /// Where the user's typing has ended by itself.
    pub(crate) fn end_typing(&self, socket: &Socket, rooms: Vec<RoomId>) {
        for room in rooms {
            let mut others = self.hub().sockets_of(socket.user);
            others.retain(|other| other.id != socket.id);
            if !others.iter().any(|other| other.typing.lock().types_in(room)) {
                self.tell_typing(socket, room, false);
            }
        }
    }

    fn look_and_note(&self, socket: &Arc<Socket>, room: RoomId, echo: Echo) {
        let (edge, socket) = (self.clone(), Arc::clone(socket));
        self.life().spawn(async move {
            let opened = follow::open(&edge, &socket, room).await;
            let waiting = socket.typing.lock().take_waiting(room);
            match (opened, waiting) {
                (Ok(_), Some(is_typing)) => {
                    edge.note_typing(&socket, room, is_typing);
                    // The socket's task has the timer.
                    socket.out.nudge();
                }
                (Ok(_), None) => {}
                (Err(error), _) => socket.say(posts::refused(&error, &echo)),
            }
        });
    }

    fn note_typing(&self, socket: &Socket, room: RoomId, is_typing: bool) {
        let is_news = socket.typing.lock().note(room, is_typing, Instant::now());
        if is_news {
            self.tell_typing(socket, room, is_typing);
        }
    }

    fn tell_typing(&self, socket: &Socket, room: RoomId, is_typing: bool) {
        self.live().typing(room, socket.user, &socket.email, is_typing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId(1);

    #[test]
    fn the_last_sign_is_what_counts_when_membership_is_known() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        assert_eq!(typing.note_unfollowed(ROOM, true), Unfollowed::Look);
        assert_eq!(typing.note_unfollowed(ROOM, false), Unfollowed::Nothing);
        assert!(!typing.types_in(ROOM));
        assert_eq!(typing.take_waiting(ROOM), Some(false));
        assert!(!typing.note(ROOM, false, now), "it was never shown");
        assert!(typing.places.is_empty());
    }

    #[test]
    fn what_was_shown_ends_once() {
        let (mut typing, now) = (Typing::default(), Instant::now());
        assert!(typing.note(ROOM, true, now));
        assert!(typing.note(ROOM, true, now + Duration::from_secs(3)), "told again");
        assert!(typing.take_due(now + TYPING).is_empty());
        assert_eq!(typing.due(), Some(now + TYPING + Duration::from_secs(3)));
        assert_eq!(typing.note_unfollowed(ROOM, false), Unfollowed::Ends);
        assert!(typing.clear().is_empty());
    }

    #[test]
    fn a_socket_that_is_gone_shows_nothing_any_more() {
        let mut typing = Typing::default();
        assert_eq!(typing.note_unfollowed(ROOM, true), Unfollowed::Look);
        assert!(typing.clear().is_empty());
        assert_eq!(typing.take_waiting(ROOM), None);
    }
}
