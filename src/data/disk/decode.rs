//! Image files as bytes by channel.

use crate::data::Image;
use crate::data::file::check_expansion;
use crate::error::{Error, Result};
use image::{DynamicImage, ImageDecoder, ImageReader};
use std::path::Path;

/// The channels as which an image file is read, regardless of its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColorMode {
    /// One channel: `0.299 R + 0.587 G + 0.114 B` of colours (ITU-R BT.601), as Pillow's `L`.
    Grey,
    /// Three channels. Grey is repeated, and transparency left out.
    #[default]
    Rgb,
    /// Four channels; 255 is opaque.
    Rgba,
}

impl ColorMode {
    fn channels(self) -> usize {
        match self {
            ColorMode::Grey => 1,
            ColorMode::Rgb => 3,
            ColorMode::Rgba => 4,
        }
    }
}

impl Image {
    /// Reads a PNG, JPEG, WebP, BMP or TIFF file, recognised by its first bytes. It is rotated by its EXIF orientation, palettes
    /// become colours, and numbers of 16 bits are rounded to bytes.
    ///
    /// # Errors
    /// [`Error::File`] if it is missing, of another format or damaged, or if it announces more pixels than a file of its
    /// size can be trusted to hold.
    ///
    /// ```no_run
    /// use wgrad::data::{ColorMode, Image};
    /// let [channels, height, width] = Image::open("cat.jpg", ColorMode::Rgb)?.shape();
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn open(path: impl AsRef<Path>, mode: ColorMode) -> Result<Image> {
        let path = path.as_ref();
        let mut decoder = decoder(path)?;
        let damaged = |error: image::ImageError| Error::file(path, error);
        let orientation = decoder.orientation().map_err(damaged)?;
        let mut decoded = DynamicImage::from_decoder(decoder).map_err(damaged)?;
        decoded.apply_orientation(orientation);
        let [width, height] = [decoded.width(), decoded.height()].map(|size| size as usize);
        let interleaved = match mode {
            ColorMode::Grey => grey(decoded),
            ColorMode::Rgb => decoded.into_rgb8().into_raw(),
            ColorMode::Rgba => decoded.into_rgba8().into_raw(),
        };
        let channels = mode.channels();
        let plane = |channel| interleaved.iter().skip(channel).step_by(channels).copied();
        Image::new([channels, height, width], (0..channels).flat_map(plane).collect())
    }
}

/// The header of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImageHeader {
    /// Height and width, as the file is read.
    pub size: [usize; 2],
    /// Channels: 1 (grey) to 4. Palettes count as colours.
    pub channels: usize,
    /// True if one of the channels is transparency.
    pub has_alpha: bool,
    /// Bits of a number: 8, 16 or 32.
    pub bits: usize,
}

impl ImageHeader {
    /// Reads no more of a file than its header.
    ///
    /// # Errors
    /// As [`Image::open`], except that damaged pixels are not found.
    ///
    /// ```no_run
    /// use wgrad::data::ImageHeader;
    /// let [height, width] = ImageHeader::read("cat.jpg")?.size;
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn read(path: impl AsRef<Path>) -> Result<ImageHeader> {
        let path = path.as_ref();
        let mut decoder = decoder(path)?;
        let orientation = decoder.orientation().map_err(|error| Error::file(path, error))?;
        let (width, height) = decoder.dimensions();
        // The last four orientations are rotated by a quarter.
        let size = if orientation.to_exif() > 4 { [width, height] } else { [height, width] };
        let color = decoder.color_type();
        let channels = usize::from(color.channel_count());
        Ok(ImageHeader {
            size: size.map(|size| size as usize),
            channels,
            has_alpha: color.has_alpha(),
            bits: usize::from(color.bits_per_pixel()) / channels,
        })
    }
}

/// The decoder of a file, whose header was read.
fn decoder(path: &Path) -> Result<impl ImageDecoder> {
    let reader = ImageReader::open(path).and_then(ImageReader::with_guessed_format);
    let decoder = reader.map_err(|error| Error::file(path, error))?.into_decoder();
    let decoder = decoder.map_err(|error| Error::file(path, error))?;
    check_expansion(path, decoder.total_bytes())?;
    Ok(decoder)
}

/// Pillow's weights, in 65,536ths.
fn grey(decoded: DynamicImage) -> Vec<u8> {
    if !decoded.color().has_color() {
        return decoded.into_luma8().into_raw();
    }
    let weighted = |rgb: &[u8; 3]| {
        let [red, green, blue] = rgb.map(u32::from);
        let [_, byte, ..] = (19_595 * red + 38_470 * green + 7_471 * blue + 0x8000).to_be_bytes();
        byte
    };
    decoded.into_rgb8().into_raw().as_chunks().0.iter().map(weighted).collect()
}
