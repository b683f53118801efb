//! Training that knows of the rounding.

use super::calibrate::can_be_quantized;
use super::layer::grid_of;
use super::network::{Names, OP, QuantizationOptions, Quantized};
use super::observer::{Observer, Scheme};
use crate::error::{Error, Result};
use crate::graph::{Tensor, is_tracing, no_grad};
use crate::nn::{Children, Mode, Module};
use crate::number::nearest;
use crate::ops::Conv2dOptions;
use crate::ops::interpose::{Answer, Interposer, interposed};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The least and the largest of a layer's inputs, averaged over batches, on the device.
type Ranges = Arc<Mutex<BTreeMap<String, [Tensor; 2]>>>;

/// A network that computes with rounded weights and inputs, as it will when it is [quantized](Quantized), and learns to do well
/// so: quantization-aware training (Jacob et al. 2018). Gradients pass straight through the rounding
/// ([`fake_quantize_per_tensor_affine`](Tensor::fake_quantize_per_tensor_affine)).
///
/// The range of a layer's inputs is that of the first batch, moved towards that of each further one in training. The observer is
/// [`Observer::MovingAverage`] or [`Observer::MinMax`]. It is a module of the network's parameters: train it as the network, and
/// [`convert`](QuantizationAware::convert) it then.
///
/// Batch norms stay as they are and follow a batch's statistics in training: a weight with a scale for each output is rounded to
/// the same levels whether a norm's factor is in it or after it.
///
/// ```
/// use wgrad::compress::quantization::{Observer, QuantizationAware, QuantizationOptions};
/// use wgrad::nn::{Linear, Module, Scope};
/// use wgrad::optim::{Optimizer, Sgd, SgdOptions};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let options = QuantizationOptions::default().observer(Observer::MovingAverage { share: 0.01 });
/// let net = QuantizationAware::new(Linear::new(&Scope::new(&device), 4, 2)?, &options)?;
/// let mut sgd = Sgd::new(&net, SgdOptions::default().lr(0.1))?;
/// let x = Tensor::rand(&device, &[8, 4])?;
/// net.forward(&x)?.square()?.mean_all()?.backward()?;
/// sgd.step()?;
/// net.eval();
/// let (aware, small) = (net.forward(&x)?, net.convert()?.forward(&x)?);
/// assert!((aware - small)?.abs()?.amax(..)?.item::<f32>()? < 1e-5);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct QuantizationAware<M> {
    model: M,
    options: QuantizationOptions,
    ranges: Ranges,
    mode: Mode,
}

/// The rounding of layers.
struct Rounding {
    names: Names,
    options: QuantizationOptions,
    ranges: Ranges,
    training: bool,
}

impl Rounding {
    /// Input and weight, rounded; `None` for a layer that stays f32.
    #[track_caller]
    fn rounded(&self, input: &Tensor, weight: &Tensor) -> Result<Option<[Tensor; 2]>> {
        let Some(name) = can_be_quantized(&self.names, &self.options, weight) else { return Ok(None) };
        let [low, high] = self.range(name, input)?;
        let of_input = grid_of(&low, &high, self.options.activations)?.rounded(input)?;
        let dims: Vec<isize> = (1..weight.rank()).map(nearest).collect();
        let largest = no_grad(|| weight.detach().abs()?.amax_keepdim(dims))?;
        let of_weight = grid_of(&largest.neg()?, &largest, Scheme::Symmetric)?.rounded(weight)?;
        Ok(Some([of_input, of_weight]))
    }

    /// The range of a layer's inputs, which moves in training.
    fn range(&self, name: &str, input: &Tensor) -> Result<[Tensor; 2]> {
        let mut ranges = self.ranges.lock();
        let known = ranges.get(name).cloned();
        if let Some(known) = known.clone().filter(|_| !self.training || is_tracing()) {
            return Ok(known);
        }
        let moved = no_grad(|| {
            let input = input.detach();
            let [low, high] = [input.amin(..)?, input.amax(..)?];
            let Some([old_low, old_high]) = known else { return Ok([low, high]) };
            match self.options.observer {
                Observer::MovingAverage { share } => Ok([old_low.lerp(&low, share)?, old_high.lerp(&high, share)?]),
                _ => Ok([old_low.minimum(&low)?, old_high.maximum(&high)?]),
            }
        })?;
        if !is_tracing() {
            ranges.insert(name.to_string(), moved.clone());
        }
        Ok(moved)
    }
}

impl Interposer for Rounding {
    fn conv2d(&self, input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Answer {
        if input.rank() != 4 {
            return Ok(None);
        }
        match self.rounded(input, weight)? {
            Some([input, weight]) => input.conv2d(&weight, bias, options).map(Some),
            None => Ok(None),
        }
    }

    fn linear(&self, input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Answer {
        match self.rounded(input, weight)? {
            Some([input, weight]) => input.linear(&weight, bias).map(Some),
            None => Ok(None),
        }
    }
}

impl<M: Module> QuantizationAware<M> {
    /// A network for training, or for further training.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other observers than [`Observer::MovingAverage`] and [`Observer::MinMax`].
    pub fn new(model: M, options: &QuantizationOptions) -> Result<QuantizationAware<M>> {
        let fits = match options.observer {
            Observer::MinMax => true,
            Observer::MovingAverage { share } => share > 0.0 && share <= 1.0,
            Observer::Percentile { .. } | Observer::Entropy => false,
        };
        if !fits {
            let rule = format!(
                "in training ranges are extremes, or averages of them with a share up to 1; got {:?}",
                options.observer
            );
            return Err(Error::invalid(OP, rule));
        }
        let (options, ranges) = (options.clone(), Ranges::default());
        Ok(QuantizationAware { model, options, ranges, mode: Mode::default() })
    }

    /// The network in bytes, with the ranges that training has found. It is switched to evaluation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if it never ran; errors of the device.
    pub fn convert(self) -> Result<Quantized<M>> {
        self.model.eval();
        let ranges = std::mem::take(&mut *self.ranges.lock());
        let mut inputs = Vec::new();
        for (name, [low, high]) in ranges {
            let [low, high] = [low.to_f64()?[0], high.to_f64()?[0]];
            inputs.push((name, Some(self.options.activations.parameters(low, high))));
        }
        Quantized::with_inputs(self.model, inputs)
    }
}

impl<M: Module> Module for QuantizationAware<M> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let rounding = Rounding {
            names: Names::of(&self.model),
            options: self.options.clone(),
            ranges: self.ranges.clone(),
            training: self.mode.is_training(),
        };
        interposed(Rc::new(rounding), || self.model.forward(input))
    }
    fn children(&self) -> Children<'_> {
        vec![("model".to_string(), self.model.as_module())]
    }
    fn mode(&self) -> Option<&Mode> {
        Some(&self.mode)
    }
}
