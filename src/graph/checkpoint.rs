//! Results whose history is computed again when their gradient is, instead of being kept until then.

use crate::error::Result;
use crate::graph::ascribe;
use crate::graph::device::Device;
use crate::graph::node::{Node, Operation, Tensor, next_id, record_again, record_one, with_grad};
use crate::graph::op::{Class, Op, Vjp, hash_structure, shows_first_input};
use crate::host_tensor::HostTensor;
use crate::shape::Layout;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::Hasher;
use std::panic::Location;
use std::sync::Arc;

/// Runs `body` on `input`, and has the backward pass compute again all that it records, from what it read, instead of
/// keeping it (PyTorch's `torch.utils.checkpoint`; Chen et al. 2016, "Training deep nets with sublinear memory cost").
///
/// A chain of `n` blocks in segments of `sqrt(n)` blocks takes the memory of two segments' blocks for one more forward
/// pass. Values and gradients have the same bits as without: the recorded calls are repeated, and not the closure. So
/// random numbers are those that were drawn, whatever the stream does since; running statistics move once; and `body`
/// may borrow. Other tensors that it reads besides `input`, such as parameters, get their gradients too. Checkpoints may be
/// nested,
/// and gradients of any order may be taken; a graph that is walked twice is computed again twice.
///
/// `input` is anything that `body` takes by reference: a tensor, a tuple, a slice. Results are a tensor, or an array, a
/// vector or a pair of them. What `body` reads back or flushes on its way is kept as values that it read.
///
/// # Errors
/// Those of `body`.
///
/// ```
/// use wgrad::nn::{Dropout, Linear, Module, Scope};
/// use wgrad::{Device, Tensor, checkpoint};
///
/// let device = Device::reference();
/// let scope = Scope::new(&device);
/// let (fc, dropout) = (Linear::new(&scope.at("fc"), 8, 8)?, Dropout::new(0.5));
/// let x = Tensor::randn(&device, &[4, 8])?;
/// let y = checkpoint(|x| dropout.forward(&fc.forward(x)?.relu()?), &x)?;
/// y.square()?.sum_all()?.backward()?;
/// assert!(fc.weight.grad().is_some());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn checkpoint<I: ?Sized, O: CheckpointResults>(body: impl FnOnce(&I) -> Result<O>, input: &I) -> Result<O> {
    let first = next_id();
    let mut results = body(input)?;
    let mut of_body = Vec::new();
    results.each(&mut |result| {
        if result.is_tracked() && is_of_body(&result.node, first) {
            of_body.push(result.clone());
        }
    });
    let (program, outside) = Program::new(&of_body, first);
    let program = Arc::new(program);
    let mut views = Vec::with_capacity(of_body.len());
    for (at, result) in of_body.iter().enumerate() {
        let inputs: Vec<&Tensor> = [result].into_iter().chain(&outside).collect();
        views.push(record_one(Checkpoint { program: program.clone(), result: at }, &inputs)?);
    }
    let mut views = of_body.iter().zip(views).collect::<Vec<_>>().into_iter().peekable();
    results.each(&mut |result| {
        if let Some((_, view)) = views.next_if(|(of_body, _)| of_body.is_same(result)) {
            *result = view;
        }
    });
    Ok(results)
}

/// Results of a [`checkpoint`]: tensors.
pub trait CheckpointResults {
    /// Hands each tensor to `visit`, in a fixed order.
    fn each(&mut self, visit: &mut dyn FnMut(&mut Tensor));
}

impl CheckpointResults for Tensor {
    fn each(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        visit(self);
    }
}

impl<R: CheckpointResults> CheckpointResults for Vec<R> {
    fn each(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|result| result.each(visit));
    }
}

impl<R: CheckpointResults, const N: usize> CheckpointResults for [R; N] {
    fn each(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.iter_mut().for_each(|result| result.each(visit));
    }
}

impl<R: CheckpointResults, S: CheckpointResults> CheckpointResults for (R, S) {
    fn each(&mut self, visit: &mut dyn FnMut(&mut Tensor)) {
        self.0.each(visit);
        self.1.each(visit);
    }
}

/// Calls in order, each after those it reads.
struct Program {
    calls: Vec<Call>,
    /// The body's results, by call and output.
    results: Vec<(usize, usize)>,
    /// The number of values that the calls read from outside.
    outside: usize,
}

/// A recorded call without the values that it was recorded for.
struct Call {
    device: Device,
    op: Operation,
    custom: bool,
    is_tracked: bool,
    source: &'static Location<'static>,
    inputs: Vec<Input>,
}

/// An operand of a call in a program.
#[derive(Clone, Copy)]
enum Input {
    /// An output of another call.
    Call { at: usize, output: usize },
    /// A value from outside.
    Outside(usize),
}

