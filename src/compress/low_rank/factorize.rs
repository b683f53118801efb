//! Layers as products of two.

use super::svd::Svd;
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor};
use crate::nn::{Factors, Module, Weighted};
use crate::number::nearest;
use crate::options::options;
use crate::pattern;

const OP: &str = "factorize";

/// The rank that is kept of a weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rank {
    /// The smallest rank whose squared singular values are this fraction of the total.
    Energy(f64),
    /// A number; all of the rank where there is less.
    Fixed(usize),
    /// This fraction of the largest rank, at least one.
    Share(f64),
}

/// The way in which a convolution of two dimensions is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `k x 1` to few channels, then `1 x k`.
    Spatial,
    /// `k x k` to few channels, then `1 x 1`.
    Channel,
}

options! {
    /// Options of [`factorize`].
    #[derive(Clone, Debug, PartialEq)]
    LowRankOptions {
        /// The rank that is kept.
        rank: Rank = Rank::Energy(0.9),
        /// The way in which convolutions are taken apart. Those of 1 x 1 are products of matrices by either.
        scheme: Scheme = Scheme::Spatial,
        /// Patterns of the names of weights; all if there are none.
        only: Vec<String> = Vec::new(),
    }
}

/// A layer that was taken apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Factorized {
    /// Its name.
    pub layer: String,
    /// The channels between the two layers in its place.
    pub rank: usize,
    /// The largest rank that the weight could have.
    pub full_rank: usize,
    /// The fraction of the weight's squared norm that is kept.
    pub energy: f64,
}

/// Factors the linear layers of a module, and its convolutions over images without groups, if two layers have fewer weights than
/// one; weights that several layers share are kept. They compute the nearest function of their rank: with the full rank, the
/// same. Gradients and masks of replaced weights are gone; an optimizer has to be made anew.
///
/// # Errors
/// [`Error::Invalid`] for a share that is not from 0 to 1, or a rank of 0; errors of the device.
pub fn factorize(model: &dyn Module, options: &LowRankOptions) -> Result<Vec<Factorized>> {
    let is_share = |share: f64| (0.0..=1.0).contains(&share);
    match options.rank {
        Rank::Energy(share) | Rank::Share(share) if !is_share(share) => {
            return Err(Error::invalid(OP, format!("a share of {share}; it must be from 0 to 1")));
        }
        Rank::Fixed(0) => return Err(Error::invalid(OP, "a rank of 0 would compute nothing")),
        _ => {}
    }
    let all: Vec<Parameter> = model.named_modules().iter().flat_map(|(_, module)| module.own_parameters()).collect();
    let mut done = Vec::new();
    for (name, module) in model.named_modules() {
        let Some(layer) = module.weighted().filter(|layer| layer.factors().is_none()) else { continue };
        let weight = layer.weight();
        let is_asked = |pattern: &String| pattern::matches(pattern, weight.name());
        // A weight that occurs several times must be kept.
        let is_tied = all.iter().filter(|parameter| parameter.is_same(weight)).count() > 1;
        if is_tied || !options.only.is_empty() && !options.only.iter().any(is_asked) {
            continue;
        }
        if let Some((factorized, factors, [first, second])) = factors(&name, &layer, options)? {
            layer.replace(factors, &first, &second)?;
            done.push(factorized);
        }
    }
    Ok(done)
}

/// The two weights that replace a layer's, if they are fewer numbers.
fn factors(
    name: &str,
    layer: &Weighted<'_>,
    options: &LowRankOptions,
) -> Result<Option<(Factorized, Factors, [Tensor; 2])>> {
    let value = layer.weight().value();
    let (shape, values) = (*value.shape(), value.to_f64()?);
    let [outputs, inputs] = [shape[0], shape[1]];
    let [height, width] = match (layer, shape.len()) {
        (Weighted::Linear(_), _) => [1, 1],
        (Weighted::Conv2d(conv), 4) if conv.grouped().is_some_and(|grouped| grouped.groups() == 1) => {
            [shape[2], shape[3]]
        }
        _ => return Ok(None),
    };
    let is_spatial = options.scheme == Scheme::Spatial && height * width > 1;
    // `[rows, columns]`, from inputs to outputs.
    let (rows, columns) =
        if is_spatial { (inputs * height, outputs * width) } else { (inputs * height * width, outputs) };
    let mut matrix = vec![0.0; values.len()];
    let at = |row: usize, column: usize| row * columns + column;
    for (place, &value) in values.iter().enumerate() {
        let (x, y) = (place % width, place / width % height);
        let (input, output) = (place / (width * height) % inputs, place / (width * height * inputs));
        let to = match is_spatial {
            true => at(input * height + y, output * width + x),
            false => at((input * height + y) * width + x, output),
        };
        matrix[to] = value;
    }
    let svd = Svd::new(&matrix, rows, columns);
    let full_rank = rows.min(columns);
    let rank = match options.rank {
        Rank::Energy(share) => svd.rank_of_energy(share),
        Rank::Fixed(rank) => rank.min(full_rank),
        Rank::Share(share) => nearest((share * full_rank as f64).round()),
    };
    let rank = rank.clamp(1, full_rank);
    if rank * (rows + columns) >= rows * columns {
        return Ok(None);
    }
    let squares = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>();
    let energy = squares(&svd.values[..rank]) / squares(&svd.values).max(f64::MIN_POSITIVE);
    // Both halves take the root of a singular value, so that neither's gradients are much larger.
    let root = |at: usize| svd.values[at].sqrt();
    let first: Vec<f64> = (0..rank).flat_map(|at| svd.left[at].iter().map(move |value| value * root(at))).collect();
    let (first_shape, second_shape, kernels) = match (layer, is_spatial) {
        (Weighted::Linear(_), _) => (vec![rank, inputs], vec![outputs, rank], Factors::Linear { rank }),
        (_, true) => (vec![rank, inputs, height, 1], vec![outputs, rank, 1, width], Factors::Spatial { rank }),
        (_, false) => (vec![rank, inputs, height, width], vec![outputs, rank, 1, 1], Factors::Channel { rank }),
    };
    let mut second = vec![0.0; outputs * rank * if is_spatial { width } else { 1 }];
    let taps = if is_spatial { width } else { 1 };
    for at in 0..rank {
        for (column, value) in svd.right[at].iter().enumerate() {
            let (output, tap) = (column / taps, column % taps);
            second[(output * rank + at) * taps + tap] = value * root(at);
        }
    }
    let device: &Device = value.device();
    let dtype = value.dtype();
    let tensor = |values: &[f64], shape: &[usize]| Tensor::from_f64(device, values, shape)?.to_dtype(dtype);
    let weights = [tensor(&first, &first_shape)?, tensor(&second, &second_shape)?];
    Ok(Some((Factorized { layer: name.to_string(), rank, full_rank, energy }, kernels, weights)))
}
