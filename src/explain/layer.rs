//! Attributions to the maps of a layer inside the network.

use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::explain::gradients::{IntegratedGradientsOptions, baseline};
use crate::graph::{Device, Tensor, gradient_of_sum, no_grad, with_grad};
use crate::nn::{Layer, Module};

/// A layer's output for some images, and the gradient of the score with respect to it.
pub(super) struct Inside {
    pub activation: Tensor,
    pub gradient: Tensor,
}

/// The outputs of layers without others within them, with their names, as they run, and the network's output.
pub(super) fn leaves(model: &dyn Module, images: &Tensor) -> Result<(Vec<(String, Tensor)>, Tensor)> {
    let mut outputs = Vec::new();
    let mut keep = |layer: &Layer<'_>, _: &Tensor, output: &Tensor| {
        if layer.module.children().is_empty() && output.dtype().is_float() {
            outputs.push((layer.name.to_string(), output.clone()));
        }
        Ok(None)
    };
    let output = model.forward_with(images, &mut keep)?;
    Ok((outputs, output))
}

/// The output of a layer, by its name; the last one of a layer that runs several times. Layers behind it may refuse their input,
/// such as an image of another size.
pub(super) fn output_of(model: &dyn Module, images: &Tensor, layer: &str) -> Result<Tensor> {
    let mut found = None;
    let mut keep = |at: &Layer<'_>, _: &Tensor, output: &Tensor| {
        if at.name == layer {
            found = Some(output.clone());
        }
        Ok(None)
    };
    let ended = model.forward_with(images, &mut keep);
    match found {
        Some(output) => Ok(output),
        None => ended.and_then(|_| Err(unknown(model, layer))),
    }
}

/// The device of a network's parameters.
pub(super) fn device_of(op: &'static str, model: &dyn Module) -> Result<Device> {
    let rule = "the network has no parameters that tell its device";
    let parameter = model.parameters().into_iter().next().ok_or_else(|| Error::invalid(op, rule))?;
    Ok(parameter.value().device().clone())
}

fn unknown(model: &dyn Module, layer: &str) -> Error {
    let all = model.named_modules();
    let first: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).filter(|name| !name.is_empty()).take(8).collect();
    let rule =
        format!("no layer {layer:?} runs in this network, which begins with {}; see its summary", first.join(", "));
    Error::invalid("explain", rule)
}

impl Explainer<'_> {
    /// The output of a layer, by its name in the [`summary`](crate::nn::Module::summary): `layer4`, `features.12`. For a layer
    /// that runs several times it is the last output.
    ///
    /// # Errors
    /// [`Error::Invalid`] if no layer of this name runs; those of the network.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor, explain::Explainer, models::LeNet5, nn::Scope};
    /// # let device = Device::reference();
    /// let net = LeNet5::new(&Scope::new(&device))?;
    /// let maps = Explainer::new(&net).layer_activation(&Tensor::ones(&device, &[2, 1, 28, 28])?, "conv1")?;
    /// assert_eq!(maps.shape()[..], [2, 6, 28, 28]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn layer_activation(&self, images: &Tensor, layer: &str) -> Result<Tensor> {
        no_grad(|| output_of(self.model, images, layer))
    }

    /// `sum over the steps of (h[k + 1] - h[k]) d score / d h[k]`, with `h[k]` the layer's output at the points of
    /// [`integrated_gradients`](Explainer::integrated_gradients) from the baseline on: the part of the score's change that flows
    /// through each element of the layer (Dhamdhere et al., "How Important Is a Neuron?", 2018).
    ///
    /// # Errors
    /// As [`integrated_gradients`](Explainer::integrated_gradients) and [`layer_activation`](Explainer::layer_activation).
    pub fn layer_conductance(
        &self,
        images: &Tensor,
        layer: &str,
        options: &IntegratedGradientsOptions,
    ) -> Result<Tensor> {
        const OP: &str = "layer_conductance";
        let (classes, baseline) = (self.classes(images)?, baseline(OP, images, options.baseline.as_ref())?);
        let way = (images.detach() - &baseline)?;
        let mut before: Option<Inside> = None;
        let mut sum: Option<Tensor> = None;
        for (place, _) in options.points(OP, 1)? {
            let inside = self.inside(&(&baseline + (&way * place)?)?, layer, &classes)?;
            if let Some(before) = before {
                let part = ((&inside.activation - before.activation)? * before.gradient)?;
                sum = Some(sum.map_or_else(|| Ok(part.clone()), |sum| sum + &part)?);
            }
            before = Some(inside);
        }
        sum.ok_or_else(|| unknown(self.model, layer))
    }

    /// A layer's output, and the gradient of the score with respect to it.
    pub(super) fn inside(&self, images: &Tensor, layer: &str, classes: &Tensor) -> Result<Inside> {
        let mut seen = None;
        let mut probe = |at: &Layer<'_>, _: &Tensor, output: &Tensor| {
            if at.name != layer {
                return Ok(None);
            }
            // The walk ends here, and not at the network's weights.
            let leaf = output.detach().requires_grad();
            seen = Some(leaf.clone());
            Ok(Some(leaf))
        };
        let output = || self.pick(&self.model.forward_with(&images.detach(), &mut probe)?, classes);
        let scores = with_grad(true, output)?;
        let activation = seen.ok_or_else(|| unknown(self.model, layer))?;
        Ok(Inside { gradient: gradient_of_sum(&scores, &activation, None)?, activation: activation.detach() })
    }

    /// The scores of images, with another output of a layer: `[copies, N]`.
    pub(super) fn scores_from(&self, images: &Tensor, layer: &str, other: &Tensor, classes: &Tensor) -> Result<Tensor> {
        let mut probe = |at: &Layer<'_>, _: &Tensor, _: &Tensor| Ok((at.name == layer).then(|| other.clone()));
        self.pick(&self.model.forward_with(images, &mut probe)?, classes)
    }
}
