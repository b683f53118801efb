//! Losses of binary targets: cross entropy of probabilities and of logits, the focal loss, the Dice loss.

use super::{floats, same_shape};
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;

/// Multiplies losses by a weight, which broadcasts to them, and reduces them. The mean divides by their number.
#[track_caller]
fn weighted(op: &'static str, losses: Tensor, weight: Option<&Tensor>, reduction: Reduction) -> Result<Tensor> {
    let losses = match weight {
        Some(weight) => {
            floats(op, &[weight])?;
            (&losses * weight.expand_to(*losses.shape(), op)?)?
        }
        None => losses,
    };
    reduction.of(&losses)
}

impl Tensor {
    /// `-weight (t log x + (1 - t) log(1 - x))` with `x` this, a probability, and `t` the target of the same shape; reduced. The
    /// mean divides by the number of elements, regardless of their weights, which broadcast.
    ///
    /// A logarithm counts as -100 at the least; the gradient is `weight (x - t) / max(x (1 - x), 1e-12)`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a target of another shape, [`Error::Invalid`] or [`Error::Broadcast`] for a weight that does not
    /// broadcast to the input, [`Error::WrongDType`]. Values outside 0 to 1 are an error in PyTorch; here their loss is NaN,
    /// since nothing is read back to check them.
    ///
    /// ```
    /// # use wgrad::{Device, Reduction, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[0.5f32, 0.5], &[2])?;
    /// let target = Tensor::from_slice(&device, &[0.0f32, 1.0], &[2])?;
    /// assert_eq!(x.binary_cross_entropy(&target, None, Reduction::Mean)?.item::<f32>()?, 2.0f32.ln());
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn binary_cross_entropy(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        const OP: &str = "binary_cross_entropy";
        autocast::enter(OP)?;
        floats(OP, &[self, target])?;
        same_shape(OP, "target", target, self)?;
        weighted(OP, self.binary_cross_entropies(target)?, weight, reduction)
    }

