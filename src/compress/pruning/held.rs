//! Weights on the host, and the choice among them.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor};
use crate::shape::Shape;

/// A parameter's values, and which of them are not pruned.
pub(super) struct Held<'a> {
    parameter: &'a Parameter,
    pub shape: Shape,
    pub values: Vec<f64>,
    pub open: Vec<bool>,
}

impl<'a> Held<'a> {
    pub fn read(parameter: &'a Parameter) -> Result<Held<'a>> {
        let value = parameter.value();
        Ok(Held { parameter, shape: *value.shape(), values: value.to_f64()?, open: kept(parameter)? })
    }

    /// The channels along a dimension that are not pruned as a whole, each with its elements.
    pub fn channels(&self, op: &'static str, dim: usize) -> Result<Vec<Vec<usize>>> {
        let open = |channel: &Vec<usize>| channel.iter().any(|&at| self.open[at]);
        Ok(self.all_channels(op, dim)?.into_iter().filter(open).collect())
    }

    /// The elements of each channel along a dimension.
    pub fn all_channels(&self, op: &'static str, dim: usize) -> Result<Vec<Vec<usize>>> {
        if dim >= self.shape.len() {
            let rule = format!("{} of shape {} has no dimension {dim}", self.parameter.name(), self.shape);
            return Err(Error::invalid(op, rule));
        }
        let inner: usize = self.shape[dim + 1..].iter().product();
        let mut channels = vec![Vec::new(); self.shape[dim]];
        for at in 0..self.values.len() {
            channels[at / inner % self.shape[dim]].push(at);
        }
        Ok(channels)
    }

    /// Gives the parameter the mask that is held here.
    pub fn prune(&self) -> Result<()> {
        keep(self.parameter, &self.open)
    }
}

/// True for each element that is not pruned.
pub(in crate::compress) fn kept(parameter: &Parameter) -> Result<Vec<bool>> {
    match parameter.mask() {
        Some(mask) => Ok(mask.value().to_f64()?.into_iter().map(|kept| kept != 0.0).collect()),
        None => Ok(vec![true; parameter.holds().0.numel()]),
    }
}

/// Prunes all elements but those for which `kept` is true.
pub(in crate::compress) fn keep(parameter: &Parameter, kept: &[bool]) -> Result<()> {
    let (shape, dtype, device) = parameter.holds();
    let mask: Vec<f64> = kept.iter().map(|&kept| f64::from(u8::from(kept))).collect();
    parameter.set_mask(Some(&Tensor::from_f64(&device, &mask, &shape)?.to_dtype(dtype)?))
}

/// The `count` candidates with the lowest scores; of equal ones the first.
pub(in crate::compress) fn lowest(scores: &[f64], mut candidates: Vec<usize>, count: usize) -> Vec<usize> {
    if count == 0 {
        return Vec::new();
    }
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, |&a, &b| scores[a].total_cmp(&scores[b]).then(a.cmp(&b)));
        candidates.truncate(count);
    }
    candidates
}

/// `(sum |x|^n)^(1/n)`; the largest for infinity, the smallest for its negative, the number of others than 0 for 0.
pub(in crate::compress) fn norm(values: impl Iterator<Item = f64>, n: f64) -> f64 {
    let sizes = values.map(f64::abs);
    match n {
        f64::INFINITY => sizes.fold(0.0, f64::max),
        f64::NEG_INFINITY => sizes.fold(f64::INFINITY, f64::min),
        0.0 => sizes.filter(|&size| size != 0.0).count() as f64,
        n => sizes.map(|size| size.powf(n)).sum::<f64>().powf(n.recip()),
    }
}
