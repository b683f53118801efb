//! group_norm.

use super::{Moments, channels, shifted, single};
use crate::error::{Error, Result};
use crate::graph::{Tensor, in_place_of};
use crate::ops::autocast;
use crate::ops::case::Case;

impl Tensor {
    /// Each group of channels of each sample normalized: `(x - mean) / sqrt(variance + eps) * weight + bias`, with the
    /// mean and the biased variance over a group's channels and positions, and a weight and a bias `[C]` for each
    /// channel: `[N, C, ..] -> [N, C, ..]`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `num_groups` does not divide the channels, if `weight` or `bias` is not `[C]`, if
    /// the input has less than two dimensions, no channels or no positions, or if there is one value in all for each
    /// group; [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[8.0f32, 2.0, 0.0, 4.0], &[1, 4])?;
    /// assert_eq!(x.group_norm(2, None, None, 0.0)?.to_vec::<f32>()?, [1.0, -1.0, -1.0, 1.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn group_norm(
        &self,
        num_groups: usize,
        weight: Option<&Tensor>,
        bias: Option<&Tensor>,
        eps: f64,
    ) -> Result<Tensor> {
        const OP: &str = "group_norm";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.group_norm(num_groups, weight, bias, eps);
        }
        let [n, c, inner @ ..] = &self.shape()[..] else {
            let rule = format!("the input {} must have a batch and channels, [N, C, ..]", self.shape());
            return Err(Error::invalid(OP, rule));
        };
        if num_groups == 0 || !c.is_multiple_of(num_groups) {
            let rule = format!("num_groups {num_groups} must divide the {c} channels of the input {}", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let (each, inner) = (c / num_groups, inner.iter().product::<usize>());
        if n * each * inner == 1 {
            let rule = format!("one value for each of {num_groups} groups of {} has no deviation", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        if *c == 0 || inner == 0 {
            let rule =
                format!("the input {} must have channels and positions; only the batch may be empty", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let sizes = [1, num_groups as isize, each as isize, 1];
        let weight = channels(OP, "weight", weight, self, &sizes)?;
        let bias = channels(OP, "bias", bias, self, &sizes)?;
        let x = single(OP, self)?.reshape(&[*n as isize, sizes[1], sizes[2], inner as isize])?;
        let y = Moments::new(&x, &[2, 3])?.normalized(eps, weight.as_ref())?;
        let output = shifted(&y, bias.as_ref(), self.dtype())?.reshape_to(*self.shape())?;
        Ok(in_place_of(self, output))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, groups, eps) in [
        (&[2, 6][..], 2, 1e-5),
        (&[2, 6, 5], 3, 1e-5),
        (&[3, 4, 3, 5], 1, 0.1),
        (&[1, 4, 7, 3], 4, 1e-5),
        (&[2, 3], 3, 1e-3),
        (&[0, 4, 3], 2, 1e-5),
    ] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].group_norm(groups, x.get(1), x.get(2), eps)?]);
        let channels = &shape[1..2];
        for shapes in [&[shape, channels, channels][..], &[shape]] {
            cases.push(Case::new("group_norm", shapes, run).with("groups", groups).with("eps", eps));
        }
    }
    let view = |x: &[Tensor]| Ok(vec![x[0].transpose(0, 1)?.group_norm(2, None, Some(&x[1]), 1e-5)?]);
    cases.push(Case::new("group_norm", &[&[4, 3, 5], &[4]], view));
    cases
}