    /// [`binary_cross_entropy`](Tensor::binary_cross_entropy) of `sigmoid(self)`, exact for large logits too:
    /// `-weight (pos_weight t log sigmoid(x) + (1 - t) log sigmoid(-x))`. Both weights broadcast.
    ///
    /// # Errors
    /// As [`binary_cross_entropy`](Tensor::binary_cross_entropy).
    #[track_caller]
    pub fn binary_cross_entropy_with_logits(
        &self,
        target: &Tensor,
        weight: Option<&Tensor>,
        pos_weight: Option<&Tensor>,
        reduction: Reduction,
    ) -> Result<Tensor> {
        const OP: &str = "binary_cross_entropy_with_logits";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.binary_cross_entropy_with_logits(
                &cast.of(target)?,
                cast.of_some(weight)?.as_ref(),
                cast.of_some(pos_weight)?.as_ref(),
                reduction,
            );
        }
        floats(OP, &[self, target])?;
        same_shape(OP, "target", target, self)?;
        // (1 - t) x - (1 + (pos_weight - 1) t) log sigmoid(x)
        let mut log = self.logsigmoid()?;
        if let Some(pos_weight) = pos_weight {
            floats(OP, &[pos_weight])?;
            let pos_weight = pos_weight.expand_to(*self.shape(), OP)?;
            log = ((((&pos_weight - 1.0) * target)? + 1.0) * &log)?;
        }
        let losses = ((1.0 - target) * self - &log)?;
        weighted(OP, losses, weight, reduction)
    }

    /// The focal loss of logits (Lin et al. 2017), as torchvision's `sigmoid_focal_loss`, whose defaults are `alpha`
    /// 0.25, `gamma` 2 and no reduction.
    ///
    /// With `p = sigmoid(self)` and `q = p t + (1 - p) (1 - t)`, an element costs `a (1 - q)^gamma` times its
    /// [`binary_cross_entropy_with_logits`](Tensor::binary_cross_entropy_with_logits), where
    /// `a = alpha t + (1 - alpha) (1 - t)`, or 1 for an `alpha` below 0.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a target of another shape, an `alpha` above 1 or a `gamma` below 0;
    /// [`Error::WrongDType`].
    #[track_caller]
    pub fn sigmoid_focal_loss(&self, target: &Tensor, alpha: f64, gamma: f64, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "sigmoid_focal_loss";
        floats(OP, &[self, target])?;
        same_shape(OP, "target", target, self)?;
        if alpha.is_nan() || alpha > 1.0 {
            return Err(Error::invalid(OP, format!("alpha is {alpha}; it must be from 0 to 1, or below 0 for none")));
        }
        if gamma.is_nan() || gamma < 0.0 {
            return Err(Error::invalid(OP, format!("gamma is {gamma}; it must not be below 0")));
        }
        let losses = self.binary_cross_entropy_with_logits(target, None, None, Reduction::None)?;
        // 1 - q = p + t - 2 p t, as p (1 - t) + (1 - p) t, in which nothing cancels.
        let (p, rest) = (self.sigmoid()?, (-self)?.sigmoid()?);
        let off = (1.0 - target)?;
        let mut factor = ((&p * &off)? + &rest * target)?.pow_scalar(gamma)?;
        if alpha >= 0.0 {
            factor = (&factor * ((target * alpha)? + &off * (1.0 - alpha)))?;
        }
        reduction.of(&(losses * factor)?)
    }

    /// The Dice loss (Milletari et al. 2016) of probabilities `[N, C, d1, ..]` and a target of the same shape:
    /// `1 - (2 sum of x t + smooth) / (sum of x + sum of t + smooth)`, the sums over `d1, ..`: one value for each
    /// sample and class, `[N, C]`, reduced.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a target of another shape, fewer than three dimensions or a `smooth` below 0;
    /// [`Error::WrongDType`].
    #[track_caller]
    pub fn dice_loss(&self, target: &Tensor, smooth: f64, reduction: Reduction) -> Result<Tensor> {
        const OP: &str = "dice_loss";
        floats(OP, &[self, target])?;
        same_shape(OP, "target", target, self)?;
        if self.rank() < 3 {
            return Err(Error::invalid(OP, format!("the input must be [N, C, d1, ..]; it is {}", self.shape())));
        }
        if smooth.is_nan() || smooth < 0.0 {
            return Err(Error::invalid(OP, format!("smooth is {smooth}; it must not be below 0")));
        }
        let places: Vec<usize> = (2..self.rank()).collect();
        let both = (((self * target)?.sum(&places)? * 2.0)? + smooth)?;
        let either = ((self.sum(&places)? + target.sum(&places)?)? + smooth)?;
        reduction.of(&(1.0 - (both / either)?)?)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (reduction, columns) in [(Reduction::Mean, 5), (Reduction::Sum, 3), (Reduction::None, 1)] {
        let loss = |op, shape: &[usize], weight: &[usize], run: fn(&[Tensor], Reduction) -> Result<Tensor>| {
            Case::new(op, &[shape, shape, weight], move |x| Ok(vec![run(x, reduction)?]))
                .with("reduction", reduction)
                .domain(1, 0.0, 1.0)
                .domain(2, 0.2, 2.0)
        };
        let likely = |shape, weight, run| loss("binary_cross_entropy", shape, weight, run).domain(0, 0.3, 0.7);
        cases.push(likely(&[3, 5], &[5], |x, r| x[0].binary_cross_entropy(&x[1], None, r)));
        let weighted = likely(&[3, 5], &[5], |x, r| x[0].binary_cross_entropy(&x[1], Some(&x[2]), r));
        cases.push(weighted.with("weight", true));
        let logits =
            |shape, weight, run| loss("binary_cross_entropy_with_logits", shape, weight, run).domain(0, -4.0, 4.0);
        cases.push(logits(&[7], &[1], |x, r| x[0].binary_cross_entropy_with_logits(&x[1], None, None, r)));
        cases.push(logits(&[3, 5], &[3, 1], |x, r| x[0].binary_cross_entropy_with_logits(&x[1], Some(&x[2]), None, r)));
        cases.push(logits(&[2, 3, 5], &[5], |x, r| x[0].binary_cross_entropy_with_logits(&x[1], None, Some(&x[2]), r)));
        cases.push(logits(&[3, 5], &[5], |x, r| {
            x[0].binary_cross_entropy_with_logits(&x[1], Some(&x[2]), Some(&x[2]), r)
        }));
        let nothing = logits(&[0, columns], &[1], |x, _| {
            x[0].binary_cross_entropy_with_logits(&x[1], None, None, Reduction::Sum)
        });
        cases.push(nothing.with("reduction", Reduction::Sum));
        let focal = |alpha, run| loss("sigmoid_focal_loss", &[3, 5], &[1], run).with("alpha", alpha);
        cases.push(focal(0.25, |x, r| x[0].sigmoid_focal_loss(&x[1], 0.25, 2.0, r)).with("gamma", 2.0));
        cases.push(focal(-1.0, |x, r| x[0].sigmoid_focal_loss(&x[1], -1.0, 1.5, r)).with("gamma", 1.5));
        cases.push(focal(0.75, |x, r| x[0].sigmoid_focal_loss(&x[1], 0.75, 0.0, r)).with("gamma", 0.0));
        let dice = |shape, run| loss("dice_loss", shape, &[1], run).domain(0, 0.1, 0.9);
        cases.push(dice(&[2, 3, 7], |x, r| x[0].dice_loss(&x[1], 1.0, r)));
        cases.push(dice(&[2, 1, 3, 5], |x, r| x[0].dice_loss(&x[1], 1e-5, r)));
    }
    cases
}
