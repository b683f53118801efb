//! Parameters side by side in packs, with their buffers: one launch changes them.

use super::runs::{Rows, Runs};
use crate::error::Result;
use crate::graph::{Pack, Parameter, Segment, Tensor, no_grad};
use crate::number::nearest;
use crate::ops::{PACK_ALIGNMENT, pack, segments};
use std::iter;
use std::sync::Arc;

/// Elements of a pack of several parameters. A pack of gradients is in memory from its first gradient on, so one that spans a
/// large network would be alive together with all that the forward pass keeps; with many small packs a step takes more launches.
const MOST_ELEMENTS: usize = 1 << 24;

/// One trained parameter.
pub(super) struct Slot {
    pub parameter: Parameter,
    /// The group it belongs to.
    pub group: usize,
    /// The first group of the same form.
    pub form: usize,
    pub buffers: Vec<Parameter>,
    /// Counted for each parameter: if the first gradient comes late, so does the first step.
    pub steps: u64,
    /// The gradient of its last step, while others in the same call have failed: the call may be repeated, and this parameter
    /// must not move twice. Held, so that no other gradient can be mistaken for it.
    pub stepped_by: Option<Tensor>,
}

impl Slot {
    /// The gradient of the next step.
    pub fn gradient(&self) -> Option<Tensor> {
        let is_new = |gradient: &Tensor| !self.stepped_by.as_ref().is_some_and(|by| by.is_same(gradient));
        self.parameter.grad().filter(is_new)
    }
}

/// Slots of one form, type and device, with the same number of buffers, that take their steps together.
pub(super) struct Bundle {
    pub members: Vec<usize>,
    pub parameters: Arc<Pack>,
    pub buffers: Vec<Arc<Pack>>,
    /// The groups of the members, ascending.
    pub groups: Vec<usize>,
    /// For each element, i32, the group it belongs to, if there are several.
    pub group_of: Option<Tensor>,
    /// The numbers that have differed between the groups.
    pub varied: Vec<bool>,
    /// The number of counted steps that were stopped, `[1, 1]` on the device, if one may have been.
    pub stopped: Option<Tensor>,
    runs: Option<Runs>,
    rows: Option<Rows>,
}

impl Bundle {
    /// Sorts slots into bundles of one form, type and device, and of the same number of buffers. Members are neighbours, whose
    /// gradients are computed one after the other.
    #[track_caller]
    pub fn of(slots: &[Slot], members: &[usize]) -> Result<Vec<Bundle>> {
        let mut alike: Vec<(Tensor, usize, Vec<usize>)> = Vec::new();
        for &member in members {
            let value = slots[member].parameter.value();
            let is_alike = |(first, _, others): &&mut (Tensor, usize, Vec<usize>)| {
                (first.dtype(), first.device()) == (value.dtype(), value.device())
                    && slots[others[0]].form == slots[member].form
                    && slots[others[0]].buffers.len() == slots[member].buffers.len()
            };
            match alike.iter_mut().rfind(is_alike) {
                Some((_, numel, members)) if *numel + value.numel() <= MOST_ELEMENTS => {
                    *numel += value.numel();
                    members.push(member);
                }
                _ => alike.push((value.clone(), value.numel(), vec![member])),
            }
        }
        alike.into_iter().map(|(_, _, members)| Bundle::packed(slots, members)).collect()
    }

    #[track_caller]
    fn packed(slots: &[Slot], members: Vec<usize>) -> Result<Bundle> {
        let slots: Vec<&Slot> = members.iter().map(|&member| &slots[member]).collect();
        let moved = |parameters: Vec<&Parameter>| -> Result<Arc<Pack>> {
            let values: Vec<Tensor> = parameters.iter().map(|parameter| parameter.value()).collect();
            let (segments, numel) = segments(values.iter().map(|value| *value.shape()));
            let side_by_side = |tensors: &[Tensor]| in_blocks(&no_grad(|| pack(tensors, &segments, numel))?);
            let mask = masks(&parameters, &values)?.map(|masks| side_by_side(&masks)).transpose()?;
            let whole = side_by_side(&values)?;
            let whole = Pack::new(&whole, segments, mask)?;
            parameters.iter().enumerate().for_each(|(index, parameter)| parameter.move_into(&whole, index));
            Ok(whole)
        };
        let parameters = moved(slots.iter().map(|slot| &slot.parameter).collect())?;
        let buffers =
            (0..slots[0].buffers.len()).map(|buffer| moved(slots.iter().map(|slot| &slot.buffers[buffer]).collect()));
        let buffers = buffers.collect::<Result<_>>()?;
        let mut groups: Vec<usize> = slots.iter().map(|slot| slot.group).collect();
        groups.sort_unstable();
        groups.dedup();
        let group_of = match groups.len() {
            1 => None,
            _ => Some(group_of(&slots, &groups, &parameters)?),
        };
        Ok(Bundle {
            members,
            parameters,
            buffers,
            groups,
            group_of,
            varied: Vec::new(),
            stopped: None,
            runs: None,
            rows: None,
        })
    }

