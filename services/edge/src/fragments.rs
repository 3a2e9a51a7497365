//! Counts the frames that the WebSocket library hides: fragments of a message (RFC 6455, 5.4).
//!
//! tungstenite joins continuation frames silently, empty ones without end. So the bytes that it
//! reads pass through here, and frame heads (RFC 6455, 5.2) are read along.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Fragments of one message: 256 KiB in pieces of 2 KiB.
const FRAGMENTS_MAX: u32 = 128;
const OPCODE: u8 = 0x0f;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const LENGTH: u8 = 0x7f;
const IS_MASKED: u8 = 0x80;

/// A connection whose incoming frames are counted. A message of too many fragments ends reading
/// with an error; [`Self::is_flooded`] says that it was this one.
#[derive(Debug)]
pub(crate) struct Fragments<S> {
    io: S,
    place: Place,
    /// Continuation frames of the message that is being read.
    of_message: u32,
    /// Empty continuation frames since they were last taken.
    empty: u32,
    is_flooded: bool,
    /// Whether frames are still read: after a fault the rest of the connection is only drained.
    is_counting: bool,
}

/// Where in a frame the next byte is.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// At its first byte.
    Start,
    /// At the byte with its length, of a frame with this opcode.
    Length(u8),
    /// In its head: so many bytes of the length, then of the mask are still to come.
    Head { opcode: u8, length: u64, length_bytes: u8, mask_bytes: u8 },
    /// In its payload: so many bytes are still to come.
    Payload(u64),
}

impl<S> Fragments<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            io,
            place: Place::Start,
            of_message: 0,
            empty: 0,
            is_flooded: false,
            is_counting: true,
        }
    }

    /// Empty fragments that came since this was last asked: each counts as a frame.
    pub(crate) fn take_empty(&mut self) -> u32 {
        std::mem::take(&mut self.empty)
    }

    /// Whether a message had too many fragments.
    pub(crate) fn is_flooded(&self) -> bool {
        self.is_flooded
    }

    /// Stops counting: what comes is thrown away.
    pub(crate) fn stop(&mut self) {
        self.is_counting = false;
    }

    fn count(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            if let Place::Payload(left) = self.place {
                let skipped = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                bytes = &bytes[skipped..];
                let left = left - skipped as u64;
                self.place = if left == 0 { Place::Start } else { Place::Payload(left) };
                continue;
            }
            bytes = rest;
            self.place = self.after(byte);
        }
    }

    /// The place after a byte of a frame's head.
    fn after(&mut self, byte: u8) -> Place {
        let (opcode, length, length_bytes, mask_bytes) = match self.place {
            Place::Start => return Place::Length(byte & OPCODE),
            Place::Length(opcode) => {
                let mask_bytes = if byte & IS_MASKED == 0 { 0 } else { 4 };
                match byte & LENGTH {
                    126 => (opcode, 0, 2, mask_bytes),
                    127 => (opcode, 0, 8, mask_bytes),
                    length => (opcode, u64::from(length), 0, mask_bytes),
                }
            }
            Place::Head { opcode, length, length_bytes: 0, mask_bytes } => {
                (opcode, length, 0, mask_bytes.saturating_sub(1))
            }
            Place::Head { opcode, length, length_bytes, mask_bytes } => {
                (opcode, length << 8 | u64::from(byte), length_bytes - 1, mask_bytes)
            }
            Place::Payload(left) => return Place::Payload(left),
        };
        if length_bytes > 0 || mask_bytes > 0 {
            return Place::Head { opcode, length, length_bytes, mask_bytes };
        }
        self.note(opcode, length);
        if length == 0 { Place::Start } else { Place::Payload(length) }
    }

    /// Notes a frame whose head has come.
    fn note(&mut self, opcode: u8, length: u64) {
        match opcode {
            TEXT | BINARY => self.of_message = 0,
            CONTINUATION => {
                self.of_message += 1;
                self.empty += u32::from(length == 0);
                self.is_flooded |= self.of_message > FRAGMENTS_MAX;
            }
            _ => {}
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Fragments<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if self.is_counting {
            self.count(&buf.filled()[before..]);
            if self.is_flooded {
                return Poll::Ready(Err(io::Error::other("too many fragments in one message")));
            }
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Fragments<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A masked client frame.
    fn frame(opcode: u8, is_last: bool, length: usize) -> Vec<u8> {
        let mut bytes = vec![opcode | if is_last { 0x80 } else { 0 }];
        match length {
            0..=125 => bytes.push(0x80 | u8::try_from(length).unwrap()),
            126..=0xffff => {
                bytes.push(0x80 | 0x7e);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
            _ => {
                bytes.push(0x80 | 0x7f);
                bytes.extend((length as u64).to_be_bytes());
            }
        }
        bytes.extend([1, 2, 3, 4]);
        // Payload that looks like empty continuation frames.
        bytes.resize(bytes.len() + length, 0);
        bytes
    }

    #[test]
    fn only_frames_are_counted_however_the_bytes_are_cut() {
        let mut wire = Vec::new();
        for length in [0, 5, 125, 126, 200, 65_535, 65_536, 100_000] {
            wire.extend(frame(TEXT, false, length));
            wire.extend(frame(CONTINUATION, false, length));
            wire.extend(frame(0x9, true, 0));
            wire.extend(frame(CONTINUATION, true, 0));
        }
        for size in [1, 2, 3, 7, 1_024, wire.len()] {
            let mut fragments = Fragments::new(());
            wire.chunks(size).for_each(|chunk| fragments.count(chunk));
            assert_eq!(fragments.take_empty(), 9, "in pieces of {size}");
            assert!(matches!(fragments.place, Place::Start));
            assert!(!fragments.is_flooded());
        }
    }

    #[test]
    fn a_message_has_a_bound_on_its_fragments() {
        let mut fragments = Fragments::new(());
        for _ in 0..3 {
            fragments.count(&frame(TEXT, false, 1));
            (0..FRAGMENTS_MAX).for_each(|_| fragments.count(&frame(CONTINUATION, false, 1)));
        }
        assert!(!fragments.is_flooded());
        fragments.count(&frame(CONTINUATION, false, 1));
        assert!(fragments.is_flooded());
    }
}
