//! Rows of a table by index.

use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller, no_grad};
use crate::number::nearest;
use crate::ops::pointwise::{Row, apply};
use crate::options::options;
use crate::shape::Shape;

options! {
    /// Options of [`Tensor::embedding`], with PyTorch's defaults.
    #[derive(Clone, Copy, Debug)]
    EmbeddingOptions {
        /// A row that gets no gradient; negative numbers count from the end.
        padding_idx: Option<isize> = None,
        /// The gradient that reaches a row through each of its uses is divided by the number of uses.
        scale_grad_by_freq: bool = false,
    }
}

/// The first operand, whose gradient is scaled by the second.
static SCALE_GRADIENT: Row =
    Row::float("scale_gradient", 2, "{0}", |x| x[0], |c| Ok(vec![c.of(0, |g| g * c.input(1))?, None]));

impl EmbeddingOptions {
    /// The row without a gradient, among `rows`.
    pub(crate) fn padding_row(&self, rows: usize) -> Result<Option<usize>> {
        let Some(padding) = self.padding_idx else { return Ok(None) };
        let row = if padding < 0 { padding.checked_add_unsigned(rows).unwrap_or(-1) } else { padding };
        match usize::try_from(row) {
            Ok(row) if row < rows => Ok(Some(row)),
            _ => Err(Error::invalid("embedding", format!("padding_idx {padding} is none of the {rows} rows"))),
        }
    }
}

impl Tensor {
    /// Rows of `weight` `[V, D]` by these i32 indices: `output[.., d] = weight[self[..], d]`, of shape `[.., D]`.
    ///
    /// Gradients of a row picked several times add up, in a fixed order. PyTorch's `max_norm` is not supported.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the weight does not have two dimensions or `padding_idx` is not a row of it;
    /// [`Error::WrongDType`], [`Error::TooManyDimensions`]. An index out of range makes its row NaN and is
    /// [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{Device, EmbeddingOptions, Tensor};
    /// # let device = Device::reference();
    /// let weight = Tensor::from_slice(&device, &[0.0f32, 0.5, 1.0, 1.5, 2.0, 2.5], &[3, 2])?;
    /// let words = Tensor::from_slice(&device, &[2, 0], &[2])?;
    /// let rows = words.embedding(&weight, &EmbeddingOptions::default())?;
    /// assert_eq!(rows.to_vec::<f32>()?, [2.0, 2.5, 0.0, 0.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn embedding(&self, weight: &Tensor, options: &EmbeddingOptions) -> Result<Tensor> {
        const OP: &str = "embedding";
        let _line = ascribe_to_caller();
        let &[rows, columns] = &weight.shape()[..] else {
            return Err(Error::invalid(OP, format!("weight {} must be [V, D]", weight.shape())));
        };
        let padding = options.padding_row(rows)?;
        let shape = Shape::new(&[&self.shape()[..], &[columns]].concat())?;
        let index = self.reshape(&[-1])?;
        let mut picked = weight.select_as(OP, 0, &index)?;
        if options.scale_grad_by_freq && rows > 0 {
            let scale = no_grad(|| {
                let ones = Tensor::ones(weight.device(), index.shape())?;
                let uses = Tensor::zeros(weight.device(), &[rows])?.index_add(0, &index, &ones, 1.0)?;
                uses.select_as(OP, 0, &index)?.reciprocal()?.unsqueeze(1)?.to_dtype(weight.dtype())
            })?;
            picked = apply(&SCALE_GRADIENT, &[&picked, &scale])?;
        }
        if let Some(row) = padding {
            let is_padding = index.eq(&Tensor::full(index.device(), &[], nearest::<i32>(row))?)?.unsqueeze(1)?;
            picked = is_padding.where_(&picked.detach(), &picked)?;
        }
        picked.reshape_to(shape)
    }
}
