//! Hints: the maps of a teacher's layer, which a regressor finds in the student's.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::nn::{Conv2d, Linear, Module, Scope};
use crate::ops::{Conv2dOptions, Reduction};

/// The mean of `(regressor(student) - teacher)^2`: the teacher's output is the hint, the student's the guided layer's (Romero et
/// al., "FitNets: Hints for Thin Deep Nets", 2014, there with a half of the sum). No gradient flows to the teacher.
///
/// # Errors
/// [`Error::Invalid`] if the regressor's output is not of the teacher's shape; those of the regressor.
///
/// ```
/// use wgrad::compress::distillation::{hint_loss, regressor};
/// use wgrad::{Device, Tensor, nn::{Module, Scope}};
/// let device = Device::reference();
/// let (student, teacher) = (Tensor::randn(&device, &[2, 4, 9, 9])?, Tensor::randn(&device, &[2, 16, 7, 7])?);
/// let regressor = regressor(&Scope::new(&device), student.shape(), teacher.shape())?;
/// assert_eq!(regressor.parameters()[0].value().shape()[..], [16, 4, 3, 3]);
/// assert!(hint_loss(&*regressor, &student, &teacher)?.item::<f32>()? > 0.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn hint_loss(regressor: &dyn Module, student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let found = regressor.forward(student)?;
    if found.shape() != teacher.shape() {
        let rule = format!(
            "the regressor makes {} of {}; the teacher's output is {}",
            found.shape(),
            student.shape(),
            teacher.shape()
        );
        return Err(Error::invalid("hint_loss", rule));
    }
    found.mse_loss(&teacher.detach(), Reduction::Mean)
}

/// A regressor from outputs of the guided layer's shape to those of the hint's, whose batch size does not count. For maps
/// `[N, C, H, W]` it is a convolution without padding, whose kernel bridges the difference of sizes, as in FitNets: 1 x 1 for
/// equal ones. For features `[N, C]` it is a linear layer.
///
/// # Errors
/// [`Error::Invalid`] for other shapes, and maps of the student that are smaller than the teacher's; errors of the device.
pub fn regressor(scope: &Scope, student: &[usize], teacher: &[usize]) -> Result<Box<dyn Module>> {
    match (student, teacher) {
        (&[_, own, height, width], &[_, hint, less_height, less_width])
            if height >= less_height && width >= less_width =>
        {
            let kernel = [height - less_height + 1, width - less_width + 1];
            Ok(Box::new(Conv2d::new(scope, own, hint, kernel, &Conv2dOptions::default())?))
        }
        (&[_, own], &[_, hint]) => Ok(Box::new(Linear::new(scope, own, hint)?)),
        _ => {
            let rule = format!(
                "outputs {student:?} of the student and {teacher:?} of the teacher; expected [N, C] of both, or maps"
            );
            Err(Error::invalid(
                "regressor",
                format!("{rule} [N, C, H, W] whose height and width are not the smaller ones"),
            ))
        }
    }
}
