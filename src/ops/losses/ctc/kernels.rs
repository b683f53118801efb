//! The operations of the loss: sums over paths, probabilities of classes, and the derivative of the sums.

use super::{numbers, reference, sums};
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use std::hash::Hasher;

const LOSS: &str = wgsl!("losses/ctc_loss");
const POSTERIOR: &str = wgsl!("losses/ctc_loss_posterior");
const TANGENT: &str = wgsl!("losses/ctc_loss_tangent");

pub(super) const OP: &str = "ctc_loss";

/// Most labels of a sample: one invocation may have to walk over all states of one time.
pub(super) const MOST_LABELS: usize = 8_191;

/// The loss of each sample, `[N]`, and the sums over its paths, `[directions, N, T, states]`.
///
/// Inputs of this and the next two: log probabilities `[T, N, C]`, labels `[S]`, and spans `[3, N]`: input lengths, target
/// lengths, and the start of the labels.
#[derive(Clone, Debug, Hash)]
pub(super) struct CtcLoss {
    pub blank: usize,
    /// The most labels of a sample.
    pub width: usize,
    /// Total number of labels; 0 if each sample has its own row of them.
    pub labels: usize,
    /// True if the sums from the end are computed too, which the gradient needs.
    pub both: bool,
}

/// The probability of each class at each time given the labels, `[T, N, C]`; with a fifth input of tangents, their mean under it.
/// Further inputs: sums over paths and losses.
#[derive(Clone, Debug, Hash)]
struct CtcPosterior {
    blank: usize,
    width: usize,
    weighted: bool,
}

/// The derivative of the sums over paths along a direction `[T, N, C]`. Further inputs: the sums, the direction.
#[derive(Clone, Debug, Hash)]
struct CtcTangent {
    blank: usize,
    width: usize,
}

/// A kernel that walks through time, in dispatches short enough for any driver.
fn walk(kernel: &Kernel, adapter: &Adapter, rows: usize, time: usize, width: usize, words: &[Word]) -> Kernels {
    let states = 2 * width + 1;
    let lanes = if adapter.profile.workgroup_memory { 64 } else { 1 };
    // An iteration takes three of llvmpipe's (measured: 21,350 are carried out, and 21,838 aren't).
    let longest = adapter.profile.longest_loop / 4;
    let steps = (longest / (states.div_ceil(lanes) + 1)).clamp(1, time.max(1));
    let kernels = (0..time.max(1)).step_by(steps).map(|first| {
        kernel
            .clone()
            .constant("LANES", format!("{lanes}u"))
            .values(&[rows, first, steps.min(time - first)])
            .words(words.iter().copied())
            .grid(fold_groups(rows * lanes, 64))
            .work(16 * rows * steps * states)
    });
    Kernels { kernels: kernels.collect(), ..Kernels::default() }
}

/// Parameter words of sizes.
fn values(sizes: &[usize]) -> impl Iterator<Item = Word> {
    sizes.iter().map(|&size| Word::Value(nearest::<u32>(size)))
}

/// Parameter words of the inputs' offsets.
fn offsets(count: usize) -> impl Iterator<Item = Word> {
    (0..count).map(Word::Offset)
}

