//! local_response_norm.

use super::single;
use crate::error::{Error, Result};
use crate::graph::{Tensor, in_place_of};
use crate::ops::AvgPool2dOptions;
use crate::ops::autocast;
use crate::ops::case::Case;

impl Tensor {
    /// Each element divided by a power of the squares around it in neighbouring channels (Krizhevsky et al. 2012):
    /// `x[n, c] / (k + alpha / size * sum over j of x[n, j]^2)^beta`, with `j` from `c - size / 2` to
    /// `c + (size - 1) / 2` where there are such channels: `[N, C, ..] -> [N, C, ..]`.
    ///
    /// PyTorch's defaults: `alpha` 1e-4, `beta` 0.75, `k` 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `size` is 0 or the input has less than three dimensions; [`Error::WrongDType`] for
    /// types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 3.0, 2.0], &[1, 3, 1])?;
    /// assert_eq!(x.local_response_norm(2, 1.0, 1.0, 1.0)?.to_vec::<f32>()?, [1.0 / 1.5, 0.5, 2.0 / 7.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn local_response_norm(&self, size: usize, alpha: f64, beta: f64, k: f64) -> Result<Tensor> {
        const OP: &str = "local_response_norm";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.local_response_norm(size, alpha, beta, k);
        }
        let x = single(OP, self)?;
        let [n, c, places @ ..] = &self.shape()[..] else { return Err(too_few(OP, self)) };
        if places.is_empty() {
            return Err(too_few(OP, self));
        }
        if self.numel() == 0 {
            return Ok(self.clone());
        }
        if size == 0 {
            return Err(Error::invalid(OP, "size is 0; it must be at least one channel"));
        }
        // The mean over a window along the channels. Past the last channel there are zeros, however far the window reaches.
        let (before, after) = ((size / 2).min(*c), ((size - 1) / 2).min(*c));
        let options = AvgPool2dOptions::default()
            .stride(1)
            .padding([before, 0])
            .divisor_override(i64::try_from(size).unwrap_or(i64::MAX));
        let planes = [*n as isize, 1, *c as isize, places.iter().product::<usize>() as isize];
        let squares = x.square()?.reshape(&planes)?;
        // The padding is the same on both sides, so that an even size has one window too many.
        let mean = squares.avg_pool2d([before + after + 1, 1], &options)?.narrow(2, 0, *c)?;
        let divisor = ((mean.reshape_to(*self.shape())? * alpha)? + k)?.pow_scalar(beta)?;
        Ok(in_place_of(self, (&x / &divisor)?.to_dtype(self.dtype())?))
    }
}

fn too_few(op: &'static str, input: &Tensor) -> Error {
    Error::invalid(op, format!("the input {} must be [N, C, ..] with at least three dimensions", input.shape()))
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, size, alpha, beta, k) in [
        (&[2, 5, 3][..], 3, 0.5, 0.75, 1.0),
        (&[2, 5, 3, 2], 2, 1e-4, 0.75, 1.0),
        (&[1, 7, 2, 1, 3], 5, 0.7, 0.5, 2.0),
        (&[2, 3, 4], 1, 1.0, 1.0, 0.5),
        (&[2, 3, 2], 8, 1.0, 1.5, 1.0),
        (&[1, 1, 1], usize::MAX, 1.0, 0.75, 1.0),
        (&[0, 3, 2], 2, 1.0, 0.75, 1.0),
    ] {
        let run = move |x: &[Tensor]| Ok(vec![x[0].local_response_norm(size, alpha, beta, k)?]);
        let case = Case::new("local_response_norm", &[shape], run).with("size", size);
        cases.push(case.with("alpha", alpha).with("beta", beta).with("k", k));
    }
    let view = |x: &[Tensor]| Ok(vec![x[0].transpose(0, 1)?.local_response_norm(3, 1.0, 0.75, 1.0)?]);
    cases.push(Case::new("local_response_norm", &[&[4, 2, 3]], view));
    let half = |x: &[Tensor]| Ok(vec![x[0].to_dtype(crate::DType::F16)?.local_response_norm(3, 1.0, 0.75, 1.0)?]);
    cases.push(Case::new("local_response_norm", &[&[2, 4, 3]], half).half());
    cases
}