/// True if a node is computed again: it was recorded since `first`, is not a leaf whose gradient is asked for, and has not lost
/// its inputs by being computed.
fn is_of_body(node: &Node, first: u64) -> bool {
    if node.id < first || node.gradient.is_some() {
        return false;
    }
    let has_inputs = !node.state.lock().inputs.is_empty();
    !node.is_computed() || has_inputs && node.checkpoint().is_none()
}

impl Program {
    /// The calls since `first` that `results` need, and the values that they read from outside.
    fn new(results: &[Tensor], first: u64) -> (Program, Vec<Tensor>) {
        let mut nodes: BTreeMap<u64, Arc<Node>> = BTreeMap::new();
        let mut open: Vec<Arc<Node>> = results.iter().map(|result| result.node.clone()).collect();
        while let Some(node) = open.pop() {
            if is_of_body(&node, first) && !nodes.contains_key(&node.id) {
                open.extend(node.state.lock().inputs.iter().map(|input| input.node.clone()));
                nodes.insert(node.id, node);
            }
        }
        let places: HashMap<u64, usize> = nodes.keys().enumerate().map(|(at, &id)| (id, at)).collect();
        let mut outside: Vec<Tensor> = Vec::new();
        let mut outside_places: HashMap<(u64, usize), usize> = HashMap::new();
        let mut input = |input: &Tensor| match places.get(&input.node.id) {
            Some(&at) => Input::Call { at, output: input.output },
            None => Input::Outside(*outside_places.entry((input.node.id, input.output)).or_insert_with(|| {
                outside.push(input.edge());
                outside.len() - 1
            })),
        };
        let call = |node: &Arc<Node>| Call {
            device: node.device.clone(),
            op: node.op.clone(),
            custom: node.custom,
            is_tracked: node.requires_grad,
            source: node.source,
            inputs: node.state.lock().inputs.iter().map(&mut input).collect(),
        };
        let calls = nodes.values().map(call).collect();
        let results = results.iter().map(|result| (places[&result.node.id], result.output)).collect();
        (Program { calls, results, outside: outside.len() }, outside)
    }

    /// Records all calls once more, on the current values of `outside`, and returns the results. They wait for `after`.
    fn record(&self, outside: &[Tensor], after: &Tensor) -> Result<Vec<Tensor>> {
        let late = |value: &Tensor| {
            if value.device() != after.device() {
                return Ok(value.clone());
            }
            with_grad(value.is_tracked(), || record_one(Late, &[value, after]))
        };
        let outside = outside.iter().map(late).collect::<Result<Vec<Tensor>>>()?;
        let mut nodes: Vec<Arc<Node>> = Vec::with_capacity(self.calls.len());
        for call in &self.calls {
            let inputs: Vec<Tensor> = call
                .inputs
                .iter()
                .map(|input| match *input {
                    Input::Call { at, output } => Tensor::of(nodes[at].clone(), output),
                    Input::Outside(at) => outside[at].clone(),
                })
                .collect();
            let inputs: Vec<&Tensor> = inputs.iter().collect();
            let _line = ascribe(call.source);
            let record = || record_again(&call.device, call.op.clone(), &inputs, call.custom);
            nodes.push(with_grad(call.is_tracked, record)?);
        }
        Ok(self.results.iter().map(|&(at, output)| Tensor::of(nodes[at].clone(), output)).collect())
    }
}

/// Shows a result of a checkpointed pass, its first input; the other inputs are the values that the pass read from outside. The
/// reverse walk does not go from here to those inputs: it has the pass [recorded again](Checkpoint::record_again) and goes on
/// there. So nothing keeps the history of the result, which is dropped as soon as the result is computed.
pub(crate) struct Checkpoint {
    program: Arc<Program>,
    result: usize,
}

impl Checkpoint {
    /// True if both show results of one pass.
    pub fn is_of_same(&self, other: &Checkpoint) -> bool {
        Arc::ptr_eq(&self.program, &other.program)
    }

    /// The index of this result among those of its pass.
    pub fn result(&self) -> usize {
        self.result
    }

    /// Records the pass again, to run once `after` is computed. The first of `inputs`, the node's, may be gone.
    pub fn record_again(&self, inputs: &[Tensor], after: &Tensor) -> Result<Vec<Tensor>> {
        self.program.record(&inputs[inputs.len() - self.program.outside..], after)
    }
}

impl fmt::Debug for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checkpoint of {} calls", self.program.calls.len())
    }
}

impl Op for Checkpoint {
    fn name(&self) -> &'static str {
        "checkpoint"
    }
    /// No kernel depends on the value that is shown.
    fn structure(&self, _: &mut dyn Hasher) {}
    shows_first_input!();
}

/// Shows its first input to calls that must run after its second is computed. The planner takes a call that reads it for another
/// one than a call that reads the input itself, and fuses it with nothing that runs before the second.
#[derive(Debug, Hash)]
pub(super) struct Late;

impl Op for Late {
    fn name(&self) -> &'static str {
        "late"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    shows_first_input!();
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        Ok(vec![context.of(0, Ok)?, None])
    }
}
