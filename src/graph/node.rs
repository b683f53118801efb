//! Nodes and the handles to them.

use crate::device::Buffer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::checkpoint::{Checkpoint, Late};
use crate::graph::custom::check_custom;
use crate::graph::device::Device;
use crate::graph::fingerprint::{Fingerprint, Fingerprinter};
use crate::graph::list::{Few, OneOrMore};
use crate::graph::op::{Class, Op, write_operation};
use crate::graph::schedule::Mark;
use crate::graph::source::source;
use crate::graph::trace::is_tracing;
#[cfg(test)]
use crate::graph::trace::note_formula;
use crate::host_tensor::HostTensor;
use crate::shape::{Layout, Shape};
use parking_lot::Mutex;
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::panic::Location;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::thread::LocalKey;

/// The storage of a node's computed values.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// On the adapter.
    Device(Buffer),
    /// Handed in by the caller and not uploaded yet.
    Pending(Arc<Vec<u8>>),
    /// In the reference executor.
    Host(Arc<HostTensor>),
}

/// The operation of a node.
#[derive(Clone)]
pub(crate) enum Operation {
    /// One without attributes, the same in every call.
    Shared(&'static dyn Op),
    Own(Arc<dyn Op>),
}

impl Deref for Operation {
    type Target = dyn Op;
    fn deref(&self) -> &dyn Op {
        match self {
            Operation::Shared(op) => *op,
            Operation::Own(op) => &**op,
        }
    }
}

/// The gradient of a leaf, shared with the parameter it belongs to. Held by parameters and by handles to the leaf, and not
/// by the graph: a gradient refers to what it is computed from, often the leaf itself, and would never be freed.
pub(crate) type GradientSlot = Arc<Mutex<Option<Tensor>>>;

/// One recorded call: plain data. Nothing runs when it is made.
pub(crate) struct Node {
    pub id: u64,
    pub device: Device,
    pub op: Operation,
    pub outputs: OneOrMore<Layout>,
    pub requires_grad: bool,
    /// True if recorded by [`apply`], with kernels that nobody has audited.
    pub custom: bool,
    /// Set on leaves: `backward` stores their gradient there, and its walk ends at them.
    pub gradient: Option<Weak<Mutex<Option<Tensor>>>>,
    /// The line of user code that it is recorded for.
    pub source: &'static Location<'static>,
    pub state: Mutex<State>,
    /// True if `state` has storage; read without its lock.
    computed: AtomicBool,
    /// True if a parameter shows the values once they are computed.
    assigned: AtomicBool,
    /// Identifies the operation with its attributes and the layouts of its outputs.
    pub structure: Fingerprint,
    /// The node's index in the schedule that is being made.
    pub mark: Mark,
}

/// The part of a node that changes.
#[derive(Default)]
pub(crate) struct State {
    /// Edges to the node's inputs; dropped once it is computed, unless a gradient will walk them.
    pub inputs: Few<Tensor>,
    /// Set when the node has been computed, one for each output.
    pub storage: Option<OneOrMore<Storage>>,
    /// True if a `backward` has walked over it and will not come again.
    pub released: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Node {
    /// True if its values exist.
    pub fn is_computed(&self) -> bool {
        self.computed.load(Ordering::Acquire)
    }

    /// True if a parameter shows its values once they are computed.
    pub fn is_assigned(&self) -> bool {
        self.assigned.load(Ordering::Relaxed)
    }

    /// Notes that a parameter will show its values.
    pub fn assign(&self) {
        self.assigned.store(true, Ordering::Relaxed);
    }

    /// Sets its values, one storage for each output.
    pub fn store(&self, storage: OneOrMore<Storage>) {
        self.state.lock().storage = Some(storage);
        self.computed.store(true, Ordering::Release);
    }

    /// Drops its values: nothing reads them any more, or they will be computed once more.
    pub fn forget(&self) {
        self.computed.store(false, Ordering::Release);
        self.state.lock().storage = None;
    }

    /// True for a leaf whose gradient is recorded and not computed yet.
    fn awaits_gradient(&self) -> bool {
        let slot = self.gradient.as_ref().and_then(Weak::upgrade);
        slot.is_some_and(|slot| slot.lock().as_ref().is_some_and(|gradient| !gradient.node.is_computed()))
    }

    /// True if the reverse walk goes on to its inputs.
    pub fn is_tracked(&self) -> bool {
        self.requires_grad && self.gradient.is_none()
    }

    /// Its operation, if it shows a result whose history is computed again.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        let op: &dyn Any = &*self.op;
        op.downcast_ref()
    }