impl Op for CtcLoss {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let shape = &inputs[0].shape;
        let paths = sums(1 + usize::from(self.both), shape, self.width)?;
        let losses = shape.without(&[0, 2], false);
        Ok(vec![Layout::contiguous(losses, DType::F32), Layout::contiguous(paths, DType::F32)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let shape = io.inputs[0].shape;
        let (time, batch, classes) = (shape[0], shape[1], shape[2]);
        let mut words: Vec<Word> =
            values(&[batch, time, classes, 2 * self.width + 1, self.width, self.labels, self.blank]).collect();
        words.push(Word::Fault(OP.into()));
        words.extend(offsets(3));
        let kernel = Kernel::new("ctc_loss", LOSS)
            .bind("log_probs", Operand::Input(0))
            .bind("targets", Operand::Input(1))
            .bind("spans", Operand::Input(2))
            .bind("loss", Operand::Output(0))
            .bind("fault", Operand::BadIndex)
            .bind("path", Operand::Output(1));
        let rows = batch * (1 + usize::from(self.both));
        Ok(walk(&kernel, adapter, rows, time, self.width, &words))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        reference::loss(self, inputs)
    }
    fn results(&self) -> usize {
        1
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (x, labels, spans) = (context.input(0), context.input(1), context.input(2));
        let (losses, paths) = (context.output(0).detach(), context.output(1).detach());
        let gradient = context.of(0, |g| {
            let op = CtcPosterior { blank: self.blank, width: self.width, weighted: false };
            let posterior = record_one(op, &[x, labels, spans, &paths, &losses])?;
            // Where no path leads there is no slope; but if no gradient flows back, nothing is lost.
            let stuck = losses.isinf()?.logical_and(&g.ne_scalar(0.0)?)?;
            let g = stuck.where_(&g.full_like(f64::NAN)?, &g)?.reshape(&[1, -1, 1])?;
            let times = numbers(OP, x.device(), x.shape()[0])?.reshape(&[-1, 1, 1])?;
            let counts = times.lt(&spans.narrow(0, 0, 1)?.unsqueeze(2)?)?;
            let slope = ((x.exp()? - &posterior) * &g)?;
            counts.where_(&slope, &slope.zeros_like()?)
        })?;
        Ok(vec![gradient, None, None])
    }
}

impl Op for CtcPosterior {
    fn name(&self) -> &'static str {
        "ctc_loss_posterior"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let shape = io.inputs[0].shape;
        let (time, batch, classes) = (shape[0], shape[1], shape[2]);
        let (count, labels) = (shape.numel(), io.inputs[1].shape.numel());
        let tangent = if self.weighted { 5 } else { 3 };
        Ok(Kernel::new("ctc_loss_posterior", POSTERIOR)
            .constant("WEIGHTED", self.weighted)
            .bind("log_probs", Operand::Input(0))
            .bind("targets", Operand::Input(1))
            .bind("spans", Operand::Input(2))
            .bind("path", Operand::Input(3))
            .bind("loss", Operand::Input(4))
            .bind("tangent", Operand::Input(tangent))
            .bind("output", Operand::Output(0))
            .values(&[count, batch, time, classes, 2 * self.width + 1, self.width, labels, self.blank])
            .words(offsets(5))
            .words([Word::Offset(tangent)])
            .grid(fold_groups(count, 64))
            .work(2 * count * (self.width + 1))
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![reference::posterior(self.blank, inputs)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        if self.weighted {
            return Err(crate::Error::NotDifferentiable { op: "the third derivative of ctc_loss" });
        }
        let input = |index| context.input(index);
        // The posterior p is the slope of log Z, the logarithm of the sum over all paths, whose second derivative is symmetric:
        // along v it is the mean of the paths' own derivatives, minus p times that of log Z.
        let gradient = context.of(0, |v| {
            let v = v.contiguous()?;
            let op = CtcTangent { blank: self.blank, width: self.width };
            let tangent = record_one(op, &[input(0), input(1), input(2), input(3), &v])?;
            let op = CtcPosterior { weighted: true, ..self.clone() };
            let mean = record_one(op, &[input(0), input(1), input(2), input(3), input(4), &tangent])?;
            let posterior = context.output(0);
            let whole = (posterior * &v)?.sum_keepdim([0, 2])?;
            &mean + (&v - &whole) * posterior
        })?;
        Ok(vec![gradient, None, None, None, None])
    }
}

impl Op for CtcTangent {
    fn name(&self) -> &'static str {
        "ctc_loss_tangent"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(sums(2, &inputs[0].shape, self.width)?, DType::F32)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let shape = io.inputs[0].shape;
        let (time, batch, classes) = (shape[0], shape[1], shape[2]);
        let sizes = [batch, time, classes, 2 * self.width + 1, self.width, io.inputs[1].shape.numel(), self.blank];
        let words: Vec<Word> = values(&sizes).chain(offsets(5)).collect();
        let kernel = Kernel::new("ctc_loss_tangent", TANGENT)
            .bind("log_probs", Operand::Input(0))
            .bind("targets", Operand::Input(1))
            .bind("spans", Operand::Input(2))
            .bind("path", Operand::Input(3))
            .bind("direction", Operand::Input(4))
            .bind("output", Operand::Output(0));
        Ok(walk(&kernel, adapter, 2 * batch, time, self.width, &words))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![reference::tangent(self.blank, inputs)])
    }
    fn results(&self) -> usize {
        0
    }
    fn vjp(&self, _: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Err(crate::Error::NotDifferentiable { op: "the third derivative of ctc_loss" })
    }
}

/// A case of the probabilities themselves, whose gradient is the second derivative of the loss.
pub(super) fn case() -> Case {
    Case::new("ctc_loss", &[&[5, 2, 4], &[4]], |x| {
        let spans = Tensor::from_slice(x[0].device(), &[5, 4, 2, 2, 0, 2], &[3, 2])?;
        let op = CtcLoss { blank: 0, width: 2, labels: 4, both: true };
        let sums = record(op, &[&x[0], &x[1], &spans])?;
        let op = CtcPosterior { blank: 0, width: 2, weighted: false };
        Ok(vec![record_one(op, &[&x[0], &x[1], &spans, &sums[1].detach(), &sums[0].detach()])?])
    })
    .integers(1, 1, 3)
    // Probabilities are exponentials of differences of logarithms.
    .tolerance(15.1)
    .first_order()
}
