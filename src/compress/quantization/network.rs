//! A network whose layers multiply bytes.

use super::calibrate::calibrated;
use super::layer::{self, Layer};
use super::observer::{Observer, Scheme};
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{Children, Module};
use crate::ops::interpose::{Answer, Interposer, interposed};
use crate::ops::{Conv2dOptions, QuantizationParameters, QuantizedTensor};
use crate::options::options;
use crate::pattern;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;
use std::sync::Arc;

pub(super) const OP: &str = "quantization";

options! {
    /// Options of [`Quantized::calibrated`] and of [`QuantizationAware`](super::QuantizationAware).
    #[derive(Clone, Debug, PartialEq)]
    QuantizationOptions {
        /// The ranges of the layers' inputs.
        observer: Observer = Observer::MinMax,
        /// The levels of the layers' inputs.
        activations: Scheme = Scheme::Affine,
        /// Patterns of the names of weights whose layers stay f32, such as `fc.*`.
        skip: Vec<String> = Vec::new(),
    }
}

impl QuantizationOptions {
    pub(super) fn skips(&self, name: &str) -> bool {
        self.skip.iter().any(|pattern| pattern::matches(pattern, name))
    }
}

/// The names of a model's weights by the leaves that their layers are called with.
pub(super) struct Names {
    by_leaf: HashMap<(u64, usize), String>,
    /// Keeps the leaves alive, and so their identities valid.
    _values: Vec<Tensor>,
}

impl Names {
    pub fn of(model: &dyn Module) -> Names {
        let parameters = model.named_parameters();
        let named: Vec<(String, Tensor)> =
            parameters.into_iter().map(|(name, parameter)| (name, parameter.value())).collect();
        let by_leaf = named.iter().map(|(name, value)| (value.key(), name.clone())).collect();
        Names { by_leaf, _values: named.into_iter().map(|(_, value)| value).collect() }
    }

    pub fn get(&self, weight: &Tensor) -> Option<&String> {
        self.by_leaf.get(&weight.key())
    }
}

/// A network whose convolutions and linear maps multiply signed bytes and add up in i32, on the device.
///
/// It holds the network that it was made of, whose weights it no longer uses where they have been quantized, and is a module of
/// the same parameters. It has no gradients.
///
/// Layers multiply as in [`QuantizedTensor::conv2d`]: their inputs are rounded to bytes by one scale and zero point, their
/// weights have a scale for each output, from -127 to 127. The sums, times both scales, are f32; biases stay f32. Convolutions of
/// one and of three dimensions, transposed ones and products of two activations stay f32 altogether, and so do sums of more than
/// 65,535 terms.
#[derive(Clone, Debug)]
pub struct Quantized<M> {
    model: M,
    layers: Arc<BTreeMap<String, Layer>>,
}

/// The layers at work.
struct Running {
    layers: Arc<BTreeMap<String, Layer>>,
    names: Names,
}

impl Running {
    fn layer(&self, weight: &Tensor) -> Option<&Layer> {
        self.layers.get(self.names.get(weight)?)
    }
}

impl Interposer for Running {
    fn conv2d(&self, input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, options: &Conv2dOptions) -> Answer {
        self.layer(weight).map_or(Ok(None), |layer| layer.conv2d(&input.detach(), bias, options))
    }

    fn linear(&self, input: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Answer {
        self.layer(weight).map_or(Ok(None), |layer| layer.linear(&input.detach(), bias))
    }
}

/// True if a weight's sums fit into i32.
pub(super) fn fits(weight: &Tensor) -> bool {
    weight.numel() / weight.shape().first().copied().unwrap_or(1).max(1) <= 65_532
}

impl<M: Module> Quantized<M> {
    /// Quantizes a trained network, with ranges of its layers' inputs from some batches: post-training static quantization
    /// (Jacob et al., "Quantization and training of neural networks for efficient integer-arithmetic-only inference", 2018).
    /// The network is switched to evaluation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no batch reaches a layer with weights, or an option is out of its range; those of the batches
    /// and of the network.
    pub fn calibrated(
        model: M,
        batches: impl IntoIterator<Item = Result<Tensor>>,
        options: &QuantizationOptions,
    ) -> Result<Quantized<M>> {
        model.eval();
        let ranges = calibrated(&model, batches, options)?;
        Quantized::with_inputs(model, ranges.into_iter().map(|(name, parameters)| (name, Some(parameters))))
    }

    /// Quantizes the linear maps of a network, whose inputs are rounded by the range of each batch: dynamic quantization
    /// (PyTorch's `quantize_dynamic`). Convolutions stay f32. The network is switched to evaluation.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the network has no weight of two dimensions; errors of the device.
    pub fn dynamic(model: M, options: &QuantizationOptions) -> Result<Quantized<M>> {
        model.eval();
        let is_linear = |(name, parameter): &(String, Parameter)| {
            let value = parameter.value();
            let is_weight = !parameter.is_buffer() && value.rank() == 2 && value.dtype().is_float();
            is_weight && fits(&value) && !options.skips(name)
        };
        let names = model.named_parameters().into_iter().filter(is_linear).map(|(name, _)| (name, None));
        let names: Vec<_> = names.collect();
        Quantized::with_inputs(model, names)
    }

    /// Quantizes the layers of some weights for inputs of these levels.
    pub(super) fn with_inputs(
        model: M,
        inputs: impl IntoIterator<Item = (String, Option<QuantizationParameters>)>,
    ) -> Result<Quantized<M>> {
        let parameters: HashMap<String, Parameter> = model.named_parameters().into_iter().collect();
        let layers = inputs.into_iter().map(|(name, inputs)| {
            let weight = layer::weight(&parameters[&name].value())?;
            Ok((name, Layer::new(weight, inputs)?))
        });
        let layers = layers.collect::<Result<_>>()?;
        Quantized::of_layers(model, layers)
    }

    pub(super) fn of_layers(model: M, layers: BTreeMap<String, Layer>) -> Result<Quantized<M>> {
        if layers.is_empty() {
            return Err(Error::invalid(OP, "no layer of the network can be quantized, or none ran"));
        }
        Ok(Quantized { model, layers: Arc::new(layers) })
    }

    /// The network it was made of.
    pub fn model(&self) -> &M {
        &self.model
    }

    /// The quantized weights by name.
    pub fn weights(&self) -> impl Iterator<Item = (&str, &QuantizedTensor)> {
        self.layers.iter().map(|(name, layer)| (name.as_str(), &layer.weight))
    }

    pub(super) fn layers(&self) -> &BTreeMap<String, Layer> {
        &self.layers
    }
}

impl<M: Module> Module for Quantized<M> {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let running = Running { layers: self.layers.clone(), names: Names::of(&self.model) };
        interposed(Rc::new(running), || self.model.forward(input))
    }
    fn children(&self) -> Children<'_> {
        vec![("model".to_string(), self.model.as_module())]
    }
}
