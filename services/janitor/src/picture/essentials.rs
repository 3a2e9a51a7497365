//! Reduces an image file to what the decoder needs: the pixels and the orientation.
//!
//! Decoders unpack profiles and texts, and reserve what chunks and frames announce, before anyone
//! has looked at how much that is. So files of chunks are written anew with the few chunks that are
//! needed, each as large as it says and no frame larger than the image. The copy is never larger
//! than the file.

use std::borrow::Cow;

use image::ImageFormat;

/// Bytes of the orientation's chunk (Exif): a JPEG cannot hold more either.
const EXIF_BYTES_MAX: usize = 64 * 1024;
const PNG_SIGNATURE_BYTES: usize = 8;
/// Length, type and checksum of a PNG's chunk.
const PNG_CHUNK_EXTRA_BYTES: usize = 12;
/// Type and length of a WebP's chunk.
const WEBP_CHUNK_HEAD_BYTES: usize = 8;
/// `RIFF`, the length, `WEBP`.
const WEBP_HEAD_BYTES: usize = 12;
const WEBP_ANIMATION: u8 = 0x02;
const WEBP_EXIF: u8 = 0x08;
const WEBP_ALPHA: u8 = 0x10;
/// Where the first chunk of an animation's frame begins in it.
const WEBP_FRAME_HEAD_BYTES: usize = 16;

/// What a decoder needs, and what decoding takes.
#[derive(Debug)]
pub(super) struct Essentials<'a> {
    /// The file for the decoder.
    pub(super) bytes: Cow<'a, [u8]>,
    /// Bytes that decoding takes for each pixel besides the pixel itself.
    pub(super) bytes_per_pixel: u64,
}

/// Leaves out of a file what its picture does not need.
///
/// # Errors
/// When its chunks are no chunks, or hold more than the image.
pub(super) fn essentials(bytes: &[u8], format: ImageFormat) -> Result<Essentials<'_>, String> {
    match format {
        ImageFormat::Png => Ok(Essentials { bytes: Cow::Owned(png(bytes)?), bytes_per_pixel: 0 }),
        ImageFormat::WebP => webp(bytes),
        _ => Ok(Essentials { bytes: Cow::Borrowed(bytes), bytes_per_pixel: 0 }),
    }
}

fn broken() -> String {
    "the file is damaged".to_owned()
}

/// The chunks that make a PNG's (first) picture (PNG 3rd edition, section 5).
fn png(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (signature, mut rest) = bytes.split_at_checked(PNG_SIGNATURE_BYTES).ok_or_else(broken)?;
    let mut out = signature.to_vec();
    while let Some((length, kind)) = rest.split_first_chunk::<4>().and_then(|(length, rest)| {
        Some((usize::try_from(u32::from_be_bytes(*length)).ok()?, rest.first_chunk::<4>()?))
    }) {
        let whole = length.checked_add(PNG_CHUNK_EXTRA_BYTES).ok_or_else(broken)?;
        // Of a chunk that is cut off the decoder makes what it can.
        let (chunk, after) = rest.split_at(whole.min(rest.len()));
        let is_needed = match kind {
            b"IHDR" | b"PLTE" | b"tRNS" | b"IDAT" | b"IEND" => true,
            b"eXIf" => length <= EXIF_BYTES_MAX,
            _ => false,
        };
        if is_needed {
            out.extend_from_slice(chunk);
        }
        rest = after;
    }
    Ok(out)
}

/// A chunk of a WebP (RFC 9649, section 2.3).
#[derive(Clone, Copy, Debug)]
struct Chunk<'a> {
    kind: [u8; 4],
    data: &'a [u8],
}

/// Splits off the first chunk. `None` at the end, an error when it is longer than the file.
fn next_chunk<'a>(bytes: &mut &'a [u8]) -> Result<Option<Chunk<'a>>, String> {
    let Some((head, rest)) = bytes.split_at_checked(WEBP_CHUNK_HEAD_BYTES) else { return Ok(None) };
    let (kind, length) = head.split_first_chunk::<4>().ok_or_else(broken)?;
    let length = u32::from_le_bytes(length.try_into().map_err(|_| broken())?);
    let length = usize::try_from(length).map_err(|_| broken())?;
    let (data, rest) = rest.split_at_checked(length).ok_or_else(broken)?;
    // Chunks of an odd length are followed by a byte of padding.
    *bytes = if length % 2 == 1 { rest.get(1..).unwrap_or_default() } else { rest };
    Ok(Some(Chunk { kind: *kind, data }))
}

fn write_chunk(out: &mut Vec<u8>, kind: [u8; 4], data: &[u8]) -> Result<(), String> {
    out.extend_from_slice(&kind);
    out.extend_from_slice(&u32::try_from(data.len()).map_err(|_| broken())?.to_le_bytes());
    out.extend_from_slice(data);
    if data.len() % 2 == 1 {
        out.push(0);
    }
    Ok(())
}

