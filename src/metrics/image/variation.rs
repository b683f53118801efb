//! Total variation.

use crate::error::{Error, Result};
use crate::graph::Tensor;

/// Total variation of each image, `[N, C, H, W]` to `[N]`: the absolute differences of neighbours in rows and in columns, added
/// up. It has a gradient: as a part of a loss it makes images smoother.
///
/// # Errors
/// [`Error::Invalid`] for other shapes.
///
/// ```
/// use wgrad::metrics::total_variation;
/// # use wgrad::{Device, Tensor};
/// # let device = Device::reference();
/// let image = Tensor::from_slice(&device, &[0.0f32, 1.0, 4.0, 2.0], &[1, 1, 2, 2])?;
/// assert_eq!(total_variation(&image)?.to_vec::<f32>()?, [1.0 + 2.0 + 4.0 + 1.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn total_variation(images: &Tensor) -> Result<Tensor> {
    let &[_, _, height, width] = &images.shape()[..] else {
        return Err(Error::invalid("total_variation", format!("images must be [N, C, H, W]; got {}", images.shape())));
    };
    let steps = |dim: isize, size: usize| {
        let length = size.saturating_sub(1);
        let [before, after] = [0, size - length].map(|from| images.narrow(dim, from, length));
        after?.sub(&before?)?.abs()?.sum([1, 2, 3])
    };
    steps(2, height)?.add(&steps(3, width)?)
}
