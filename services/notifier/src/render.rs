//! From what a mail says to the mail: headers, text and HTML.
//!
//! **Invariants:** what people have written passes through [`crate::clean`], so no program makes a
//! link of it; it is escaped in HTML and quoted in text; a subject is made of our words, and names
//! stand in it in quotation marks and cut. Names in the database are free of control characters,
//! but a mail must not depend on that.

use std::time::{Duration, UNIX_EPOCH};

use anyhow::Context;
use askama::Template;
use domain::Timestamp;
use domain::mail::{Digest, HandedMail, Letter, Missed, Secret};
use lettre::Message;
use lettre::message::header::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart};
use url::{Host, Url};

use crate::clean::{excerpt, line, quoted};

/// Things that a digest shows; the rest is counted.
const SHOWN_MAX: usize = 20;

/// Writes mails.
#[derive(Debug)]
pub(crate) struct Writer {
    public_url: String,
    from: Mailbox,
    /// The right side of our message ids.
    host: String,
}

#[derive(Template)]
#[template(path = "notice.html")]
struct NoticeHtml<'a> {
    subject: &'a str,
    heading: &'a str,
    paragraphs: &'a [String],
    link: &'a Option<Link>,
    why: &'a str,
}

#[derive(Template)]
#[template(path = "notice.txt")]
struct NoticeText<'a> {
    heading: &'a str,
    paragraphs: &'a [String],
    link: &'a Option<Link>,
    why: &'a str,
}

/// A mail about one thing.
struct Notice {
    subject: String,
    heading: String,
    paragraphs: Vec<String>,
    link: Option<Link>,
    /// Why it comes, and what to do when it should not have.
    why: String,
}

struct Link {
    label: &'static str,
    url: String,
}

#[derive(Template)]
#[template(path = "digest.html")]
struct DigestHtml<'a> {
    subject: &'a str,
    heading: &'a str,
    sections: &'a [Section],
    more: usize,
    home: &'a str,
    unsubscribe: &'a str,
}

#[derive(Template)]
#[template(path = "digest.txt")]
struct DigestText<'a> {
    heading: &'a str,
    sections: &'a [Section],
    more: usize,
    home: &'a str,
    unsubscribe: &'a str,
}

/// What happened in one place.
struct Section {
    heading: String,
    entries: Vec<Entry>,
}

struct Entry {
    who: String,
    at: String,
    text: String,
    url: Option<String>,
}

/// A mail without its envelope.
struct Written {
    subject: String,
    text: String,
    html: String,
    /// What ends these mails.
    unsubscribe: Option<String>,
    /// The thread that it belongs to.
    thread: Option<String>,
}

impl Writer {
    /// A writer of mails from this sender; with none, from `no-reply` at the host of the URL.
    ///
    /// # Errors
    /// When either is no good.
    pub(crate) fn new(public_url: &str, from: &str) -> anyhow::Result<Self> {
        let url: Url = public_url.parse().context("CHATBOARD_PUBLIC_URL is no URL")?;
        let from = if from.trim().is_empty() {
            let host = match url.host() {
                Some(Host::Domain(host)) if host.contains('.') => host.to_owned(),
                _ => "chatboard.localhost".to_owned(),
            };
            format!("ChatBoard <no-reply@{host}>")
        } else {
            from.to_owned()
        };
        let from: Mailbox = from
            .parse()
            .with_context(|| format!("CHATBOARD_MAIL_FROM: {from:?} is not `Name <address>`"))?;
        let host = from.email.domain().to_owned();
        Ok(Self { public_url: public_url.trim_end_matches('/').to_owned(), from, host })
    }

