//! The answers to what edges ask over NATS (`nats::rpc`): the same actions and queries that the
//! REST handlers use, behind another door.
//!
//! Questions are answered beside each other, bounded in number: the loop that takes them in reads
//! none of them. An edge sends the next message of a socket once the one before is answered, so
//! the sends of a socket keep their order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::{HeaderMap, Message, Subscriber};
use domain::limits::{REPLAY_BYTES_MAX, REPLAY_EVENTS_MAX};
use domain::{Caller, Refusal, Seq, UserId};
use futures_util::{StreamExt, stream};
use nats::publish::envelope;
use nats::rpc::{
    Answer, Events, EventsReply, Fallen, FallenReply, Head, Heads, HeadsReply, Keys, KeysReply,
    LogEnds, MEMBERS_MAX, Members, MembersReply, Open, OpenReply, Post, PostReply, Profile,
    ProfileReply, QUEUE_GROUP, Question, REVOKED_MAX, Read, ReadReply, Refused, Revoked,
    RevokedLogin, RevokedReply, UserToken,
};
use nats::subjects::{HEADER_NODE, Subjects};
use runtime::meter::{Counter, Histogram, label};
use serde::Serialize;
use store::access;
use store::epoch::Reason;
use store::queries::heads;
use store::queries::retention::log_floor;
use store::queries::room_log::{left_since, room_log};
use tokio::sync::{Semaphore, watch};

use crate::Api;
use crate::epoch;
use crate::messages::{PostMessage, Submitted, post_message};
use crate::problem::Problem;

/// Questions that are answered at once.
const OPEN_MAX: usize = 1_024;
/// How long the server may take to say that nothing more comes, once the node drains.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// How long someone who left a room may still be sent what happened before: the replay that was
/// under way.
const LEFT_GRACE: Duration = Duration::from_secs(120);

/// The subscriptions to questions: to those for any node, and to those for this one.
type Questions = stream::Select<Subscriber, Subscriber>;

/// Answers while the node is ready, until it drains. A question that has been taken is answered
/// even then.
///
/// # Errors
/// When the subscription ends, which it must not.
pub(crate) async fn answer_all(api: Api) -> anyhow::Result<()> {
    let mut ready = api.ready();
    let slots = Arc::new(Semaphore::new(OPEN_MAX));
    loop {
        tokio::select! {
            () = api.life().draining() => return Ok(()),
            () = becomes(&mut ready, true) => {}
        }
        let subjects = api.bus().subjects();
        let client = api.bus().client();
        let own = client.subscribe(subjects.rpc_of_node(api.node(), "*")).await?;
        let any = client.queue_subscribe(subjects.rpc_all(), QUEUE_GROUP.to_owned()).await?;
        answer_while_ready(&api, &mut ready, stream::select(any, own), &slots).await?;
    }
}

/// Answers until the node drains or is not ready any more.
async fn answer_while_ready(
    api: &Api,
    ready: &mut watch::Receiver<bool>,
    mut questions: Questions,
    slots: &Arc<Semaphore>,
) -> anyhow::Result<()> {
    let mut leave_by: Option<tokio::time::Instant> = None;
    loop {
        let message = tokio::select! {
            message = questions.next() => message,
            () = leaves(api, ready), if leave_by.is_none() => {
                // Without NATS nothing has been sent, and the end would never be said either.
                if !api.bus().is_connected() {
                    return Ok(());
                }
                // The server hands out no more; what it has sent already is still answered.
                leave_by = Some(tokio::time::Instant::now() + DRAIN_TIMEOUT);
                let (any, own) = questions.get_mut();
                let draining = async { tokio::join!(any.drain(), own.drain()) };
                let _ = tokio::time::timeout(DRAIN_TIMEOUT, draining).await;
                continue;
            }
            () = passed(leave_by) => return Ok(()),
        };
        let Some(message) = message else {
            anyhow::ensure!(leave_by.is_some(), "the subscription to questions ended");
            return Ok(());
        };
        take(api, message, slots).await;
    }
}

