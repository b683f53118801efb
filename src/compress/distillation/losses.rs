//! The losses of distillation: values that a student shares with its teacher.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::{KlDivOptions, KlDivReduction, Reduction};
use crate::shape::Shape;

/// `T^2 mean over n of KL(softmax(teacher / T), softmax(student / T))`, for logits `[N, C]` at a temperature `T` (Hinton, Vinyals
/// and Dean, "Distilling the Knowledge in a Neural Network", 2015). The square keeps gradients as large as those of the true
/// labels at any temperature. No gradient flows to the teacher.
///
/// # Errors
/// [`Error::Invalid`] for other shapes, and for a temperature that is not positive.
///
/// ```
/// use wgrad::compress::distillation::soft_target_loss;
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let student = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[1, 3])?;
/// assert_eq!(soft_target_loss(&student, &student, 4.0)?.item::<f32>()?, 0.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn soft_target_loss(student: &Tensor, teacher: &Tensor, temperature: f64) -> Result<Tensor> {
    const OP: &str = "soft_target_loss";
    if student.rank() != 2 || student.shape() != teacher.shape() {
        let rule = format!("logits {} of the student and {} of the teacher", student.shape(), teacher.shape());
        return Err(Error::invalid(OP, format!("{rule}; expected [N, C] of both")));
    }
    if !(temperature > 0.0 && temperature.is_finite()) {
        return Err(Error::invalid(OP, format!("a temperature of {temperature}; it must be positive")));
    }
    let soft = |logits: &Tensor| logits.div_scalar(temperature)?.log_softmax(1);
    let options = KlDivOptions { reduction: KlDivReduction::BatchMean, log_target: true };
    soft(student)?.kl_div(&soft(&teacher.detach())?, &options)?.mul_scalar(temperature * temperature)
}

/// The mean of `(a(student) - a(teacher))^2` over positions and images, with `a` the attention map of `[N, C, H, W]`: the mean of
/// `x^2` over channels, divided by its Euclidean length (Zagoruyko and Komodakis, "Paying More Attention to Attention", 2016, as
/// in their program). Channels may differ. No gradient flows to the teacher.
///
/// # Errors
/// [`Error::Invalid`] for maps of other heights or widths, or that are not `[N, C, H, W]`.
///
/// ```
/// use wgrad::compress::distillation::attention_loss;
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let (student, teacher) = (Tensor::randn(&device, &[2, 4, 7, 7])?, Tensor::randn(&device, &[2, 16, 7, 7])?);
/// assert!(attention_loss(&student, &teacher)?.item::<f32>()? > 0.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn attention_loss(student: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let (of_student, of_teacher) = (student.shape(), teacher.shape());
    if of_student.len() != 4
        || of_teacher.len() != 4
        || of_student[0] != of_teacher[0]
        || of_student[2..] != of_teacher[2..]
    {
        let rule = format!("maps {of_student} of the student and {of_teacher} of the teacher");
        return Err(Error::invalid("attention_loss", format!("{rule}; expected [N, C, H, W] that differ in C alone")));
    }
    attention(student)?.mse_loss(&attention(&teacher.detach())?, Reduction::Mean)
}

/// The attention map, `[N, H W]`.
fn attention(maps: &Tensor) -> Result<Tensor> {
    let sizes = [maps.shape()[0], maps.shape()[2] * maps.shape()[3]];
    maps.square()?.mean(1)?.reshape_to(Shape::new(&sizes)?)?.normalize(2.0, 1, 1e-12)
}
