//! What an operation is: shape rule, kernels, reference and gradient, all in one trait.

use crate::device::Adapter;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::host_tensor::HostTensor;
use crate::shader::{Formula, Kernels, RowFormula};
use crate::shape::Layout;
use std::any::Any;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

/// How the planner may treat an operation.
#[derive(Clone, Copy, Debug)]
pub enum Class {
    /// Values that exist before the graph runs.
    Leaf,
    /// Shows its input's storage through another layout; costs nothing.
    View,
    /// One output element from the input elements at the same place: the planner fuses these.
    Pointwise(&'static Formula),
    /// Reductions over [`Op::dims`] of the one input, and what comes of them: the planner fuses these too.
    Rows(&'static RowFormula),
    /// Lays its inputs side by side in one output of one dimension, from [`Op::starts`] on: the planner has them
    /// computed there, and copies what exists already. What lies between them is never read as a value.
    Pack,
    /// Runs kernels of its own.
    Kernel,
}

/// The layouts an operation is planned for.
pub struct Io<'a> {
    /// Inputs, strided and offset as the graph has them.
    pub inputs: &'a [Layout],
    /// Outputs, always contiguous.
    pub outputs: &'a [Layout],
    /// What the kernels should make do with.
    pub room: Room,
}

/// What the kernels of a call should make do with where there is a choice; by default as much as pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Room {
    /// Bytes of temporaries.
    pub bytes: usize,
    /// Kernels.
    pub launches: usize,
    /// True where sizes keep changing: a few texts should serve all of them, so no constant follows from a size alone.
    pub dynamic: bool,
}

impl Default for Room {
    fn default() -> Room {
        Room { bytes: 128 << 20, launches: usize::MAX, dynamic: false }
    }
}

impl Room {
    /// The less of both.
    pub(crate) fn min(self, other: Room) -> Room {
        Room {
            bytes: self.bytes.min(other.bytes),
            launches: self.launches.min(other.launches),
            dynamic: self.dynamic || other.dynamic,
        }
    }
}

/// An operation: a node's kind with its attributes.
///
/// Attributes that change the kernel belong into the type (and so into its `Hash`); numbers that may
/// change from step to step are [`scalars`](Op::scalars), which never cause a new plan.
pub trait Op: Any + Debug + Send + Sync {
    /// PyTorch's name of the operation.
    fn name(&self) -> &'static str;

    /// Feeds every attribute into `state`: equal structure must mean an equal kernel.
    fn structure(&self, state: &mut dyn Hasher);

    /// How the planner may treat it.
    fn class(&self) -> Class {
        Class::Kernel
    }

    /// The dimensions that an operation of [`Class::Rows`] reduces, ascending.
    fn dims(&self) -> &[usize] {
        &[]
    }

    /// Where the inputs of an operation of [`Class::Pack`] begin in its output, ascending multiples of 128 elements.
    fn starts(&self) -> &[usize] {
        &[]
    }

    /// Data words of this call, written into the kernel's parameters at each run.
    fn scalars(&self) -> &[u32] {
        &[]
    }

    /// Shape and element type rule: the outputs' layouts, or the error the caller sees.
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>>;

    /// The kernels that compute it on `adapter`.
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let _ = (io, adapter);
        Err(Error::Internal { op: self.name(), reason: "no kernels".into() })
    }

    /// Every way worth trying to compute it on `adapter`, the one that the cost model prefers first: what tuning
    /// chooses from. [`kernels`](Op::kernels) is the first of them.
    fn candidates(&self, io: &Io, adapter: &Adapter) -> Result<Vec<Kernels>> {
        Ok(vec![self.kernels(io, adapter)?])
    }

    /// Kernels that add up one of the inputs too, where they read all of it anyway and that costs next to nothing: what
    /// the planner takes where such a sum, like that of a bias's gradient, is asked for.
    fn summing(&self, io: &Io, adapter: &Adapter) -> Result<Option<Summing>> {
        let _ = (io, adapter);
        Ok(None)
    }

    /// Whether it only copies its inputs, so that the planner may keep those instead of the result and copy them again.
    fn is_copy(&self) -> bool {
        false
    }

    /// The most obvious code that computes it, in double precision.
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>>;

    /// How many of the outputs, from the first, are results. Those behind are notes for the gradient: they may be infinite,
    /// or in parts never written, and nobody checks them.
    fn results(&self) -> usize {
        usize::MAX
    }

    /// False for operations whose outputs carry no gradient.
    fn differentiable(&self) -> bool {
        true
    }

    /// The vector-Jacobian product, in tensor operations: one gradient an input, `None` where there is none.
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let _ = context;
        Err(Error::NotDifferentiable { op: self.name() })
    }
}

/// Kernels of an operation that add up one of its inputs on the side, over all dimensions but one. They store the sums
/// as if these were elements that follow those of the first output.
#[derive(Clone, Debug)]
pub struct Summing {
    /// The input, counted from 0.
    pub input: usize,
    /// The dimension that is left.
    pub dim: usize,
    /// The kernels; their stores must be open (`store_output`).
    pub kernels: Kernels,
}

/// [`Op::structure`] for a type that derives `Hash`.
pub(crate) fn hash_structure<T: Hash>(op: &T, mut state: &mut dyn Hasher) {
    op.hash(&mut state);
}

/// Everything of a call that its kernel depends on; not its scalars, which are data.
pub(crate) fn write_operation(op: &dyn Op, state: &mut impl Hasher) {
    // Tells types apart whose names are equal.
    let any: &dyn Any = op;
    any.type_id().hash(state);
    op.name().hash(state);
    op.structure(state);
    state.write_usize(op.scalars().len());
}

/// What a gradient is made of: the call's inputs and outputs and the gradients of its outputs.
pub struct Vjp<'a> {
    pub(crate) inputs: &'a [Tensor],
    pub(crate) outputs: &'a [Tensor],
    pub(crate) cotangents: &'a [Option<Tensor>],
    pub(crate) wanted: &'a [bool],
}

impl Vjp<'_> {
    /// Input `index` of the call.
    pub fn input(&self, index: usize) -> &Tensor {
        &self.inputs[index]
    }

    /// Output `index` of the call.
    pub fn output(&self, index: usize) -> &Tensor {
        &self.outputs[index]
    }

    /// Whether anybody asks for the gradient of input `index`.
    pub fn wants(&self, index: usize) -> bool {
        self.wanted[index]
    }

    /// The gradient of the first output (zeros where nothing depends on it).
    pub fn cotangent(&self) -> Result<Tensor> {
        match &self.cotangents[0] {
            Some(cotangent) => Ok(cotangent.clone()),
            None => no_grad(|| self.outputs[0].zeros_like()),
        }
    }

    /// One input's gradient where it is wanted: `gradient(cotangent)`.
    pub fn of(&self, index: usize, gradient: impl FnOnce(Tensor) -> Result<Tensor>) -> Result<Option<Tensor>> {
        if self.wants(index) { gradient(self.cotangent()?).map(Some) } else { Ok(None) }
    }
}
