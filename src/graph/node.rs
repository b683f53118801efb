//! Nodes and the handles to them.

use crate::device::Buffer;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::device::Device;
use crate::graph::op::{Class, Op};
use crate::graph::source::source;
use crate::host_tensor::HostTensor;
use crate::shape::{Layout, Shape};
use parking_lot::Mutex;
use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Where a node's values are once they are computed.
#[derive(Clone, Debug)]
pub(crate) enum Storage {
    /// On the adapter.
    Device(Buffer),
    /// Handed in by the caller, not uploaded yet.
    Pending(Arc<Vec<u8>>),
    /// In the reference executor.
    Host(Arc<HostTensor>),
}

/// The gradient of a leaf, shared with the parameter it belongs to.
pub(crate) type GradientSlot = Arc<Mutex<Option<Tensor>>>;

/// One recorded call: plain data. Nothing runs when it is made.
pub(crate) struct Node {
    pub id: u64,
    pub device: Device,
    pub op: Box<dyn Op>,
    pub outputs: Vec<Layout>,
    pub requires_grad: bool,
    /// Recorded by [`apply`], with kernels that nobody has audited.
    pub custom: bool,
    /// Set on leaves: where `backward` puts their gradient, and where its walk ends.
    pub gradient: Option<GradientSlot>,
    /// The line of user code that it is recorded for.
    pub source: &'static Location<'static>,
    pub state: Mutex<State>,
}

/// The part of a node that changes.
#[derive(Default)]
pub(crate) struct State {
    /// Edges to what it is computed from; dropped once it is computed, unless a gradient will walk them.
    pub inputs: Vec<Tensor>,
    /// Set when it has been computed, one an output.
    pub storage: Option<Vec<Storage>>,
    /// A `backward` has walked over it and will not come again.
    pub released: bool,
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);

impl Node {
    pub fn is_computed(&self) -> bool {
        self.state.lock().storage.is_some()
    }

    /// True where the walk of a gradient goes on to its inputs.
    pub fn is_tracked(&self) -> bool {
        self.requires_grad && self.gradient.is_none()
    }
}

impl Drop for Node {
    /// Long chains of nodes must not be dropped by recursion: the stack would not hold them.
    fn drop(&mut self) {
        let mut stack = std::mem::take(&mut self.state.get_mut().inputs);
        while let Some(tensor) = stack.pop() {
            if let Some(mut node) = Arc::into_inner(tensor.node) {
                stack.append(&mut node.state.get_mut().inputs);
            }
        }
    }
}

/// A tensor: a cheap handle to a recorded value.
///
/// Methods check shapes and types at once and record the work; it is done when a value is read
/// (`to_vec`, `item`), when an optimizer steps, or at [`Device::flush`].
#[derive(Clone)]
pub struct Tensor {
    pub(crate) node: Arc<Node>,
    pub(crate) output: usize,
}

thread_local! {
    static GRAD_ENABLED: Cell<bool> = const { Cell::new(true) };
}

/// Runs `body` without recording history: what it computes requires no gradient.
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
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            GRAD_ENABLED.set(self.0);
        }
    }
    let _restore = Restore(GRAD_ENABLED.replace(enabled));
    body()
}

pub(crate) fn grad_enabled() -> bool {
    GRAD_ENABLED.get()
}

/// Records one call of an operation of your own (PyTorch's `autograd.Function`).
///
/// What [`Op`] asks for is all that is needed: shapes, kernels, reference and gradient. Its kernels are compiled
/// with wgpu's bounds checks.
///
/// # Errors
/// What [`Op::outputs`] returns; [`Error::DeviceMismatch`]; [`Error::Internal`] without inputs.
///
/// ```
/// use std::hash::Hasher;
/// use wgrad::{Device, HostTensor, Layout, Op, Result, Tensor, Vjp, apply};
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
///         Ok(vec![context.of(0, |g| g.mul_scalar(2.0))?])
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
    record_call(None, op, inputs, true)
}

/// Records one call of `op`.
#[track_caller]
pub(crate) fn record(op: impl Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    record_call(None, op, inputs, false)
}

/// Records one call of `op` with a single output.
#[track_caller]
pub(crate) fn record_one(op: impl Op, inputs: &[&Tensor]) -> Result<Tensor> {
    Ok(record(op, inputs)?.swap_remove(0))
}

/// Records one call of `op` on a device.
#[track_caller]
pub(crate) fn record_on(device: &Device, op: impl Op, inputs: &[&Tensor]) -> Result<Vec<Tensor>> {
    record_call(Some(device), op, inputs, false)
}

/// Records one call of `op` on a device, that of its inputs where none is given.
#[track_caller]
fn record_call(device: Option<&Device>, op: impl Op, inputs: &[&Tensor], custom: bool) -> Result<Vec<Tensor>> {
    let device = device
        .or_else(|| inputs.first().map(|input| &input.node.device))
        .ok_or(Error::Internal { op: op.name(), reason: "no inputs to take a device from".into() })?;
    for input in inputs {
        if input.node.device != *device {
            return Err(Error::DeviceMismatch {
                op: op.name(),
                left: device.name().to_string(),
                right: input.node.device.name().to_string(),
            });
        }
    }
    device.flush_if_long()?;
    let layouts: Vec<Layout> = inputs.iter().map(|t| *t.layout()).collect();
    let outputs = op.outputs(&layouts)?;
    if !matches!(op.class(), Class::View) {
        for output in &outputs {
            device.check_size(op.name(), output)?;
        }
    }
    let requires_grad = grad_enabled()
        && op.differentiable()
        && outputs.iter().any(|o| o.dtype.is_float())
        && inputs.iter().any(|t| t.node.requires_grad);
    let inputs = inputs.iter().map(|&t| t.clone()).collect();
    let state = State { inputs, ..State::default() };
    let node = Node {
        id: next_id(),
        device: device.clone(),
        op: Box::new(op),
        outputs,
        requires_grad,
        custom,
        gradient: None,
        source: source(),
        state: Mutex::new(state),
    };
    Ok(insert(node))
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
    insert(Node {
        id: next_id(),
        device: device.clone(),
        op: Box::new(op),
        outputs: vec![layout],
        requires_grad: gradient.is_some(),
        custom: false,
        gradient,
        source,
        state: Mutex::new(state),
    })
    .swap_remove(0)
}

fn next_id() -> u64 {
    NEXT_ID.fetch_add(1, Ordering::Relaxed)
}

fn insert(node: Node) -> Vec<Tensor> {
    let node = Arc::new(node);
    node.device.recorded(&node);
    (0..node.outputs.len()).map(|output| Tensor { node: node.clone(), output }).collect()
}

impl Tensor {
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

    /// The device it lives on.
    pub fn device(&self) -> &Device {
        &self.node.device
    }

    /// Shape, strides, offset and type.
    pub fn layout(&self) -> &Layout {
        &self.node.outputs[self.output]
    }

    /// Whether gradients flow through this tensor.
    pub fn is_tracked(&self) -> bool {
        self.node.requires_grad && self.dtype().is_float()
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tensor({} {} on {}, {})", self.shape(), self.dtype(), self.device().name(), self.node.op.name())
    }
}
