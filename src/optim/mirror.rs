//! Values beside the parameters, such as their averages, in packs laid out like the parameters': a formula of both takes one
//! launch a pack.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Pack, Parameter, Tensor, no_grad};
use crate::number::nearest;
use crate::ops::pack;
use std::sync::Arc;

/// A value in f32 for each of some parameters.
pub(super) struct Mirror {
    parameters: Vec<Parameter>,
    values: Vec<Parameter>,
}

/// New values of parameters, and of the values beside them; `None` leaves them unchanged.
pub(super) struct Moved {
    pub parameter: Option<Tensor>,
    pub value: Option<Tensor>,
}

/// Parameters that have other values as long as this lives: see [`Optimizer::lend_average`](super::Optimizer::lend_average).
pub struct Lent {
    before: Vec<(Place, Tensor)>,
}

/// A value that is assigned to as a whole.
enum Place {
    Pack(Arc<Pack>),
    Alone(Parameter),
}

impl Place {
    fn value(&self) -> Tensor {
        match self {
            Place::Pack(pack) => pack.value(),
            Place::Alone(parameter) => parameter.value(),
        }
    }

    fn assign(&self, value: &Tensor) -> Result<()> {
        match self {
            Place::Pack(pack) => pack.assign(value),
            Place::Alone(parameter) => parameter.assign(value),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        for (place, before) in &self.before {
            // It was the value before, so it fits.
            let _ = place.assign(before);
        }
    }
}

impl Mirror {
    /// Starts with the parameters' own values, named `kind.name`.
    #[track_caller]
    pub fn new(kind: &str, parameters: Vec<Parameter>) -> Result<Mirror> {
        let copied = |parameter: &Parameter| {
            let copy = no_grad(|| parameter.value().to_dtype(DType::F32)?.copy())?;
            Ok(Parameter::buffer(format!("{kind}.{}", parameter.name()), &copy))
        };
        let values = parameters.iter().map(copied).collect::<Result<_>>()?;
        let mirror = Mirror { parameters, values };
        // Packed now, so that the first update is planned as all others are.
        no_grad(|| mirror.places())?;
        mirror.parameters.iter().try_for_each(|parameter| parameter.holds().2.flush())?;
        Ok(mirror)
    }

    /// The values, in the order of the parameters.
    pub fn values(&self) -> Vec<Parameter> {
        self.values.clone()
    }

    /// Records a formula of the parameters' values, in f32, and those beside them. Nothing is submitted: the next flush carries
    /// it out.
    #[track_caller]
    pub fn update(&self, formula: impl Fn(&Tensor, &Tensor) -> Result<Moved>) -> Result<()> {
        no_grad(|| {
            for (of, beside) in self.places()? {
                let value = of.value();
                let dtype = value.dtype();
                let moved = formula(&value.to_dtype(DType::F32)?, &beside.value())?;
                drop(value);
                moved.parameter.map_or(Ok(()), |new| of.assign(&new.to_dtype(dtype)?))?;
                moved.value.map_or(Ok(()), |new| beside.assign(&new))?;
            }
            Ok(())
        })
    }

    /// Sets the parameters to the values beside them.
    #[track_caller]
    pub fn lend(&self) -> Result<Lent> {
        let mut lent = Lent { before: Vec::new() };
        no_grad(|| {
            for (of, beside) in self.places()? {
                let before = of.value();
                of.assign(&beside.value().to_dtype(before.dtype())?)?;
                lent.before.push((of, before));
            }
            Ok(lent)
        })
    }

    /// Packs of parameters with the packs of the values beside them, and the parameters that lie in no pack.
    fn places(&self) -> Result<Vec<(Place, Place)>> {
        let mut packs: Vec<(Arc<Pack>, Vec<usize>)> = Vec::new();
        let mut alone = Vec::new();
        for (member, parameter) in self.parameters.iter().enumerate() {
            match parameter.pack() {
                Some(of) => match packs.iter_mut().find(|(known, _)| Arc::ptr_eq(known, &of)) {
                    Some((_, members)) => members.push(member),
                    None => packs.push((of, vec![member])),
                },
                None => alone.push(member),
            }
        }
        let mut places = Vec::new();
        for (of, members) in packs {
            match self.beside(&of, &members)? {
                Some(beside) => places.push((Place::Pack(of), Place::Pack(beside))),
                // The pack holds other parameters too.
                None => alone.extend(members),
            }
        }
        let single =
            |member: usize| (Place::Alone(self.parameters[member].clone()), Place::Alone(self.values[member].clone()));
        places.extend(alone.into_iter().map(single));
        Ok(places)
    }

    /// The pack of the values beside a pack of parameters, in the same layout; `None` if it would have gaps.
    fn beside(&self, of: &Arc<Pack>, members: &[usize]) -> Result<Option<Arc<Pack>>> {
        let count = of.segments().len();
        let at = |segment| members.iter().copied().find(|&member| self.parameters[member].is_part_of(of, segment));
        let Some(in_order) = (0..count).map(at).collect::<Option<Vec<usize>>>() else { return Ok(None) };
        let values: Vec<&Parameter> = in_order.iter().map(|&member| &self.values[member]).collect();
        let is_whole = |beside: &Arc<Pack>| {
            let mut parts = values.iter().enumerate();
            beside.segments().len() == count && parts.all(|(segment, value)| value.is_part_of(beside, segment))
        };
        if let Some(beside) = values[0].pack().filter(is_whole) {
            return Ok(Some(beside));
        }
        let tensors: Vec<Tensor> = values.iter().map(|value| value.value()).collect();
        let whole = of.value();
        let sizes: Vec<isize> = whole.shape().iter().map(|&size| nearest(size)).collect();
        let packed = pack(&tensors, of.segments(), whole.numel())?.reshape(&sizes)?;
        let beside = Pack::new(&packed, of.segments().to_vec(), None)?;
        values.iter().enumerate().for_each(|(segment, value)| value.move_into(&beside, segment));
        Ok(Some(beside))
    }
}
