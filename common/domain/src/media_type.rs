//! Media types (RFC 6838): their usual form, and which of them a file keeps when it is downloaded.
//!
//! Any file can be uploaded. **Invariant:** only types that a browser displays without running
//! anything are ever served, and only after the first bytes of the file agree with them; every
//! other file is served as [`UNKNOWN`].

/// The type of bytes about which nothing is known.
pub const UNKNOWN: &str = "application/octet-stream";

/// Bytes at the start of a file that [`fits`] looks at.
pub const START_BYTES: usize = 512;

/// Characters of a type: two names of 127 and the slash (RFC 6838, section 4.2).
const CHARS_MAX: usize = 255;

/// Other names of a type, and the registered one.
const SYNONYMS: [(&str, &str); 24] = [
    ("application/x-pdf", "application/pdf"),
    ("application/x-zip", "application/zip"),
    ("application/x-zip-compressed", "application/zip"),
    ("audio/m4a", "audio/mp4"),
    ("audio/mp3", "audio/mpeg"),
    ("audio/vnd.wave", "audio/wav"),
    ("audio/wave", "audio/wav"),
    ("audio/x-aac", "audio/aac"),
    ("audio/x-flac", "audio/flac"),
    ("audio/x-m4a", "audio/mp4"),
    ("audio/x-mp3", "audio/mpeg"),
    ("audio/x-mpeg", "audio/mpeg"),
    ("audio/x-pn-wav", "audio/wav"),
    ("audio/x-wav", "audio/wav"),
    ("image/jpg", "image/jpeg"),
    ("image/pjpeg", "image/jpeg"),
    ("image/x-png", "image/png"),
    ("text/json", "application/json"),
    ("text/x-csv", "text/csv"),
    ("text/x-json", "application/json"),
    ("text/x-markdown", "text/markdown"),
    ("video/m4v", "video/mp4"),
    ("video/mov", "video/quicktime"),
    ("video/x-m4v", "video/mp4"),
];

/// The types that a verified file keeps when it is downloaded.
const SERVED: [&str; 15] = [
    "application/pdf",
    "audio/flac",
    "audio/mp4",
    "audio/mpeg",
    "audio/ogg",
    "audio/wav",
    "audio/webm",
    "image/gif",
    "image/jpeg",
    "image/png",
    "image/webp",
    "text/plain",
    "video/mp4",
    "video/quicktime",
    "video/webm",
];

/// The usual form of a type: lower case, no parameters, the registered name of a synonym. What is
/// empty or not a media type is [`UNKNOWN`].
pub fn normalized(text: &str) -> String {
    let bare = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_type = bare.len() <= CHARS_MAX
        && bare.split_once('/').is_some_and(|(kind, name)| is_name(kind) && is_name(name));
    if !is_type {
        return UNKNOWN.to_owned();
    }
    match SYNONYMS.iter().find(|(other, _)| *other == bare) {
        Some((_, registered)) => (*registered).to_owned(),
        None => bare,
    }
}

/// A `restricted-name` of RFC 6838, section 4.2.
fn is_name(text: &str) -> bool {
    let is_inner = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
    text.bytes().all(is_inner) && text.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric)
}

/// The type with which a file is downloaded.
pub fn served(content_type: &str) -> &str {
    if is_served(content_type) { content_type } else { UNKNOWN }
}

/// Whether files of this type are downloaded with it, once their bytes were verified.
pub fn is_served(content_type: &str) -> bool {
    SERVED.contains(&content_type)
}

/// Whether a type is an image of which there are previews.
pub fn is_image(content_type: &str) -> bool {
    matches!(content_type, "image/jpeg" | "image/png" | "image/gif" | "image/webp")
}

