//! Small pictures of images that strangers chose.
//!
//! **Invariants:** an image is refused by its size in pixels before any of them is decoded, and
//! while it is, by what that takes; what comes out holds pixels alone, nothing else of the original.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// Pixels of a preview's longer side.
const SIDE_MAX: u32 = 480;
/// Pixels of one side of an image of which there is a preview.
const IMAGE_SIDE_MAX: u32 = 20_000;
/// Pixels of an image of which there is a preview.
const IMAGE_PIXELS_MAX: u64 = 50_000_000;
/// Bytes that decoding may take.
const DECODING_BYTES_MAX: u64 = 256 * 1024 * 1024;
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
    let mut reader =
        ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|e| e.to_string())?;
    let mut limits = Limits::default();
    limits.max_image_width = Some(IMAGE_SIDE_MAX);
    limits.max_image_height = Some(IMAGE_SIDE_MAX);
    limits.max_alloc = Some(DECODING_BYTES_MAX);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    let is_bomb = u64::from(width) * u64::from(height) > IMAGE_PIXELS_MAX
        || decoder.total_bytes() > DECODING_BYTES_MAX;
    if is_bomb {
        return Err(format!("{width} times {height} pixels are too many"));
    }
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
        let picture = shrink(&png(960, 240, 255)).unwrap();
        assert_eq!((picture.size, picture.content_type), ((960, 240), "image/jpeg"));
        assert_eq!(size_of(&picture.bytes), (480, 120));
        let picture = shrink(&png(100, 50, 128)).unwrap();
        assert_eq!((picture.size, picture.content_type), ((100, 50), "image/png"));
        assert_eq!(size_of(&picture.bytes), (100, 50));
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
