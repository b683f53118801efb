//! The grid of positions to which an affine map sends an image's elements.

use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shape::{Layout, Shape};

const OP: &str = "affine_grid";

/// Coordinates of `size` elements between -1 and 1: of their centres, or with the outer elements at the ends.
fn axis(size: usize, align_corners: bool) -> Vec<f32> {
    let steps = if align_corners { size.saturating_sub(1) } else { size };
    let first = if align_corners { 0.0 } else { 0.5 };
    let at = |i: usize| if size == 1 { 0.0 } else { 2.0 * (i as f64 + first) / steps as f64 - 1.0 };
    (0..size).map(|i| nearest::<f32>(at(i))).collect()
}

impl Tensor {
    /// The positions to which affine maps, one an image, send the elements of an image, for [`grid_sample`](Tensor::grid_sample):
    /// `output[n, y, x] = theta[n] (x, y, 1)`, with `x` and `y` between -1 and 1.
    ///
    /// `[N, 2, 3]` with the size `[N, C, H, W]` makes `[N, H, W, 2]`; `[N, 3, 4]` with `[N, C, D, H, W]` makes
    /// `[N, D, H, W, 3]`. With `align_corners`, -1 and 1 are the centres of the corner elements, otherwise their outer
    /// edges.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes, and if a size is 0; [`Error::WrongDType`] for types other than floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let theta = Tensor::from_slice(&device, &[1.0f32, 0.0, 0.5, 0.0, 1.0, 0.0], &[1, 2, 3])?;
    /// let grid = theta.affine_grid(&[1, 1, 1, 2], false)?;
    /// assert_eq!(grid.to_vec::<f32>()?, [0.0, 0.0, 1.0, 0.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn affine_grid(&self, size: &[usize], align_corners: bool) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        if !self.dtype().is_float() {
            return Err(Error::WrongDType { op: OP, expected: "floats", got: self.dtype() });
        }
        let spatial = size.len().saturating_sub(2);
        let fits = (2..=3).contains(&spatial) && self.shape()[..] == [size[0], spatial, spatial + 1];
        if !fits || size.contains(&0) {
            let rule = format!(
                "{} must be [N, 2, 3] for a size of [N, C, H, W], or [N, 3, 4] for [N, C, D, H, W], without zeros; the \
                 size is {size:?}",
                self.shape()
            );
            return Err(Error::invalid(OP, rule));
        }
        // Checked before the positions along each dimension are made, which take as much memory.
        let made = Shape::new(&[&size[..1], &size[2..], &[spatial]].concat())?;
        self.device().check_size(OP, &Layout::contiguous(made, self.dtype()))?;
        let column = |at: usize| -> Result<Tensor> {
            let mut shape = vec![1; spatial + 2];
            (shape[0], shape[spatial + 1]) = (size[0] as isize, spatial as isize);
            self.narrow(2, at, 1)?.reshape(&shape)
        };
        let mut grid = column(spatial)?;
        // The first column is for x, which is the last dimension.
        for at in 0..spatial {
            let dim = spatial - at;
            let length = size[1 + dim];
            let mut shape = vec![1; spatial + 2];
            shape[dim] = length;
            let places = Tensor::from_slice(self.device(), &axis(length, align_corners), &shape)?;
            grid = (&grid + column(at)? * places.to_dtype(self.dtype())?)?;
        }
        Ok(grid)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |theta: &[usize], size: &'static [usize], align_corners: bool| {
        Case::new(OP, &[theta], move |x| Ok(vec![x[0].affine_grid(size, align_corners)?]))
            .with("size", size)
            .with("align_corners", align_corners)
    };
    vec![
        case(&[2, 2, 3], &[2, 1, 3, 5], false),
        case(&[1, 2, 3], &[1, 3, 1, 7], true),
        case(&[2, 3, 4], &[2, 1, 2, 3, 5], true),
        case(&[1, 3, 4], &[1, 1, 1, 2, 3], false),
    ]
}