    /// Writes a mail.
    ///
    /// # Errors
    /// When its address is none.
    pub(crate) fn write(&self, mail: &HandedMail, now: Timestamp) -> anyhow::Result<Message> {
        let written = match &mail.letter {
            Letter::Digest(digest) => self.digest(digest)?,
            other => self.notice(other)?,
        };
        let micros = u64::try_from(now.unix_micros()).unwrap_or_default();
        let id = format!("<mail-{}.{}@{}>", mail.id, mail.created_at.unix_micros(), self.host);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, mail.to_email.parse().context("the address is none")?))
            .subject(&written.subject)
            .date(UNIX_EPOCH + Duration::from_micros(micros))
            .message_id(Some(id))
            .raw_header(raw("Auto-Submitted", "auto-generated".to_owned()));
        if let Some(thread) = written.thread {
            builder = builder.in_reply_to(thread.clone()).references(thread);
        }
        if let Some(unsubscribe) = written.unsubscribe {
            builder = builder
                .raw_header(raw("List-Unsubscribe", format!("<{unsubscribe}>")))
                .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click".to_owned()));
        }
        Ok(builder.multipart(MultiPart::alternative_plain_html(written.text, written.html))?)
    }

    fn notice(&self, letter: &Letter) -> anyhow::Result<Written> {
        let Notice { subject, heading, paragraphs, link, why } = match letter {
            Letter::OrgInvite { org_name, inviter, role, token, expires_at } => {
                let (org, by) = (quoted(org_name), quoted(inviter));
                Notice {
                    subject: format!("You are invited to join {org} on ChatBoard"),
                    heading: format!("Join {org} on ChatBoard"),
                    paragraphs: vec![
                        format!(
                            "{by} invited you to the organization {org}, as {}.",
                            role.in_words()
                        ),
                        format!(
                            "The person who invited you typed these names; ChatBoard has not \
                             checked them. The invitation expires on {}.",
                            shown(*expires_at)
                        ),
                    ],
                    link: Some(self.link("Accept the invitation", "invite", token)),
                    why: format!("If you don't know {by}, you can ignore this mail."),
                }
            }
            Letter::PasswordReset { token } => Notice {
                subject: "Reset your ChatBoard password".to_owned(),
                heading: "Reset your password".to_owned(),
                paragraphs: vec![
                    "We received a request to reset the password of your account."
                        .to_owned(),
                    "The link works once and expires in an hour. A new password signs out all your \
                     devices."
                        .to_owned(),
                ],
                link: Some(self.link("Set a new password", "reset", token)),
                why: "If you didn't ask for this, you can ignore this mail: your password stays the same."
                    .to_owned(),
            },
            Letter::VerifyEmail { token } => Notice {
                subject: "Verify your e-mail address for ChatBoard".to_owned(),
                heading: "Verify your e-mail address".to_owned(),
                paragraphs: vec![
                    "A ChatBoard account was created with this address."
                        .to_owned(),
                    "The link works once and expires in 7 days.".to_owned(),
                ],
                link: Some(self.link("Verify e-mail address", "verify-email", token)),
                why: "If this wasn't you, don't open the link: an unverified account can do \
                      nothing in your name and is removed after 7 days."
                    .to_owned(),
            },
            Letter::Webhook { is_disabled, org_name, url, reason, failures } => {
                let org = quoted(org_name);
                let state = if *is_disabled { "has been disabled" } else { "is failing" };
                Notice {
                    subject: format!("A webhook of {org} {state}"),
                    heading: format!("A webhook of {org} {state}"),
                    paragraphs: webhook_paragraphs(*is_disabled, url, reason, *failures),
                    link: None,
                    why: "You get this because you're an admin of this organization.".to_owned(),
                }
            }
            Letter::Digest(_) => anyhow::bail!("a digest is not a notice"),
        };
        let (heading, paragraphs, why) = (heading.as_str(), &paragraphs, why.as_str());
        let text = NoticeText { heading, paragraphs, link: &link, why }.render()?;
        let html = NoticeHtml { subject: &subject, heading, paragraphs, link: &link, why };
        let html = html.render()?;
        Ok(Written { subject, text, html, unsubscribe: None, thread: None })
    }

    fn digest(&self, digest: &Digest) -> anyhow::Result<Written> {
        let subject = subject_of(&digest.items);
        let heading = if digest.first_name.is_empty() {
            "You missed something".to_owned()
        } else {
            line(&format!("{}, you missed something", digest.first_name))
        };
        let sections = self.sections(&digest.items);
        let more = digest.items.len().saturating_sub(SHOWN_MAX);
        let home = format!("{}/", self.public_url);
        let unsubscribe = format!(
            "{}/api/v1/notifications/unsubscribe/?token={}",
            self.public_url, digest.unsubscribe_token.0
        );
        let text = DigestText {
            heading: &heading,
            sections: &sections,
            more,
            home: &home,
            unsubscribe: &unsubscribe,
        };
        let html = DigestHtml {
            subject: &subject,
            heading: &heading,
            sections: &sections,
            more,
            home: &home,
            unsubscribe: &unsubscribe,
        };
        let (text, html) = (text.render()?, html.render()?);
        // Mails of one room are one thread; one of several rooms belongs to none.
        let room = digest.items.first().and_then(|first| first.room);
        let is_one_room = digest.items.iter().all(|item| item.room == room);
        let thread = room
            .filter(|_| is_one_room)
            .map(|room| format!("<room-{room}.user-{}@{}>", digest.user, self.host));
        Ok(Written { subject, text, html, unsubscribe: Some(unsubscribe), thread })
    }

    /// What is shown, room by room, in the order of the first thing in each.
    fn sections(&self, items: &[Missed]) -> Vec<Section> {
        let mut sections: Vec<(Option<domain::RoomId>, Section)> = Vec::new();
        for item in items.iter().take(SHOWN_MAX) {
            let entry = Entry {
                who: line(if item.author.is_empty() { &item.title } else { &item.author }),
                at: shown(item.at),
                text: excerpt(&item.text),
                url: match (item.room, item.message) {
                    (Some(room), Some(message)) => {
                        Some(format!("{}/r/{room}/m/{message}", self.public_url))
                    }
                    _ => None,
                },
            };
            let known = sections.iter_mut().find(|(room, _)| *room == item.room);
            if let Some((_, section)) = known {
                section.entries.push(entry);
            } else {
                let section = Section { heading: line(&place(item)), entries: vec![entry] };
                sections.push((item.room, section));
            }
        }
        sections.into_iter().map(|(_, section)| section).collect()
    }

    fn link(&self, label: &'static str, page: &str, token: &Secret) -> Link {
        Link { label, url: format!("{}/{page}/?token={}", self.public_url, token.0) }
    }
}