    /// The sums over the parameter of each element.
    pub fn runs(&mut self) -> Result<&Runs> {
        let runs = match self.runs.take() {
            Some(runs) => runs,
            None => Runs::new(&self.parameters)?,
        };
        Ok(self.runs.insert(runs))
    }

    /// The sums over the weight's row of each element.
    pub fn rows(&mut self) -> Result<&Rows> {
        let rows = match self.rows.take() {
            Some(rows) => rows,
            None => Rows::new(&self.parameters)?,
        };
        Ok(self.rows.insert(rows))
    }

    /// The packs of the parameters and of each kind of buffer.
    pub fn packs(&self) -> impl Iterator<Item = &Arc<Pack>> {
        iter::once(&self.parameters).chain(&self.buffers)
    }

    /// True if the members still lie in the packs: an assigned value has left its pack.
    pub fn is_whole(&self, slots: &[Slot]) -> bool {
        self.members.iter().enumerate().all(|(index, &member)| {
            let slot = &slots[member];
            let mut buffers = slot.buffers.iter().zip(&self.buffers);
            slot.parameter.is_part_of(&self.parameters, index)
                && buffers.all(|(buffer, pack)| buffer.is_part_of(pack, index))
        })
    }

    /// The gradients of the members, laid out as the packs, 0 for pruned elements.
    #[track_caller]
    pub fn gradient(&self, of_members: &[Tensor]) -> Result<Tensor> {
        self.parameters.masked(&packed(&self.parameters, of_members)?)
    }
}

/// The masks of parameters, ones for those without; `None` if none has a mask.
fn masks(parameters: &[&Parameter], values: &[Tensor]) -> Result<Option<Vec<Tensor>>> {
    let masks: Vec<Option<Parameter>> = parameters.iter().map(|parameter| parameter.mask()).collect();
    if masks.iter().all(Option::is_none) {
        return Ok(None);
    }
    let of = |(mask, value): (Option<Parameter>, &Tensor)| match mask {
        Some(mask) => Ok(mask.value()),
        None => no_grad(|| value.ones_like()),
    };
    masks.into_iter().zip(values).map(of).collect::<Result<_>>().map(Some)
}

/// Joins tensors in the layout of a pack.
#[track_caller]
pub(super) fn packed(like: &Pack, of_members: &[Tensor]) -> Result<Tensor> {
    in_blocks(&pack(of_members, like.segments(), like.value().numel())?)
}

/// The elements of a pack as `[blocks, 128]`: a block belongs to one parameter.
#[track_caller]
fn in_blocks(whole: &Tensor) -> Result<Tensor> {
    whole.reshape(&[-1, PACK_ALIGNMENT as isize])
}

fn group_of(slots: &[&Slot], groups: &[usize], pack: &Pack) -> Result<Tensor> {
    let whole = pack.value();
    let ends = pack.segments().iter().skip(1).map(|segment| segment.start).chain([whole.numel()]);
    let mut of_block: Vec<i32> = Vec::with_capacity(whole.shape()[0]);
    for ((slot, &Segment { start, .. }), end) in slots.iter().zip(pack.segments()).zip(ends) {
        let group = nearest::<i32>(groups.partition_point(|&group| group < slot.group));
        of_block.extend(iter::repeat_n(group, (end - start) / PACK_ALIGNMENT));
    }
    Tensor::from_slice(whole.device(), &of_block, &[of_block.len(), 1])?.expand_to(*whole.shape(), "groups")
}
