//! The number of a network's output that is explained.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::graph::{GradientRule, Tensor, gradient_of_sum, no_grad, with_grad};
use crate::number::nearest;
use crate::shape::Shape;

const OP: &str = "explain";

/// The answer that is asked about: an element of `[N, classes]`; of `[N, classes, ..]`, a class's sum over all positions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Target {
    /// The class with the largest output, for each image.
    #[default]
    Predicted,
    /// This class, for all images.
    Class(usize),
    /// A class for each image.
    Classes(Vec<usize>),
}

/// Outputs as `[copies, N, classes]`, with positions added up.
fn by_class(output: &Tensor, images: usize) -> Result<Tensor> {
    let shape = output.shape();
    let classes = if shape.len() > 1 { shape[1] } else { 1 };
    if shape.is_empty() || images == 0 || !shape[0].is_multiple_of(images) {
        let rule = format!("the network answers {shape} to {images} images; expected [N, classes, ..]");
        return Err(Error::invalid(OP, rule));
    }
    let positions = shape.get(2..).map_or(1, |rest| rest.iter().product());
    let output = output.to_dtype(DType::F32)?.reshape_to(Shape::new(&[shape[0], classes, positions])?)?;
    output.sum(2)?.reshape_to(Shape::new(&[shape[0] / images, images, classes])?)
}

impl Explainer<'_> {
    /// The classes that are asked about, i32 `[N]`.
    pub(super) fn classes(&self, images: &Tensor) -> Result<Tensor> {
        if let Some(classes) = &self.classes {
            return Ok(classes.clone());
        }
        let count = *images.shape().first().unwrap_or(&0);
        match &self.target {
            Target::Class(class) => Tensor::full(images.device(), &[count], nearest::<i32>(*class)),
            Target::Classes(classes) if classes.len() != count => {
                let rule = format!("{} classes for {count} images; name one for each", classes.len());
                Err(Error::invalid(OP, rule))
            }
            Target::Classes(classes) => {
                let classes: Vec<i32> = classes.iter().map(|&class| nearest(class)).collect();
                Tensor::from_slice(images.device(), &classes, &[count])
            }
            Target::Predicted => {
                no_grad(|| by_class(&self.model.forward(images)?, count)?.argmax(2)?.reshape_to(Shape::new(&[count])?))
            }
        }
    }

    /// An explainer that asks about the same classes for other images in these ones' places.
    pub(super) fn fixed(&self, images: &Tensor) -> Result<Explainer<'_>> {
        Ok(Explainer { classes: Some(self.classes(images)?), ..self.clone() })
    }

    /// The explained number, from the outputs for one or several copies of the images, concatenated: `[copies, N]`.
    pub(super) fn pick(&self, output: &Tensor, classes: &Tensor) -> Result<Tensor> {
        let images = classes.numel();
        let outputs = by_class(output, images)?;
        let [copies, known] = [outputs.shape()[0], outputs.shape()[2]];
        let largest = match &self.target {
            Target::Predicted => None,
            Target::Class(class) => Some(class),
            Target::Classes(classes) => classes.iter().max(),
        };
        if let Some(class) = largest.filter(|&&class| class >= known) {
            return Err(Error::invalid(OP, format!("there is no class {class}; the network has {known}, from 0 on")));
        }
        let index =
            classes.reshape_to(Shape::new(&[1, images, 1])?)?.expand_to(Shape::new(&[copies, images, 1])?, OP)?;
        outputs.gather(2, &index)?.reshape_to(Shape::new(&[copies, images])?)
    }

    /// The same, for images.
    pub(super) fn scores(&self, images: &Tensor, classes: &Tensor) -> Result<Tensor> {
        self.pick(&self.model.forward(images)?, classes)
    }

    /// The gradient of the number asked about with respect to its images.
    pub(super) fn gradient(&self, images: &Tensor, classes: &Tensor) -> Result<Tensor> {
        self.gradient_by(images, classes, None)
    }

    /// The same, with other gradients of some operations.
    pub(super) fn gradient_by(
        &self,
        images: &Tensor,
        classes: &Tensor,
        rule: Option<&mut GradientRule<'_>>,
    ) -> Result<Tensor> {
        let images = images.detach().requires_grad();
        let scores = with_grad(true, || self.scores(&images, classes))?;
        gradient_of_sum(&scores, &images, rule)
    }
}
