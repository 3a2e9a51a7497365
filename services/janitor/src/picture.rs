//! Small pictures of images that strangers chose.
//!
//! **Invariants:** an image is refused by its size in pixels before any of them is decoded, and
//! while it is, by what that takes; a decoder sees nothing of a file that a picture does not need
//! ([`mod@essentials`]); what comes out holds pixels alone, nothing else of the original.

mod essentials;

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use self::essentials::{Essentials, essentials};

/// Pixels of a preview's longer side: sharp at the 400 CSS pixels that the page shows, also on
/// displays with two pixels for each.
const SIDE_MAX: u32 = 960;
/// Pixels of one side of an image of which there is a preview.
const IMAGE_SIDE_MAX: u32 = 20_000;
/// Pixels of an image of which there is a preview.
const IMAGE_PIXELS_MAX: u64 = 50_000_000;
/// Bytes that decoding may take, besides the file and a copy of it.
const DECODING_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Bytes that a JPEG which comes in several scans takes for each pixel besides the pixel itself: two
/// for each of at most four components. Its decoder heeds no limit of memory.
const SCANS_BYTES_PER_PIXEL: u64 = 8;
/// Of 100, how much a JPEG keeps.
const QUALITY: u8 = 80;

/// A small picture, and the size of what it shows.
#[derive(Debug)]
pub(crate) struct Picture {
    /// The image's pixels, as it is meant to be seen.
    pub(crate) size: (u32, u32),
    /// `image/jpeg`, or `image/png` where something shines through.
    pub(crate) content_type: &'static str,
    /// The picture.
    pub(crate) bytes: Vec<u8>,
}

/// Makes a small picture of an image; of one that moves, of its first frame.
///
/// # Errors
/// When it is no image, is damaged, or is larger than we decode.
pub(crate) fn shrink(bytes: &[u8]) -> Result<Picture, String> {
    let refused = |error: image::ImageError| error.to_string();
    let format = image::guess_format(bytes).map_err(refused)?;
    let Essentials { bytes, bytes_per_pixel } = essentials(bytes, format)?;
    let mut reader = ImageReader::with_format(Cursor::new(&bytes[..]), format);
    let mut limits = Limits::default();
    limits.max_image_width = Some(IMAGE_SIDE_MAX);
    limits.max_image_height = Some(IMAGE_SIDE_MAX);
    limits.max_alloc = Some(DECODING_BYTES_MAX);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    let is_held_whole = format == ImageFormat::Jpeg && may_be_held_whole(&bytes);
    let scans = if is_held_whole { SCANS_BYTES_PER_PIXEL } else { 0 };
    let taken = decoder.total_bytes() + pixels * (bytes_per_pixel + scans);
    if pixels > IMAGE_PIXELS_MAX || taken > DECODING_BYTES_MAX {
        return Err(format!("{width} times {height} pixels are too many"));
    }
    // What a decoder may reserve besides, as for a GIF's frame that is larger than the image.
    limits.max_alloc = Some(DECODING_BYTES_MAX - taken);
    decoder.set_limits(limits).map_err(refused)?;
    let orientation = decoder.orientation().map_err(refused)?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(refused)?;
    if width.max(height) > SIDE_MAX {
        image = image.thumbnail(SIDE_MAX, SIDE_MAX);
    }
    // Once it is small, so that the large one is not copied.
    image.apply_orientation(orientation);
    let (content_type, bytes) = encode(&image).map_err(refused)?;
    let size = if is_on_its_side(orientation) { (height, width) } else { (width, height) };
    Ok(Picture { size, content_type, bytes })
}

/// Whether a JPEG may have to be held whole before its first pixel is known: a progressive one, or
/// one whose first scan lacks components.
///
/// It looks for the bytes that any such JPEG has, wherever they are, so that there is no second
/// reading of the format to be misled. Metadata may hold them by chance: then a large image has no
/// preview.
fn may_be_held_whole(bytes: &[u8]) -> bool {
    let (mut has_colours, mut has_single_scan) = (false, false);
    for at in bytes.windows(10) {
        match *at {
            // Progressive.
            [0xff, 0xc2, ..] => return true,
            // A frame, and how many components it has.
            [0xff, 0xc0 | 0xc1, _, _, _, _, _, _, _, components] => match components {
                1 => {}
                3 => has_colours = true,
                _ => return true,
            },
            // A scan, and how many of them it holds.
            [0xff, 0xda, _, _, components, ..] => match components {
                1 => has_single_scan = true,
                3 => {}
                _ => return true,
            },
            _ => {}
        }
    }
    has_colours && has_single_scan
}

