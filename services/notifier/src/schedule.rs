//! The schedule: what is due becomes a job, and unread notifications become digests.
//!
//! Jobs are pointers. The same job, published again every time the schedule is looked at, is
//! dropped by its id for a while; one that NATS lost, or that a notifier died with, is there again
//! after that.

use std::time::Duration;

use async_nats::HeaderMap;
use domain::mail::DueMail;
use domain::{Claim, MailId, Timestamp, UserId};
use futures_util::StreamExt;
use nats::stored::{Stored, publish_stored};
use nats::streams::StreamKind;
use parking_lot::Mutex;
use runtime::meter::{Counter, Gauge, label};
use runtime::parked::{Parked, delay_after};
use runtime::window::Window;
use store::actions::{digests, mails};
use store::queries::mails::{due_mails, mail_backlog};

use crate::Notifier;

/// Mails put on the queue at one look.
const DUE_MAX: i64 = 500;
/// Mails whose answer was not recorded, settled at one look.
const UNANSWERED_MAX: i64 = 500;
/// Notifications claimed at one look.
const CLAIM_MAX: i64 = 500;
/// People judged at once.
const JUDGED_MAX: usize = 16;
/// How long others leave alone what one notifier has claimed.
const LEASE: Duration = Duration::from_secs(60);
/// How long the same job is not put on the queue again.
const REPEAT_AFTER: Duration = Duration::from_secs(30);
/// How long an answer of the mail server may take to be recorded.
const UNANSWERED: Duration = Duration::from_secs(180);
/// How long judging the notifications of one person may take.
const JUDGE_BUDGET: Duration = Duration::from_secs(8);
/// How long a look may still take once the process drains.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

/// What the schedule claims.
struct Claims {
    unanswered: Window,
    people: Window,
    /// People whose notifications cannot be judged.
    failing: Mutex<Parked<UserId>>,
}

pub(crate) async fn run(notifier: Notifier) -> anyhow::Result<()> {
    let mut claims = Claims {
        unanswered: Window::new("mails_unanswered", UNANSWERED_MAX),
        people: Window::new("digest_claims", CLAIM_MAX),
        failing: Mutex::new(Parked::new("digests")),
    };
    while !notifier.life.is_draining() {
        let look = Box::pin(look(&notifier, &mut claims));
        let Some(looked) = notifier.life.unless_drained(DRAIN_GRACE, look).await else { break };
        let is_full = match looked {
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
        notifier.life.pause(pause).await;
    }
    Ok(())
}

/// One look at the schedule. Returns whether there is more.
async fn look(notifier: &Notifier, claims: &mut Claims) -> store::Result<bool> {
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
    claims.unanswered.begin(now);
    claims.people.begin(now);
    let settled = settle_unanswered(notifier, claims.unanswered.claim()).await;
    let settled = noted(notifier, &mut claims.unanswered, settled).await?;
    let unanswered = settled.unwrap_or_default();
    if settled.is_some() {
        claims.unanswered.succeeded(unanswered as u64);
    }
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
    // So it would be for people of whom it is not known yet that they are online.
    let may_judge = notifier.presence.is_known() && skew.is_tolerable();
    let has_more = may_judge && make_digests(notifier, claims).await?;
    let mut conn = notifier.store.read().await?;
    let due = due_mails(&mut conn, DUE_MAX, notifier.clock.now()).await?;
    drop(conn);
    let jobs = due.iter().map(|mail| job(notifier, mail, now)).collect();
    publish_stored(&notifier.bus, StreamKind::Notifications, jobs).await;
    Ok(has_more || due.len() >= usize::try_from(DUE_MAX).unwrap_or(usize::MAX))
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

async fn settle_unanswered(notifier: &Notifier, claim: Claim) -> store::Result<usize> {
    let mut tx = notifier.begin().await?;
    let settled =
        mails::settle_unanswered(&mut tx, claim, UNANSWERED, notifier.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(settled)
}

async fn claim_people(notifier: &Notifier, claim: Claim) -> store::Result<Vec<UserId>> {
    let mut tx = notifier.begin().await?;
    let people = digests::claim_people(&mut tx, claim, LEASE, notifier.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(people)
}

/// What a claim found. `None` when it failed, and the next look tries fewer rows.
async fn noted<T>(
    notifier: &Notifier,
    window: &mut Window,
    claimed: store::Result<T>,
) -> store::Result<Option<T>> {
    match claimed {
        Ok(found) => Ok(Some(found)),
        Err(error) if notifier.store.blames_work(&error).await => {
            tracing::warn!(error = %error, "mails cannot be claimed, retrying fewer: {error}");
            window.failed(notifier.clock.now());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Judges what is due for people who may have missed it. Returns whether there may be more.
async fn make_digests(notifier: &Notifier, claims: &mut Claims) -> store::Result<bool> {
    let claimed = claim_people(notifier, claims.people.claim()).await;
    let Some(people) = noted(notifier, &mut claims.people, claimed).await? else {
        return Ok(true);
    };
    // People have several notifications each: any number of them may mean that there are more.
    claims.people.succeeded(people.len() as u64);
    let failing = &claims.failing;
    let judged = futures_util::stream::iter(people)
        .map(|user| judge(notifier, failing, user))
        .buffer_unordered(JUDGED_MAX)
        .collect::<Vec<_>>()
        .await;
    Ok(!judged.is_empty())
}

async fn judge(notifier: &Notifier, failing: &Mutex<Parked<UserId>>, user: UserId) {
    let error = match store::within(JUDGE_BUDGET, Box::pin(settle(notifier, user))).await {
        Ok(()) => return failing.lock().succeeded(user),
        Err(error) => error,
    };
    tracing::warn!(
        user.id = %user, error = %error,
        "the notifications of user {user} could not be judged and wait: {error}"
    );
    if !notifier.store.blames_work(&error).await {
        return;
    }
    let now = notifier.clock.now();
    let times = failing.lock().failed(user, now);
    let postponing = async {
        let mut tx = notifier.begin().await?;
        digests::postpone_person(&mut tx, user, now + delay_after(times)).await?;
        tx.commit().await
    };
    // Where that fails too, the claim ends by itself.
    if let Err(error) = postponing.await {
        tracing::warn!(user.id = %user, error = %error,
            "the notifications of user {user} could not be put off: {error}");
    }
}

async fn settle(notifier: &Notifier, user: UserId) -> store::Result<()> {
    let is_online = notifier.presence.is_online(user).await;
    let mut tx = notifier.begin().await?;
    let (delay, now) = (notifier.config.mail_delay, notifier.clock.now());
    digests::settle_person(&mut tx, (user, is_online), delay, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}
