//! Working off jobs: look again, hand over, record the answer, acknowledge.

use std::time::Duration;

use async_nats::jetstream::Message;
use domain::mail::{DueMail, HandedMail, MailKind};
use domain::{MailId, Timestamp};
use futures_util::StreamExt;
use nats::consume::{Outcome, consume};
use nats::streams::Durable;
use runtime::meter::{Counter, Histogram, label};
use runtime::parts::FAILURES_MAX;
use store::actions::dead_letters::give_up_mail;
use store::actions::mails::Handing;
use store::actions::{digests, mails};
use store::queries::mails::due_mail;

use crate::Notifier;
use crate::schedule::mail_of;
use crate::smtp::{Answer, Server};

/// Mails handed over at once.
const AT_ONCE: usize = 8;
/// When a job that could not be worked off is handed out again.
const AGAIN: Duration = Duration::from_secs(2);
/// After this many failures on our side (not the mail server's), a mail is given up.
const GIVE_UP_AFTER: u32 = FAILURES_MAX;
/// The longest pause after the mail server has said that it does not take a mail now.
const PAUSE_MAX: Duration = Duration::from_secs(600);
/// The longest pause while it cannot be reached: it is asked once for many mails.
const UNREACHABLE_PAUSE_MAX: Duration = Duration::from_secs(60);
/// How long a mail is tried. A server that is away that long has an operator who knows.
const TRIED_FOR: Duration = Duration::from_secs(5 * 24 * 3600);
/// How often recording the mail server's answer is tried before the answer counts as lost. Each try
/// takes at most a statement's budget.
const RECORD_TRIES: u32 = 20;

pub(crate) async fn run(notifier: Notifier) -> anyhow::Result<()> {
    let durable = (Durable::NOTIFIER, notifier.config.streams);
    let (bus, life) = (notifier.bus.clone(), notifier.life.clone());
    consume(bus, durable, life, move |messages| work_off(notifier.clone(), messages)).await;
    Ok(())
}

async fn work_off(notifier: Notifier, messages: Vec<Message>) -> (Vec<Message>, Vec<Outcome>) {
    let ids: Vec<Option<MailId>> =
        messages.iter().map(|message| mail_of(&message.payload)).collect();
    let outcomes = futures_util::stream::iter(ids)
        .map(|id| {
            let notifier = notifier.clone();
            async move {
                // What is no job is acknowledged: it would never become one.
                let Some(id) = id else { return Outcome::Done };
                if notifier.life.is_draining() {
                    return Outcome::Retry { after: Duration::ZERO };
                }
                work_on(&notifier, id).await
            }
        })
        .buffered(AT_ONCE)
        .collect()
        .await;
    (messages, outcomes)
}

/// Works on one mail. One that fails although Postgres answers is put off, longer and longer, and
/// given up after [`GIVE_UP_AFTER`] failures.
async fn work_on(notifier: &Notifier, id: MailId) -> Outcome {
    if notifier.failing.lock().is_parked(id, notifier.clock.now()) {
        // The schedule puts it on the queue again.
        return Outcome::Done;
    }
    let error = match deliver(notifier, id).await {
        Ok(()) => {
            notifier.failing.lock().succeeded(id);
            return Outcome::Done;
        }
        Err(error) => error,
    };
    tracing::warn!(
        mail.id = %id, error = %error,
        "mail {id} could not be worked off and is retried: {error}"
    );
    if !notifier.store.blames_work(&error).await {
        return Outcome::Retry { after: AGAIN };
    }
    let times = notifier.failing.lock().failed(id, notifier.clock.now());
    match put_off(notifier, id, times, &error.to_string()).await {
        Ok(()) if times >= GIVE_UP_AFTER => {
            Counter::WorkDead.add_with(1, vec![label("work", "mails")]);
            notifier.failing.lock().forget(id);
        }
        Ok(()) => {}
        Err(error) => {
            tracing::warn!(mail.id = %id, error = %error, "mail {id} cannot be put off: {error}");
        }
    }
    Outcome::Done
}

/// Puts off a mail that has failed `times` times, or gives it up.
async fn put_off(notifier: &Notifier, id: MailId, times: u32, error: &str) -> store::Result<()> {
    let mut tx = notifier.begin().await?;
    if times >= GIVE_UP_AFTER {
        give_up_mail(&mut tx, id, error).await?;
    } else {
        let attempts = i32::try_from(times).unwrap_or(i32::MAX);
        let until = next_attempt(notifier, attempts, PAUSE_MAX);
        mails::postpone(&mut tx, id, until, error).await?;
    }
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}

