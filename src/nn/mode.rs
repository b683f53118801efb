//! The switch between training and evaluation.

use crate::graph::is_tracing;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

/// The mode of a layer: training, as at first, or evaluation. Clones share it, as clones of a parameter do.
///
/// A layer of your own that differs in training holds one:
///
/// ```
/// use wgrad::nn::{Mode, Module};
/// use wgrad::{Device, Result, Tensor};
///
/// /// Noise on the input, in training.
/// struct Noise {
///     mode: Mode,
/// }
///
/// impl Module for Noise {
///     fn call(&self, input: &Tensor) -> Result<Tensor> {
///         if !self.mode.is_training() {
///             return Ok(input.clone());
///         }
///         input.add(&Tensor::randn(input.device(), input.shape())?)
///     }
///     fn mode(&self) -> Option<&Mode> {
///         Some(&self.mode)
///     }
/// }
///
/// let layer = Noise { mode: Mode::default() };
/// layer.eval();
/// assert_eq!(layer.forward(&Tensor::ones(&Device::reference(), &[2])?)?.to_vec::<f32>()?, [1.0, 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Mode {
    training: Arc<AtomicBool>,
    /// The number of the next batch whose statistics are averaged; 0 where they are not.
    averaged: Arc<AtomicU32>,
}

impl Default for Mode {
    /// Training.
    fn default() -> Mode {
        Mode { training: Arc::new(AtomicBool::new(true)), averaged: Arc::default() }
    }
}

impl Mode {
    /// True in training. False in a pass that computes shapes alone, such as a summary's.
    pub fn is_training(&self) -> bool {
        self.training.load(Ordering::Relaxed) && !is_tracing()
    }

    /// Switches to training or to evaluation.
    pub fn set(&self, training: bool) {
        self.training.store(training, Ordering::Relaxed);
    }

    /// Makes running statistics the mean over all batches from here on, or ends that.
    pub(crate) fn average_statistics(&self, on: bool) {
        self.averaged.store(u32::from(on), Ordering::Relaxed);
    }

    /// The weight of the next batch in the running statistics, if they are the mean over some batches.
    pub(crate) fn share_of_next(&self) -> Option<f64> {
        let next = |batch: u32| (batch > 0).then(|| batch.saturating_add(1));
        let batch = self.averaged.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()?;
        Some(1.0 / batch as f64)
    }
}
