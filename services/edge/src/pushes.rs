//! Pushes: frames for all sockets of one user, whichever rooms these follow.
//!
//! They come on two subjects: that of this edge, and that of all edges, for users of whom the sender
//! does not know on which edge they are. A push is sent on one of the two, and each edge has its own
//! sockets only, so every socket gets it once.

use async_nats::Message;
use domain::UserId;
use futures_util::{StreamExt, stream};
use nats::subjects::HEADER_USER;

use crate::Edge;
use crate::frame::Text;
use crate::queue::Weight;

/// Passes pushes on to sockets until the edge stops.
pub(crate) async fn run(edge: Edge) -> anyhow::Result<()> {
    let (client, subjects) = (edge.bus().client(), edge.bus().subjects());
    let own = client.subscribe(subjects.edge_push(edge.presence().edge())).await?;
    let all = client.subscribe(subjects.edge_push_all()).await?;
    let mut pushes = stream::select(own, all);
    let passing_on = async {
        while let Some(push) = pushes.next().await {
            pass_on(&edge, &push);
        }
    };
    edge.stopped().run_until_cancelled(passing_on).await;
    Ok(())
}

fn pass_on(edge: &Edge, push: &Message) {
    let Some(user) = user_of(push) else { return };
    let sockets = edge.hub().sockets_of(user);
    if sockets.is_empty() {
        return;
    }
    let Ok(text) = std::str::from_utf8(&push.payload) else { return };
    let text = Text::from(text.to_owned());
    for socket in sockets {
        socket.out.push(text.clone(), Weight::Ephemeral);
    }
}

fn user_of(push: &Message) -> Option<UserId> {
    push.headers.as_ref()?.get(HEADER_USER)?.as_str().parse().ok()
}
