//! Counts of predicted classes by true class.

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::{Hash, Hasher};

const CLEAR: &str = wgsl!("index/scatter_clear");
const TEMPLATE: &str = wgsl!("index/count_labels");

/// The counts to make of classes and predicted classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Tallied {
    /// Elements of each true class by predicted class: `[groups, classes, classes]`.
    Pairs,
    /// Correct, predicted and true elements of each class: `[groups, 3, classes]`.
    Sums,
    /// True elements of each class: `[groups, 1, classes]`.
    Targets,
}

/// Counts elements by their group, class and predicted class. Element `at` belongs to group `at / inner % groups`.
#[derive(Clone, Debug)]
pub(crate) struct CountLabels {
    /// The operation that the caller called, for errors.
    pub asked: &'static str,
    pub classes: usize,
    pub groups: usize,
    pub inner: usize,
    pub tallied: Tallied,
    /// The class to ignore, if there is one.
    ignored: Vec<u32>,
}

impl CountLabels {
    /// Counts in one group.
    pub fn new(asked: &'static str, classes: usize, tallied: Tallied, ignored: Option<i32>) -> CountLabels {
        let ignored = ignored.into_iter().map(i32::cast_unsigned).collect();
        CountLabels { asked, classes, groups: 1, inner: 1, tallied, ignored }
    }

    /// Counts in `groups` groups, in turn, each of `inner` neighbouring elements.
    pub fn grouped(self, groups: usize, inner: usize) -> CountLabels {
        CountLabels { groups, inner: inner.max(1), ..self }
    }

    fn rows(&self) -> usize {
        match self.tallied {
            Tallied::Pairs => self.classes,
            Tallied::Sums => 3,
            Tallied::Targets => 1,
        }
    }

    /// The counts of i32 predictions and labels of equal shapes. A class out of range is an error at the next
    /// synchronisation.
    #[track_caller]
    pub fn of(self, preds: &Tensor, target: &Tensor) -> Result<Tensor> {
        record_one(self, &[&preds.contiguous()?, &target.contiguous()?])
    }
}

impl Op for CountLabels {
    fn name(&self) -> &'static str {
        "count_labels"
    }
    fn structure(&self, mut state: &mut dyn Hasher) {
        (self.asked, self.classes, self.groups, self.inner, self.tallied).hash(&mut state);
    }
    fn scalars(&self) -> &[u32] {
        &self.ignored
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        if inputs.iter().any(|input| input.dtype != DType::I32 || input.shape != inputs[0].shape) {
            let rule = format!("i32 classes of one shape, not {} and {}", inputs[0].shape, inputs[1].shape);
            return Err(Error::invalid(self.asked, rule));
        }
        let rows = self.rows();
        Ok(vec![Layout::contiguous(Shape::new(&[self.groups, rows, self.classes])?, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (count, places) = (io.inputs[0].shape.numel(), io.outputs[0].shape.numel());
        let ignored = if self.ignored.is_empty() { Word::Value(0) } else { Word::Scalar(0) };
        let clear = Kernel::new("scatter_clear", CLEAR)
            .bind("winners", Operand::Output(0))
            .values(&[places])
            .grid(fold_groups(places, 64))
            .work(places);
        let tally = Kernel::new("count_labels", TEMPLATE)
            .constant("TALLIED", format!("{}u", self.tallied as u32))
            .bind("preds", Operand::Input(0))
            .bind("labels", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .bind("fault", Operand::BadIndex)
            .loads("load_preds", Operand::Input(0), count)
            .loads("load_labels", Operand::Input(1), count)
            .values(&[count])
            .words([Word::Fault(self.asked.into())])
            .values(&[self.classes, self.groups, self.inner, self.ignored.len()])
            .words([ignored, Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(4 * count);
        Ok(Kernels { kernels: vec![clear, tally], ..Kernels::default() })
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let ignored = self.ignored.first().map(|&word| f64::from(word.cast_signed()));
        let size = self.classes;
        let class = |value: f64| match value {
            _ if value < 0.0 || value >= size as f64 => {
                Err(Error::IndexOutOfRange { op: self.asked, index: nearest::<i64>(value), size })
            }
            _ => Ok(nearest::<usize>(value)),
        };
        let rows = self.rows();
        let mut counts = vec![0.0; self.groups * rows * size];
        for (at, (&said, &is)) in inputs[0].values.iter().zip(&inputs[1].values).enumerate() {
            if Some(is) == ignored {
                continue;
            }
            let (is, said) = (class(is)?, class(said)?);
            let first = at / self.inner % self.groups * rows;
            match self.tallied {
                Tallied::Pairs => counts[(first + is) * size + said] += 1.0,
                Tallied::Sums => {
                    counts[first * size + is] += f64::from(is == said);
                    counts[(first + 1) * size + said] += 1.0;
                    counts[(first + 2) * size + is] += 1.0;
                }
                Tallied::Targets => counts[first * size + is] += 1.0,
            }
        }
        Ok(vec![HostTensor::new(Shape::new(&[self.groups, rows, size])?, DType::I32, counts)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let count =
        |shape: &[usize], classes: usize, tallied: Tallied, ignored: Option<i32>, [groups, inner]: [usize; 2]| {
            let counted = CountLabels::new("count_labels", classes, tallied, ignored).grouped(groups, inner);
            let of = move |x: &[Tensor]| Ok(vec![counted.clone().of(&x[0], &x[1])?]);
            let last = i32::try_from(classes).unwrap_or(i32::MAX) - 1;
            let low = ignored.map_or(0, |ignored| ignored.min(0));
            let case = Case::new("count_labels", &[shape, shape], of).integers(0, 0, last).integers(1, low, last);
            case.with("classes", classes).with("counted", tallied).with("ignore_index", ignored).no_gradient()
        };
    let of_scores = |x: &[Tensor]| {
        let preds = x[0].gt_scalar(0.0)?.to_dtype(DType::I32)?;
        Ok(vec![CountLabels::new("count_labels", 2, Tallied::Pairs, None).of(&preds, &x[1].t()?)?])
    };
    vec![
        count(&[1000], 5, Tallied::Pairs, None, [1, 1]),
        count(&[1000], 5, Tallied::Sums, Some(-1), [1, 1]),
        count(&[3, 4, 5], 2, Tallied::Pairs, Some(1), [4, 5]),
        count(&[3, 4, 5], 3, Tallied::Sums, None, [12, 5]),
        count(&[3, 0], 3, Tallied::Pairs, None, [3, 0]),
        count(&[2, 500], 7, Tallied::Targets, Some(-1), [2, 500]),
        Case::new("count_labels", &[&[4, 7], &[7, 4]], of_scores).integers(1, 0, 1).no_gradient(),
    ]
}
