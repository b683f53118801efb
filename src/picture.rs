//! Images of tensors as PNG files.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;

/// Bytes `[H, W, C]` of 1 to 4 channels: grey, grey and alpha, RGB, RGBA.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub width: usize,
    pub height: usize,
    pub channels: usize,
    pub pixels: Vec<u8>,
}

impl Picture {
    /// Encodes it as a PNG file.
    pub fn png(&self) -> Result<Vec<u8>> {
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, nearest(self.width), nearest(self.height));
        encoder.set_color(match self.channels {
            1 => png::ColorType::Grayscale,
            2 => png::ColorType::GrayscaleAlpha,
            3 => png::ColorType::Rgb,
            _ => png::ColorType::Rgba,
        });
        let written = encoder.write_header().and_then(|mut writer| {
            writer.write_image_data(&self.pixels)?;
            writer.finish()
        });
        written.map(|()| file).map_err(|error| Error::invalid("png", error.to_string()))
    }
}

#[cfg(feature = "report")]
impl Picture {
    /// True if its pixels should be seen one by one when the picture is enlarged.
    pub fn is_small(&self) -> bool {
        const MOST: usize = 64;
        self.width.max(self.height) <= MOST
    }

    /// A PNG as a `data:` address.
    pub fn address(&self) -> Result<String> {
        use base64::Engine;
        let coded = base64::engine::general_purpose::STANDARD.encode(self.png()?);
        Ok(format!("data:image/png;base64,{coded}"))
    }
}

impl Picture {
    /// The images of `[N, C, H, W]`, in one read: floats, clamped to 0 to 1, or integers that hold bytes.
    pub fn read(op: &'static str, images: &Tensor) -> Result<Vec<Picture>> {
        let &[count, channels, height, width] = &images.shape()[..] else {
            return Err(Error::invalid(op, format!("images are [N, C, H, W], not {}", images.shape())));
        };
        if !(1..=4).contains(&channels) || width == 0 || height == 0 {
            let rule = format!("images have pixels and 1 to 4 channels; these are {}", images.shape());
            return Err(Error::invalid(op, rule));
        }
        if images.dtype() == DType::Bool {
            return Err(Error::WrongDType { op, expected: "floats of 0 to 1 or i32 of 0 to 255", got: DType::Bool });
        }
        let scale = if images.dtype().is_float() { 255.0 } else { 1.0 };
        let values = images.to_f64()?;
        let byte = |value: f64| nearest::<u8>(nearest::<usize>((value * scale).round()));
        let plane = width * height;
        let picture = |index: usize| {
            let image = &values[index * channels * plane..][..channels * plane];
            let pixels = (0..plane * channels).map(|at| byte(image[at % channels * plane + at / channels])).collect();
            Picture { width, height, channels, pixels }
        };
        Ok((0..count).map(picture).collect())
    }

    /// Pictures of one size in rows of `columns`, with a black pixel between two.
    pub fn grid(pictures: &[Picture], columns: usize) -> Option<Picture> {
        let first = pictures.first()?;
        let (columns, channels) = (columns.clamp(1, pictures.len()), first.channels);
        let (across, down) = (first.width + 1, first.height + 1);
        let (width, height) = (columns * across - 1, pictures.len().div_ceil(columns) * down - 1);
        let mut pixels = vec![0; width * height * channels];
        for (index, picture) in pictures.iter().enumerate() {
            let (left, top) = (index % columns * across, index / columns * down);
            for (y, row) in picture.pixels.chunks_exact(first.width * channels).enumerate() {
                let start = ((top + y) * width + left) * channels;
                pixels[start..start + row.len()].copy_from_slice(row);
            }
        }
        Some(Picture { width, height, channels, pixels })
    }
}
