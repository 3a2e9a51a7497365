//! Messages: what a valid new one is, and what a stored one holds.

use sha2::{Digest, Sha256};

use crate::ids::{MessageId, OrgId, RoomId, Seq, UserId};
use crate::limits::{FILE_URL_CHARS_MAX, MESSAGE_CHARS_MAX, NONCE_CHARS_MAX};
use crate::mentions::{self, Mentions};
use crate::refusal::{FieldErrors, Refusal};
use crate::search::Words;
use crate::text;
use crate::timestamp::Timestamp;
use crate::upload::{Attached, UploadId};

/// What is said of an upload that a message cannot carry.
pub const NOT_YOUR_UPLOAD: &str = "must be a completed upload of yours";

/// What is said of a text with nothing to read in it.
pub const BLANK_WITHOUT_FILE: &str = "must not be blank without a file";

/// A stored message in its present state.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its id.
    pub id: MessageId,
    /// The place of its creation in the room's log.
    pub seq: Seq,
    /// Its organization.
    pub org: OrgId,
    /// Its room.
    pub room: RoomId,
    /// Who sent it.
    pub sender: UserId,
    /// Its text, `CommonMark`; empty once deleted.
    pub body: String,
    /// A file's address: elsewhere, or that of the upload.
    pub file_url: Option<String>,
    /// The upload that it carries.
    pub upload: Option<Attached>,
    /// The message of the same room that it answers.
    pub reply_to: Option<MessageId>,
    /// Reactions in the order in which each emoji first came.
    pub reactions: Vec<Reaction>,
    /// Whether it was deleted.
    pub is_deleted: bool,
    /// When it was sent.
    pub created_at: Timestamp,
    /// When its text was last changed.
    pub edited_at: Option<Timestamp>,
    /// The sender's own id for this send.
    pub nonce: Option<String>,
}

impl Message {
    /// Leaves of it what a deleted message shows.
    pub fn wipe(&mut self) {
        self.is_deleted = true;
        self.body.clear();
        self.file_url = None;
        self.upload = None;
        self.reactions.clear();
    }
}

/// One emoji and those who reacted with it, earliest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reaction {
    /// The emoji.
    pub emoji: String,
    /// Who.
    pub user_ids: Vec<UserId>,
}

/// What a client wants to send, with the wire's types checked and nothing else.
#[derive(Clone, Debug, Default)]
pub struct MessageDraft {
    /// The text.
    pub body: Option<String>,
    /// A file elsewhere.
    pub file_url: Option<String>,
    /// A completed upload.
    pub upload_id: Option<String>,
    /// The message that it answers.
    pub reply_to: Option<i64>,
    /// The sender's own id for this send.
    pub nonce: Option<String>,
}

/// A message's text with everything that is made of it. Made once, when a request is parsed: not
/// in a transaction, and never again when the message is read.
#[derive(Clone, Debug)]
pub struct MessageText {
    body: String,
    mentions: Mentions,
    words: Words,
}

impl MessageText {
    /// Checks a text, and reads it: at most 10,000 characters, no NUL, not blank unless `may_be_blank`.
    ///
    /// # Errors
    /// A sentence for the client.
    pub fn parse(body: String, may_be_blank: bool) -> Result<Self, String> {
        check_body(&body, may_be_blank)?;
        let (mentions, words) = (mentions::find(&body), Words::of(&body));
        Ok(Self { body, mentions, words })
    }

    /// The text.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// Whether there is nothing to read in it.
    pub fn is_blank(&self) -> bool {
        text::is_blank(&self.body)
    }

    /// Whom it may mention.
    pub fn mentions(&self) -> &Mentions {
        &self.mentions
    }

    /// What it is found by.
    pub fn words(&self) -> &Words {
        &self.words
    }

    fn bytes(&self) -> usize {
        self.body.len() + self.mentions.bytes() + self.words.bytes()
    }
}

/// A message that may be posted: valid by construction.
#[derive(Clone, Debug)]
pub struct NewMessage {
    text: MessageText,
    file_url: Option<String>,
    upload: Option<UploadId>,
    reply_to: Option<MessageId>,
    nonce: Option<String>,
    content_hash: [u8; 32],
}