fn webhook_paragraphs(is_disabled: bool, url: &str, reason: &str, failures: i64) -> Vec<String> {
    let mut paragraphs = vec![format!("It goes to {}", line(url))];
    if !reason.is_empty() {
        paragraphs.push(format!("What went wrong: {}", line(reason)));
    }
    paragraphs.push(if is_disabled {
        "Nothing is sent there until an admin turns it on again. What failed can then be replayed."
            .to_owned()
    } else if failures > 0 {
        format!("{failures} attempts in a row have failed. ChatBoard keeps trying.")
    } else {
        "ChatBoard keeps trying.".to_owned()
    });
    paragraphs
}

/// The subject of a digest: our words, in which names stand in quotation marks.
fn subject_of(items: &[Missed]) -> String {
    let Some(first) = items.first() else { return "You missed something".to_owned() };
    let (author, room) = (quoted(&first.author), quoted(&first.room_name));
    let org = if first.org_name.is_empty() {
        String::new()
    } else {
        format!(" ({})", quoted(&first.org_name))
    };
    let is_one_room = items.iter().all(|item| item.room == first.room);
    let has_name = !first.room_name.is_empty();
    let count = items.len();
    match first.notification_type.as_str() {
        "mention" if count == 1 && has_name => format!("New mention by {author} in {room}{org}"),
        "mention" if count == 1 => format!("New mention by {author}{org}"),
        "dm" if count == 1 => format!("New message from {author}{org}"),
        "org_invite" if count == 1 => "You have a new invitation".to_owned(),
        "room_invite" if count == 1 => format!("You were added to the room {room}{org}"),
        "role_change" if count == 1 => "Your role in an organization has changed".to_owned(),
        _ if is_one_room && has_name => format!("{count} new messages in {room}{org}"),
        _ if is_one_room && first.room.is_some() => {
            format!("{count} new messages from {author}{org}")
        }
        _ => format!("{count} new notifications"),
    }
}