fn webp(bytes: &[u8]) -> Result<Essentials<'_>, String> {
    let mut rest = bytes.get(WEBP_HEAD_BYTES..).ok_or_else(broken)?;
    let first = next_chunk(&mut rest)?.ok_or_else(broken)?;
    let mut chunks = Vec::new();
    let bytes_per_pixel = match &first.kind {
        // The planes of a lossy picture; four bytes for each pixel of a lossless one.
        b"VP8 " => 2,
        b"VP8L" => 4,
        b"VP8X" => extended(first.data, rest, &mut chunks)?,
        _ => return Err(broken()),
    };
    if chunks.is_empty() {
        write_chunk(&mut chunks, first.kind, first.data)?;
    }
    let length = u32::try_from(chunks.len() + 4).map_err(|_| broken())?;
    let mut out = b"RIFF".to_vec();
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(b"WEBP");
    out.append(&mut chunks);
    Ok(Essentials { bytes: Cow::Owned(out), bytes_per_pixel })
}

/// The chunks of an extended file: its picture, or the first of its frames. Returns the bytes per
/// pixel that decoding takes.
fn extended(head: &[u8], mut rest: &[u8], out: &mut Vec<u8>) -> Result<u64, String> {
    let mut head = *head.first_chunk::<10>().ok_or_else(broken)?;
    let canvas = Size { width: le24(&head[4..7]) + 1, height: le24(&head[7..10]) + 1 };
    let is_animated = head[0] & WEBP_ANIMATION != 0;
    let mut kept: Vec<Chunk<'_>> = Vec::new();
    while let Some(chunk) = next_chunk(&mut rest)? {
        let is_needed = match &chunk.kind {
            b"ANIM" | b"ANMF" => is_animated,
            b"ALPH" | b"VP8 " | b"VP8L" => !is_animated,
            b"EXIF" => chunk.data.len() <= EXIF_BYTES_MAX,
            _ => false,
        };
        if is_needed && kept.iter().all(|one| one.kind != chunk.kind) {
            canvas.holds(chunk)?;
            kept.push(chunk);
        }
    }
    let has_exif = kept.iter().any(|chunk| &chunk.kind == b"EXIF");
    head[0] &= WEBP_ANIMATION | WEBP_ALPHA;
    head[0] |= if has_exif { WEBP_EXIF } else { 0 };
    write_chunk(out, *b"VP8X", &head)?;
    for chunk in &kept {
        write_chunk(out, chunk.kind, chunk.data)?;
    }
    let is_lossless = kept.iter().any(|chunk| &chunk.kind == b"VP8L");
    Ok(match (is_animated, is_lossless) {
        // The canvas, the frame, its planes.
        (true, _) => 10,
        (false, true) => 4,
        // The planes, and a lossless picture of what shines through.
        (false, false) => 7,
    })
}

fn le24(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |number, &byte| (number << 8) | u32::from(byte))
}

#[derive(Clone, Copy, Debug)]
struct Size {
    width: u32,
    height: u32,
}

