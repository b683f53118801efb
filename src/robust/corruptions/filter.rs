//! Filters along rows and columns, as products with matrices.

use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;

/// Images between a matrix for their columns, `[H', H]`, and one for their rows, `[W', W]`.
pub(super) fn between(images: &Tensor, columns: &Tensor, rows: &Tensor) -> Result<Tensor> {
    columns.matmul(&images.matmul(&rows.transpose(0, 1)?)?)
}

/// The rule for elements past the ends.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    /// The outermost element again and again.
    Nearest,
    /// A mirror at the edge, which repeats the outermost element: SciPy's `reflect`.
    Mirror,
}

impl Ends {
    fn place(self, at: isize, size: usize) -> usize {
        let size: isize = nearest(size);
        let place = match self {
            Ends::Nearest => at.clamp(0, size - 1),
            Ends::Mirror => {
                let turn = at.rem_euclid(2 * size);
                turn.min(2 * size - 1 - turn)
            }
        };
        nearest(place)
    }
}

/// Images convolved with a Gaussian that is cut off at `truncate` deviations: SciPy's `gaussian_filter`.
pub(super) fn gaussian(images: &Tensor, sigma: f64, truncate: f64, ends: Ends) -> Result<Tensor> {
    let matrix = |size: usize| {
        let radius: isize = nearest(truncate * sigma + 0.5);
        let weight = |offset: isize| (-0.5 * (offset as f64 / sigma).powi(2)).exp();
        let sum: f64 = (-radius..=radius).map(weight).sum();
        let mut values = vec![0.0; size * size];
        for row in 0..size {
            for offset in -radius..=radius {
                let column = ends.place(nearest::<isize>(row) + offset, size);
                values[row * size + column] += if radius == 0 { 1.0 } else { weight(offset) / sum };
            }
        }
        Tensor::from_f64(images.device(), &values, &[size, size])
    };
    between(images, &matrix(images.shape()[2])?, &matrix(images.shape()[3])?)
}

/// Images in another size, each number the mean of those whose centres are in its box: Pillow's `BOX`.
pub(super) fn resize_box(images: &Tensor, size: [usize; 2]) -> Result<Tensor> {
    let matrix = |old: usize, new: usize| {
        let scale = old as f64 / new as f64;
        let width = scale.max(1.0);
        let mut values = vec![0.0; new * old];
        for (row, values) in values.chunks_mut(old).enumerate() {
            let centre = (row as f64 + 0.5) * scale;
            let is_within = |column: usize| {
                let distance = (column as f64 + 0.5 - centre) / width;
                -0.5 < distance && distance <= 0.5
            };
            let count = (0..old).filter(|&column| is_within(column)).count() as f64;
            (0..old).filter(|&column| is_within(column)).for_each(|column| values[column] = 1.0 / count);
        }
        Tensor::from_f64(images.device(), &values, &[new, old])
    };
    let [height, width] = [images.shape()[2], images.shape()[3]];
    between(images, &matrix(height, size[0])?, &matrix(width, size[1])?)
}
