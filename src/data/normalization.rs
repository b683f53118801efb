//! Mean and deviation by channel.

use super::{Dataset, Image, Sample};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::number::nearest;
use serde::{Deserialize, Serialize};

/// Mean and standard deviation of each channel, of pixels between 0 and 1: `y = (x / 255 - mean) / std`, as torchvision's
/// `Normalize`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Moments")]
pub struct Normalization {
    mean: Vec<f32>,
    std: Vec<f32>,
}

/// A [`Normalization`] as it is written, valid or not.
#[derive(Deserialize)]
struct Moments {
    mean: Vec<f32>,
    std: Vec<f32>,
}

impl TryFrom<Moments> for Normalization {
    type Error = Error;
    fn try_from(Moments { mean, std }: Moments) -> Result<Normalization> {
        Normalization::new(&mean, &std)
    }
}

impl Normalization {
    /// One mean and one deviation for each channel.
    ///
    /// # Errors
    /// [`Error::Invalid`] if they differ in number, or a deviation is not a positive number.
    ///
    /// ```
    /// use wgrad::data::Normalization;
    /// let imagenet = Normalization::new(&[0.485, 0.456, 0.406], &[0.229, 0.224, 0.225])?;
    /// assert!(Normalization::new(&[0.5], &[0.0]).is_err());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(mean: &[f32], std: &[f32]) -> Result<Normalization> {
        const OP: &str = "Normalization";
        if mean.len() != std.len() {
            return Err(Error::invalid(OP, format!("{} means and {} deviations", mean.len(), std.len())));
        }
        if let Some(bad) = std.iter().find(|&&std| !(std.is_finite() && std > 0.0)) {
            return Err(Error::invalid(OP, format!("the deviation {bad} is not a positive number")));
        }
        Ok(Normalization { mean: mean.to_vec(), std: std.to_vec() })
    }

    /// The normalization by all pixels of a set, whose images may differ in size but not in channels. The deviation is over `N`
    /// pixels, not `N - 1`; a constant channel gets 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there are no pixels, or images differ in channels; those of the set.
    pub fn of<T, D: Dataset<Item = Sample<T>>>(set: &D) -> Result<Normalization> {
        const OP: &str = "Normalization::of";
        let mut counts: Vec<[u64; 256]> = Vec::new();
        for index in 0..set.len() {
            let image = set.get(index)?.image;
            let channels = image.shape()[0];
            if index == 0 {
                counts = vec![[0; 256]; channels];
            }
            if channels != counts.len() {
                let rule = format!("item {index} has {channels} channels, and those before it {}", counts.len());
                return Err(Error::invalid(OP, rule));
            }
            count(&mut counts, &image);
        }
        if counts.iter().any(|counts| counts.iter().all(|&count| count == 0)) || counts.is_empty() {
            return Err(Error::invalid(OP, "there are no pixels"));
        }
        Ok(Normalization::of_counts(&counts))
    }

    /// That of images of one shape, of which there is at least one.
    pub(super) fn of_planes(shape: [usize; 3], pixels: &[u8]) -> Normalization {
        let [channels, height, width] = shape;
        let mut counts = vec![[0; 256]; channels];
        for image in pixels.chunks_exact(channels * height * width) {
            count_planes(&mut counts, image, height * width);
        }
        Normalization::of_counts(&counts)
    }

    fn of_counts(counts: &[[u64; 256]]) -> Normalization {
        let moments = |counts: &[u64; 256]| {
            let sum = |power: i32| -> f64 {
                counts.iter().zip(0u8..=255).map(|(&count, value)| count as f64 * f64::from(value).powi(power)).sum()
            };
            let total = sum(0);
            let mean = sum(1) / total;
            let variance =
                counts.iter().zip(0u8..=255).map(|(&n, v)| n as f64 * (f64::from(v) - mean).powi(2)).sum::<f64>();
            (nearest::<f32>(mean / 255.0), nearest::<f32>((variance / total).sqrt() / 255.0))
        };
        let (mean, std) =
            counts.iter().map(moments).map(|(mean, std)| (mean, if std > 0.0 { std } else { 1.0 })).unzip();
        Normalization { mean, std }
    }

    /// Mean of each channel.
    pub fn mean(&self) -> &[f32] {
        &self.mean
    }

    /// Standard deviation of each channel.
    pub fn std(&self) -> &[f32] {
        &self.std
    }

    /// Images `[.., C, H, W]` between 0 and 1 as a network of this normalization takes them: `(x - mean) / std`.
    ///
    /// ```
    /// use wgrad::data::Normalization;
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let normalization = Normalization::new(&[0.5, 0.5, 0.0], &[0.5, 0.25, 1.0])?;
    /// let images = normalization.normalize(&Tensor::ones(&device, &[1, 3, 1, 1])?)?;
    /// assert_eq!(images.to_vec::<f32>()?, [1.0, 2.0, 1.0]);
    /// assert!(normalization.normalize(&Tensor::ones(&device, &[1, 1, 1, 1])?).is_err());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for images of other channels, or without them.
    pub fn normalize(&self, images: &Tensor) -> Result<Tensor> {
        (images - self.of_channels(images, &self.mean)?)? / self.of_channels(images, &self.std)?
    }

    /// The images between 0 and 1 that [`normalize`](Normalization::normalize) made these of: `x std + mean`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images of other channels, or without them.
    pub fn unnormalize(&self, images: &Tensor) -> Result<Tensor> {
        (images * self.of_channels(images, &self.std)?)? + self.of_channels(images, &self.mean)?
    }

    /// Numbers of the channels in a shape that broadcasts with images.
    fn of_channels(&self, images: &Tensor, values: &[f32]) -> Result<Tensor> {
        match images.shape()[..] {
            // One channel would broadcast.
            [.., channels, _, _] => self.check_channels(channels)?,
            _ => return Err(Error::invalid("Normalization", format!("{} has no [C, H, W]", images.shape()))),
        }
        Tensor::from_slice(images.device(), values, &[values.len(), 1, 1])
    }

    pub(super) fn check_channels(&self, channels: usize) -> Result<()> {
        if channels != self.mean.len() {
            let rule = format!("{} means for images of {channels} channels", self.mean.len());
            return Err(Error::invalid("Normalization", rule));
        }
        Ok(())
    }

    /// Bytes on the device, four in a word and `[N, C, H, W]` in all, as normalised f32.
    ///
    /// Bytes take a quarter of the time to upload, and the formula is one pointwise kernel.
    pub(super) fn apply(&self, words: &Tensor, shape: [usize; 4]) -> Result<Tensor> {
        let [count, channels, height, width] = shape;
        self.check_channels(channels)?;
        let size = (channels * height * width) as isize;
        let (device, by_channel) = (words.device(), [1, channels, 1, 1]);
        let scale: Vec<f32> = self.std.iter().map(|&std| nearest::<f32>(1.0 / (255.0 * f64::from(std)))).collect();
        let shift: Vec<f32> =
            self.mean.iter().zip(&self.std).map(|(&m, &s)| nearest::<f32>(-f64::from(m) / f64::from(s))).collect();
        words
            .unpack_bytes()?
            .narrow(-1, 0, if words.rank() == 1 { count * size.unsigned_abs() } else { size.unsigned_abs() })?
            .reshape(&[count as isize, channels as isize, height as isize, width as isize])?
            .mul(&Tensor::from_slice(device, &scale, &by_channel)?)?
            .add(&Tensor::from_slice(device, &shift, &by_channel)?)
    }

    /// Bytes `[N, C, H, W]` in the host's memory as normalised f32 on the device.
    pub(super) fn upload(&self, device: &Device, pixels: &[u8], shape: [usize; 4]) -> Result<Tensor> {
        let words = pack_words(pixels);
        self.apply(&Tensor::from_slice(device, &words, &[words.len()])?, shape)
    }
}

/// Bytes as words, the first byte lowest; zeros fill the last.
pub(crate) fn pack_words(bytes: &[u8]) -> Vec<u32> {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut last = [0; 4];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(last);
    words.iter().copied().chain(last).map(u32::from_le_bytes).collect()
}

fn count(counts: &mut [[u64; 256]], image: &Image) {
    let [_, height, width] = image.shape();
    count_planes(counts, image.pixels(), height * width);
}

fn count_planes(counts: &mut [[u64; 256]], pixels: &[u8], plane: usize) {
    if plane == 0 {
        return;
    }
    for (counts, plane) in counts.iter_mut().zip(pixels.chunks_exact(plane)) {
        for &value in plane {
            counts[usize::from(value)] += 1;
        }
    }
}