impl Size {
    /// Refuses a picture or frame that is larger than the canvas: it would be unpacked first.
    fn holds(self, chunk: Chunk<'_>) -> Result<(), String> {
        let fits = |width: u32, height: u32| width <= self.width && height <= self.height;
        let is_fitting = match &chunk.kind {
            b"ANMF" => {
                let sides = chunk.data.get(6..12).ok_or_else(broken)?;
                let mut inside = chunk.data.get(WEBP_FRAME_HEAD_BYTES..).ok_or_else(broken)?;
                while let Some(chunk) = next_chunk(&mut inside)? {
                    if &chunk.kind != b"ANMF" {
                        self.holds(chunk)?;
                    }
                }
                fits(le24(&sides[..3]) + 1, le24(&sides[3..]) + 1)
            }
            // RFC 6386, section 9.1: 14 bits for each side.
            b"VP8 " => {
                let sides = chunk.data.get(6..10).ok_or_else(broken)?;
                let side = |low: u8, high: u8| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
                fits(side(sides[0], sides[1]), side(sides[2], sides[3]))
            }
            // RFC 9649, section 3.4: the same, less one, after a byte.
            b"VP8L" => {
                let sides = chunk.data.get(1..5).ok_or_else(broken)?;
                let sides = u32::from_le_bytes(sides.try_into().map_err(|_| broken())?);
                fits((sides & 0x3fff) + 1, ((sides >> 14) & 0x3fff) + 1)
            }
            _ => true,
        };
        if is_fitting { Ok(()) } else { Err("a picture in it is larger than the image".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, ImageFormat, RgbaImage};

    use super::{Essentials, essentials, le24, next_chunk, write_chunk};

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let image = RgbaImage::from_pixel(31, 17, image::Rgba([9, 99, 200, 128]));
        let mut bytes = Vec::new();
        DynamicImage::ImageRgba8(image).write_to(&mut Cursor::new(&mut bytes), format).unwrap();
        bytes
    }

    /// A chunk of a PNG; nobody looks at the checksum of what is left out.
    fn png_chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&length, &kind[..], data, &[0; 4]].concat()
    }

    /// An extended WebP of these chunks.
    fn webp(flags: u8, (width, height): (u32, u32), chunks: &[(&[u8; 4], Vec<u8>)]) -> Vec<u8> {
        let sides = [width - 1, height - 1].map(u32::to_le_bytes);
        let head = [&[flags, 0, 0, 0], &sides[0][..3], &sides[1][..3]].concat();
        let mut out = Vec::new();
        write_chunk(&mut out, *b"VP8X", &head).unwrap();
        for (kind, data) in chunks {
            write_chunk(&mut out, **kind, data).unwrap();
        }
        let length = u32::try_from(out.len() + 4).unwrap().to_le_bytes();
        [b"RIFF", &length[..], b"WEBP", &out].concat()
    }

    fn lossless() -> Vec<u8> {
        let simple = encoded(ImageFormat::WebP);
        next_chunk(&mut &simple[12..]).unwrap().unwrap().data.to_vec()
    }

    #[test]
    fn what_a_picture_does_not_need_is_left_out_of_a_png() {
        let plain = encoded(ImageFormat::Png);
        let (head, body) = plain.split_at(8 + 25);
        let mut full = head.to_vec();
        for kind in [b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"acTL", b"fcTL", b"sPLT", b"huGe"] {
            full.extend(png_chunk(*kind, &[7; 1_000]));
        }
        full.extend(png_chunk(*b"eXIf", &vec![7; super::EXIF_BYTES_MAX + 1]));
        full.extend_from_slice(body);
        let Essentials { bytes, .. } = essentials(&full, ImageFormat::Png).unwrap();
        assert!(bytes == plain, "{} bytes are left of {}", bytes.len(), full.len());
        // One that is cut off anywhere is no panic.
        for length in 0..full.len().min(400) {
            let _ = essentials(&full[..length], ImageFormat::Png);
        }
    }

    #[test]
    fn what_a_picture_does_not_need_is_left_out_of_a_webp() {
        let picture = lossless();
        let chunks = [
            (b"ICCP", vec![7; 5_001]),
            (b"VP8L", picture.clone()),
            (b"EXIF", vec![7; 99]),
            (b"XMP ", vec![7; 5_000]),
            (b"huge", vec![7; 5_000]),
        ];
        let full = webp(0x3c, (31, 17), &chunks);
        let Essentials { bytes, bytes_per_pixel } = essentials(&full, ImageFormat::WebP).unwrap();
        assert_eq!(bytes_per_pixel, 4);
        assert!(bytes.len() < picture.len() + 200, "{} bytes", bytes.len());
        let image = image::load_from_memory(&bytes).unwrap();
        assert_eq!((image.width(), image.height()), (31, 17));
        for length in 0..full.len().min(400) {
            let _ = essentials(&full[..length], ImageFormat::WebP);
        }
    }

    #[test]
    fn a_webp_that_announces_more_than_there_is_or_than_the_image_is_refused() {
        let picture = lossless();
        let mut endless = webp(0x18, (31, 17), &[(b"VP8L", picture), (b"EXIF", vec![7; 98])]);
        let at = endless.len() - 98 - 4;
        endless[at..at + 4].copy_from_slice(&3_000_000_000_u32.to_le_bytes());
        assert!(essentials(&endless, ImageFormat::WebP).is_err());
        // 16,383 times 16,383 pixels in a picture of ten.
        let lossy = vec![0, 0, 0, 0x9d, 1, 0x2a, 0xff, 0x3f, 0xff, 0x3f];
        let large = webp(0, (10, 10), &[(b"VP8 ", lossy.clone())]);
        assert!(essentials(&large, ImageFormat::WebP).unwrap_err().contains("larger"));
        let mut frame = vec![0; 16];
        frame[6] = 9;
        frame[9] = 9;
        write_chunk(&mut frame, *b"VP8 ", &lossy).unwrap();
        let chunks = [(b"ANIM", vec![0; 6]), (b"ANMF", frame)];
        let large = webp(2, (10, 10), &chunks);
        assert!(essentials(&large, ImageFormat::WebP).unwrap_err().contains("larger"));
        assert_eq!(le24(&[1, 2, 3]), 0x0003_0201);
    }
}
