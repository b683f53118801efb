//! Attention within windows: positions relative to each other, and cutting an image into windows.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Parameter, Tensor};
use crate::nn::{Scope, init};
use crate::number::nearest;
use crate::shape::{Layout, Shape};

/// A learned bias for each head and each offset of two positions in a window.
pub(super) struct RelativePositionBias {
    /// `[(2 H - 1) (2 W - 1), heads]`.
    pub table: Parameter,
    /// The row of the table for each pair of positions.
    pub index: Parameter,
    places: usize,
}

impl RelativePositionBias {
    /// A bias for windows of these rows and columns; `index_shape` is the index's shape in files.
    pub fn new(scope: &Scope, [height, width]: [usize; 2], heads: usize, index_shape: &[usize]) -> Result<Self> {
        let offsets = [height, width].map(|side| side.saturating_mul(2).saturating_sub(1));
        let table = Tensor::zeros(scope.device(), &[offsets[0].saturating_mul(offsets[1]), heads])?;
        let table = scope.parameter("relative_position_bias_table", &table);
        init::trunc_normal(&table, 0.0, 0.02, -2.0, 2.0)?;
        let index_layout = Layout::contiguous(Shape::new(index_shape)?, DType::I32);
        scope.device().check_size("relative_position_index", &index_layout)?;
        let places = height * width;
        let row = |from: usize, to: usize| {
            let (y, x) = (from / width + height - 1 - to / width, from % width + width - 1 - to % width);
            nearest::<i32>(y * offsets[1] + x)
        };
        let rows: Vec<i32> = (0..places * places).map(|pair| row(pair / places, pair % places)).collect();
        let index = scope.buffer("relative_position_index", &Tensor::from_slice(scope.device(), &rows, index_shape)?);
        Ok(RelativePositionBias { table, index, places })
    }

    /// The biases, `[heads, places, places]`.
    pub fn value(&self) -> Result<Tensor> {
        let places = self.places as isize;
        let rows = self.table.value().index_select(0, &self.index.value().flatten(0, -1)?)?;
        rows.reshape(&[places, places, -1])?.permute([2, 0, 1])
    }
}

/// Windows of an image, `[N, H, W, C] -> [N, windows, places, C]`.
pub(super) fn cut(image: &Tensor, window: [usize; 2]) -> Result<Tensor> {
    let (shape, [height, width]) = (*image.shape(), window.map(|size| size as isize));
    image.unflatten(2, &[-1, width])?.unflatten(1, &[-1, height])?.permute([0, 1, 3, 2, 4, 5])?.reshape(&[
        shape[0] as isize,
        -1,
        height * width,
        shape[3] as isize,
    ])
}

/// The image that windows are of: the inverse of [`cut`].
pub(super) fn join(windows: &Tensor, window: [usize; 2], [height, width]: [usize; 2]) -> Result<Tensor> {
    let (rows, columns) = ((height / window[0]) as isize, (width / window[1]) as isize);
    windows
        .unflatten(2, &window.map(|size| size as isize))?
        .unflatten(1, &[rows, columns])?
        .permute([0, 1, 3, 2, 4, 5])?
        .reshape(&[windows.shape()[0] as isize, height as isize, width as isize, -1])
}
