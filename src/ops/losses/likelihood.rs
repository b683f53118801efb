//! Negative log likelihoods of Poisson and normal distributions that a network predicts.

use super::floats;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;
use crate::shader::Fault;
use std::f64::consts::TAU;

options! {
    /// Options of [`Tensor::poisson_nll_loss`].
    #[derive(Clone, Copy, Debug)]
    PoissonNllOptions {
        /// Takes the logarithm of the rate as the input.
        log_input: bool = true,
        /// Adds Stirling's approximation of `log(target!)`.
        full: bool = false,
        /// Added to a rate before its logarithm is taken.
        eps: f64 = 1e-8,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
}

options! {
    /// Options of [`Tensor::gaussian_nll_loss`].
    #[derive(Clone, Copy, Debug)]
    GaussianNllOptions {
        /// Adds the constant `log(2 pi) / 2`.
        full: bool = false,
        /// The least variance; above 0.
        eps: f64 = 1e-6,
        /// Reduction of the losses of the elements.
        reduction: Reduction = Reduction::Mean,
    }
}

impl Tensor {
    /// The negative log likelihood of the counts `t` in `target` under Poisson distributions: `e^x - t x` if this holds
    /// logarithms `x` of rates, `x - t log(x + eps)` if it holds the rates; reduced. With `full`, `t log t - t + log(2 pi t) / 2`
    /// is added where `t` is above 1. Shapes broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`], [`Error::WrongDType`].
    ///
    /// ```
    /// # use wgrad::{Device, PoissonNllOptions, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.0f32, 0.0], &[2])?;
    /// let counts = Tensor::from_slice(&device, &[1.0f32, 3.0], &[2])?;
    /// assert_eq!(x.poisson_nll_loss(&counts, &PoissonNllOptions::default())?.item::<f32>()?, 1.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn poisson_nll_loss(&self, target: &Tensor, options: &PoissonNllOptions) -> Result<Tensor> {
        const OP: &str = "poisson_nll_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.poisson_nll_loss(&cast.of(target)?, options);
        }
        floats(OP, &[self])?;
        let target = target.to_dtype(self.dtype())?;
        let mut losses = if options.log_input {
            (self.exp()? - &target * self)?
        } else {
            (self - &target * (self + options.eps)?.log()?)?
        };
        if options.full {
            // Counts up to 1 have no term; replacing them by 1 keeps their logarithms finite.
            let large = target.gt_scalar(1.0)?;
            let t = large.where_(&target, &target.ones_like()?)?;
            let term = ((&t * t.log()? - &t)? + (&t * TAU)?.log()? * 0.5)?;
            losses = (&losses + large.where_(&term, &term.zeros_like()?)?)?;
        }
        options.reduction.of(&losses)
    }

    /// The negative log likelihood of `target` under normal distributions with means `x`, this, and variances `var`:
    /// `(log v + (x - target)^2 / v) / 2` with `v = max(var, eps)`; reduced. With `full`, `log(2 pi) / 2` is added.
    ///
    /// `var` has the input's shape, or that without the last dimension, or with 1 for one of the sizes. Its gradient ignores the
    /// lower bound.
    ///
    /// # Errors
    /// [`Error::Invalid`] for another shape of `var` or an `eps` not above 0, [`Error::Broadcast`],
    /// [`Error::WrongDType`]. A variance below 0 makes its loss NaN and is [`Error::Negative`] at the next
    /// synchronisation.
    #[track_caller]
    pub fn gaussian_nll_loss(&self, target: &Tensor, var: &Tensor, options: &GaussianNllOptions) -> Result<Tensor> {
        const OP: &str = "gaussian_nll_loss";
        let _line = ascribe_to_caller();
        let &GaussianNllOptions { full, eps, reduction } = options;
        floats(OP, &[self, target, var])?;
        let (shape, sizes) = (self.shape(), var.shape());
        let differs = || (0..shape.len()).filter(|&d| shape[d] != sizes[d]);
        let var = if shape == sizes || shape.len() == sizes.len() && differs().map(|d| sizes[d]).eq([1]) {
            var.clone()
        } else if shape.len() == sizes.len() + 1 && shape.starts_with(sizes) {
            var.unsqueeze(-1)?
        } else {
            let rule = format!(
                "var {sizes} must be {shape}, the shape of the input, or that without its last dimension or with 1 for \
                 one of its sizes"
            );
            return Err(Error::invalid(OP, rule));
        };
        // A variance below 0 picks an index that does not exist, which the device reports: the element's, counted down from -1.
        let device = self.device();
        let count = var.numel() as f64;
        let from = Tensor::arange(device, -1.0, -1.0 - count, -1.0, DType::I32)?.reshape_to(*var.shape())?;
        let place = var.lt_scalar(0.0)?.where_(&from, &from.zeros_like()?)?.reshape(&[-1])?;
        let fault = Fault::Negative(OP, "var");
        let checked = Tensor::zeros(device, &[1])?.to_dtype(var.dtype())?.gather_as(fault, 0, &place)?;
        let var = (&var + checked.reshape_to(*var.shape())?)?;
        let low = var.lt_scalar(eps)?;
        let bound = ((&var - var.detach())? + eps)?;
        let var = low.where_(&bound, &var)?;
        let mut losses = (0.5 * (var.log()? + (self - target)?.square()? / &var)?)?;
        if full {
            losses = (losses + 0.5 * TAU.ln())?;
        }
        reduction.of(&losses)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (reduction, full) in [(Reduction::Mean, false), (Reduction::Sum, true), (Reduction::None, true)] {
        for log_input in [true, false] {
            let options = PoissonNllOptions { log_input, full, eps: 1e-3, reduction };
            cases.push(
                Case::new("poisson_nll_loss", &[&[3, 5], &[5]], move |x| {
                    Ok(vec![x[0].poisson_nll_loss(&x[1], &options)?])
                })
                .options(&options)
                .domain(0, 0.3, 2.0)
                .domain(1, 1.2, 4.0),
            );
        }
        let options = GaussianNllOptions::default().full(full).reduction(reduction);
        for sizes in [&[3, 5][..], &[3], &[1, 5]] {
            cases.push(
                Case::new("gaussian_nll_loss", &[&[3, 5], &[5], sizes], move |x| {
                    Ok(vec![x[0].gaussian_nll_loss(&x[1], &x[2], &options)?])
                })
                .options(&options)
                .domain(2, 0.5, 2.0),
            );
        }
    }
    cases
}
