//! Losses of a difference: squared, absolute, and two that are squared near 0 and linear further out.

use super::{floats, same_shape};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;

/// With weights, the mean divides by their sum.
#[track_caller]
fn weighted(
    op: &'static str,
    input: &Tensor,
    losses: &Tensor,
    weight: &Tensor,
    reduction: Reduction,
) -> Result<Tensor> {
    floats(op, &[weight])?;
    same_shape(op, "weight", weight, input)?;
    let losses = (losses * weight)?;
    match reduction {
        Reduction::Mean => losses.sum_all()? / weight.sum_all()?,
        reduction => reduction.of(&losses),
    }
}

/// `c (|d| - c / 2)` with `c = min(|d|, bound)`: `d^2 / 2` up to the bound, a straight line beyond.
#[track_caller]
fn bent(difference: &Tensor, bound: f64) -> Result<Tensor> {
    let size = difference.abs()?;
    let cut = size.minimum_scalar(bound)?;
    &cut * (&size - &cut * 0.5)
}

impl Tensor {
    #[track_caller]
    fn squared_errors(&self, op: &'static str, target: &Tensor) -> Result<Tensor> {
        floats(op, &[self, target])?;
        (self - target)?.square()
    }

    #[track_caller]
    fn absolute_errors(&self, op: &'static str, target: &Tensor) -> Result<Tensor> {
        floats(op, &[self, target])?;
        (self - target)?.abs()
    }

    #[track_caller]
    fn huber_losses(&self, op: &'static str, target: &Tensor, delta: f64) -> Result<Tensor> {
        floats(op, &[self, target])?;
        if delta.is_nan() || delta <= 0.0 {
            return Err(Error::invalid(op, format!("delta is {delta}; it must be above 0")));
        }
        bent(&(self - target)?, delta)
    }

