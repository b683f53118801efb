//! The index among the scores of each label's class, and the mask that follows from it.
//!
//! A mask is arithmetic on indices, so that what a loss picks with it, and the gradient back to the picked scores, fuse with the
//! calls around them; an indexed load and an indexed addition would not.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Class, Io, Op, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::Rule;
use crate::shader::{Formula, Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::hash::{Hash, Hasher};

const TEMPLATE: &str = wgsl!("losses/label_place");

/// The index of an ignored label. A label out of range has a smaller one.
pub(in crate::ops) const IGNORED: i32 = -1;

/// `output[o, i] = (o classes + label[o, i]) inner + i`.
#[derive(Clone, Debug)]
struct LabelPlace {
    /// The operation that the caller called, for errors.
    asked: &'static str,
    classes: usize,
    inner: usize,
    /// The label to ignore, if there is one.
    ignored: Vec<u32>,
}

impl Op for LabelPlace {
    fn name(&self) -> &'static str {
        "label_place"
    }
    fn structure(&self, mut state: &mut dyn Hasher) {
        (self.asked, self.classes, self.inner).hash(&mut state);
    }
    fn scalars(&self) -> &[u32] {
        &self.ignored
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let count = io.outputs[0].shape.numel();
        let ignored = if self.ignored.is_empty() { Word::Value(0) } else { Word::Scalar(0) };
        Ok(Kernel::new("label_place", TEMPLATE)
            .bind("label", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .bind("fault", Operand::BadIndex)
            .values(&[count])
            .words([Word::Fault(self.asked.into())])
            .values(&[self.classes, self.inner, self.ignored.len()])
            .words([ignored, Word::Offset(0)])
            .grid(fold_groups(count, 64))
            .work(count)
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let &LabelPlace { asked: op, classes: size, inner, .. } = self;
        let ignored = self.ignored.first().map(|&word| f64::from(word as i32));
        let place = |(at, &label): (usize, &f64)| match label {
            _ if Some(label) == ignored => Ok(f64::from(IGNORED)),
            _ if label < 0.0 || label >= size as f64 => {
                Err(Error::IndexOutOfRange { op, index: nearest::<i64>(label), size })
            }
            _ => Ok(((at / inner * size + nearest::<usize>(label)) * inner + at % inner) as f64),
        };
        let places = inputs[0].values.iter().enumerate().map(place).collect::<Result<_>>()?;
        Ok(vec![HostTensor::new(inputs[0].shape, DType::I32, places)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// True for each element whose index is the operand's value.
#[derive(Clone, Debug, Hash)]
struct IsPlace;

static IS_PLACE: Formula = Formula::new("is_place", "(bitcast<I>({i}) == {0})");

impl Op for IsPlace {
    fn name(&self) -> &'static str {
        IS_PLACE.name
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&IS_PLACE)
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::Bool)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let is = |(at, &place): (usize, &f64)| f64::from(place == at as f64);
        let values = inputs[0].values.iter().enumerate().map(is).collect();
        Ok(vec![HostTensor::new(inputs[0].shape, DType::Bool, values)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

/// NaN is a number here: WGSL has no literal for it.
static LABEL_FLAW: Rule =
    Rule::new("label_flaw", "select(F(bitcast<f32>({s0})), F(0.0), {0} >= I(-1))", |place, flaw| {
        if place[0] >= f64::from(IGNORED) { 0.0 } else { flaw[0] }
    })
    .to(DType::F32);

/// 0 for each of these indices; NaN for that of a label out of range.
#[track_caller]
pub(in crate::ops) fn label_flaw(places: &Tensor) -> Result<Tensor> {
    LABEL_FLAW.of(&[places], [f64::NAN])
}

/// For i32 `labels`, which have the shape of `scores` without dimension `dim`: the index of each label's class among the scores,
/// [`IGNORED`] or less; and for each score true if it is at such an index. A label out of range is an error at the next
/// synchronisation, in the name of `asked`.
#[track_caller]
pub(in crate::ops) fn label_mask(
    asked: &'static str,
    scores: &Tensor,
    dim: usize,
    labels: &Tensor,
    ignored: Option<i32>,
) -> Result<(Tensor, Tensor)> {
    let inner = scores.shape()[dim + 1..].iter().product::<usize>().max(1);
    let ignored = ignored.into_iter().map(|label| label.cast_unsigned()).collect();
    let op = LabelPlace { asked, classes: scores.shape()[dim], inner, ignored };
    let place = record_one(op, &[&labels.contiguous()?])?;
    let expanded = place.unsqueeze(dim)?.expand_to(*scores.shape(), asked)?;
    let mask = record_one(IsPlace, &[&expanded])?;
    Ok((place, mask))
}