/// Whether the first [`START_BYTES`] bytes of a file are those of a type that is served. False for
/// every other type.
pub fn fits(content_type: &str, start: &[u8]) -> bool {
    let at = |from: usize, bytes: &[u8]| start.get(from..from + bytes.len()) == Some(bytes);
    match content_type {
        "image/jpeg" => at(0, b"\xff\xd8\xff"),
        "image/png" => at(0, b"\x89PNG\r\n\x1a\n"),
        "image/gif" => at(0, b"GIF87a") || at(0, b"GIF89a"),
        "image/webp" => at(0, b"RIFF") && at(8, b"WEBP"),
        "application/pdf" => at(0, b"%PDF-"),
        "audio/wav" => at(0, b"RIFF") && at(8, b"WAVE"),
        "audio/flac" => at(0, b"fLaC"),
        "audio/ogg" => at(0, b"OggS"),
        // A tag, or the eleven bits that every frame begins with.
        "audio/mpeg" => at(0, b"ID3") || matches!(start, [0xff, 0xe0..=0xff, ..]),
        "audio/mp4" | "video/mp4" => at(4, b"ftyp"),
        "video/quicktime" => {
            [b"ftyp", b"moov", b"mdat", b"wide", b"free"].iter().any(|name| at(4, *name))
        }
        "audio/webm" | "video/webm" => at(0, b"\x1a\x45\xdf\xa3"),
        "text/plain" => is_text(start),
        _ => false,
    }
}

/// UTF-8 without control characters that no text has; its last character may be cut off.
fn is_text(start: &[u8]) -> bool {
    let whole = match std::str::from_utf8(start) {
        Ok(text) => text,
        Err(error) if error.error_len().is_some() => return false,
        Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).unwrap_or_default(),
    };
    whole
        .chars()
        .all(|c| !c.is_ascii_control() || matches!(c, '\t' | '\n' | '\r' | '\x0c' | '\x1b'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_has_one_form() {
        for (text, form) in [
            ("IMAGE/JPG", "image/jpeg"),
            ("text/plain; charset=utf-8", "text/plain"),
            ("application/x-zip-compressed", "application/zip"),
            (" Audio/X-WAV ;codec=1", "audio/wav"),
            ("application/vnd.ms-excel", "application/vnd.ms-excel"),
            ("", UNKNOWN),
            ("png", UNKNOWN),
            ("/png", UNKNOWN),
            ("image/", UNKNOWN),
            ("a/b/c", UNKNOWN),
            ("text/pl\u{e4}in", UNKNOWN),
            ("text/html\r\nx: y", UNKNOWN),
        ] {
            assert_eq!(normalized(text), form, "{text:?}");
        }
        assert_eq!(normalized(&format!("a/{}", "b".repeat(300))), UNKNOWN);
    }

    #[test]
    fn what_a_browser_could_run_is_not_served_as_it_is() {
        for dangerous in [
            "text/html",
            "image/svg+xml",
            "application/xhtml+xml",
            "text/xml",
            "text/javascript",
            "application/javascript",
            "text/css",
            "application/x-shockwave-flash",
        ] {
            assert_eq!(served(dangerous), UNKNOWN);
            assert!(!fits(dangerous, b"<html>"));
        }
        assert!(SERVED.iter().all(|one| normalized(one) == *one));
    }

    #[test]
    fn types_are_told_by_their_first_bytes() {
        assert!(fits("image/png", b"\x89PNG\r\n\x1a\n...."));
        assert!(!fits("image/png", b"<html>"));
        assert!(!fits("image/webp", b"RIFF"));
        assert!(fits("image/webp", b"RIFF\0\0\0\0WEBPVP8 "));
        assert!(fits("video/mp4", b"\0\0\0\x20ftypisom"));
        assert!(!fits("video/mp4", b"<script>"));
        assert!(fits("audio/mpeg", b"\xff\xfb\x90"));
        assert!(fits("text/plain", b"<html>\n"), "a browser that heeds the type shows it as text");
        assert!(fits("text/plain", "Gr\u{fc}\u{df}e".as_bytes()));
        assert!(fits("text/plain", &"\u{20ac}".as_bytes()[..2]), "the last character is cut off");
        assert!(!fits("text/plain", b"MZ\0\0"));
        assert!(!fits("text/plain", b"Gr\xfc\xdfe an alle"));
    }
}
