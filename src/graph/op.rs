//! The trait of an operation: shape rule, kernels, reference and gradient.

use crate::device::Adapter;
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::host_tensor::HostTensor;
use crate::shader::{Formula, Kernels, RowFormula};
use crate::shape::Layout;
use std::any::Any;
use std::fmt::Debug;
use std::hash::{Hash, Hasher};

/// The planner's treatment of an operation.
#[derive(Clone, Copy, Debug)]
pub enum Class<'a> {
    /// Values that exist before the graph runs.
    Leaf,
    /// Shows its input's storage through another layout; costs nothing.
    View,
    /// One output element from the input elements of the same index: the planner fuses these.
    Pointwise(&'static Formula),
    /// Reductions of the one input, and formulas of their results: the planner fuses these too.
    Rows {
        /// The reductions, and the result that follows from theirs.
        formula: &'static RowFormula,
        /// The dimensions that are reduced, ascending.
        dims: &'a [usize],
    },
    /// Lays its inputs side by side in one output of one dimension: the planner has them computed there, and copies those that
    /// exist already. The gaps between them are never read as values.
    Pack {
        /// The first element of each input in the output, ascending multiples of 128.
        starts: &'a [usize],
    },
    /// Runs kernels of its own.
    Kernel,
}

/// The layouts an operation is planned for.
pub struct Io<'a> {
    /// Inputs, with the strides and offsets that the graph gives them.
    pub inputs: &'a [Layout],
    /// Outputs, always contiguous.
    pub outputs: &'a [Layout],
    /// Limits for the kernels.
    pub budget: Budget,
}

/// Limits for the kernels of a call where there is a choice; by default as much as pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Budget {
    /// Most bytes of temporaries.
    pub bytes: usize,
    /// Most kernels.
    pub launches: usize,
    /// True if sizes keep changing: a few texts should serve all of them, so no constant follows from a size alone.
    pub dynamic: bool,
}

impl Default for Budget {
    fn default() -> Budget {
        Budget { bytes: 128 << 20, launches: usize::MAX, dynamic: false }
    }
}

impl Budget {
    /// The smaller of both, field by field.
    pub(crate) fn min(self, other: Budget) -> Budget {
        Budget {
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

    /// The planner's treatment of this operation.
    fn class(&self) -> Class<'_> {
        Class::Kernel
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

    /// All kernels worth trying for it on `adapter`, the cost model's choice first: tuning chooses among these.
    /// [`kernels`](Op::kernels) is the first of them.
    fn candidates(&self, io: &Io, adapter: &Adapter) -> Result<Vec<Kernels>> {
        Ok(vec![self.kernels(io, adapter)?])
    }

    /// Kernels that also add up one of the inputs, offered where they read all of it anyway and the sum costs next to nothing.
    /// The planner takes them where such a sum is asked for, as that of a bias's gradient is.
    fn summing(&self, io: &Io, adapter: &Adapter) -> Result<Option<Summing>> {
        let _ = (io, adapter);
        Ok(None)
    }

    /// True if it only copies its inputs, so that the planner may keep those instead of the result and copy them again.
    fn is_copy(&self) -> bool {
        false
    }

    /// The most obvious code that computes it, in double precision.
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>>;

    /// The number of outputs, from the first, that are results. The outputs behind them are notes for the gradient: they may be
    /// infinite or in parts never written, and are not checked.
    fn results(&self) -> usize {
        usize::MAX
    }

    /// False for operations whose outputs carry no gradient.
    fn differentiable(&self) -> bool {
        true
    }

    /// This operation computed the gradient of a rectifier's result `rectified` from `inputs`. Records that of the rectifier's
    /// input, if there is a cheaper way than masking the former.
    fn behind_rectifier(&self, inputs: &[Tensor], rectified: &Tensor) -> Result<Option<Tensor>> {
        let _ = (inputs, rectified);
        Ok(None)
    }

    /// The vector-Jacobian product, in tensor operations: one gradient for each input, or `None` if the input has none.
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let _ = context;
        Err(Error::NotDifferentiable { op: self.name() })
    }
}

/// The methods of a view that shows its first input.
macro_rules! shows_first_input {
    () => {
        fn class(&self) -> Class<'_> {
            Class::View
        }
        fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
            Ok(vec![inputs[0]])
        }
        fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
            Ok(inputs[..1].to_vec())
        }
    };
}
pub(crate) use shows_first_input;

/// Kernels of an operation that add up one of its inputs on the side, over all dimensions but one. They store the sums as if
/// these were elements that follow those of the first output.
#[derive(Clone, Debug)]
pub struct Summing {
    /// The index of the input.
    pub input: usize,
    /// The dimension that remains.
    pub dim: usize,
    /// The kernels; their stores must be open (`store_output`).
    pub kernels: Kernels,
}

/// [`Op::structure`] for a type that derives `Hash`.
pub(crate) fn hash_structure<T: Hash>(op: &T, mut state: &mut dyn Hasher) {
    op.hash(&mut state);
}

/// Writes everything in a call that its kernel depends on; not its scalars, which are data.
pub(crate) fn write_operation(op: &dyn Op, state: &mut impl Hasher) {
    // Tells types apart that have the same name.
    let any: &dyn Any = op;
    any.type_id().hash(state);
    op.name().hash(state);
    op.structure(state);
    state.write_usize(op.scalars().len());
}

/// The material of a gradient: the call's inputs and outputs and the gradients of its outputs.
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

    /// True if the gradient of input `index` is asked for.
    pub fn wants(&self, index: usize) -> bool {
        self.wanted[index]
    }

    /// The gradient of the first output (zeros if nothing depends on it).
    pub fn cotangent(&self) -> Result<Tensor> {
        match &self.cotangents[0] {
            Some(cotangent) => Ok(cotangent.clone()),
            None => no_grad(|| self.outputs[0].zeros_like()),
        }
    }

    /// The gradient of one input, if it is wanted: `gradient(cotangent)`.
    pub fn of(&self, index: usize, gradient: impl FnOnce(Tensor) -> Result<Tensor>) -> Result<Option<Tensor>> {
        if self.wants(index) { gradient(self.cotangent()?).map(Some) } else { Ok(None) }
    }
}
