//! Bytes that never change while the process runs: documents and the page's files.
//!
//! **Invariants:** each is compressed at most once in each coding, when it is first requested in it; a
//! strong `ETag` names the bytes that are sent, and a client that has them gets 304.

use std::borrow::Cow;
use std::io::Write;
use std::sync::OnceLock;

use axum::body::{Body, Bytes};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Fewer bytes are not worth compressing.
const COMPRESSED_BYTES_MIN: usize = 512;
/// Brotli's quality, 0..=11: paid once, so more than for an answer that is made each time.
const BROTLI_QUALITY: u32 = 9;
/// The binary logarithm of Brotli's window.
const BROTLI_WINDOW: u32 = 22;
/// Bytes of a hash that a version tells.
const VERSION_BYTES: usize = 12;
/// What compresses well, by the beginning of its type; pictures and fonts are compressed already.
const COMPRESSIBLE: [&str; 4] =
    ["text/", "application/json", "application/manifest+json", "image/svg+xml"];

/// One file or document.
#[derive(Debug)]
pub struct Asset {
    content_type: HeaderValue,
    /// Names the content: part of every `ETag`.
    version: String,
    plain: Bytes,
    gzip: OnceLock<Option<Bytes>>,
    brotli: OnceLock<Option<Bytes>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Brotli,
    Gzip,
    Identity,
}

impl Asset {
    /// An asset whose version is the hash of its bytes.
    pub fn new(content_type: &str, bytes: impl Into<Cow<'static, [u8]>>) -> Self {
        let bytes = bytes.into();
        let digest = ring::digest::digest(&ring::digest::SHA256, &bytes);
        let version = URL_SAFE_NO_PAD.encode(&digest.as_ref()[..VERSION_BYTES]);
        Self::versioned(content_type, bytes, version)
    }

    /// An asset whose version is known: letters, digits, `_` and `-`.
    pub fn versioned(
        content_type: &str,
        bytes: impl Into<Cow<'static, [u8]>>,
        version: String,
    ) -> Self {
        let octets = HeaderValue::from_static("application/octet-stream");
        Self {
            content_type: HeaderValue::from_str(content_type).unwrap_or(octets),
            version,
            plain: match bytes.into() {
                Cow::Borrowed(bytes) => Bytes::from_static(bytes),
                Cow::Owned(bytes) => Bytes::from(bytes),
            },
            gzip: OnceLock::new(),
            brotli: OnceLock::new(),
        }
    }

    /// Names the content.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The asset for a request with these headers, or that its sender has it: 200 or 304.
    pub fn answer(&self, request: &HeaderMap) -> Response<Body> {
        let (coding, bytes) = self.coded(request);
        let suffix = match coding {
            Coding::Brotli => "-br",
            Coding::Gzip => "-gzip",
            Coding::Identity => "",
        };
        let tag = format!("\"{}{suffix}\"", self.version);
        let is_known = is_known(request, &tag);
        let mut response = Response::new(if is_known { Body::empty() } else { bytes.into() });
        let headers = response.headers_mut();
        if let Ok(tag) = HeaderValue::from_str(&tag) {
            headers.insert(header::ETAG, tag);
        }
        if self.is_compressible() {
            headers.insert(header::VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return response;
        }
        headers.insert(header::CONTENT_TYPE, self.content_type.clone());
        match coding {
            Coding::Brotli => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("br"))
            }
            Coding::Gzip => {
                headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"))
            }
            Coding::Identity => None,
        };
        response
    }

    fn is_compressible(&self) -> bool {
        let kind = self.content_type.to_str().unwrap_or_default();
        self.plain.len() >= COMPRESSED_BYTES_MIN
            && COMPRESSIBLE.iter().any(|start| kind.starts_with(start))
    }

    /// The bytes in the best coding that the client takes.
    fn coded(&self, request: &HeaderMap) -> (Coding, Bytes) {
        if self.is_compressible() {
            let coding = preferred(request);
            let coded = match coding {
                Coding::Brotli => {
                    self.brotli.get_or_init(|| smaller(brotli(&self.plain), &self.plain))
                }
                Coding::Gzip => self.gzip.get_or_init(|| smaller(gzip(&self.plain), &self.plain)),
                Coding::Identity => &None,
            };
            if let Some(coded) = coded {
                return (coding, coded.clone());
            }
        }
        (Coding::Identity, self.plain.clone())
    }
}

