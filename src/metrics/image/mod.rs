//! Metrics of images that should look like others.

mod multiscale;
mod psnr;
mod ssim;
mod variation;

pub use multiscale::{
    MultiscaleNormalize, MultiscaleStructuralSimilarity, MultiscaleStructuralSimilarityOptions,
    multiscale_structural_similarity,
};
pub use psnr::{PeakSignalNoiseRatio, PeakSignalNoiseRatioOptions, peak_signal_noise_ratio};
pub use ssim::{StructuralSimilarity, StructuralSimilarityOptions, structural_similarity};
pub use variation::total_variation;

use crate::error::Result;
use crate::graph::Tensor;
use crate::metrics::sums::Sums;
use crate::options::As;

/// The range of an image's numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DataRange {
    /// The wider of two spans from smallest to largest number, that of the predictions and that of the targets.
    OfData,
    /// This wide: 1 for images of 0 to 1, 255 for bytes.
    Width(f64),
    /// From one number to another; numbers outside are clamped.
    Between(f64, f64),
}

impl As<DataRange> for f64 {
    fn convert(self) -> DataRange {
        DataRange::Width(self)
    }
}

impl DataRange {
    /// Images in the range, and its width, a scalar.
    fn of(self, [preds, target]: [Tensor; 2]) -> Result<([Tensor; 2], Tensor)> {
        let width = |width: f64| Tensor::filled(preds.device(), &[], width);
        match self {
            DataRange::Width(size) => {
                let width = width(size)?;
                Ok(([preds, target], width))
            }
            DataRange::Between(low, high) => {
                let width = width(high - low)?;
                let clamp = |of: Tensor| of.clamp(Some(low), Some(high));
                Ok(([clamp(preds)?, clamp(target)?], width))
            }
            DataRange::OfData => {
                let spread = |of: &Tensor| of.amax_all()?.sub(&of.amin_all()?);
                let width = spread(&preds)?.maximum(&spread(&target)?)?;
                Ok(([preds, target], width))
            }
        }
    }
}

/// The mean of scores over batches.
#[derive(Default)]
struct ScoreMean {
    sums: Sums,
    count: u64,
}

impl ScoreMean {
    fn add(&mut self, op: &'static str, scores: &Tensor) -> Result<()> {
        self.sums.add(op, &scores.sum_all()?)?;
        self.count += scores.numel() as u64;
        Ok(())
    }

    /// NaN of nothing.
    fn read(&self) -> Result<f64> {
        Ok(self.sums.read()?.map_or(f64::NAN, |sums| sums[0] / self.count as f64))
    }
}
