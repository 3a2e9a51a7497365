//! What is for one user: pushes to all their sockets, and the question whether they are here.
//!
//! Being subscribed is the answer to "online?", so nobody but an edge that holds a socket of the
//! user subscribes to the user's subject.

use domain::UserId;
use futures_util::StreamExt;
use nats::interest::Push;
use tokio_util::sync::CancellationToken;

use crate::Edge;
use crate::frame::Text;
use crate::queue::Weight;

/// Hears what is for all users of this edge, where that is possible.
pub(crate) async fn run(edge: Edge) -> anyhow::Result<()> {
    let stopped = edge.stopped().clone();
    if let Some(interest) = edge.interest() {
        stopped.run_until_cancelled(interest.run(|push| deliver(&edge, push))).await;
    } else {
        stopped.cancelled().await;
    }
    Ok(())
}

/// Hears what is for one user by the ordinary client, until their last socket here is gone.
pub(crate) async fn run_one(edge: Edge, user: UserId, gone: CancellationToken) {
    let subject = edge.bus().subjects().user(user);
    let hearing = async {
        let mut pushes = match edge.bus().client().subscribe(subject).await {
            Ok(pushes) => pushes,
            Err(error) => {
                tracing::error!(user.id = %user, error = %error, "no pushes for user {user}: {error}");
                return;
            }
        };
        while let Some(message) = pushes.next().await {
            let reply = message.reply.map(|reply| reply.to_string());
            deliver(&edge, Push { user, reply, payload: message.payload });
        }
    };
    gone.run_until_cancelled(hearing).await;
}

fn deliver(edge: &Edge, push: Push) {
    if let Some(reply) = push.reply {
        edge.live().answer(reply);
        return;
    }
    let Ok(text) = std::str::from_utf8(&push.payload) else { return };
    let text = Text::from(text.to_owned());
    for socket in edge.hub().sockets_of(push.user) {
        socket.out.push(text.clone(), Weight::Ephemeral);
    }
}
