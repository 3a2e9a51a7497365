//! The little of the NATS protocol that being subscribed needs, as text in and text out.

use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;

/// The longest line that a server may send.
const LINE_BYTES_MAX: usize = 64 * 1024;
/// The largest message that is taken.
const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// What a server says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Said {
    /// What it is and wants; the first thing.
    Info {
        /// Nothing goes on without TLS.
        tls_required: bool,
    },
    /// It wants a `PONG`.
    Ping,
    /// The answer to a `PING`.
    Pong,
    /// A message of a subscription.
    Message {
        /// The subscription, by the number that we gave it.
        subscription: i64,
        /// Where an answer is expected.
        reply: Option<String>,
        /// The message without its headers.
        payload: Bytes,
    },
    /// It refuses something.
    Error(String),
    /// Something that needs no answer.
    Other,
}

/// What was said is not the protocol.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not the NATS protocol: {0}")]
pub(super) struct Malformed(&'static str);

#[derive(Deserialize)]
struct Info {
    #[serde(default)]
    tls_required: bool,
}

/// Takes the next thing that was said whole off the buffer; `None` when it has not all come.
pub(super) fn next(buffer: &mut BytesMut) -> Result<Option<Said>, Malformed> {
    let Some(end) = buffer.windows(2).position(|pair| pair == b"\r\n") else {
        let is_long = buffer.len() > LINE_BYTES_MAX;
        return if is_long { Err(Malformed("a line without end")) } else { Ok(None) };
    };
    let line = std::str::from_utf8(&buffer[..end]).map_err(|_| Malformed("a line not in UTF-8"))?;
    let (verb, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
    let said = match verb.to_ascii_uppercase().as_str() {
        "MSG" | "HMSG" => {
            let head = Head::parse(rest, verb.len() == "HMSG".len())?;
            return Ok(message(head, end + 2, buffer));
        }
        "PING" => Said::Ping,
        "PONG" => Said::Pong,
        "-ERR" => Said::Error(rest.trim_matches([' ', '\'']).to_owned()),
        "INFO" => {
            let info: Info =
                serde_json::from_str(rest).map_err(|_| Malformed("INFO without JSON"))?;
            Said::Info { tls_required: info.tls_required }
        }
        _ => Said::Other,
    };
    buffer.advance(end + 2);
    Ok(Some(said))
}

/// The first line of a message.
struct Head {
    subscription: i64,
    reply: Option<String>,
    header_bytes: usize,
    total_bytes: usize,
}

impl Head {
    /// `<subject> <sid> [reply] [header bytes] <total bytes>`.
    fn parse(arguments: &str, has_headers: bool) -> Result<Self, Malformed> {
        let mut words: Vec<&str> = arguments.split_ascii_whitespace().collect();
        let mut size = || words.pop().and_then(|word| word.parse::<usize>().ok());
        let total_bytes = size().ok_or(Malformed("a message without a size"))?;
        let header_bytes =
            if has_headers { size().ok_or(Malformed("headers without a size"))? } else { 0 };
        if total_bytes > MESSAGE_BYTES_MAX || header_bytes > total_bytes {
            return Err(Malformed("a message of an impossible size"));
        }
        let subscription = words.get(1).and_then(|word| word.parse().ok());
        Ok(Self {
            subscription: subscription.ok_or(Malformed("a message of no subscription"))?,
            reply: words.get(2).map(|&reply| reply.to_owned()),
            header_bytes,
            total_bytes,
        })
    }
}

/// After its first line, a message is its bytes and a line's end.
fn message(head: Head, line_bytes: usize, buffer: &mut BytesMut) -> Option<Said> {
    if buffer.len() < line_bytes + head.total_bytes + 2 {
        return None;
    }
    buffer.advance(line_bytes);
    let body = buffer.split_to(head.total_bytes);
    buffer.advance(2);
    // Copied, since a slice would hold the whole read buffer.
    let payload = Bytes::copy_from_slice(&body[head.header_bytes..]);
    Some(Said::Message { subscription: head.subscription, reply: head.reply, payload })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &[u8]) -> Vec<Said> {
        let mut buffer = BytesMut::from(text);
        let mut said = Vec::new();
        while let Some(next) = next(&mut buffer).expect("the protocol") {
            said.push(next);
        }
        said
    }

    #[test]
    fn messages_come_with_and_without_headers_and_replies() {
        let text = b"MSG chat.user.7 7 2\r\nhi\r\nMSG chat.user.8 8 _INBOX.1 0\r\n\r\n\
            HMSG chat.user.9 9 12 14\r\nNATS/1.0\r\n\r\nyo\r\nPING\r\n";
        let message = |subscription, reply: Option<&str>, payload: &'static [u8]| Said::Message {
            subscription,
            reply: reply.map(str::to_owned),
            payload: Bytes::from_static(payload),
        };
        let expected = [
            message(7, None, b"hi"),
            message(8, Some("_INBOX.1"), b""),
            message(9, None, b"yo"),
            Said::Ping,
        ];
        assert_eq!(all(text), expected);
    }

    #[test]
    fn what_has_not_all_come_is_waited_for() {
        let whole = b"INFO {\"tls_required\":true}\r\nHMSG s 1 r 12 14\r\nNATS/1.0\r\n\r\nyo\r\n";
        for cut in 0..whole.len() {
            let mut buffer = BytesMut::from(&whole[..cut]);
            let mut said = 0;
            while next(&mut buffer).expect("the protocol").is_some() {
                said += 1;
            }
            buffer.extend_from_slice(&whole[cut..]);
            while next(&mut buffer).expect("the protocol").is_some() {
                said += 1;
            }
            assert_eq!(said, 2, "cut at {cut}");
        }
    }

    #[test]
    fn nonsense_is_an_error_and_not_a_panic() {
        for text in ["MSG\r\n", "MSG a b 1\r\nx\r\n", "HMSG a 1 5 2\r\n\r\n", "INFO x\r\n"] {
            assert!(next(&mut BytesMut::from(text)).is_err(), "{text}");
        }
        let endless = "x".repeat(LINE_BYTES_MAX + 1);
        assert!(next(&mut BytesMut::from(endless.as_str())).is_err());
        assert_eq!(
            all(b"-ERR 'Authorization Violation'\r\n"),
            [Said::Error("Authorization Violation".to_owned())]
        );
    }
}