    /// The squared error `(self - target)^2`, reduced; shapes broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`], [`Error::WrongDType`].
    ///
    /// ```
    /// # use wgrad::{Device, Reduction, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 5.0], &[2])?;
    /// let target = Tensor::from_slice(&device, &[2.0f32, 3.0], &[2])?;
    /// assert_eq!(x.mse_loss(&target, Reduction::Mean)?.item::<f32>()?, 2.5);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn mse_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("mse_loss")? {
            return cast.of(self)?.mse_loss(&cast.of(target)?, reduction);
        }
        reduction.of(&self.squared_errors("mse_loss", target)?)
    }

    /// [`mse_loss`](Tensor::mse_loss) times a `weight` of the input's shape (PyTorch's argument `weight`); the mean
    /// is `sum of losses / sum of weights`.
    ///
    /// # Errors
    /// As `mse_loss`; [`Error::Invalid`] for a weight of another shape.
    #[track_caller]
    pub fn weighted_mse_loss(&self, target: &Tensor, weight: &Tensor, reduction: Reduction) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("mse_loss")? {
            return cast.of(self)?.weighted_mse_loss(&cast.of(target)?, &cast.of(weight)?, reduction);
        }
        weighted("mse_loss", self, &self.squared_errors("mse_loss", target)?, weight, reduction)
    }

    /// The absolute error `|self - target|`, reduced; shapes broadcast. The gradient at 0 is 0.
    ///
    /// # Errors
    /// As [`mse_loss`](Tensor::mse_loss).
    #[track_caller]
    pub fn l1_loss(&self, target: &Tensor, reduction: Reduction) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("l1_loss")? {
            return cast.of(self)?.l1_loss(&cast.of(target)?, reduction);
        }
        reduction.of(&self.absolute_errors("l1_loss", target)?)
    }

    /// [`l1_loss`](Tensor::l1_loss) times a `weight`; as [`weighted_mse_loss`](Tensor::weighted_mse_loss).
    ///
    /// # Errors
    /// As `weighted_mse_loss`.
    #[track_caller]
    pub fn weighted_l1_loss(&self, target: &Tensor, weight: &Tensor, reduction: Reduction) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("l1_loss")? {
            return cast.of(self)?.weighted_l1_loss(&cast.of(target)?, &cast.of(weight)?, reduction);
        }
        weighted("l1_loss", self, &self.absolute_errors("l1_loss", target)?, weight, reduction)
    }

    /// With `d = |self - target|`: `d^2 / (2 beta)` below `beta`, `d - beta / 2` from there on, reduced; shapes
    /// broadcast. `beta` 0 (PyTorch's default is 1) is [`l1_loss`](Tensor::l1_loss).
    ///
    /// # Errors
    /// As [`mse_loss`](Tensor::mse_loss); [`Error::Invalid`] for a `beta` below 0.
    #[track_caller]
    pub fn smooth_l1_loss(&self, target: &Tensor, beta: f64, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "smooth_l1_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.smooth_l1_loss(&cast.of(target)?, beta, reduction);
        }
        if beta.is_nan() || beta < 0.0 {
            return Err(Error::invalid(OP, format!("beta is {beta}; it must not be below 0")));
        }
        let errors = self.absolute_errors(OP, target)?;
        if beta == 0.0 {
            return reduction.of(&errors);
        }
        reduction.of(&(bent(&(self - target)?, beta)? / beta)?)
    }

    /// With `d = |self - target|`: `d^2 / 2` up to `delta`, `delta (d - delta / 2)` beyond, reduced; shapes
    /// broadcast (PyTorch's default `delta` is 1).
    ///
    /// # Errors
    /// As [`mse_loss`](Tensor::mse_loss); [`Error::Invalid`] for a `delta` not above 0.
    #[track_caller]
    pub fn huber_loss(&self, target: &Tensor, delta: f64, reduction: Reduction) -> Result<Tensor> {
        if let Some(cast) = autocast::enter("huber_loss")? {
            return cast.of(self)?.huber_loss(&cast.of(target)?, delta, reduction);
        }
        reduction.of(&self.huber_losses("huber_loss", target, delta)?)
    }

    /// [`huber_loss`](Tensor::huber_loss) times a `weight` of the input's shape. The mean divides by the number of
    /// elements, as PyTorch's does in this loss alone.
    ///
    /// # Errors
    /// As `huber_loss` and `weighted_mse_loss`.
    #[track_caller]
    pub fn weighted_huber_loss(
        &self,
        target: &Tensor,
        delta: f64,
        weight: &Tensor,
        reduction: Reduction,
    ) -> Result<Tensor> {
        const OP: &str = "huber_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.weighted_huber_loss(&cast.of(target)?, delta, &cast.of(weight)?, reduction);
        }
        floats(OP, &[weight])?;
        same_shape(OP, "weight", weight, self)?;
        reduction.of(&(self.huber_losses(OP, target, delta)? * weight)?)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for reduction in [Reduction::Mean, Reduction::Sum, Reduction::None] {
        let squared = |shapes: &[&[usize]], run: fn(&[Tensor], Reduction) -> Result<Tensor>| {
            Case::new("mse_loss", shapes, move |x| Ok(vec![run(x, reduction)?])).with("reduction", reduction)
        };
        cases.push(squared(&[&[4, 5], &[4, 5]], |x, r| x[0].mse_loss(&x[1], r)));
        cases.push(squared(&[&[3, 7], &[7]], |x, r| x[0].t()?.mse_loss(&x[1].unsqueeze(1)?, r)));
        let weighted = squared(&[&[4, 5], &[5], &[4, 5]], |x, r| x[0].weighted_mse_loss(&x[1], &x[2], r));
        cases.push(weighted.domain(2, 0.2, 2.0));
        // Above the bend, below it, and on both sides: differences don't cross it.
        for (low, high) in [(1.2, 2.0), (-2.0, -1.2), (-0.25, 0.25)] {
            let bent = |op, run: fn(&[Tensor], Reduction) -> Result<Tensor>| {
                Case::new(op, &[&[3, 5], &[5], &[3, 5]], move |x| Ok(vec![run(x, reduction)?]))
                    .with("from", low)
                    .with("reduction", reduction)
                    .domain(0, low, high)
                    .domain(1, -0.1, 0.1)
                    .domain(2, 0.2, 2.0)
            };
            cases.push(bent("smooth_l1_loss", |x, r| x[0].smooth_l1_loss(&x[1], 0.75, r)).with("beta", 0.75));
            cases.push(bent("huber_loss", |x, r| x[0].huber_loss(&x[1], 0.75, r)).with("delta", 0.75));
            let weighted = bent("huber_loss", |x, r| x[0].weighted_huber_loss(&x[1], 0.5, &x[2], r));
            cases.push(weighted.with("delta", 0.5).with("weight", true));
            if low.abs() > 1.0 {
                cases.push(bent("l1_loss", |x, r| x[0].l1_loss(&x[1], r)));
                cases.push(bent("l1_loss", |x, r| x[0].weighted_l1_loss(&x[1], &x[2], r)).with("weight", true));
                cases.push(bent("smooth_l1_loss", |x, r| x[0].smooth_l1_loss(&x[1], 0.0, r)).with("beta", 0.0));
            }
        }
    }
    cases.push(Case::new("mse_loss", &[&[0, 5], &[5]], |x| Ok(vec![x[0].mse_loss(&x[1], Reduction::Sum)?])));
    cases.push(Case::new("huber_loss", &[&[0], &[1]], |x| Ok(vec![x[0].huber_loss(&x[1], 1.0, Reduction::None)?])));
    cases
}