    /// True if readers of the shown value must run after its second input is computed.
    pub fn is_late(&self) -> bool {
        let op: &dyn Any = &*self.op;
        op.is::<Late>()
    }
}

impl Drop for Node {
    /// Long chains of nodes must not be dropped by recursion, which would overflow the stack.
    fn drop(&mut self) {
        let mut inputs = std::mem::take(&mut self.state.get_mut().inputs);
        let mut dropped: Vec<Tensor> = Vec::new();
        loop {
            inputs.for_each(|input| {
                if let Some(mut node) = Arc::into_inner(input.node) {
                    std::mem::take(&mut node.state.get_mut().inputs).for_each(|input| dropped.push(input));
                }
            });
            let Some(input) = dropped.pop() else { return };
            inputs = Few::One(input);
        }
    }
}

/// A tensor: a cheap handle to a recorded value.
///
/// Methods check shapes and types at once and record the work; it is done when a value is read
/// (`to_vec`, `item`), when an optimizer steps, or at [`Device::flush`].
///
/// `+`, `-`, `*` and `/` are the methods `add`, `sub`, `mul` and `div`, and take an `f32` on either side too. They give a
/// `Result`, which may be a side of the next operator if the other is a tensor. Rust leaves a crate no operators over two
/// results, nor over a result and a number: one of the two takes a `?`.
///
/// ```
/// # use wgrad::{Device, Result, Tensor};
/// /// The slope of `x e^(-x^2)`.
/// fn slope(x: &Tensor) -> Result<Tensor> {
///     let bell = (-x.square()?)?.exp()?;
///     &bell - 2.0 * x * x * &bell
/// }
/// # let device = Device::reference();
/// let x = Tensor::from_slice(&device, &[0.0f32, 0.5], &[2])?;
/// assert_eq!(slope(&x)?.to_vec::<f32>()?, [1.0, 0.389_400_4]);
/// assert!((&x + Tensor::ones(&device, &[3])?).is_err());
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone)]
pub struct Tensor {
    pub(crate) node: Arc<Node>,
    pub(crate) output: usize,
    /// Keeps the gradient of a leaf.
    gradient: Option<GradientSlot>,
}

