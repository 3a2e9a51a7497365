//! The schedule: what is due becomes a job, and unread notifications become digests.
//!
//! Jobs are pointers. The same job, published again every time the schedule is looked at, is
//! dropped by its id for a while; one that NATS lost, or that a notifier died with, is there again
//! after that.

use std::time::Duration;

use async_nats::HeaderMap;
use domain::mail::DueMail;
use domain::{MailId, Timestamp, UserId};
use futures_util::StreamExt;
use nats::stored::{Stored, publish_stored};
use nats::streams::StreamKind;
use runtime::meter::{Counter, Gauge, label};
use store::actions::{digests, mails};
use store::queries::mails::{due_mails, mail_backlog};

use crate::Notifier;

/// Mails put on the queue at one look.
const DUE_MAX: i64 = 500;
/// Notifications claimed at one look.
const CLAIM_MAX: i64 = 500;
/// People asked for at once.
const ASKED_MAX: usize = 16;
/// How long others leave alone what one notifier has claimed.
const LEASE: Duration = Duration::from_secs(60);
/// How long the same job is not put on the queue again.
const REPEAT_AFTER: Duration = Duration::from_secs(30);
/// How long an answer of the mail server may take to be recorded.
const UNANSWERED: Duration = Duration::from_secs(180);
/// How long edges have, after NATS has come back, to say who is online.
const EDGES_RETURN: Duration = Duration::from_secs(2);

pub(crate) async fn run(notifier: Notifier) -> anyhow::Result<()> {
    let mut connections = notifier.bus.connections();
    let mut connected_at = None;
    while !notifier.life.is_draining() {
        if connections.has_changed().unwrap_or(false) {
            // The first connection finds edges that have been there before us.
            let is_first = *connections.borrow_and_update() <= 1;
            connected_at = (!is_first).then(std::time::Instant::now);
        }
        let are_edges_back = connected_at.is_none_or(|at| at.elapsed() >= EDGES_RETURN);
        let is_full = match look(&notifier, are_edges_back).await {
            Ok(is_full) => is_full,
            Err(error) => {
                Gauge::MailsWaiting.forget();
                Gauge::MailOldest.forget();
                tracing::warn!(error = %error, "mail schedule failed, will retry: {error}");
                false
            }
        };
        let pause =
            if is_full { notifier.config.scan_every / 10 } else { notifier.config.scan_every };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = notifier.life.draining() => {}
        }
    }
    Ok(())
}

/// One look at the schedule. Returns whether there is more.
async fn look(notifier: &Notifier, are_edges_back: bool) -> store::Result<bool> {
    let now = notifier.clock.now();
    let mut conn = notifier.store.read().await?;
    let backlog = mail_backlog(&mut conn, now).await?;
    #[expect(clippy::cast_precision_loss, reason = "at most 10,000 are counted")]
    Gauge::MailsWaiting.set(backlog.mails as f64);
    Gauge::MailOldest.set(backlog.oldest_seconds);
    drop(conn);
    // Without a mail server all waits; without NATS nobody could be found online.
    if notifier.server.is_none() || !notifier.bus.is_connected() {
        return Ok(false);
    }
    let mut tx = notifier.store.begin().await?;
    let unanswered = mails::settle_unanswered(&mut tx, UNANSWERED, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    if unanswered > 0 {
        tracing::warn!(
            mails = unanswered,
            "{unanswered} mails were handed over by a notifier that died"
        );
        Counter::MailAttempts.add_with(unanswered as u64, vec![label("outcome", "unanswered")]);
    }
    // By a clock that is wrong, what nobody has read would be mailed too early.
    let server = notifier.store.server_time().await?;
    let skew = notifier.clock.compare(server.at, server.round_trip);
    let may_judge = are_edges_back && skew.is_tolerable();
    let claimed = if may_judge { make_digests(notifier).await? } else { 0 };
    let mut conn = notifier.store.read().await?;
    let due = due_mails(&mut conn, DUE_MAX, notifier.clock.now()).await?;
    drop(conn);
    let jobs = due.iter().map(|mail| job(notifier, mail, now)).collect();
    publish_stored(&notifier.bus, StreamKind::Notifications, jobs).await;
    Ok(claimed > 0 || due.len() >= usize::try_from(DUE_MAX).unwrap_or(usize::MAX))
}

/// The job that points at a mail.
fn job(notifier: &Notifier, mail: &DueMail, now: Timestamp) -> Stored {
    let mut headers = HeaderMap::new();
    // Another time due is another job: what was put off must not pass for a repeat.
    let age = now.since(mail.due_at).as_secs() / REPEAT_AFTER.as_secs();
    let id = format!("mail-{}-{}-{age}", mail.id, mail.due_at.unix_micros());
    headers.insert(async_nats::header::NATS_MESSAGE_ID, id);
    let subject = notifier.bus.subjects().mail_work(mail.kind.as_str());
    Stored { subject, headers, payload: mail.id.to_string().into() }
}

/// The mail that a job points at.
pub(crate) fn mail_of(payload: &[u8]) -> Option<MailId> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}

/// Judges what is due for people who may have missed it. Returns how many they were.
async fn make_digests(notifier: &Notifier) -> store::Result<usize> {
    let now = notifier.clock.now();
    let mut tx = notifier.store.begin().await?;
    let people = digests::claim_people(&mut tx, CLAIM_MAX, LEASE, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    let judged = futures_util::stream::iter(people)
        .map(|user| judge(notifier, user))
        .buffer_unordered(ASKED_MAX)
        .collect::<Vec<_>>()
        .await;
    Ok(judged.len())
}

async fn judge(notifier: &Notifier, user: UserId) {
    let is_online = notifier.bus.is_online(user).await;
    let settled: store::Result<()> = async {
        let mut tx = notifier.store.begin().await?;
        let (delay, now) = (notifier.config.mail_delay, notifier.clock.now());
        digests::settle_person(&mut tx, (user, is_online), delay, now).await?;
        let _nothing_to_publish = tx.commit().await?;
        Ok(())
    }
    .await;
    if let Err(error) = settled {
        tracing::warn!(
            user.id = %user, error = %error,
            "the notifications of user {user} could not be judged and wait: {error}"
        );
    }
}
