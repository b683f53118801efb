//! Gradients that pass rectifiers by another rule.

use crate::error::Result;
use crate::explain::Explainer;
use crate::graph::{Op, Tensor, Vjp};

/// The gradient behind each `relu`, where it is positive.
fn guided(op: &dyn Op, call: &Vjp<'_>) -> Result<Option<Vec<Option<Tensor>>>> {
    if op.name() != "relu" {
        return Ok(None);
    }
    let gradients = op.vjp(call)?.into_iter().map(|gradient| gradient.map(|g| g.relu()).transpose());
    gradients.collect::<Result<_>>().map(Some)
}

/// The gradient before each `relu`, where it is positive, wherever the rectifier let its input through.
fn deconvolved(op: &dyn Op, call: &Vjp<'_>) -> Result<Option<Vec<Option<Tensor>>>> {
    if op.name() != "relu" {
        return Ok(None);
    }
    Ok(Some(vec![call.of(0, |gradient| gradient.relu())?]))
}

impl Explainer<'_> {
    /// The gradient with negative parts clipped behind each rectifier (Springenberg et al., "Striving for Simplicity", 2014).
    /// Networks without `relu` give their plain gradient.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency).
    pub fn guided_backprop(&self, images: &Tensor) -> Result<Tensor> {
        self.gradient_by(images, &self.classes(images)?, Some(&mut guided))
    }

    /// The gradient with each rectifier applied to the gradient instead of its input (Zeiler and Fergus, "Visualizing and
    /// Understanding Convolutional Networks", 2013).
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency).
    pub fn deconvolution(&self, images: &Tensor) -> Result<Tensor> {
        self.gradient_by(images, &self.classes(images)?, Some(&mut deconvolved))
    }
}