/// Takes a question: a send is put into the poster's queue now, all else is done beside.
async fn take(api: &Api, message: Message, slots: &Arc<Semaphore>) {
    let Ok(slot) = Arc::clone(slots).try_acquire_owned() else {
        Counter::RpcDropped.add(1);
        reply(api, &message, &Answer::<()>::Refused((&Refusal::Unavailable).into())).await;
        return;
    };
    let verb = Subjects::rpc_verb(&message.subject).unwrap_or_default().to_owned();
    let submitted = (verb == Post::VERB).then(|| submit(api, &message.payload));
    let api = api.clone();
    api.life().clone().spawn(async move {
        let started = Instant::now();
        let outcome = match submitted {
            Some(submitted) => {
                let answer = posted(&api, submitted).await;
                reply(&api, &message, &wrap(answer)).await
            }
            None => answer(&api, &verb, &message).await,
        };
        let seconds = started.elapsed().as_secs_f64();
        let verb = label("verb", verb);
        Histogram::RpcSeconds.record_with(seconds, vec![verb.clone()]);
        Counter::RpcAnswered.add_with(1, vec![verb, label("outcome", outcome)]);
        drop(slot);
    });
}

/// Resolves when the node must take no more questions.
async fn leaves(api: &Api, ready: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = api.life().draining() => {}
        () = becomes(ready, false) => {}
    }
}

/// Resolves when readiness is as wanted.
async fn becomes(ready: &mut watch::Receiver<bool>, wanted: bool) {
    // Its sender is part of the api, and lives as long.
    let _ = ready.wait_for(|&is_ready| is_ready == wanted).await;
}

async fn passed(by: Option<tokio::time::Instant>) {
    match by {
        Some(by) => tokio::time::sleep_until(by).await,
        None => std::future::pending().await,
    }
}

/// Answers a question other than a send; returns the outcome for the metrics.
async fn answer(api: &Api, verb: &str, message: &Message) -> &'static str {
    match verb {
        Keys::VERB => ask(api, message, keys).await,
        Open::VERB => ask(api, message, open).await,
        Events::VERB => ask(api, message, events).await,
        Heads::VERB => ask(api, message, heads_of).await,
        Fallen::VERB => ask(api, message, fallen).await,
        Read::VERB => ask(api, message, read).await,
        Revoked::VERB => ask(api, message, revoked).await,
        Members::VERB => ask(api, message, members).await,
        Profile::VERB => ask(api, message, profile).await,
        _ => reply(api, message, &wrap::<()>(Err(Refusal::NotFound.into()))).await,
    }
}

async fn ask<Q, F, A>(api: &Api, message: &Message, handler: F) -> &'static str
where
    Q: Question,
    F: FnOnce(Api, Q) -> A,
    A: Future<Output = Result<Q::Reply, Problem>>,
{
    let answer = match serde_json::from_slice::<Q>(&message.payload) {
        // Nobody listens any longer than that, and a Postgres whose machine is gone says nothing.
        Ok(question) => tokio::time::timeout(Q::DEADLINE, handler(api.clone(), question))
            .await
            .unwrap_or_else(|_| Err(Refusal::Unavailable.into())),
        Err(error) => Err(Problem::bug(&anyhow::anyhow!("question {}: {error}", Q::VERB))),
    };
    reply(api, message, &wrap(answer)).await
}

fn wrap<T>(answer: Result<T, Problem>) -> Answer<T> {
    match answer {
        Ok(reply) => Answer::Ok(reply),
        Err(problem) => Answer::Refused(Refused::from(problem.refusal())),
    }
}

/// Sends an answer; returns its outcome for the metrics.
async fn reply<T: Serialize>(api: &Api, message: &Message, answer: &Answer<T>) -> &'static str {
    let outcome = outcome(answer);
    let Some(subject) = message.reply.clone() else { return outcome };
    let payload = contract::text(answer);
    let mut headers = HeaderMap::new();
    headers.insert(HEADER_NODE, api.node());
    api.bus().tell(subject.to_string(), headers, payload.into()).await;
    outcome
}