fn place(item: &Missed) -> String {
    match (item.room, item.room_name.as_str(), item.org_name.as_str()) {
        (Some(_), "", "") => "Direct messages".to_owned(),
        (Some(_), "", org) => format!("Direct messages · {org}"),
        (Some(_), room, org) => format!("{room} · {org}"),
        (None, ..) => "News".to_owned(),
    }
}

/// A time as people read it.
fn shown(at: Timestamp) -> String {
    let text = at.to_string();
    format!("{} UTC", text.get(..16).unwrap_or(&text).replace('T', " "))
}

/// A header whose name is one of ours.
fn raw(name: &'static str, value: String) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value)
}

#[cfg(test)]
mod tests {
    use domain::mail::{Digest, HandedMail, Letter, MailKind, Missed, Secret};
    use domain::{MailId, Timestamp, UserId};

    use super::Writer;

    fn mail(letter: Letter) -> HandedMail {
        HandedMail {
            id: MailId(7),
            kind: MailKind::Digest,
            to_email: "bob@chat.test".to_owned(),
            attempts: 1,
            created_at: Timestamp::from_unix_seconds(1_000).unwrap(),
            letter,
        }
    }

    fn missed(author: &str, room_name: &str, text: &str) -> Missed {
        Missed {
            notification_type: "mention".to_owned(),
            title: "a mention".to_owned(),
            text: text.to_owned(),
            author: author.to_owned(),
            room: Some(3.into()),
            room_name: room_name.to_owned(),
            org_name: "Acme".to_owned(),
            message: Some(4.into()),
            at: Timestamp::from_unix_seconds(2_000).unwrap(),
        }
    }

    fn written(letter: Letter) -> String {
        let writer = Writer::new("https://chat.example.org/", "").unwrap();
        let now = Timestamp::from_unix_seconds(3_000).unwrap();
        let message = writer.write(&mail(letter), now).unwrap();
        String::from_utf8(message.formatted()).unwrap()
    }

    #[test]
    fn names_cannot_leave_their_place() {
        let evil = "Eve\r\nBcc: all@chat.test\r\n\r\n<script>alert(1)</script>";
        let digest = Digest {
            user: UserId(1),
            first_name: evil.to_owned(),
            unsubscribe_token: Secret("t".to_owned()),
            items: vec![missed(evil, evil, evil)],
        };
        let text = written(Letter::Digest(digest));
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(!head.contains("\nBcc:"), "{head}");
        assert!(head.contains("From: ChatBoard <no-reply@chat.example.org>"), "{head}");
        assert!(head.contains("\r\nMessage-ID: <mail-7.1000000000@chat.example.org>"), "{head}");
        assert!(head.contains("\r\nList-Unsubscribe-Post: List-Unsubscribe=One-Click"), "{head}");
        let html = text.split("text/html").nth(1).unwrap();
        assert!(!html.contains("<script"), "{html}");
        let plain = text.split("text/html").next().unwrap().split("text/plain").nth(1).unwrap();
        for shown in plain.lines() {
            assert!(!shown.starts_with("Bcc:"), "{shown}");
        }
    }

    #[test]
    fn senders_that_are_none_are_refused() {
        for from in ["nonsense", "a@", "Name <>"] {
            assert!(Writer::new("https://chat.example.org", from).is_err(), "{from}");
        }
        Writer::new("http://localhost:8080", "Chat <chat@example.org>").unwrap();
        Writer::new("http://127.0.0.1:8080", "").unwrap();
    }
}
