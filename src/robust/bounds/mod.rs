//! Interval bound propagation: bounds of a network's answers to all images of a box, and certificates by them.

mod curves;
mod rules;
mod training;

pub use rules::Interval;
pub use training::{IntervalTraining, IntervalTrainingOptions};

use crate::error::{Error, Result};
use crate::graph::{Call, Tensor, tracing};
use crate::robust::{Classifier, Goal};
use rules::{Input, bounds};
use std::collections::HashMap;

/// The calls of a network, for images of a shape.
struct Recorded {
    images: Tensor,
    logits: Tensor,
    calls: Vec<Call>,
}

impl Recorded {
    /// Records the network in evaluation mode; nothing is computed.
    fn new(net: &Classifier<'_>, images: &Tensor) -> Result<Recorded> {
        let images = images.detach();
        let logits = tracing(|| net.logits(&images))?;
        let calls = logits.calls_since(&images);
        Ok(Recorded { images, logits, calls })
    }

    /// Bounds of all values that the last of `calls` reads or makes, by their keys.
    fn walk(&self, calls: &[Call], images: &Interval) -> Result<HashMap<(u64, usize), Input>> {
        let mut known = HashMap::from([(self.images.key(), Input::Bounded(images.clone()))]);
        for call in calls {
            let input = |(value, depends): &(Tensor, bool)| match (depends, known.get(&value.key())) {
                (false, _) => Ok(Input::Constant(value.clone())),
                (true, Some(bounds)) => Ok(bounds.clone()),
                // An output besides the first, such as the indices of maxima.
                (true, None) => Err(Error::invalid(call.op().name(), "it reads a value that has no bounds")),
            };
            let inputs: Vec<Input> = call.inputs.iter().map(input).collect::<Result<_>>()?;
            known.insert(call.key(0), bounds(call, &inputs)?);
        }
        Ok(known)
    }

    fn bounds(&self, images: &Interval) -> Result<Interval> {
        match self.walk(&self.calls, images)?.remove(&self.logits.key()) {
            Some(Input::Bounded(logits)) => Ok(logits),
            _ => Err(Error::invalid("interval bounds", "the network's answer does not depend on the images")),
        }
    }

    /// Lower bounds of the true logit less each other one, `[N, classes]`; 0 for the true class.
    fn margins(&self, images: &Interval, classes: &Tensor) -> Result<Tensor> {
        if let Some(margins) = self.margins_of_last(images, classes)? {
            return Ok(margins);
        }
        let bounds = self.bounds(images)?;
        let own = Goal::pick(&bounds.lower, classes)?.unsqueeze(1)?;
        (own - &bounds.upper)?.masked_fill(&Goal::labelled(&bounds.lower, classes)?, 0.0)
    }

    /// The margins by the differences of rows of a last linear layer, which are tighter than differences of its bounds; none
    /// where the network ends otherwise.
    fn margins_of_last(&self, images: &Interval, classes: &Tensor) -> Result<Option<Tensor>> {
        let (bias, calls) = match self.calls.split_last() {
            Some((last, calls)) if last.op().name() == "add" => match &last.inputs[..] {
                [(_, true), (bias, false)] => (Some(bias), calls),
                _ => return Ok(None),
            },
            _ => (None, &self.calls[..]),
        };
        let Some((last, calls)) = calls.split_last() else { return Ok(None) };
        let (input, weight) = match (last.op().name(), &last.inputs[..]) {
            ("matmul", [(input, true), (weight, false)]) if input.rank() == 2 && weight.rank() == 2 => (input, weight),
            _ => return Ok(None),
        };
        let Some(Input::Bounded(features)) = self.walk(calls, images)?.remove(&input.key()) else { return Ok(None) };
        let (centre, radius) = features.middle()?;
        // [N, 1, in] by [N, in, classes].
        let own = weight.t()?.index_select(0, classes)?.unsqueeze(2)?;
        let apart = (own - weight)?;
        let product = |x: &Tensor, weight: &Tensor| x.unsqueeze(1)?.matmul(weight)?.squeeze(1);
        let margins = (product(&centre, &apart)? - product(&radius, &apart.abs()?)?)?;
        let Some(bias) = bias else { return Ok(Some(margins)) };
        Ok(Some((margins + (Goal::pick(bias, classes)?.unsqueeze(1)? - bias)?)?))
    }
}

