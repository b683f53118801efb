//! The layer that looks up rows of a table.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::nn::{Module, Scope, parameters};
use crate::ops::EmbeddingOptions;

/// Rows of a learned table by i32 indices: `[..] -> [.., D]` (see [`Tensor::embedding`]).
///
/// `weight` `[V, D]` starts normal with mean 0 and variance 1; the row of `padding_idx` starts, and stays, 0.
#[derive(Clone, Debug)]
pub struct Embedding {
    /// `[V, D]`.
    pub weight: Parameter,
    /// Padding and the scale of gradients.
    pub options: EmbeddingOptions,
}

impl Embedding {
    /// A table of `num_embeddings` rows (V) of `embedding_dim` numbers (D).
    ///
    /// # Errors
    /// [`Error::Invalid`] if `padding_idx` is not a row, [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, EmbeddingOptions, Tensor, nn::{Embedding, Module, Scope}};
    /// # let device = Device::reference();
    /// let scope = Scope::new(&device).at("words");
    /// let layer = Embedding::new(&scope, 100, 8, &EmbeddingOptions::default().padding_idx(0))?;
    /// let words = Tensor::from_slice(&device, &[7, 0, 42, 7, 9, 0], &[2, 3])?;
    /// let rows = layer.forward(&words)?;
    /// assert_eq!(rows.shape()[..], [2, 3, 8]);
    /// assert_eq!(rows.to_vec::<f32>()?[8..16], [0.0; 8]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    pub fn new(
        scope: &Scope,
        num_embeddings: usize,
        embedding_dim: usize,
        options: &EmbeddingOptions,
    ) -> Result<Embedding> {
        let padding = options.padding_row(num_embeddings)?;
        let device = scope.device();
        let mut value = Tensor::normal(device, &[num_embeddings, embedding_dim], 0.0, 1.0)?;
        if let Some(row) = padding {
            let row =
                i32::try_from(row).map_err(|_| Error::invalid("Embedding", format!("{row} rows are too many")))?;
            let row = Tensor::full(device, &[1, embedding_dim], row)?;
            value = value.scatter_value(0, &row, 0.0)?;
        }
        Ok(Embedding { weight: scope.parameter("weight", &value), options: *options })
    }
}

impl Module for Embedding {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        input.embedding(&self.weight.value(), &self.options)
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        parameters![self; weight]
    }
}