impl NewMessage {
    /// Checks a draft.
    ///
    /// # Errors
    /// `ValidationFailed` naming every bad field.
    pub fn parse(draft: MessageDraft) -> Result<Self, Refusal> {
        let mut errors = FieldErrors::default();
        let body = draft.body.unwrap_or_default();
        let file_url = draft.file_url.and_then(|url| {
            text::http_url(&url, FILE_URL_CHARS_MAX)
                .map_err(|fault| errors.add("file_url", fault))
                .ok()
        });
        let upload = draft.upload_id.and_then(|id| {
            let id = UploadId::from_client(&id);
            if id.is_none() {
                errors.add("upload_id", NOT_YOUR_UPLOAD);
            }
            id
        });
        let has_file = file_url.is_some() || upload.is_some();
        let text = MessageText::parse(body, has_file || !errors.is_empty())
            .map_err(|fault| errors.add("body", fault))
            .ok();
        let reply_to = draft.reply_to.and_then(|id| {
            let id = MessageId::from_client(id);
            if id.is_none() {
                errors.add("reply_to", "must be a message of this room");
            }
            id
        });
        if let Some(nonce) = &draft.nonce
            && let Err(fault) = check_nonce(nonce)
        {
            errors.add("nonce", fault);
        }
        errors.finish()?;
        let text = text.ok_or(Refusal::Internal)?;
        let content_hash = content_hash(text.body(), file_url.as_deref(), reply_to, upload);
        let nonce = draft.nonce;
        Ok(Self { text, file_url, upload, reply_to, nonce, content_hash })
    }

    /// The text, with what is made of it.
    pub fn text(&self) -> &MessageText {
        &self.text
    }

    /// The text.
    pub fn body(&self) -> &str {
        self.text.body()
    }

    /// The upload that it carries.
    pub fn upload(&self) -> Option<UploadId> {
        self.upload
    }

    /// The message with the address of its upload, which takes the place of any other file's.
    #[must_use]
    pub fn with_upload_url(mut self, url: impl FnOnce(UploadId) -> String) -> Self {
        if let Some(upload) = self.upload {
            self.file_url = Some(url(upload));
        }
        self
    }

    /// A file's address.
    pub fn file_url(&self) -> Option<&str> {
        self.file_url.as_deref()
    }

    /// The message that it answers.
    pub fn reply_to(&self) -> Option<MessageId> {
        self.reply_to
    }

    /// The sender's own id for this send.
    pub fn nonce(&self) -> Option<&str> {
        self.nonce.as_deref()
    }

    /// What two sends with one nonce are compared by.
    pub fn content_hash(&self) -> &[u8; 32] {
        &self.content_hash
    }

    /// Whom its text may mention.
    pub fn mentions(&self) -> &Mentions {
        self.text.mentions()
    }

    /// Bytes that it costs to hold, for the bounds of queues.
    pub fn bytes(&self) -> usize {
        let file_url = self.file_url.as_ref().map_or(0, String::len);
        self.text.bytes() + file_url + 256
    }
}

/// Checks a message's text: at most 10,000 characters, no NUL, not blank unless `may_be_blank`.
///
/// # Errors
/// A sentence for the client.
fn check_body(body: &str, may_be_blank: bool) -> Result<(), String> {
    if body.contains('\0') {
        return Err("must not contain the character U+0000".to_owned());
    }
    if body.chars().count() > MESSAGE_CHARS_MAX {
        return Err(format!("must have at most {MESSAGE_CHARS_MAX} characters"));
    }
    if !may_be_blank && text::is_blank(body) {
        return Err(BLANK_WITHOUT_FILE.to_owned());
    }
    Ok(())
}

fn check_nonce(nonce: &str) -> Result<(), String> {
    if nonce.contains('\0') {
        return Err("must not contain the character U+0000".to_owned());
    }
    if (1..=NONCE_CHARS_MAX).contains(&nonce.chars().count()) {
        Ok(())
    } else {
        Err(format!("must have 1 to {NONCE_CHARS_MAX} characters"))
    }
}

/// SHA-256 over the length-prefixed parts, so that no two contents share an encoding. Without an
/// upload it is what it was before there were any.
fn content_hash(
    body: &str,
    file_url: Option<&str>,
    reply_to: Option<MessageId>,
    upload: Option<UploadId>,
) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in [body, file_url.unwrap_or_default()] {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(reply_to.map_or(0, |id| id.0).to_le_bytes());
    if let Some(upload) = upload {
        hash.update(upload.0.as_bytes());
    }
    hash.finalize().into()
}
