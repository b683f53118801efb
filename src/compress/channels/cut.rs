//! Channels taken out of a network: as zeros behind masks, or for good.

use super::{Channels, Selection};
use crate::compress::pruning::{keep, kept};
use crate::error::Result;
use crate::graph::{Parameter, Tensor, no_grad};
use crate::number::nearest;
use std::collections::BTreeSet;

impl Channels {
    /// Prunes channels by [masks](crate::Parameter::set_mask): the network computes the same as after [`cut`](Channels::cut), at
    /// its old size.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn mask(&self, selection: &Selection) -> Result<()> {
        for (number, parameter) in self.parameters.iter().enumerate().filter(|(_, parameter)| !parameter.is_buffer()) {
            let axes = selection.places.range((number, 0)..(number + 1, 0));
            if axes.clone().next().is_none() {
                continue;
            }
            let (shape, mut kept) = (parameter.holds().0, kept(parameter)?);
            for (&(_, axis), places) in axes {
                let inner: usize = shape[axis + 1..].iter().product();
                for slice in kept.chunks_mut(shape[axis] * inner) {
                    places.iter().for_each(|place| slice[place * inner..][..inner].fill(false));
                }
            }
            keep(parameter, &kept)?;
        }
        Ok(())
    }

    /// Cuts channels out of all parameters, running statistics included. Gradients are forgotten; an optimizer has to be made
    /// anew, since its buffers have the old shapes.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn cut(self, selection: &Selection) -> Result<()> {
        self.parameters.iter().for_each(Parameter::zero_grad);
        let mut sizes = Vec::new();
        for (number, parameter) in self.parameters.iter().enumerate() {
            let before = parameter.holds().0;
            let axes: Vec<(usize, &BTreeSet<usize>)> = {
                let axes = selection.places.range((number, 0)..(number + 1, 0));
                axes.map(|(&(_, axis), places)| (axis, places)).collect()
            };
            sizes.push(before[..].first().copied());
            if axes.is_empty() {
                continue;
            }
            let mask = parameter.mask().map(|mask| without(&mask.value(), &axes)).transpose()?;
            parameter.resize(&without(&parameter.value(), &axes)?)?;
            mask.map_or(Ok(()), |mask| parameter.set_mask(Some(&mask)))?;
        }
        for (number, grouped) in &self.depthwise {
            let (before, after) = (sizes[*number].unwrap_or(1), self.parameters[*number].holds().0[0]);
            grouped.set(grouped.groups() * after / before);
        }
        Ok(())
    }
}

/// A tensor without some positions along some axes.
fn without(value: &Tensor, axes: &[(usize, &BTreeSet<usize>)]) -> Result<Tensor> {
    let left = |value: Tensor, (axis, places): &(usize, &BTreeSet<usize>)| {
        let kept = (0..value.shape()[*axis]).filter(|place| !places.contains(place));
        let kept: Vec<i32> = kept.map(nearest).collect();
        value.index_select(*axis, &Tensor::from_slice(value.device(), &kept, &[kept.len()])?)
    };
    no_grad(|| axes.iter().try_fold(value.detach(), left))
}