thread_local! {
    static GRAD_ENABLED: Cell<bool> = const { Cell::new(true) };
    static WALKING: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` without recording history: its results require no gradient.
///
/// ```
/// # use wgrad::{Device, Tensor, no_grad};
/// # let device = Device::reference();
/// let x = Tensor::ones(&device, &[2])?.requires_grad();
/// let y = no_grad(|| x.exp())?;
/// assert!(!y.is_tracked());
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn no_grad<T>(body: impl FnOnce() -> T) -> T {
    with_grad(false, body)
}

/// Runs `body` with history switched on or off, and restores the caller's setting even if it unwinds.
pub(crate) fn with_grad<T>(enabled: bool, body: impl FnOnce() -> T) -> T {
    let _restore = Restore(&GRAD_ENABLED, GRAD_ENABLED.replace(enabled));
    body()
}

/// A setting of this thread, and the value that it is restored to.
pub(super) struct Restore(&'static LocalKey<Cell<bool>>, bool);

impl Drop for Restore {
    fn drop(&mut self) {
        self.0.set(self.1);
    }
}

/// While this is held, nothing is flushed unasked: the reverse walk of a graph is under way, and all nodes that are still to be
/// walked would have to be stored.
pub(super) fn walking() -> Restore {
    Restore(&WALKING, WALKING.replace(true))
}

pub(crate) fn is_walking() -> bool {
    WALKING.get()
}

pub(crate) fn grad_enabled() -> bool {
    GRAD_ENABLED.get()
}

/// Records one call of an operation of your own (PyTorch's `autograd.Function`).
///
/// All it needs is the methods of [`Op`]: shapes, kernels, reference and gradient. Its kernels are compiled with wgpu's bounds
/// checks.
///
/// # Errors
/// The error that [`Op::outputs`] returns; [`Error::Invalid`] where its layouts are not what the operation's [`Class`] promises:
/// one or more contiguous outputs, or a view that stays within its input; [`Error::DeviceMismatch`]; [`Error::Internal`] without
/// inputs.
///
/// ```
/// use std::hash::Hasher;
/// use wgrad::custom::{HostTensor, Layout, Op, Vjp, apply};
/// use wgrad::{Device, Result, Tensor};
///
/// #[derive(Debug)]
/// struct Double;
///
/// impl Op for Double {
///     fn name(&self) -> &'static str { "double" }
///     fn structure(&self, _: &mut dyn Hasher) {} // no attributes
///     fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
///         Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
///     }
///     fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
///         let values = inputs[0].values.iter().map(|v| 2.0 * v).collect();
///         Ok(vec![HostTensor::new(inputs[0].shape, inputs[0].dtype, values)])
///     }
///     fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
///         Ok(vec![context.of(0, |g| 2.0 * g)?])
///     }
/// }
///
/// let device = Device::reference();
/// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[2])?;
/// assert_eq!(apply(Double, &[&x])?.remove(0).to_vec::<f32>()?, [2.0, 4.0]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[track_caller]
pub fn apply(op: impl Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    Ok(outputs(record_call(None, Operation::Own(Arc::new(op)), inputs, true)?))
}

/// Records one call of `op`.
#[track_caller]
pub(crate) fn record(op: impl Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    Ok(outputs(record_call(None, Operation::Own(Arc::new(op)), inputs, false)?))
}

/// Records one call of `op` with a single output.
#[track_caller]
pub(crate) fn record_one(op: impl Op, inputs: &[&Tensor]) -> Result<Tensor> {
    Ok(Tensor::of(record_call(None, Operation::Own(Arc::new(op)), inputs, false)?, 0))
}

/// Records one call of an operation that is shared by all its calls, with a single output.
#[track_caller]
pub(crate) fn record_shared(op: &'static dyn Op, inputs: &[&Tensor]) -> Result<Tensor> {
    Ok(Tensor::of(record_call(None, Operation::Shared(op), inputs, false)?, 0))
}

/// Records one call of `op` with a single output and no inputs on a device.
#[track_caller]
pub(crate) fn record_on(device: &Device, op: impl Op) -> Result<Tensor> {
    Ok(Tensor::of(record_call(Some(device), Operation::Own(Arc::new(op)), &[], false)?, 0))
}

/// Records an earlier call once more, on other inputs.
#[track_caller]
pub(super) fn record_again(device: &Device, op: Operation, inputs: &[&Tensor], custom: bool) -> Result<Arc<Node>> {
    record_call(Some(device), op, inputs, custom)
}

/// Records one call of `op` on a device, that of its inputs where none is given.
#[track_caller]
fn record_call(device: Option<&Device>, op: Operation, inputs: &[&Tensor], custom: bool) -> Result<Arc<Node>> {
    let device = device
        .or_else(|| inputs.first().map(|input| &input.node.device))
        .ok_or(Error::Internal { op: op.name(), reason: "no inputs to take a device from".into() })?;
    for input in inputs {
        device.check_same(op.name(), &input.node.device)?;
    }
    let layouts = Few::of(inputs, |input| *input.layout());
    let outputs = op.outputs(&layouts)?;
    if custom {
        check_custom(&*op, &layouts, &outputs)?;
        outputs.iter().try_for_each(|output| device.check_dtype(op.name(), output.dtype))?;
    }
    if !matches!(op.class(), Class::View) {
        for output in &outputs {
            device.check_size(op.name(), output)?;
        }
    }
    let requires_grad = grad_enabled()
        && op.differentiable()
        && outputs.iter().any(|o| o.dtype.is_float())
        && inputs.iter().any(|t| t.node.requires_grad);
    if requires_grad && !is_walking() && inputs.iter().any(|input| input.node.awaits_gradient()) {
        // The forward pass of this gradient is over: nothing of it need wait for this one.
        device.flush_in_passing();
    }
    #[cfg(test)]
    note_formula(op.class());
    let state = State { inputs: Few::of(inputs, |&input| input.edge()), ..State::default() };
    let node = Node {
        id: next_id(),
        device: device.clone(),
        structure: structure(&*op, &outputs),
        op,
        outputs: outputs.into(),
        requires_grad,
        custom,
        gradient: None,
        source: source(),
        state: Mutex::new(state),
        computed: AtomicBool::new(false),
        assigned: AtomicBool::new(false),
        mark: Mark::default(),
    };
    let node = Arc::new(node);
    if !is_tracing() && node.device.recorded(&node) && !is_walking() {
        node.device.flush_if_long();
    }
    Ok(node)
}

/// A leaf: values that exist already, or an alias of a value at which gradients end.
pub(crate) fn record_leaf(
    device: &Device,
    op: impl Op,
    layout: Layout,
    gradient: Option<GradientSlot>,
    state: State,
    source: &'static Location<'static>,
) -> Tensor {
    let node = Arc::new(Node {
        id: next_id(),
        device: device.clone(),
        structure: structure(&op, &[layout]),
        op: Operation::Own(Arc::new(op)),
        outputs: OneOrMore::One(layout),
        requires_grad: gradient.is_some(),
        custom: false,
        gradient: gradient.as_ref().map(Arc::downgrade),
        source,
        computed: AtomicBool::new(state.storage.is_some()),
        assigned: AtomicBool::new(false),
        state: Mutex::new(state),
        mark: Mark::default(),
    });
    if !is_tracing() {
        // The next call finds out if the recording has grown long.
        device.recorded(&node);
    }
    Tensor { node, output: 0, gradient }
}

fn structure(op: &dyn Op, outputs: &[Layout]) -> Fingerprint {
    let mut state = Fingerprinter::new();
    write_operation(op, &mut state);
    outputs.iter().for_each(|output| output.write_structure(&mut state));
    state.fingerprint()
}

pub(super) fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

fn outputs(node: Arc<Node>) -> Vec<Tensor> {
    (0..node.outputs.len()).map(|output| Tensor::of(node.clone(), output)).collect()
}

impl Tensor {
    /// An output of a node.
    pub(crate) fn of(node: Arc<Node>, output: usize) -> Tensor {
        Tensor { node, output, gradient: None }
    }

    /// This value as an input of a node or as a gradient: it does not keep its own gradient.
    pub(crate) fn edge(&self) -> Tensor {
        Tensor::of(self.node.clone(), self.output)
    }

    /// The slot of this leaf's gradient, as long as a handle may ask for it.
    pub(crate) fn gradient_slot(&self) -> Option<GradientSlot> {
        self.gradient.clone().or_else(|| self.node.gradient.as_ref()?.upgrade())
    }

    /// Sizes, outermost first (`[N, C, H, W]` for images).
    pub fn shape(&self) -> &Shape {
        &self.layout().shape
    }

    /// Element type.
    pub fn dtype(&self) -> DType {
        self.layout().dtype
    }

    /// Number of dimensions.
    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    /// Number of elements.
    pub fn numel(&self) -> usize {
        self.shape().numel()
    }

    /// The device that holds it.
    pub fn device(&self) -> &Device {
        &self.node.device
    }

    /// Shape, strides, offset and type.
    pub fn layout(&self) -> &Layout {
        &self.node.outputs[self.output]
    }

    /// True if both are one recorded value.
    pub(crate) fn is_same(&self, other: &Tensor) -> bool {
        Arc::ptr_eq(&self.node, &other.node) && self.output == other.output
    }

    /// True if gradients flow through this tensor.
    pub fn is_tracked(&self) -> bool {
        self.node.requires_grad && self.dtype().is_float()
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {} on {}, {})", self.shape(), self.dtype(), self.device().name(), self.node.op.name())
    }
}