fn is_on_its_side(orientation: Orientation) -> bool {
    match orientation {
        Orientation::Rotate90
        | Orientation::Rotate270
        | Orientation::Rotate90FlipH
        | Orientation::Rotate270FlipH => true,
        Orientation::NoTransforms
        | Orientation::Rotate180
        | Orientation::FlipHorizontal
        | Orientation::FlipVertical => false,
    }
}

fn encode(image: &DynamicImage) -> Result<(&'static str, Vec<u8>), image::ImageError> {
    let mut bytes = Vec::new();
    let has_holes =
        image.color().has_alpha() && image.to_rgba8().pixels().any(|pixel| pixel.0[3] < u8::MAX);
    if has_holes {
        let png = DynamicImage::ImageRgba8(image.to_rgba8());
        png.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png)?;
        return Ok(("image/png", bytes));
    }
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    image.to_rgb8().write_with_encoder(encoder)?;
    Ok(("image/jpeg", bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn png(width: u32, height: u32, alpha: u8) -> Vec<u8> {
        let image = image::RgbaImage::from_pixel(width, height, image::Rgba([9, 99, 200, alpha]));
        let mut bytes = Vec::new();
        let image = DynamicImage::ImageRgba8(image);
        image.write_to(&mut Cursor::new(&mut bytes), ImageFormat::Png).unwrap();
        bytes
    }

    /// The checksum of a PNG's chunk.
    fn checksum(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
                if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 }
            })
        })
    }

    fn size_of(bytes: &[u8]) -> (u32, u32) {
        let image = image::load_from_memory(bytes).unwrap();
        (image.width(), image.height())
    }

    #[test]
    fn a_picture_is_small_and_keeps_its_shape() {
        let picture = shrink(&png(1920, 480, 255)).unwrap();
        assert_eq!((picture.size, picture.content_type), ((1920, 480), "image/jpeg"));
        assert_eq!(size_of(&picture.bytes), (960, 240));
        let picture = shrink(&png(100, 50, 128)).unwrap();
        assert_eq!((picture.size, picture.content_type), ((100, 50), "image/png"));
        assert_eq!(size_of(&picture.bytes), (100, 50));
    }

    /// The head of a JPEG of so many pixels: its frame's marker, and the components of its first
    /// scan.
    fn jpeg_head(frame: u8, scanned: u8, (width, height): (u16, u16)) -> Vec<u8> {
        let mut bytes = vec![0xff, 0xd8, 0xff, frame, 0, 17, 8];
        bytes.extend([height.to_be_bytes(), width.to_be_bytes()].concat());
        bytes.extend([3, 1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0]);
        bytes.extend([0xff, 0xda, 0, 6 + 2 * scanned, scanned]);
        bytes.extend((1..=scanned).flat_map(|part| [part, 0]));
        bytes.extend([0, if frame == 0xc2 { 0 } else { 63 }, 0, 0xff, 0xd9]);
        bytes
    }

    #[test]
    fn a_large_jpeg_that_would_be_held_whole_is_refused() {
        for (frame, scanned) in [(0xc2, 3), (0xc2, 1), (0xc0, 1), (0xc1, 2)] {
            let head = jpeg_head(frame, scanned, (6_000, 5_000));
            assert!(may_be_held_whole(&head), "{frame:x} {scanned}");
            let refused = shrink(&head).unwrap_err();
            assert!(refused.contains("too many"), "{refused}");
        }
        assert!(!may_be_held_whole(&jpeg_head(0xc0, 3, (6_000, 5_000))));
        let mut ours = Vec::new();
        let image = image::RgbImage::new(40, 30);
        image.write_with_encoder(JpegEncoder::new(&mut ours)).unwrap();
        assert!(!may_be_held_whole(&ours));
    }

    #[test]
    fn what_is_no_image_or_too_large_is_refused() {
        for bytes in [&b""[..], b"<html>", &png(10, 10, 255)[..40]] {
            assert!(shrink(bytes).is_err());
        }
        // Headers that announce far more than there is: by its sides, and by their product.
        for (width, height) in [(20_001_u32, 10_u32), (10_000, 5_001)] {
            let mut bomb = png(10, 10, 255);
            bomb[16..20].copy_from_slice(&width.to_be_bytes());
            bomb[20..24].copy_from_slice(&height.to_be_bytes());
            let sum = checksum(&bomb[12..29]);
            bomb[29..33].copy_from_slice(&sum.to_be_bytes());
            let refused = shrink(&bomb).unwrap_err();
            let is_by_size = refused.contains("too many") || refused.contains("limit");
            assert!(is_by_size, "{refused}");
        }
    }
}
