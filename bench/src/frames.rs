//! A WebSocket reader that looks at no more than is counted: frame headers, the frame's `type`,
//! its `seq`, and the moment that a body says it was sent at.
//!
//! Frames of a server are not masked (RFC 6455 5.1), and ours are never fragmented, so a frame is
//! a slice of what was read; a parse of its JSON would cost more than the server that is measured.
//! Our own frames carry the masking key 0, which leaves their bytes as they are.

/// What a server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A text frame.
    Text(&'a [u8]),
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// The server closes, with this code (0: none given).
    Close(u16),
    /// A pong.
    Pong,
}

/// Something that no server of ours sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotOurs;

/// The first frame of `bytes` and its length with its header; `None` while it is not whole.
pub(crate) fn frame(bytes: &[u8]) -> Result<Option<(Frame<'_>, usize)>, NotOurs> {
    let &[first, second, ..] = bytes else { return Ok(None) };
    let is_final = first & 0xf0 == 0x80;
    let is_masked = second & 0x80 != 0;
    if !is_final || is_masked {
        return Err(NotOurs);
    }
    let (start, len) = match (second & 0x7f, bytes) {
        (126, &[_, _, a, b, ..]) => (4, usize::from(u16::from_be_bytes([a, b]))),
        (127, &[_, _, 0, 0, 0, 0, a, b, c, d, ..]) => {
            let len = u32::from_be_bytes([a, b, c, d]);
            (10, usize::try_from(len).map_err(|_| NotOurs)?)
        }
        (126 | 127, _) if bytes.len() < 10 => return Ok(None),
        (127, _) => return Err(NotOurs),
        (len, _) => (2, usize::from(len)),
    };
    let Some(payload) = bytes.get(start..start + len) else { return Ok(None) };
    let frame = match first & 0x0f {
        0x1 => Frame::Text(payload),
        0x8 => Frame::Close(match payload {
            &[a, b, ..] => u16::from_be_bytes([a, b]),
            _ => 0,
        }),
        0x9 => Frame::Ping(payload),
        0xa => Frame::Pong,
        _ => return Err(NotOurs),
    };
    Ok(Some((frame, start + len)))
}

/// Appends a frame of a client; `opcode` is 1 for text, 10 for a pong.
pub(crate) fn put_frame(out: &mut Vec<u8>, opcode: u8, payload: &[u8]) {
    out.push(0x80 | opcode);
    if let Ok(len) = u8::try_from(payload.len())
        && len < 126
    {
        out.push(0x80 | len);
    } else if let Ok(len) = u16::try_from(payload.len()) {
        out.push(0x80 | 0x7e);
        out.extend_from_slice(&len.to_be_bytes());
    } else {
        out.push(0x80 | 0x7f);
        out.extend_from_slice(&crate::gauge::count(payload.len()).to_be_bytes());
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

/// What a text frame is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// An event of the room's log.
    Event(u64),
    /// The socket is served: the room's last event, if the socket is a room's.
    Connection(Option<u64>),
    /// A send is on disk.
    Ack(u64),
    /// The room's past is gone, or the position was never given.
    Resync,
    /// Refused.
    Error,
    /// Anything that takes no `seq`.
    Else,
}

/// Reads a text frame's `type` and number.
pub(crate) fn what(text: &[u8]) -> What {
    let kind = text.strip_prefix(br#"{"type":""#).unwrap_or_default();
    let kind = &kind[..kind.iter().position(|&byte| byte == b'"').unwrap_or(0)];
    let event = || number(text, br#""seq":"#).map_or(What::Else, What::Event);
    match kind {
        b"message" | b"message.updated" | b"message.deleted" | b"member.joined"
        | b"member.left" | b"room.updated" => event(),
        b"connection" => What::Connection(number(text, br#""last_seq":"#)),
        b"ack" => number(text, br#""seq":"#).map_or(What::Error, What::Ack),
        b"resync" => What::Resync,
        b"error" => What::Error,
        _ => What::Else,
    }
}

/// The number that follows `key` where it first occurs.
pub(crate) fn number(text: &[u8], key: &[u8]) -> Option<u64> {
    let start = find(text, key)? + key.len();
    let digits = text[start..].iter().take_while(|byte| byte.is_ascii_digit());
    let mut value = None;
    for digit in digits {
        let digit = u64::from(digit - b'0');
        value = Some(value.unwrap_or(0_u64).checked_mul(10)?.checked_add(digit)?);
    }
    value
}

/// Where `key`, which begins with a quote, first occurs.
fn find(text: &[u8], key: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|&byte| byte == b'"') {
        if text[from + at..].starts_with(key) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

/// How many times `key`, which begins with a quote, occurs; `each` gets the number after each.
pub(crate) fn numbers(text: &[u8], key: &[u8], mut each: impl FnMut(u64)) {
    let mut rest = text;
    while let Some(at) = find(rest, key) {
        if let Some(value) = number(&rest[at..], key) {
            each(value);
        }
        rest = &rest[at + key.len()..];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(opcode: u8, payload: &[u8]) -> Vec<u8> {
        let mut masked = Vec::new();
        put_frame(&mut masked, opcode, payload);
        // A server's frame is a client's without the mask.
        let header = masked.len() - payload.len() - 4;
        masked.drain(header..header + 4);
        masked[1] &= 0x7f;
        masked
    }

    #[test]
    fn frames_of_every_length_are_read_back() {
        for len in [0, 1, 125, 126, 65_535, 65_536] {
            let payload = vec![b'x'; len];
            let bytes = server(1, &payload);
            let whole = bytes.len();
            assert_eq!(frame(&bytes), Ok(Some((Frame::Text(&payload), whole))));
            for cut in [0, 1, 2, 3, whole - 1] {
                if cut < whole {
                    assert_eq!(frame(&bytes[..cut]), Ok(None), "{len} cut at {cut}");
                }
            }
        }
    }

    #[test]
    fn control_frames_are_told_apart() {
        assert_eq!(frame(&server(9, b"p")), Ok(Some((Frame::Ping(b"p"), 3))));
        assert_eq!(frame(&server(8, &4008_u16.to_be_bytes())), Ok(Some((Frame::Close(4008), 4))));
        assert_eq!(frame(&[0x01, 0x00]), Err(NotOurs));
    }

    #[test]
    fn an_event_is_known_by_its_own_seq() {
        let updated =
            br#"{"type":"message.updated","message_seq":3,"id":9,"seq":12,"body":"\"seq\":7"}"#;
        assert_eq!(what(updated), What::Event(12));
        let connection = br#"{"type":"connection","room":1,"last_seq":41}"#;
        assert_eq!(what(connection), What::Connection(Some(41)));
        assert_eq!(what(br#"{"type":"presence","room":1,"user_id":3}"#), What::Else);
        assert_eq!(what(br#"{"type":"ack","nonce":"n","id":5,"seq":6}"#), What::Ack(6));
        assert_eq!(what(b""), What::Else);
    }

    #[test]
    fn numbers_are_found_in_their_order() {
        let mut found = Vec::new();
        numbers(br#"{"results":[{"seq":3},{"seq":2},{"seq":1}]}"#, br#""seq":"#, |seq| {
            found.push(seq);
        });
        assert_eq!(found, [3, 2, 1]);
    }
}
