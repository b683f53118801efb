//! The Kullback-Leibler divergence.

use super::floats;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;

/// Reduction of the values of [`Tensor::kl_div`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KlDivReduction {
    /// Their mean over all elements, which is not the mathematical mean over samples.
    #[default]
    Mean,
    /// Their sum.
    Sum,
    /// One value for each element.
    None,
    /// Their sum, divided by the input's first size (1 for a scalar): the divergence as it is defined.
    BatchMean,
}

options! {
    /// Options of [`Tensor::kl_div`].
    #[derive(Clone, Copy, Debug)]
    KlDivOptions {
        /// Reduction of the values of the elements.
        reduction: KlDivReduction = KlDivReduction::default(),
        /// Takes a target of logarithms, as the input is.
        log_target: bool = false,
    }
}

impl Tensor {
    /// The divergence of the target distribution `t` from this one, given as logarithms `x`: `t (log t - x)`, 0 if `t` is 0; with
    /// `log_target`, `e^t (t - x)`. Reduced; shapes broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`](crate::Error::Broadcast), [`Error::WrongDType`](crate::Error::WrongDType).
    ///
    /// ```
    /// # use wgrad::{Device, KlDivOptions, KlDivReduction, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.5f32.ln(), 0.5f32.ln()], &[1, 2])?;
    /// let target = Tensor::from_slice(&device, &[0.0f32, 1.0], &[1, 2])?;
    /// let options = KlDivOptions { reduction: KlDivReduction::BatchMean, log_target: false };
    /// assert_eq!(x.kl_div(&target, &options)?.item::<f32>()?, 2.0f32.ln());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn kl_div(&self, target: &Tensor, options: &KlDivOptions) -> Result<Tensor> {
        const OP: &str = "kl_div";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.kl_div(&cast.of(target)?, options);
        }
        floats(OP, &[self, target])?;
        let losses = if options.log_target {
            (target.exp()? * (target - self))?
        } else {
            let zero = target.eq_scalar(0.0)?;
            let log = zero.where_(&target.ones_like()?, target)?.log()?;
            ((target * &log)? - target * self)?
        };
        match options.reduction {
            KlDivReduction::Mean => Reduction::Mean.of(&losses),
            KlDivReduction::Sum => Reduction::Sum.of(&losses),
            KlDivReduction::None => Ok(losses),
            KlDivReduction::BatchMean => {
                let batch = self.shape().first().copied().unwrap_or(1);
                losses.sum_all()? / batch as f64
            }
        }
    }
}

pub(super) fn cases() -> Vec<Case> {
    use KlDivReduction::{BatchMean, Mean, None, Sum};
    let mut cases = Vec::new();
    for reduction in [Mean, Sum, None, BatchMean] {
        for log_target in [false, true] {
            let options = KlDivOptions { reduction, log_target };
            for (shape, target) in [(&[3, 5][..], &[3, 5][..]), (&[2, 3, 4], &[3, 1]), (&[0, 5], &[5])] {
                if matches!(reduction, Mean | BatchMean) && shape[0] == 0 {
                    continue;
                }
                let case = Case::new("kl_div", &[shape, target], move |x| Ok(vec![x[0].kl_div(&x[1], &options)?]));
                let (low, high) = if log_target { (-3.0, 0.0) } else { (0.2, 1.0) };
                cases.push(case.options(&options).domain(0, -3.0, 0.0).domain(1, low, high));
            }
        }
    }
    cases
}
