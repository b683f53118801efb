//! Images in the host's memory resized and cut, for [`Dataset::map`](crate::data::Dataset::map), before they are
//! batched.

mod sample;

pub use sample::Target;

use super::functional::{ImageSize, Region, ResizeOptions};
use super::resize::letterboxed;
use crate::data::Image;
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::{TapRule, Taps};

impl Image {
    /// The image in another size, as torchvision resizes bytes: rows and then columns, each rounded.
    ///
    /// # Errors
    /// As [`ImageSize::of`].
    ///
    /// ```
    /// use wgrad::data::Image;
    /// use wgrad::transforms::functional::ResizeOptions;
    /// let image = Image::new([1, 1, 4], vec![0, 100, 200, 40])?;
    /// assert_eq!(image.resize([1, 2], &ResizeOptions::default().antialias(false))?.pixels(), [50, 120]);
    /// assert_eq!(image.resize(2, &ResizeOptions::default())?.shape(), [1, 2, 8]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn resize(&self, size: impl Into<ImageSize>, options: &ResizeOptions) -> Result<Image> {
        let [channels, height, width] = self.shape();
        let [rows, columns] = size.into().of([height, width], options.max_size)?;
        if channels * height * width == 0 {
            return Err(Error::invalid("resize", format!("an image of {:?} has no pixels", self.shape())));
        }
        let (mode, antialias) = options.of_interpolate();
        let taps = |input: usize, output: usize| {
            TapRule { mode, input, output, align_corners: false, scale_factor: None, antialias }.taps()
        };
        let (across, down) = (taps(width, columns), taps(height, rows));
        let mut pixels = Vec::with_capacity(channels * rows * columns);
        for plane in self.pixels().chunks_exact(height * width) {
            let narrow = if columns == width { plane.to_vec() } else { along_rows(plane, width, &across) };
            pixels.extend(if rows == height { narrow } else { along_columns(&narrow, columns, &down) });
        }
        Image::new([channels, rows, columns], pixels)
    }

    /// A region of the image; `fill` is the value past the edges: one number, or one per channel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if fill values are neither one nor one per channel.
    ///
    /// ```
    /// use wgrad::data::Image;
    /// use wgrad::transforms::functional::Region;
    /// let image = Image::new([1, 1, 3], vec![1, 2, 3])?;
    /// let region = Region { top: 0, left: 1, height: 1, width: 3 };
    /// assert_eq!(image.crop(region, &[9])?.pixels(), [2, 3, 9]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn crop(&self, region: Region, fill: &[u8]) -> Result<Image> {
        let [channels, height, width] = self.shape();
        if ![1, channels].contains(&fill.len()) {
            return Err(Error::invalid("crop", format!("{} fill values for {channels} channels", fill.len())));
        }
        let Region { top, left, height: rows, width: columns } = region;
        let mut pixels = Vec::with_capacity(channels * rows * columns);
        // The image's columns inside the region, and the region's first column inside the image.
        let first = left.max(0);
        let count = nearest::<usize>((left + columns as isize).min(width as isize) - first);
        let (from, to) = (nearest::<usize>(first), nearest::<usize>(first - left));
        for channel in 0..channels {
            let value = fill[if fill.len() == 1 { 0 } else { channel }];
            for row in 0..rows {
                let start = pixels.len();
                pixels.resize(start + columns, value);
                let y = top + row as isize;
                if count > 0 && (0..height as isize).contains(&y) {
                    let source = (channel * height + nearest::<usize>(y)) * width + from;
                    pixels[start + to..][..count].copy_from_slice(&self.pixels()[source..][..count]);
                }
            }
        }
        Image::new([channels, rows, columns], pixels)
    }

    /// The centre of the image, `[height, width]`, with zeros around a smaller image.
    ///
    /// # Errors
    /// None that its arguments can cause.
    pub fn center_crop(&self, size: [usize; 2]) -> Result<Image> {
        let [_, height, width] = self.shape();
        self.crop(Region::central([height, width], size), &[0])
    }

    /// The image with a border, whose widths are `[left, top, right, bottom]`.
    ///
    /// # Errors
    /// As [`crop`](Image::crop).
    pub fn pad(&self, padding: [usize; 4], fill: &[u8]) -> Result<Image> {
        let [_, height, width] = self.shape();
        self.crop(Region::bordered([height, width], padding), fill)
    }

    /// The image as large as fits a height and a width, in the middle of `fill`.
    ///
    /// # Errors
    /// As [`resize`](Image::resize) and [`crop`](Image::crop).
    ///
    /// ```
    /// use wgrad::data::Image;
    /// use wgrad::transforms::functional::ResizeOptions;
    /// let wide = Image::new([1, 1, 2], vec![5, 5])?;
    /// let boxed = wide.letterbox([4, 4], &[1], &ResizeOptions::default())?;
    /// assert_eq!(boxed.pixels(), [1, 1, 1, 1, 5, 5, 5, 5, 5, 5, 5, 5, 1, 1, 1, 1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn letterbox(&self, size: [usize; 2], fill: &[u8], options: &ResizeOptions) -> Result<Image> {
        let [_, height, width] = self.shape();
        let (inner, region) = fitted([height, width], size)?;
        self.resize(inner, options)?.crop(region, fill)
    }
}

/// An image's size once it fits `size`, and the region of it that has `size`.
fn fitted(own: [usize; 2], size: [usize; 2]) -> Result<([usize; 2], Region)> {
    if own.contains(&0) || size.contains(&0) {
        return Err(Error::invalid("letterbox", format!("an image of {own:?} in one of {size:?}")));
    }
    let (inner, [top, left]) = letterboxed(own, size);
    Ok((inner, Region { top: -(top as isize), left: -(left as isize), height: size[0], width: size[1] }))
}

/// The nearest byte.
fn byte(value: f32) -> u8 {
    nearest(nearest::<usize>(value.round_ties_even()))
}

/// Applies taps along each row of a plane.
fn along_rows(plane: &[u8], width: usize, taps: &Taps) -> Vec<u8> {
    let columns: Vec<Vec<(usize, f32)>> = (0..taps.rows()).map(|at| taps.row(at).collect()).collect();
    let of_row = |row: &[u8], taps: &[(usize, f32)]| {
        byte(taps.iter().map(|&(place, weight)| weight * f32::from(row[place])).sum())
    };
    plane.chunks_exact(width).flat_map(|row| columns.iter().map(move |taps| of_row(row, taps))).collect()
}

/// Applies taps along the columns of a plane.
fn along_columns(plane: &[u8], width: usize, taps: &Taps) -> Vec<u8> {
    let mut made = Vec::with_capacity(taps.rows() * width);
    let mut sums = vec![0.0f32; width];
    for at in 0..taps.rows() {
        sums.fill(0.0);
        for (place, weight) in taps.row(at) {
            let row = &plane[place * width..][..width];
            sums.iter_mut().zip(row).for_each(|(sum, &pixel)| *sum += weight * f32::from(pixel));
        }
        made.extend(sums.iter().map(|&sum| byte(sum)));
    }
    made
}
