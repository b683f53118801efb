//! Small parts stretched and rotated.

use super::Severity;
use super::filter::{Ends, gaussian};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::{GridSampleMode, GridSampleOptions, GridSamplePadding};
use crate::shape::Shape;

/// Draws of `[0, 1)` as numbers up to `reach` in either direction.
fn both_ways(uniform: &Tensor, reach: f64) -> Result<Tensor> {
    ((uniform * 2.0)? - 1.0)? * reach
}

/// Images sampled at pixels `x` and `y`, `[N, 1, H, W]`, past the edges in a mirror: through the centres of the outermost pixels,
/// or at their edges.
fn sampled(images: &Tensor, x: &Tensor, y: &Tensor, through_centres: bool) -> Result<Tensor> {
    let [count, _, height, width] = [0, 1, 2, 3].map(|dim| images.shape()[dim]);
    let unit = |places: &Tensor, size: usize| {
        let places = places.expand_to(Shape::new(&[count, 1, height, width])?, "elastic_transform")?;
        let (shift, span) = if through_centres { (0.0, size as f64 - 1.0) } else { (0.5, size as f64) };
        (((places + shift)? * (2.0 / span))? - 1.0)?.reshape_to(Shape::new(&[count, height, width])?)
    };
    let grid = Tensor::stack(&[&unit(x, width)?, &unit(y, height)?], 3)?;
    let options = GridSampleOptions::default().mode(GridSampleMode::Bilinear);
    images.grid_sample(&grid, &options.padding_mode(GridSamplePadding::Reflection).align_corners(through_centres))
}

/// The affine map that moves three points of a triangle around the middle, and then a displacement of each pixel, smoothed by a
/// Gaussian (Simard et al., "Best Practices for Convolutional Neural Networks", 2003).
pub(super) fn transform(images: &Tensor, severity: Severity, points: &Tensor, field: &Tensor) -> Result<Tensor> {
    // The size of displacements, the Gaussian's deviation, and the bound of a point's way. ImageNet-C multiplies by 244.
    let (size, sigma, way) = severity.of(
        [(488.0, 170.8, 24.4), (488.0, 19.52, 48.8), (12.2, 2.44, 4.88), (17.08, 2.44, 4.88), (29.28, 2.44, 4.88)],
        [(0.0, 0.0, 2.56), (1.6, 6.4, 2.24), (2.56, 1.92, 1.92), (3.2, 1.28, 1.6), (3.2, 0.96, 0.96)],
    );
    let [count, height, width] = [0, 2, 3].map(|dim| images.shape()[dim]);
    let places = |size: usize| Tensor::arange(images.device(), 0.0, size as f64, 1.0, DType::F32);
    let (x, y) = (places(width)?.reshape(&[1, 1, 1, -1])?, places(height)?.reshape(&[1, 1, -1, 1])?);

    // The first point is right of the middle and below, the second right and above, the third left and above.
    let third = (height.min(width) / 3) as f64;
    let [right, low] = [width, height].map(|size| (size / 2) as f64 + third);
    let triangle = [right, low, right, low - 2.0 * third, right - 2.0 * third, low - 2.0 * third];
    let triangle = Tensor::from_f64(images.device(), &triangle, &[3, 2])?;
    let moved = (both_ways(points, way)? + triangle)?;
    let at = |point: usize, axis: usize| {
        moved.narrow(1, point, 1)?.narrow(2, axis, 1)?.reshape_to(Shape::new(&[count, 1, 1, 1])?)
    };
    let side = |point: usize, axis: usize| at(point, axis)? - at(0, axis)?;
    let (ax, ay, bx, by) = (side(1, 0)?, side(1, 1)?, side(2, 0)?, side(2, 1)?);
    let area = ((&ax * &by)? - (&bx * &ay)?)?;
    // A pixel is the first moved point and so much of the two moved sides.
    let (dx, dy) = ((&x - at(0, 0)?)?, (&y - at(0, 1)?)?);
    let first = (((&by * &dx)? - (&bx * &dy)?)? / &area)?;
    let second = (((&ax * &dy)? - (&ay * &dx)?)? / &area)?;
    let from_x = ((&second * (-2.0 * third))? + right)?;
    let from_y = (((&first + &second)? * (-2.0 * third))? + low)?;
    let turned = sampled(images, &from_x, &from_y, true)?;
    if size == 0.0 {
        return Ok(turned);
    }
    let displaced = (gaussian(&both_ways(field, 1.0)?, sigma, 3.0, Ends::Mirror)? * size)?;
    sampled(&turned, &(x + displaced.narrow(1, 0, 1)?)?, &(y + displaced.narrow(1, 1, 1)?)?, false)
}