fn outcome<T>(answer: &Answer<T>) -> &'static str {
    match answer {
        Answer::Ok(_) => "ok",
        Answer::Refused(refused) if refused.code == Refusal::Unavailable.code() => "unavailable",
        Answer::Refused(refused) if refused.code == Refusal::Internal.code() => "internal",
        Answer::Refused(_) => "refused",
    }
}

fn submit(api: &Api, payload: &[u8]) -> Submitted {
    let question: Post = match serde_json::from_slice(payload) {
        Ok(question) => question,
        Err(error) => {
            return Submitted::Refused(Problem::bug(&anyhow::anyhow!("question post: {error}")));
        }
    };
    let caller = match caller_of(api, &question.token) {
        Ok(caller) => caller,
        Err(refusal) => return Submitted::Refused(refusal.into()),
    };
    match crate::body::parse::<PostMessage>(question.frame.get().as_bytes()) {
        Ok(message) => post_message(api, caller, question.room, message),
        Err(refusal) => Submitted::Refused(refusal.into()),
    }
}

async fn posted(api: &Api, submitted: Submitted) -> Result<PostReply, Problem> {
    let posted = submitted.answer(api).await?;
    Ok(PostReply { id: posted.message.id, seq: posted.message.seq, replayed: posted.is_replay })
}

/// The user whose token an edge presents. Verified tokens are remembered, so a send does not pay
/// for a signature each time.
///
/// # Errors
/// `Unauthenticated`, also for a token that has expired or whose login was revoked.
fn caller_of(api: &Api, token: &UserToken) -> Result<Caller, Refusal> {
    let verified = api
        .verifier()
        .verify(token.expose(), api.clock().now())
        .map_err(|_| Refusal::Unauthenticated)?;
    if api.revoked().contains(verified.caller.login) {
        return Err(Refusal::Unauthenticated);
    }
    Ok(verified.caller)
}

async fn keys(api: Api, _: Keys) -> Result<KeysReply, Problem> {
    let jwks = serde_json::to_value(api.keys().public())
        .map_err(|error| Problem::bug(&anyhow::Error::new(error)))?;
    Ok(KeysReply { jwks })
}

async fn open(api: Api, question: Open) -> Result<OpenReply, Problem> {
    let caller = caller_of(&api, &question.token)?;
    let mut conn = api.store().read().await?;
    let epoch = epoch::require(&api, None)?;
    let room = access::room_as_member(&mut conn, caller.user, question.room).await?;
    // The head is that of the moment in which membership was checked.
    let first_seq = log_floor(&mut conn, &room, api.clock().now()).await?;
    Ok(OpenReply { log: LogEnds { first_seq, last_seq: room.last_seq() }, epoch })
}

async fn events(api: Api, question: Events) -> Result<EventsReply, Problem> {
    let caller = caller_of(&api, &question.token)?;
    let until = readable_until(&api, caller.user, &question).await?;
    let limit = i64::try_from(REPLAY_EVENTS_MAX).unwrap_or(i64::MAX);
    let page = room_log(api.store(), question.room, question.after, limit, api.clock().now())
        .await?
        .ok_or(Refusal::NotFound)?;
    let mut events = Vec::with_capacity(page.events.len());
    let mut bytes = 0;
    for event in page.events.iter().take_while(|event| event.seq <= until) {
        let envelope = envelope(event).map_err(|error| Problem::bug(&error))?;
        bytes += envelope.frame.get().len();
        if bytes > REPLAY_BYTES_MAX && !events.is_empty() {
            break;
        }
        events.push(envelope);
    }
    let (first_seq, last_seq) = (page.first_seq, page.last_seq.min(until));
    Ok(EventsReply { epoch: page.epoch.ok_or(Refusal::Unavailable)?, first_seq, last_seq, events })
}