impl Classifier<'_> {
    /// Bounds of the logits, `[N, classes]` each, for all images between `lower` and `upper`, by interval arithmetic (Gowal et
    /// al., "On the Effectiveness of Interval Bound Propagation for Training Verifiably Robust Models", 2018). The network is
    /// recorded once, in evaluation mode, and bounds follow its calls: convolutions and linear layers by centre and radius,
    /// `W c ± |W| r`; activations and poolings that grow by both ends, SiLU, GELU and Mish by their minimum, the softmax by its
    /// extremes; sums, products of two values that both depend on the images (attention), batch normalization, concatenations
    /// and residual connections. Bounds have gradients, and are sound up to the rounding of f32.
    ///
    /// ```
    /// use wgrad::robust::{Classifier, Interval};
    /// use wgrad::{Device, Tensor, models::LeNet5, nn::Scope};
    /// let device = Device::reference();
    /// let net = LeNet5::new(&Scope::new(&device))?;
    /// let images = Tensor::uniform(&device, &[1, 1, 28, 28], 0.1, 0.9)?;
    /// let net = Classifier::new(&net);
    /// let bounds = net.bounds(&Interval { lower: images.add_scalar(-0.01)?, upper: images.add_scalar(0.01)? })?;
    /// let logits = net.logits(&images)?;
    /// assert!(logits.ge(&bounds.lower)?.logical_and(&logits.le(&bounds.upper)?)?.all_all()?.item::<bool>()?);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Invalid`] for an operation without a rule for bounds, such as a quotient of two values that both depend on the
    /// images, and so a layer normalization; those of the network.
    pub fn bounds(&self, images: &Interval) -> Result<Interval> {
        Recorded::new(self, &images.lower)?.bounds(images)
    }

    /// Lower bounds of the margins, the logit of the true class (i32 `[N]`) less each other one, for all images within `eps` of
    /// the given ones and between 0 and 1: `[N, classes]`, 0 for the true class. A last linear layer is joined with the
    /// differences.
    ///
    /// # Errors
    /// As [`bounds`](Classifier::bounds); [`Error::Invalid`] for labels that are not i32 `[N]`, and an `eps` below 0.
    pub fn margins(&self, images: &Tensor, classes: &Tensor, eps: f64) -> Result<Tensor> {
        Goal::untargeted(classes).check(images)?;
        Recorded::new(self, images)?.margins(&within(images, eps)?, classes)
    }

    /// True for the images whose true class, i32 `[N]`, is certainly the answer to all images within `eps` of them in `Linf`,
    /// bool `[N]`.
    ///
    /// # Errors
    /// As [`margins`](Classifier::margins).
    pub fn certifies(&self, images: &Tensor, classes: &Tensor, eps: f64) -> Result<Tensor> {
        crate::no_grad(|| {
            let margins = self.margins(images, classes, eps)?;
            let labelled = Goal::labelled(&margins, classes)?;
            margins.masked_fill(&labelled, f64::INFINITY)?.amin(1)?.gt_scalar(0.0)
        })
    }
}

/// The images within `eps` of some, between 0 and 1.
fn within(images: &Tensor, eps: f64) -> Result<Interval> {
    if !(eps >= 0.0 && eps.is_finite()) {
        return Err(Error::invalid("interval bounds", format!("eps {eps}; expected 0 or more")));
    }
    let images = images.detach();
    let moved = |by: f64| images.add_scalar(by)?.clamp(Some(0.0), Some(1.0));
    Ok(Interval { lower: moved(-eps)?, upper: moved(eps)? })
}
