//! The shared values of a network's weights.

use super::huffman::code_lengths;
use super::kmeans::{KMeans, k_means, linear};
use crate::compress::pruning::kept;
use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad};
use crate::number::nearest;
use crate::options::options;
use crate::state::State;
use crate::train::{Callback, Run};

const OP: &str = "clusters";

/// Bits of a value that is not coded.
const PLAIN: u64 = 32;

/// Bits of the length of a code.
const LENGTH: u64 = 8;

options! {
    /// Options of [`Clusters::new`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    ClusterOptions {
        /// Values that the weights of a layer share, besides the 0 of those that are pruned.
        values: usize = 16,
        /// Turns of k-means at most.
        most_turns: usize = 100,
    }
}

/// Layers whose weights share values. As a [`Callback`] of a run it keeps them shared: see [the module](super).
///
/// Pruned weights stay 0. Checkpoints hold the numbers of the values.
pub struct Clusters {
    layers: Vec<Layer>,
}

/// A parameter, and for each weight the index of its value, i32; pruned ones have an index of their own.
struct Layer {
    parameter: Parameter,
    labels: Parameter,
    values: usize,
}

/// The size of clustered layers, in bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size {
    /// Bits of the weights as they were, 32 each.
    pub plain_bits: u64,
    /// Bits of the indices of the values, each as wide as a layer's largest index.
    pub index_bits: u64,
    /// Bits of the same numbers in a Huffman code of each layer.
    pub huffman_bits: u64,
    /// Bits of the values, 32 each, and with them of the lengths of their codes, 8 each.
    pub table_bits: u64,
}

impl Size {
    /// The size of the weights as they were by that of Huffman codes and tables.
    pub fn ratio(&self) -> f64 {
        self.plain_bits as f64 / (self.huffman_bits + self.table_bits).max(1) as f64
    }
}

impl Clusters {
    /// Clusters the weights of each parameter by k-means, from centres evenly spaced between the smallest and the largest, and
    /// replaces every weight by its centre.
    ///
    /// # Errors
    /// [`Error::Invalid`] for no values, or weights that are not finite; errors of the device.
    pub fn new(parameters: Vec<Parameter>, options: &ClusterOptions) -> Result<Clusters> {
        if options.values == 0 {
            return Err(Error::invalid(OP, "values is 0; it must be at least 1"));
        }
        let layers = parameters.into_iter().map(|parameter| Layer::new(parameter, options)).collect::<Result<_>>()?;
        Ok(Clusters { layers })
    }

    /// Gives each weight the sum of the gradients of all weights that have its value, before the optimizer's step.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn share_gradients(&self) -> Result<()> {
        self.layers.iter().try_for_each(Layer::share_gradient)
    }

    /// The size of all layers together, exactly. Reads numbers from the device.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn size(&self) -> Result<Size> {
        let mut size = Size::default();
        for layer in &self.layers {
            let of = layer.size()?;
            size.plain_bits += of.plain_bits;
            size.index_bits += of.index_bits;
            size.huffman_bits += of.huffman_bits;
            size.table_bits += of.table_bits;
        }
        Ok(size)
    }
}

impl Layer {
    fn new(parameter: Parameter, options: &ClusterOptions) -> Result<Layer> {
        let (shape, dtype, device) = parameter.holds();
        let values = parameter.value().to_f64()?;
        let open = kept(&parameter)?;
        let weights: Vec<f64> = values.iter().zip(&open).filter(|(_, open)| **open).map(|(value, _)| *value).collect();
        let found = match weights.is_empty() {
            true => KMeans { centres: vec![0.0], labels: Vec::new() },
            false => k_means(&weights, linear(&weights, options.values), options.most_turns)?,
        };
        let mut of_kept = found.labels.into_iter();
        let pruned = found.centres.len();
        let labels = open.iter().map(|&open| if open { of_kept.next().unwrap_or(0) } else { pruned });
        let labels: Vec<usize> = labels.collect();
        let shared: Vec<f64> = labels.iter().map(|&label| found.centres.get(label).copied().unwrap_or(0.0)).collect();
        parameter.assign(&Tensor::from_f64(&device, &shared, &shape)?.to_dtype(dtype)?)?;
        let numbers: Vec<i32> = labels.into_iter().map(nearest).collect();
        let numbers = Tensor::from_slice(&device, &numbers, &[numbers.len()])?;
        let labels = Parameter::buffer(format!("labels.{}", parameter.name()), &numbers);
        Ok(Layer { parameter, labels, values: pruned })
    }

    fn share_gradient(&self) -> Result<()> {
        let Some(gradient) = self.parameter.grad() else { return Ok(()) };
        let shared = no_grad(|| {
            let labels = self.labels.value();
            let sums = Tensor::zeros(gradient.device(), &[self.values + 1])?.to_dtype(gradient.dtype())?;
            let sums = sums.index_add(0, &labels, &gradient.flatten(0, -1)?, 1.0)?;
            sums.index_select(0, &labels)?.reshape_to(*gradient.shape())
        })?;
        self.parameter.set_grad(Some(shared))
    }

    fn size(&self) -> Result<Size> {
        let mut counts = vec![0u64; self.values + 1];
        for label in self.labels.value().to_vec::<i32>()? {
            counts[nearest::<usize>(label)] += 1;
        }
        let weights: u64 = counts.iter().sum();
        let values = counts.iter().filter(|&&count| count > 0).count() as u64;
        let coded = counts.iter().zip(code_lengths(&counts)).map(|(count, length)| count * u64::from(length));
        Ok(Size {
            plain_bits: PLAIN * weights,
            index_bits: u64::from(values.next_power_of_two().trailing_zeros().max(1)) * weights,
            huffman_bits: coded.sum(),
            table_bits: (PLAIN + LENGTH) * values,
        })
    }
}

impl Callback for Clusters {
    fn on_gradients(&mut self, _: &mut Run) -> Result<()> {
        self.share_gradients()
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl State for Clusters {
    fn kind(&self) -> &'static str {
        OP
    }
    fn tensors(&self) -> Vec<Parameter> {
        self.layers.iter().map(|layer| layer.labels.clone()).collect()
    }
}