/// The last event that the asking user may read: any for a member, their own `member.left` for
/// one who has just left.
async fn readable_until(api: &Api, user: UserId, question: &Events) -> Result<Seq, Problem> {
    let room = question.room;
    let mut conn = api.store().read().await?;
    let refusal = match access::room_as_member(&mut conn, user, room).await {
        Ok(_) => return Ok(Seq(i64::MAX)),
        Err(store::Error::Refused(refusal @ (Refusal::NotAMember | Refusal::NotFound))) => refusal,
        Err(error) => return Err(error.into()),
    };
    let since = api.clock().now() - LEFT_GRACE;
    let left = left_since(&mut conn, (room, user), question.after, since).await?;
    left.ok_or_else(|| refusal.into())
}

async fn heads_of(api: Api, question: Heads) -> Result<HeadsReply, Problem> {
    let rooms: Vec<_> = question.rooms.iter().map(|room| room.room).collect();
    let users: Vec<_> = question
        .rooms
        .iter()
        .flat_map(|room| room.users.iter().map(|&user| (room.room, user)))
        .collect();
    let mut conn = api.store().read().await?;
    let epoch = epoch::require(&api, None)?;
    let heads = heads::heads(&mut conn, &rooms, &users, api.clock().now()).await?;
    let rooms = heads
        .into_iter()
        .map(|head| Head {
            room: head.room,
            log: head.log.map(|(first_seq, last_seq)| LogEnds { first_seq, last_seq }),
            not_members: head.not_members,
        })
        .collect();
    Ok(HeadsReply { epoch, rooms })
}

/// Begins an epoch if the room's row says that its head is below what an edge has seen.
async fn fallen(api: Api, question: Fallen) -> Result<FallenReply, Problem> {
    let Fallen { room, seen, epoch: asked } = question;
    let mut conn = api.store().read().await?;
    let epoch = epoch::require(&api, None)?;
    let head = heads::last_seq(&mut conn, room).await?;
    drop(conn);
    if epoch != asked || head.is_none_or(|head| head >= seen) {
        return Ok(FallenReply { epoch });
    }
    tracing::error!(
        room.id = %room,
        "room {room} ends at {}, an edge has seen {seen}: events were lost",
        head.unwrap_or(Seq(0))
    );
    let epoch = api.store().begin_epoch(epoch, Reason::HeadFell).await?;
    Ok(FallenReply { epoch })
}

async fn read(api: Api, question: Read) -> Result<ReadReply, Problem> {
    let caller = caller_of(&api, &question.token)?;
    crate::rooms::mark_read(&api, caller, question.room, question.message).await?;
    Ok(ReadReply {})
}

async fn revoked(api: Api, question: Revoked) -> Result<RevokedReply, Problem> {
    let mut logins: Vec<RevokedLogin> = api
        .revoked()
        .all()
        .into_iter()
        .filter(|(login, _)| *login > question.after)
        .map(|(login, until)| RevokedLogin { login, until })
        .collect();
    logins.sort_unstable_by_key(|revoked| revoked.login);
    logins.truncate(REVOKED_MAX);
    Ok(RevokedReply { logins })
}

async fn members(api: Api, question: Members) -> Result<MembersReply, Problem> {
    let caller = caller_of(&api, &question.token)?;
    let limit = i64::try_from(MEMBERS_MAX).unwrap_or(i64::MAX);
    let mut conn = api.store().read().await?;
    access::room_as_member(&mut conn, caller.user, question.room).await?;
    let users: Vec<UserId> =
        heads::member_ids(&mut conn, question.room, question.after, limit).await?;
    Ok(MembersReply { users })
}

async fn profile(api: Api, question: Profile) -> Result<ProfileReply, Problem> {
    let caller = caller_of(&api, &question.token)?;
    let mut conn = api.store().read().await?;
    let email = heads::find_email(&mut conn, caller.user).await?.ok_or(Refusal::Unauthenticated)?;
    Ok(ProfileReply { email })
}
