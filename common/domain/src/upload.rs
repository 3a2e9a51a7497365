//! Uploads: what a valid new one is, and what a stored one holds.
//!
//! A file's name is text that people see. It is never a path, and no key in the store is made
//! from it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::UserId;
use crate::limits::FILENAME_CHARS_MAX;
use crate::media_type;
use crate::refusal::{FieldErrors, Refusal};
use crate::text;
use crate::timestamp::Timestamp;

/// An upload.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    sqlx::Type,
    utoipa::ToSchema,
)]
#[serde(transparent)]
#[sqlx(transparent)]
#[schema(value_type = String, example = "0197b3c4-5d6e-7f80-9a0b-1c2d3e4f5061")]
pub struct UploadId(pub Uuid);

impl UploadId {
    /// The id that no row bears.
    pub const NOWHERE: Self = Self(Uuid::nil());

    /// An id of its own, that rises with time.
    pub fn random() -> Self {
        Self(Uuid::now_v7())
    }

    /// Takes a text that a client sent: `None` unless it is a UUID in its usual form.
    pub fn from_client(text: &str) -> Option<Self> {
        let is_usual = text.len() == 36;
        is_usual.then(|| Uuid::from_str(text).ok().map(Self)).flatten()
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a file has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UploadStatus {
    /// Announced.
    Pending,
    /// In the store, and as announced.
    Completed,
}

impl UploadStatus {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Completed => "completed",
        }
    }
}

/// A stored upload.
#[derive(Clone, Debug)]
pub struct Upload {
    /// Its id.
    pub id: UploadId,
    /// Its place in lists.
    pub number: i64,
    /// Whose it is.
    pub user: UserId,
    /// The file's name, as text.
    pub filename: String,
    /// The announced type, normalized; once completed, verified where it is one that is served.
    pub content_type: String,
    /// Bytes.
    pub file_size: i64,
    /// Where it is in the store.
    pub object_key: String,
    /// Whether it has arrived.
    pub status: UploadStatus,
    /// When it was completed.
    pub uploaded_at: Option<Timestamp>,
    /// When it is removed unless it is completed, or posted, before.
    pub expires_at: Option<Timestamp>,
    /// Pixels, of images, once they are known.
    pub width: Option<i32>,
    /// Pixels, of images, once they are known.
    pub height: Option<i32>,
    /// Where its preview is in the store, once it is made.
    pub preview_key: Option<String>,
}

/// What a message tells of the upload that it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attached {
    /// The upload.
    pub id: UploadId,
    /// The file's name, as text.
    pub filename: String,
    /// The type.
    pub content_type: String,
    /// Bytes.
    pub file_size: i64,
    /// Pixels, of images.
    pub width: Option<i32>,
    /// Pixels, of images.
    pub height: Option<i32>,
    /// Whether it has a preview.
    pub has_preview: bool,
}

/// What may be uploaded.
#[derive(Clone, Debug)]
pub struct UploadRules {
    /// Bytes of one file.
    pub bytes_max: i64,
    /// The types that are allowed, normalized; empty allows every type.
    pub types: Vec<String>,
    /// Bytes that one person's uploads may hold together; 0 is no limit.
    pub user_quota: i64,
    /// Bytes that what was posted in one organization may hold together; 0 is no limit.
    pub org_quota: i64,
}

impl Default for UploadRules {
    fn default() -> Self {
        Self { bytes_max: 100 * 1024 * 1024, types: Vec::new(), user_quota: 0, org_quota: 0 }
    }
}

/// An upload that may be announced: valid by construction.
#[derive(Clone, Debug)]
pub struct NewUpload {
    filename: String,
    content_type: String,
    file_size: i64,
}

impl NewUpload {
    /// Checks what a client announces. A field that could not be read is `None`, its fault noted.
    ///
    /// # Errors
    /// `ValidationFailed` naming every bad field.
    pub fn parse(
        filename: Option<String>,
        content_type: Option<String>,
        file_size: Option<i64>,
        rules: &UploadRules,
        mut errors: FieldErrors,
    ) -> Result<Self, Refusal> {
        let filename = filename
            .map(|name| text::label(&name, 1, FILENAME_CHARS_MAX))
            .transpose()
            .unwrap_or_else(|fault| {
                errors.add("filename", fault);
                None
            });
        let content_type = content_type.map(|text| media_type::normalized(&text));
        if let Some(word) = &content_type
            && !rules.types.is_empty()
            && !rules.types.contains(word)
        {
            errors.add("content_type", format!("must be one of {}", rules.types.join(", ")));
        }
        if let Some(size) = file_size
            && !(1..=rules.bytes_max).contains(&size)
        {
            errors.add("file_size", format!("must be 1 to {}", rules.bytes_max));
        }
        errors.finish()?;
        let (Some(filename), Some(content_type), Some(file_size)) =
            (filename, content_type, file_size)
        else {
            return Err(Refusal::Internal);
        };
        Ok(Self { filename, content_type, file_size })
    }

    /// The file's name, as text.
    pub fn filename(&self) -> &str {
        &self.filename
    }

    /// The type, normalized.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// Bytes.
    pub fn file_size(&self) -> i64 {
        self.file_size
    }
}

/// The `Content-Disposition` that hands a file out under its name, and never shows it in a page:
/// RFC 6266, the name in ASCII for old readers and by RFC 8187 for all others.
pub fn disposition(filename: &str) -> String {
    let plain: String = filename
        .chars()
        .map(|c| match c {
            '"' | '\\' | '/' | '%' => '_',
            c if c.is_ascii() && !c.is_ascii_control() => c,
            _ => '_',
        })
        .collect();
    let mut exact = String::with_capacity(filename.len());
    for byte in filename.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || b"!#$&+-.^_`|~".contains(&byte);
        if is_plain {
            exact.push(char::from(byte));
        } else {
            exact.push('%');
            exact.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }
    format!("attachment; filename=\"{plain}\"; filename*=UTF-8''{exact}")
}

const HEX: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_out_as_an_attachment_whatever_it_holds() {
        assert_eq!(
            disposition("Grüße \"x\"; a=b.html"),
            "attachment; filename=\"Gr__e _x_; a=b.html\"; \
             filename*=UTF-8''Gr%C3%BC%C3%9Fe%20%22x%22%3B%20a%3Db.html"
        );
        assert_eq!(
            disposition("../../etc/passwd"),
            "attachment; filename=\".._.._etc_passwd\"; filename*=UTF-8''..%2F..%2Fetc%2Fpasswd"
        );
    }

    #[test]
    fn an_id_is_a_uuid_in_its_usual_form() {
        assert!(UploadId::from_client("0197b3c4-5d6e-7f80-9a0b-1c2d3e4f5061").is_some());
        for text in ["", "1", "0197b3c45d6e7f809a0b1c2d3e4f5061", "x".repeat(36).as_str()] {
            assert!(UploadId::from_client(text).is_none(), "{text}");
        }
    }
}