/// Hands over a mail, if it is due still and there is something to say.
async fn deliver(notifier: &Notifier, id: MailId) -> store::Result<()> {
    let Some(server) = &notifier.server else { return Ok(()) };
    let mut conn = notifier.store.read().await?;
    let due = due_mail(&mut conn, id, notifier.clock.now()).await?;
    drop(conn);
    let Some(due) = due else { return Ok(()) };
    if take_back(notifier, &due).await? {
        return count(due.kind, "online");
    }
    if let Err(error) = server.is_there().await {
        tracing::warn!(mail.id = %id, error, "mail {id} waits for the mail server: {error}");
        let until = next_attempt(notifier, due.attempts + 1, UNREACHABLE_PAUSE_MAX);
        let mut tx = notifier.begin().await?;
        mails::postpone(&mut tx, id, until, &error).await?;
        let _nothing_to_publish = tx.commit().await?;
        return count(due.kind, "unreachable");
    }
    let mut tx = notifier.begin().await?;
    let handing = mails::hand_over(&mut tx, id, notifier.clock.now()).await?;
    let _nothing_to_publish = tx.commit().await?;
    match handing {
        Handing::Taken(mail) => send(notifier, server, mail).await,
        Handing::Dropped => count(due.kind, "dropped"),
        Handing::NotDue => Ok(()),
    }
}

/// Takes back a digest whose reader is online by now.
async fn take_back(notifier: &Notifier, due: &DueMail) -> store::Result<bool> {
    let (MailKind::Digest, Some(user)) = (due.kind, due.user) else { return Ok(false) };
    if !notifier.presence.is_online(user).await {
        return Ok(false);
    }
    let mut tx = notifier.begin().await?;
    let (delay, now) = (notifier.config.mail_delay, notifier.clock.now());
    digests::take_back(&mut tx, (due.id, user), delay, now).await?;
    let _nothing_to_publish = tx.commit().await?;
    Ok(true)
}

async fn send(notifier: &Notifier, server: &Server, mail: HandedMail) -> store::Result<()> {
    let started = std::time::Instant::now();
    let answer = match notifier.writer.write(&mail, notifier.clock.now()) {
        Ok(message) => server.send(message).await,
        Err(error) => Answer::Never(format!("it cannot be written: {error:#}")),
    };
    Histogram::MailSeconds.record(started.elapsed().as_secs_f64());
    let id = mail.id;
    let is_old = notifier.clock.now().since(mail.created_at) > TRIED_FOR;
    let answer = match answer {
        Answer::Later(error) if is_old => Answer::Never(error),
        answer => answer,
    };
    let outcome = match &answer {
        Answer::Taken => "sent",
        Answer::Later(error) => {
            tracing::warn!(mail.id = %id, error, "mail {id} was not taken and is tried again: {error}");
            "later"
        }
        Answer::Never(error) => {
            tracing::error!(mail.id = %id, error, "mail {id} was refused for good: {error}");
            "failed"
        }
    };
    // The mail is out: only a record that stays away for long may make it go out again.
    let mut tries = 0;
    loop {
        tries += 1;
        match record(notifier, &mail, &answer).await {
            Ok(()) => break,
            Err(error) if tries >= RECORD_TRIES || notifier.life.is_draining() => {
                return Err(error);
            }
            // Nothing that time changes.
            Err(error) if !error.is_transient() => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_secs(1)).await,
        }
    }
    count(mail.kind, outcome)
}

async fn record(notifier: &Notifier, mail: &HandedMail, answer: &Answer) -> store::Result<()> {
    let mut tx = notifier.begin().await?;
    match answer {
        Answer::Taken => mails::record_sent(&mut tx, mail, notifier.clock.now()).await?,
        Answer::Later(error) => {
            let until = next_attempt(notifier, mail.attempts, PAUSE_MAX);
            mails::record_retry(&mut tx, mail, until, error).await?;
        }
        Answer::Never(error) => mails::record_failed(&mut tx, mail, error).await?,
    }
    let _nothing_to_publish = tx.commit().await?;
    Ok(())
}

/// When to try again after so many attempts: the pause doubles up to a bound, give or take a
/// fifth, so that not all come at once when a server returns.
fn next_attempt(notifier: &Notifier, attempts: i32, pause_max: Duration) -> Timestamp {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(16);
    let pause = notifier.config.retry_after.saturating_mul(1 << doublings).min(pause_max);
    notifier.clock.now() + pause.mul_f64(0.8 + 0.4 * rand::random::<f64>())
}

#[expect(clippy::unnecessary_wraps, reason = "it ends the work on a mail")]
fn count(kind: MailKind, outcome: &'static str) -> store::Result<()> {
    let labels = vec![label("kind", kind.as_str()), label("outcome", outcome)];
    Counter::MailAttempts.add_with(1, labels);
    Ok(())
}
