//! From an upgraded connection to a socket that is served, or closed with the reason.

use std::sync::Arc;
use std::time::Duration;

use contract::close::Close;
use contract::frames::ServerFrame;
use domain::{Caller, RoomId, Seq, UserId};
use nats::bus::AskError;
use nats::rpc::{Open, OpenReply, Profile, UserToken};
use runtime::meter::{Counter, label};

use crate::Edge;
use crate::follow;
use crate::frame::{Named, StartFrom};
use crate::line::Line;
use crate::session::Session;
use crate::socket::{Added, Kind, Socket};

/// How long an upgraded connection may take to be served.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

/// What a client asked for in its upgrade request, unread.
pub(crate) struct Wanted {
    /// The access token; empty when there is none.
    pub token: String,
    /// The room, as it stands in the path; `None` for a multi-room socket.
    pub room: Option<String>,
    /// `after`, as it stands in the query.
    pub after: Option<String>,
    /// `epoch`, as it stands in the query.
    pub epoch: Option<String>,
}

/// Serves a connection.
pub(crate) async fn serve(edge: Edge, upgrade: hyper::upgrade::OnUpgrade, wanted: Wanted) {
    let Ok(Ok(upgraded)) = tokio::time::timeout(CONNECT_TIMEOUT, upgrade).await else {
        tracing::debug!("an upgrade was not completed");
        return;
    };
    let line = Line::new(upgraded).await;
    let connecting = tokio::time::timeout(CONNECT_TIMEOUT, connect(&edge, &wanted)).await;
    drop(wanted);
    match connecting.unwrap_or(Err(Close::Overloaded)) {
        Ok(session) => {
            Counter::SocketsOpened.add(1);
            // A task of its own, so that nothing of the connecting stays in memory.
            edge.life().spawn(Box::pin(session.run(line)));
        }
        Err(close) => {
            edge.count_close(close);
            line.close(close, edge.life()).await;
        }
    }
}

async fn connect(edge: &Edge, wanted: &Wanted) -> Result<Session, Close> {
    if edge.life().is_draining() {
        return Err(Close::Restarting);
    }
    let verified = edge.auth().authenticate(&wanted.token).await?;
    let kind = match &wanted.room {
        Some(room) => Kind::Room(room.parse().map_err(|_| Close::Malformed)?),
        None => Kind::Many,
    };
    let from = StartFrom {
        after: parse_after(wanted.after.as_deref())?,
        epoch: wanted.epoch.as_deref().filter(|epoch| !epoch.is_empty()).map(Named::of),
    };
    if !edge.hub().admits(verified.caller.user) {
        return Err(too_many(verified.caller.user));
    }
    edge.wait_for_full_sync().await;
    let token = UserToken::from(wanted.token.as_str());
    let (email, log) = tokio::try_join!(
        email(edge, verified.caller, &token),
        open(edge, verified.caller, &token, kind)
    )?;
    let socket = Socket::new(verified.caller, token, email, kind);
    socket.say(hello(&socket, log));
    let Some(announcement) = edge.register(&socket) else {
        return Err(too_many(socket.user));
    };
    let expires_at = verified.expires_at;
    let session = Session::new(edge.clone(), Arc::clone(&socket), expires_at, announcement);
    // What was said to all sockets a moment ago, this one has not heard.
    if edge.auth().revoked().contains(verified.caller.login) {
        socket.out.close(Close::Unauthenticated);
    }
    if edge.life().is_draining() {
        socket.out.close(Close::Restarting);
    }
    if let (Kind::Room(room), Some(log)) = (kind, log) {
        begin(edge, &socket, (room, log), from);
    }
    Ok(session)
}

fn too_many(user: UserId) -> Close {
    Counter::ConnectionsRefused.add_with(1, vec![label("reason", "sockets")]);
    tracing::debug!(user.id = %user, "user {user} is turned away: too many sockets are open");
    Close::Overloaded
}

fn begin(edge: &Edge, socket: &Arc<Socket>, (room, opened): (RoomId, OpenReply), from: StartFrom) {
    if let Added::New(subscription) = socket.add(room) {
        follow::begin(&subscription, opened, from, false);
        let following = follow::follow(edge.clone(), subscription, opened.log.last_seq);
        edge.life().spawn(Box::pin(following));
    }
}

fn hello(socket: &Socket, opened: Option<OpenReply>) -> crate::frame::Text {
    ServerFrame::Connection {
        connection_id: &uuid::Uuid::new_v4().to_string(),
        user_id: socket.user,
        user_email: &socket.email,
        room: match socket.kind {
            Kind::Room(room) => Some(room),
            Kind::Many => None,
        },
        last_seq: opened.map(|opened| opened.log.last_seq),
        epoch: opened.map(|opened| opened.epoch),
    }
    .text()
    .into()
}

async fn open(
    edge: &Edge,
    caller: Caller,
    token: &UserToken,
    kind: Kind,
) -> Result<Option<OpenReply>, Close> {
    let Kind::Room(room) = kind else { return Ok(None) };
    let found = edge.opener().find(caller.user, room).await;
    let opened = match found {
        Ok(None) => {
            let _turn = edge.budgets().open_turn(caller.user).await;
            edge.api().ask(&Open { token: token.clone(), room }).await.map(Some)
        }
        found => found,
    };
    opened.map_err(|error| close_of(&error))
}

async fn email(edge: &Edge, caller: Caller, token: &UserToken) -> Result<Arc<str>, Close> {
    if let Some(email) = edge.known_email(caller.user) {
        return Ok(email);
    }
    let reply = edge.bus().ask(&Profile { token: token.clone() }).await;
    let email: Arc<str> = match reply {
        Ok(reply) => reply.email.into(),
        Err(error) => return Err(close_of(&error)),
    };
    edge.learn_email(caller.user, &email);
    Ok(email)
}

fn close_of(error: &AskError) -> Close {
    if error.is_no_room() {
        return Close::NoSuchRoom;
    }
    // A token whose user is gone is no token.
    if error.is_unauthenticated() {
        return Close::Unauthenticated;
    }
    tracing::debug!(error = %error, "a socket cannot be served: {error}");
    Close::Overloaded
}

fn parse_after(after: Option<&str>) -> Result<Option<Seq>, Close> {
    let Some(text) = after.filter(|text| !text.is_empty()) else { return Ok(None) };
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(Close::Malformed);
    }
    text.parse().map(|after| Some(Seq(after))).map_err(|_| Close::Malformed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_is_a_plain_number_or_absent() {
        assert_eq!(parse_after(None), Ok(None));
        assert_eq!(parse_after(Some("")), Ok(None));
        assert_eq!(parse_after(Some("0")), Ok(Some(Seq(0))));
        assert_eq!(parse_after(Some("9223372036854775807")), Ok(Some(Seq(i64::MAX))));
        for bad in ["-1", "+1", "1.0", "x", " 1", "9223372036854775808"] {
            assert_eq!(parse_after(Some(bad)), Err(Close::Malformed), "{bad}");
        }
    }
}
