//! The network that is attacked, and the answer that an attack wants.

use crate::data::Normalization;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, gradient_of_sum, no_grad, with_grad};
use crate::nn::Module;
use crate::ops::{CrossEntropyOptions, Reduction};
use crate::robust::InputTransform;
use crate::shape::Shape;

/// A network that takes images between 0 and 1, and answers with logits `[N, classes]`.
#[derive(Clone, Copy)]
pub struct Classifier<'a> {
    model: &'a dyn Module,
    normalization: Option<&'a Normalization>,
    transforms: &'a [InputTransform],
}

impl<'a> Classifier<'a> {
    /// A network that takes the images as they are.
    pub fn new(model: &'a dyn Module) -> Classifier<'a> {
        Classifier { model, normalization: None, transforms: &[] }
    }

    /// One that was trained on images of this normalization.
    #[must_use = "it returns the classifier"]
    pub fn normalization(self, normalization: &'a Normalization) -> Classifier<'a> {
        Classifier { normalization: Some(normalization), ..self }
    }

    /// One that transforms images before their normalization, one transform after the other.
    #[must_use = "it returns the classifier"]
    pub fn transformed(self, transforms: &'a [InputTransform]) -> Classifier<'a> {
        Classifier { transforms, ..self }
    }

    /// The logits of images between 0 and 1.
    ///
    /// # Errors
    /// Those of the network and of the transforms; [`Error::Invalid`] for images of other channels than the normalization's.
    pub fn logits(&self, images: &Tensor) -> Result<Tensor> {
        let transformed =
            self.transforms.iter().try_fold(images.clone(), |images, transform| transform.apply(&images))?;
        self.model.forward(&self.normalized(&transformed)?)
    }

    /// The network.
    pub fn model(&self) -> &'a dyn Module {
        self.model
    }

    /// Images between 0 and 1 as the network takes them.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images of other channels than the normalization's.
    pub fn normalized(&self, images: &Tensor) -> Result<Tensor> {
        self.normalization.map_or_else(|| Ok(images.clone()), |by| by.normalize(images))
    }

    /// The images between 0 and 1 that belong to an input of the network.
    ///
    /// # Errors
    /// As [`normalized`](Classifier::normalized).
    pub fn unnormalized(&self, input: &Tensor) -> Result<Tensor> {
        self.normalization.map_or_else(|| Ok(input.clone()), |by| by.unnormalize(input))
    }

    /// True for the images whose answer meets the goal, bool `[N]`.
    ///
    /// # Errors
    /// As [`logits`](Classifier::logits); [`Error::Invalid`] for labels that are not i32 `[N]`.
    pub fn reaches(&self, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        goal.check(images)?;
        no_grad(|| goal.is_reached(&self.logits(images)?))
    }

    /// The gradient of the sum of `objective` over the logits, with respect to the images.
    pub(super) fn gradient(
        &self,
        images: &Tensor,
        objective: impl FnOnce(&Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let images = images.detach().requires_grad();
        let values = with_grad(true, || objective(&self.logits(&images)?))?;
        gradient_of_sum(&values, &images, None)
    }
}

/// The answer that an attack wants.
#[derive(Clone, Debug)]
pub struct Goal {
    labels: Tensor,
    is_targeted: bool,
}

impl Goal {
    /// Any class but the true one, i32 `[N]`.
    pub fn untargeted(labels: &Tensor) -> Goal {
        Goal { labels: labels.detach(), is_targeted: false }
    }

    /// This class, i32 `[N]`.
    pub fn targeted(labels: &Tensor) -> Goal {
        Goal { labels: labels.detach(), is_targeted: true }
    }

    /// True if the labels name the class that is wanted, and not the true one.
    pub fn is_targeted(&self) -> bool {
        self.is_targeted
    }

    /// The class that is wanted, or else the true one.
    pub fn labels(&self) -> &Tensor {
        &self.labels
    }

    /// The images' number, where there is a label for each.
    pub(super) fn check(&self, images: &Tensor) -> Result<usize> {
        let (labels, count) = (&self.labels, images.shape().first().copied().unwrap_or(0));
        if labels.dtype() == DType::I32 && labels.shape()[..] == [count] && images.rank() > 1 {
            return Ok(count);
        }
        let (shape, dtype) = (labels.shape(), labels.dtype());
        let rule =
            format!("labels {shape} in {dtype} for images {}; expected i32 [N] for [N, C, H, W]", images.shape());
        Err(Error::invalid("attack", rule))
    }

    /// The number that an attack raises, for each image: the cross entropy with the true class, or less that with the wanted one.
    pub(super) fn objective(&self, logits: &Tensor) -> Result<Tensor> {
        let losses = logits.cross_entropy(&self.labels, &CrossEntropyOptions::default().reduction(Reduction::None))?;
        if self.is_targeted { -losses } else { Ok(losses) }
    }

    /// The margin that an attack lowers until it is below 0, `[N]`: the true logit less the largest other one, or the largest
    /// other one less the wanted.
    pub(super) fn margin(&self, logits: &Tensor) -> Result<Tensor> {
        let labelled = Goal::labelled(logits, &self.labels)?;
        let others = logits.masked_fill(&labelled, f64::NEG_INFINITY)?.amax(1)?;
        let own = Goal::pick(logits, &self.labels)?;
        if self.is_targeted { others - own } else { own - others }
    }

    /// The same goal with other labels.
    pub(super) fn with_labels(&self, labels: Tensor) -> Goal {
        Goal { labels, is_targeted: self.is_targeted }
    }

    pub(super) fn is_reached(&self, logits: &Tensor) -> Result<Tensor> {
        let answers = logits.argmax(1)?;
        if self.is_targeted { answers.eq(&self.labels) } else { answers.ne(&self.labels) }
    }

    /// True at the labels, bool `[N, classes]`, for logits of this shape.
    pub(super) fn labelled(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        labels.one_hot(Some(logits.shape()[1]))?.to_dtype(DType::Bool)
    }

    /// The logits of the labels, `[N]`.
    pub(super) fn pick(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let count = labels.numel();
        logits.gather(1, &labels.reshape_to(Shape::new(&[count, 1])?)?)?.reshape_to(Shape::new(&[count])?)
    }
}
