//! Branches that are dropped at random.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{Mode, Module};

/// The samples that [`StochasticDepth`] drops together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StochasticDepthMode {
    /// All samples of a batch.
    Batch,
    /// Each sample by itself.
    #[default]
    Row,
}

/// Stochastic depth, `[N, ..] -> [N, ..]` (Huang et al., "Deep Networks with Stochastic Depth", 2016), as torchvision's: in
/// training a residual branch becomes 0 with the probability `p`, and is divided by `1 - p` otherwise. In evaluation it is
/// the identity.
///
/// ```
/// # use wgrad::{Device, Tensor, nn::Module};
/// use wgrad::nn::blocks::{StochasticDepth, StochasticDepthMode};
/// let layer = StochasticDepth::new(0.5, StochasticDepthMode::Row)?;
/// let y = layer.forward(&Tensor::ones(&Device::reference(), &[2, 3])?)?.to_vec::<f32>()?;
/// assert!(y[..3] == [0.0; 3] || y[..3] == [2.0; 3]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct StochasticDepth {
    p: f64,
    dropped: StochasticDepthMode,
    mode: Mode,
}

impl StochasticDepth {
    /// A layer that drops with the probability `p`, in training.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `p` isn't from 0 to 1.
    pub fn new(p: f64, dropped: StochasticDepthMode) -> Result<StochasticDepth> {
        if !(0.0..=1.0).contains(&p) {
            return Err(Error::invalid("StochasticDepth", format!("p is {p}; it must be from 0 to 1")));
        }
        Ok(StochasticDepth { p, dropped, mode: Mode::default() })
    }
}

impl Module for StochasticDepth {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        if self.p == 0.0 || !self.mode.is_training() {
            return Ok(input.clone());
        }
        let mut shape = vec![1; input.rank()];
        if let (Some(samples), StochasticDepthMode::Row) = (shape.first_mut(), self.dropped) {
            *samples = input.shape()[0];
        }
        let ones = Tensor::ones(input.device(), &shape)?.to_dtype(input.dtype())?;
        input.mul(&ones.dropout(self.p, true)?)
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
}
