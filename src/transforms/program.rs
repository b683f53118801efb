//! The pending colour steps of each image, carried out in one call.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::ColourStep;

/// Programs are padded to a multiple of this many steps, so that batches, and with them plans, have few sizes.
const ROUND: usize = 4;

/// Images of given heights and widths, each changed by its own program.
pub(super) fn recoloured(images: &Tensor, sizes: &[[usize; 2]], mut programs: Vec<Vec<ColourStep>>) -> Result<Tensor> {
    if programs.iter().all(Vec::is_empty) {
        return Ok(images.clone());
    }
    let channels = images.shape()[1];
    if sizes.iter().any(|size| size[..] != images.shape()[2..]) {
        let extent = |size: [usize; 2]| ColourStep::Extent(size.map(|length| nearest(length as f64)));
        programs.iter_mut().zip(sizes).for_each(|(program, &size)| program.insert(0, extent(size)));
    }
    let mut steps = programs.iter().flatten();
    if let Some(step) = steps.find(|step| step.mixes_channels() && !matches!(channels, 1 | 3)) {
        let rule = format!("{step:?} is for images of 1 or 3 channels; got {}", images.shape());
        return Err(Error::invalid("colour", rule));
    }
    let length = programs.iter().map(Vec::len).max().unwrap_or(0).next_multiple_of(ROUND);
    let statistics = |program: &Vec<ColourStep>| program.iter().filter(|step| step.needs_statistic()).count();
    let stages = programs.iter().map(statistics).max().unwrap_or(0);
    let filled = |program: &Vec<ColourStep>| {
        let rest = std::iter::repeat_n(ColourStep::Identity, length - program.len());
        program.clone().into_iter().chain(rest).flat_map(ColourStep::words).collect::<Vec<f32>>()
    };
    let words: Vec<f32> = programs.iter().flat_map(filled).collect();
    images.recolour(&Tensor::from_slice(images.device(), &words, &[programs.len(), length, 4])?, stages)
}
