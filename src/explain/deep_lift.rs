//! DeepLIFT by its rescale rule.

use crate::error::Result;
use crate::explain::Explainer;
use crate::explain::gradients::baseline;
use crate::graph::{Op, Tensor, Vjp};

/// Functions of one variable, whose multiplier is the slope between the two activations.
const CURVES: [&str; 13] = [
    "relu",
    "elu",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "softplus",
    "silu",
    "mish",
    "softsign",
    "gelu",
    "exp",
    "log",
    "sqrt",
];

/// Inputs closer than this have the gradient as their slope.
const CLOSE: f64 = 1e-10;

/// The half of the images less that of the baselines, for both halves.
fn differences(values: &Tensor) -> Result<Tensor> {
    let halves = values.detach().chunk(2, 0)?;
    let difference = (&halves[0] - &halves[1])?;
    Tensor::cat(&[&difference, &difference], 0)
}

/// The gradient of one operation with another cotangent of its first output.
fn with_cotangent(op: &dyn Op, call: &Vjp<'_>, cotangent: Tensor) -> Result<Option<Tensor>> {
    let mut cotangents = call.cotangents.to_vec();
    cotangents[0] = Some(cotangent);
    let gradients = op.vjp(&Vjp { cotangents: &cotangents, ..*call })?;
    Ok(gradients.into_iter().next().flatten())
}

/// Multipliers instead of gradients, for a batch whose first half are images and whose second are their baselines.
fn rescale(op: &dyn Op, call: &Vjp<'_>) -> Result<Option<Vec<Option<Tensor>>>> {
    let name = op.name();
    let is_pool = name == "max_pool2d";
    let is_halved = |tensor: &Tensor| tensor.shape().first().is_some_and(|count| count.is_multiple_of(2));
    if !(is_pool || name == "softmax" || CURVES.contains(&name)) || !call.wants(0) || !is_halved(call.input(0)) {
        return Ok(None);
    }
    let mut gradients = op.vjp(call)?;
    let Some(gradient) = gradients[0].take() else { return Ok(None) };
    let (input, output) = (differences(call.input(0))?, call.output(0).detach());
    let multiplied = if is_pool {
        // Each half passes on the gain of the larger output over the other, to the indices of the maxima.
        let halves = output.chunk(2, 0)?;
        let largest = halves[0].maximum(&halves[1])?;
        let gains = Tensor::cat(&[&(&largest - &halves[1])?, &(&halves[0] - &largest)?], 0)?;
        let Some(passed) = with_cotangent(op, call, (call.cotangent()? * gains)?)? else { return Ok(None) };
        let halves = passed.chunk(2, 0)?;
        let both = (&halves[0] + &halves[1])?;
        Tensor::cat(&[&both, &both], 0)?
    } else {
        (call.cotangent()? * differences(&output)?)?
    };
    let is_close = input.abs()?.lt_scalar(CLOSE)?;
    let multiplier = is_close.where_(&gradient, &(multiplied / is_close.where_(&input.ones_like()?, &input)?)?)?;
    gradients[0] = Some(multiplier);
    Ok(Some(gradients))
}

impl Explainer<'_> {
    /// `(x - x0) multiplier`, where activations pass on the slope between their values at `x` and at the baseline `x0` instead of
    /// their gradient: DeepLIFT's rescale rule (Shrikumar et al., "Learning Important Features Through Propagating Activation
    /// Differences", 2017), which explains a rectifier even where it is flat. The baseline broadcasts with the images; zeros by
    /// default. The attributions of an image add up to `score(x) - score(x0)` if all nonlinear operations are activations or
    /// maximum pooling.
    /// linear is an activation or a maximum pooling.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency); [`Error::Broadcast`](crate::Error::Broadcast) for a baseline of another shape.
    pub fn deep_lift(&self, images: &Tensor, baseline: Option<&Tensor>) -> Result<Tensor> {
        let (classes, images) = (self.classes(images)?, images.detach());
        let baseline = self::baseline("deep_lift", &images, baseline)?;
        let multipliers = self.gradient_by(&Tensor::cat(&[&images, &baseline], 0)?, &classes, Some(&mut rescale))?;
        (&images - &baseline)? * &multipliers.chunk(2, 0)?[0]
    }
}
