//! What is for one user: pushes to all their sockets, and the question whether they are here.
//!
//! Being subscribed is the answer to "online?", so nobody but an edge that holds a socket of the
//! user subscribes to the user's subject.

use domain::UserId;
use futures_util::StreamExt;
use tokio_util::sync::CancellationToken;

use crate::Edge;
use crate::frame::Text;
use crate::queue::Weight;

/// Listens until the user's last socket here is gone.
pub(crate) async fn run(edge: Edge, user: UserId, gone: CancellationToken) {
    let subject = edge.bus().subjects().user(user);
    let mut pushes = tokio::select! {
        subscribed = edge.bus().client().subscribe(subject) => match subscribed {
            Ok(pushes) => pushes,
            Err(error) => {
                tracing::error!(user.id = %user, error = %error, "no pushes for user {user}: {error}");
                return;
            }
        },
        () = gone.cancelled() => return,
    };
    loop {
        let message = tokio::select! {
            () = gone.cancelled() => return,
            message = pushes.next() => message,
        };
        let Some(message) = message else { return };
        if let Some(reply) = message.reply {
            edge.live().answer(reply.to_string());
            continue;
        }
        let Ok(text) = std::str::from_utf8(&message.payload) else { continue };
        let text = Text::from(text.to_owned());
        for socket in edge.hub().sockets_of(user) {
            socket.out.push(text.clone(), Weight::Ephemeral);
        }
    }
}
