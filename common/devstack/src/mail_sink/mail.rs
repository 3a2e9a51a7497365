//! A caught mail: a file `<number>.eml` as it came, under lines that say whom it was handed over
//! for.

use std::path::{Path, PathBuf};

use anyhow::Context;
use mail_parser::{MessageParser, MimeHeaders};

/// A mail, read for people.
#[derive(Clone, Debug)]
pub struct Mail {
    /// Its number: later mails have greater ones.
    pub id: u64,
    /// Whom it was handed over for, one address each.
    pub recipients: Vec<String>,
    /// The sender.
    pub from: String,
    /// The subject.
    pub subject: String,
    /// When it says that it was written.
    pub date: String,
    /// The text for those who see no HTML.
    pub text: String,
    /// The HTML.
    pub html: Option<String>,
    /// All of it, as it came.
    pub raw: String,
}

/// The header that the sink adds for each recipient.
pub(super) const RECIPIENT_HEADER: &str = "Delivered-To";

impl Mail {
    pub(super) fn read(folder: &Path, id: u64) -> Option<Self> {
        let bytes = std::fs::read(path(folder, id)).ok()?;
        let raw = String::from_utf8_lossy(&bytes).into_owned();
        let parsed = MessageParser::default().parse(&bytes);
        let mut mail = Self {
            id,
            recipients: Vec::new(),
            from: String::new(),
            subject: String::new(),
            date: String::new(),
            text: String::new(),
            html: None,
            raw,
        };
        let Some(parsed) = parsed else { return Some(mail) };
        mail.recipients = mail.raw_headers(RECIPIENT_HEADER);
        mail.from = parsed
            .from()
            .and_then(|from| from.first())
            .map(|from| match (from.name(), from.address()) {
                (Some(name), Some(address)) => format!("{name} <{address}>"),
                (name, address) => name.or(address).unwrap_or_default().to_owned(),
            })
            .unwrap_or_default();
        mail.subject = parsed.subject().map(str::to_owned).unwrap_or_default();
        mail.date = parsed.date().map(mail_parser::DateTime::to_rfc3339).unwrap_or_default();
        // Of a mail with HTML alone, the parser would make a text.
        let is_text = |part: &&mail_parser::MessagePart<'_>| {
            part.content_type().is_none_or(|kind| kind.subtype() == Some("plain"))
        };
        mail.text = parsed
            .text_bodies()
            .find(is_text)
            .and_then(mail_parser::MessagePart::text_contents)
            .map(str::to_owned)
            .unwrap_or_default();
        mail.html = parsed
            .html_bodies()
            .find(|part| part.is_text_html())
            .and_then(mail_parser::MessagePart::text_contents)
            .map(str::to_owned);
        Some(mail)
    }

    /// The values of a header, unfolded.
    pub fn raw_headers(&self, name: &str) -> Vec<String> {
        let head = self.raw.split("\r\n\r\n").next().unwrap_or_default();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        unfolded
            .split("\r\n")
            .filter_map(|line| line.split_once(':'))
            .filter(|(one, _)| one.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_owned())
            .collect()
    }

    /// The first value of a header, unfolded.
    pub fn header(&self, name: &str) -> Option<String> {
        self.raw_headers(name).into_iter().next()
    }
}

/// The numbers of the mails in a folder, newest first.
pub(super) fn ids(folder: &Path) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut ids: Vec<u64> = entries
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| name.strip_suffix(".eml")?.parse().ok())
        .collect();
    ids.sort_unstable_by(|a, b| b.cmp(a));
    ids
}

/// Writes a mail whole or not at all.
pub(super) fn write(folder: &Path, id: u64, mail: &[u8]) -> anyhow::Result<()> {
    let (path, new) = (path(folder, id), folder.join(format!("{id:08}.new")));
    std::fs::write(&new, mail)
        .and_then(|()| std::fs::rename(&new, &path))
        .with_context(|| format!("cannot write {}", path.display()))
}

pub(super) fn remove(folder: &Path, id: u64) {
    let _ = std::fs::remove_file(path(folder, id));
}

fn path(folder: &Path, id: u64) -> PathBuf {
    folder.join(format!("{id:08}.eml"))
}