fn smaller(coded: std::io::Result<Vec<u8>>, plain: &Bytes) -> Option<Bytes> {
    coded.ok().filter(|coded| coded.len() < plain.len()).map(Bytes::from)
}

fn brotli(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut writer = brotli::CompressorWriter::new(&mut out, 4096, BROTLI_QUALITY, BROTLI_WINDOW);
    writer.write_all(bytes)?;
    // Writes the end.
    drop(writer);
    Ok(out)
}

fn gzip(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(bytes)?;
    writer.finish()
}

/// The words of a header that is a list, with what follows a `;`.
fn list<'a>(request: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a str> + use<'a> {
    let values = request.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(str::trim)
}

/// The coding that a client takes and likes most (RFC 9110, section 12.5.3); Brotli among equals.
fn preferred(request: &HeaderMap) -> Coding {
    let mut best = (Coding::Identity, 0.0);
    for item in list(request, &header::ACCEPT_ENCODING) {
        let mut parts = item.split(';').map(str::trim);
        let coding = match parts.next() {
            Some("br") => Coding::Brotli,
            Some("gzip" | "x-gzip") => Coding::Gzip,
            _ => continue,
        };
        let weight = parts.find_map(|part| part.strip_prefix("q=")?.parse::<f32>().ok());
        let weight = weight.unwrap_or(1.0);
        let is_better = weight > best.1 || (coding == Coding::Brotli && weight >= best.1);
        if weight > 0.0 && is_better {
            best = (coding, weight);
        }
    }
    best.0
}

/// Whether the client has what the tag names (RFC 9110, section 13.1.2: weakly compared).
fn is_known(request: &HeaderMap, tag: &str) -> bool {
    list(request, &header::IF_NONE_MATCH).any(|one| {
        let one = one.strip_prefix("W/").unwrap_or(one);
        one == "*" || one == tag
    })
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

    use super::{Asset, Coding, preferred};

    fn asking(headers: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = headers.iter().map(|&(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn the_client_chooses_the_coding() {
        for (accepted, coding) in [
            ("gzip, deflate, br", Coding::Brotli),
            ("gzip", Coding::Gzip),
            ("br;q=0.5, gzip;q=0.9", Coding::Gzip),
            ("br;q=0, gzip;q=0", Coding::Identity),
            ("identity", Coding::Identity),
            ("", Coding::Identity),
        ] {
            assert_eq!(preferred(&asking(&[("accept-encoding", accepted)])), coding, "{accepted}");
        }
    }

    #[test]
    fn a_tag_names_the_very_bytes_that_are_sent() {
        let text = "So many words. ".repeat(100);
        let asset = Asset::new("text/plain; charset=utf-8", text.clone().into_bytes());
        let mut tags = Vec::new();
        for accepted in ["br", "gzip", "identity"] {
            let headers = asking(&[("accept-encoding", accepted)]);
            let (_, bytes) = asset.coded(&headers);
            let mut read = Vec::new();
            match accepted {
                "br" => brotli::Decompressor::new(&bytes[..], 4096).read_to_end(&mut read).unwrap(),
                "gzip" => flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut read).unwrap(),
                _ => (&bytes[..]).read_to_end(&mut read).unwrap(),
            };
            assert!(read == text.as_bytes(), "{accepted}");
            // The second is the first, not another of the same size.
            assert_eq!(asset.coded(&headers).1.as_ptr(), bytes.as_ptr(), "{accepted}");
            let first = asset.answer(&headers);
            assert_eq!(first.status(), StatusCode::OK);
            let tag = first.headers()["etag"].to_str().unwrap().to_owned();
            assert!(tag.starts_with('"') && !tags.contains(&tag), "{tag}");
            let known = [("accept-encoding", accepted), ("if-none-match", tag.as_str())];
            let again = asset.answer(&asking(&known));
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
            assert_eq!(again.headers()["etag"], tag.as_str());
            tags.push(tag);
        }
        let other = asking(&[("if-none-match", "\"another\"")]);
        assert_eq!(asset.answer(&other).status(), StatusCode::OK);
    }

    #[test]
    fn what_is_compressed_already_or_small_is_sent_as_it_is() {
        let headers = asking(&[("accept-encoding", "br")]);
        for asset in [
            Asset::new("font/woff2", vec![0; 4_096]),
            Asset::new("text/plain", b"short".as_slice()),
        ] {
            let answer = asset.answer(&headers);
            assert!(!answer.headers().contains_key("content-encoding"));
            assert!(!answer.headers().contains_key("vary"));
        }
    }
}
