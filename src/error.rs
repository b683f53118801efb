//! Everything that can go wrong, with the numbers needed to put it right.

use crate::dtype::DType;
use crate::shape::Shape;
use std::fmt;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong: the operation, what was asked and what was allowed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No adapter on this machine, or none that fits the options.
    #[error(
        "no adapter fits {wanted}; available: {available}. Install a Vulkan driver (Debian: mesa-vulkan-drivers) or use Device::reference()"
    )]
    NoAdapter {
        /// What was asked for.
        wanted: String,
        /// What there is.
        available: String,
    },
    /// The adapter refused to open a device.
    #[error("adapter {adapter} did not open: {reason}")]
    DeviceRequest {
        /// Adapter name.
        adapter: String,
        /// What the driver said.
        reason: String,
    },
    /// The device is gone; everything on it is lost. Open a new one.
    #[error("device lost: {reason}. Open a new device and load the last checkpoint")]
    DeviceLost {
        /// What the driver said.
        reason: String,
    },
    /// The adapter's memory ran out.
    #[error("out of device memory: {reason}. Use a smaller batch or drop tensors that are still held")]
    OutOfMemory {
        /// What the driver said.
        reason: String,
    },
    /// wgpu reported an error that no call was waiting for.
    #[error("device error: {reason}")]
    Device {
        /// What wgpu said.
        reason: String,
    },
    /// The device did not finish in time.
    #[error(
        "the device did not answer within {waited:?}; raise DeviceOptions::timeout if the work is really that long"
    )]
    Timeout {
        /// How long was waited.
        waited: Duration,
    },
    /// A flush failed after a part of it had run. What it was to compute, parameters among it, is neither what it was before
    /// nor what was recorded; every later use of the device says so until the values are replaced: by
    /// [`train::load`](crate::train::load), or by the program, which then calls
    /// [`Device::assume_restored`](crate::Device::assume_restored).
    #[error(
        "the device's state is unknown: a flush failed after a part of it had run ({reason}). Load the last checkpoint, or replace all values and call Device::assume_restored()"
    )]
    StateUnknown {
        /// The error that the flush met.
        reason: String,
    },
    /// A module that is to be trained doesn't reach parameters that were made in its scope. A module that
    /// [`children`](crate::nn::Module::children) forgets is such a one; parameters that were dropped are not missed.
    #[error(
        "{module} does not reach these parameters of its scope ({} in all): {}. Name the fields that hold them in children() and own_parameters(), give another model a Scope::new of its own, or train a list of parameters",
        parameters.len(), listed(parameters)
    )]
    Unreached {
        /// The module's type.
        module: String,
        /// The names of the parameters.
        parameters: Vec<String>,
    },
    /// A state that doesn't fit the module it is to be loaded into.
    #[error("load_state_dict: {keys}. Pass strict = false to load what fits")]
    IncompatibleKeys {
        /// The names that don't fit.
        keys: Box<IncompatibleKeys>,
    },
    /// A file of weights that doesn't fit its model; see [`weights::load`](crate::weights::load).
    #[error(
        "{}: {keys}. LoadOptions::partial loads what fits, LoadOptions::rename gives names of the file others", path.display()
    )]
    UnfitWeights {
        /// The file.
        path: PathBuf,
        /// The names that don't fit.
        keys: Box<IncompatibleKeys>,
    },
    /// A tensor past what can be indexed or what the adapter can bind.
    #[error("{op}: {shape} is too large: the limit is {limit} {unit}")]
    TooLarge {
        /// Operation.
        op: &'static str,
        /// Shape asked for.
        shape: Shape,
        /// The limit.
        limit: u64,
        /// What the limit counts.
        unit: &'static str,
    },
    /// The adapter lacks a capability.
    #[error("{op} needs {feature}, which adapter {adapter} does not have")]
    Unsupported {
        /// Operation.
        op: &'static str,
        /// The missing capability.
        feature: &'static str,
        /// Adapter name.
        adapter: String,
    },
    /// More dimensions than a tensor can have.
    #[error("a tensor has at most {limit} dimensions, not {rank}")]
    TooManyDimensions {
        /// Dimensions asked for.
        rank: usize,
        /// The limit.
        limit: usize,
    },
    /// Two shapes that do not broadcast together.
    #[error("{op}: {left} and {right} do not broadcast: at dimension {dim} the sizes are {} and {}", sizes.0, sizes.1)]
    Broadcast {
        /// Operation.
        op: &'static str,
        /// Left shape.
        left: Shape,
        /// Right shape.
        right: Shape,
        /// First dimension that differs, counted in the broadcast shape.
        dim: usize,
        /// The two sizes.
        sizes: (usize, usize),
    },
    /// A dimension that the tensor does not have.
    #[error("{op}: dimension {dim} is out of range for a tensor of {rank} dimensions")]
    DimOutOfRange {
        /// Operation.
        op: &'static str,
        /// Dimension asked for.
        dim: isize,
        /// The tensor's rank.
        rank: usize,
    },
    /// A dimension named twice.
    #[error("{op}: dimension {dim} appears twice")]
    DimRepeated {
        /// Operation.
        op: &'static str,
        /// The dimension.
        dim: usize,
    },
    /// Shapes or attributes that break the operation's rule.
    #[error("{op}: {rule}")]
    Invalid {
        /// Operation.
        op: &'static str,
        /// The rule and the numbers that break it.
        rule: String,
    },
    /// An element type that the operation does not take.
    #[error("{op}: expected {expected}, got {got}")]
    WrongDType {
        /// Operation.
        op: &'static str,
        /// What it takes.
        expected: &'static str,
        /// What it got.
        got: DType,
    },
    /// Tensors of two devices in one operation.
    #[error("{op}: the tensors are on different devices ({left} and {right})")]
    DeviceMismatch {
        /// Operation.
        op: &'static str,
        /// First device.
        left: String,
        /// Second device.
        right: String,
    },
    /// An index or label outside its dimension, found on the device.
    #[error("{op}: index {index} is out of range for a dimension of size {size}")]
    IndexOutOfRange {
        /// Operation.
        op: &'static str,
        /// The index.
        index: i64,
        /// The size it indexes.
        size: usize,
    },
    /// An element below 0, where the operand may have none, found on the device.
    #[error("{op}: element {element} of {operand} is negative, and must be 0 or more")]
    Negative {
        /// Operation.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The first such element, in row-major order.
        element: i64,
    },
    /// A result that is not finite though all its inputs are, or a NaN that the caller handed in: what
    /// [`Debug::nan`](crate::Debug::nan) looks for.
    #[error(
        "{op}: element {element:?} of output {output}, {shape}, is {value} {}; recorded at {recorded_at}",
        if *leaf { "as it was handed in" } else { "though all inputs are finite" }
    )]
    NotFinite {
        /// Operation.
        op: &'static str,
        /// Which of its outputs.
        output: usize,
        /// The output's shape.
        shape: Shape,
        /// Coordinates of the first such element.
        element: Vec<usize>,
        /// The element.
        value: f64,
        /// Whether it is a value that the caller handed in.
        leaf: bool,
        /// The line of user code that recorded it.
        recorded_at: &'static Location<'static>,
    },
    /// A kernel's result that differs from the reference's by more than rounding may do: what
    /// [`Debug::diff`](crate::Debug::diff) looks for.
    #[error(
        "{op}: element {element:?} of output {output}, {shape}, is {value} on the device and {expected} on the reference \
         (allowed: {allowed:.1e}), computed as {} from {inputs:?}; recorded at {recorded_at}",
        calls.join("+")
    )]
    Differs {
        /// Operation.
        op: &'static str,
        /// All operations that the kernel computes; more than one where each by itself is right and the fusion wrong.
        calls: Vec<&'static str>,
        /// Shapes of what it was computed from.
        inputs: Vec<Shape>,
        /// Which of the operation's outputs.
        output: usize,
        /// The output's shape.
        shape: Shape,
        /// Coordinates of the first element that differs.
        element: Vec<usize>,
        /// The device's element.
        value: f64,
        /// The reference's element.
        expected: f64,
        /// How far they may be apart.
        allowed: f64,
        /// The line of user code that recorded it.
        recorded_at: &'static Location<'static>,
    },
    /// `backward` was called on something that has no gradient.
    #[error(
        "{op}: the tensor does not require a gradient: none of the values it was computed from is a parameter or was marked with requires_grad()"
    )]
    NoGradient {
        /// Operation.
        op: &'static str,
    },
    /// The operation has no derivative.
    #[error("{op} is not differentiable")]
    NotDifferentiable {
        /// Operation.
        op: &'static str,
    },
    /// A gradient that is not the slope: see [`gradcheck`](crate::custom::gradcheck).
    #[error(
        "gradcheck: the gradient at element {element} of input {input} is {got}, and the slope there {expected}; they may differ by {allowed:e}"
    )]
    WrongGradient {
        /// The input, counted from 0.
        input: usize,
        /// Its element, in row-major order.
        element: usize,
        /// The slope by differences.
        expected: f64,
        /// The gradient.
        got: f64,
        /// The largest difference allowed.
        allowed: f64,
    },
    /// `backward` a second time through a graph that the first call released.
    #[error("{op}: this graph was released by an earlier backward(); use retain_graph to walk it twice")]
    GraphReleased {
        /// Operation at which the walk stopped.
        op: &'static str,
    },
    /// A shader that could not be specialised or parsed: a fault of wgrad, not of the caller.
    #[error("shader {shader}: {reason}")]
    Shader {
        /// Shader stem.
        shader: String,
        /// What is wrong with it.
        reason: String,
    },
    /// An invariant of wgrad itself was broken.
    #[error("{op}: internal error: {reason}. Please report this")]
    Internal {
        /// Operation.
        op: &'static str,
        /// What happened.
        reason: String,
    },
    /// An item of a data set that could not be fetched.
    #[error("item {index} of the data set: {source}")]
    Item {
        /// Its number.
        index: usize,
        /// What went wrong.
        source: Box<Error>,
    },
    /// A file that could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Error {
    /// A broken rule of an operation, with the numbers in the text; operations of one's own return it too.
    pub fn invalid(op: &'static str, rule: impl Into<String>) -> Error {
        Error::Invalid { op, rule: rule.into() }
    }

    /// A file that cannot be used.
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Error {
        Error::File { path: path.into(), reason: reason.to_string() }
    }
}

/// The names by which a state doesn't fit a module; see [`Module::load_state_dict`](crate::nn::Module::load_state_dict).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncompatibleKeys {
    /// Parameters without a value in the state.
    pub missing: Vec<String>,
    /// Values that belong to no parameter.
    pub unexpected: Vec<String>,
    /// Values that don't fit their parameters.
    pub mismatched: Vec<Mismatch>,
}

/// A value that doesn't fit its parameter: of another shape, or a float for an integer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The parameter.
    pub name: String,
    /// Shape and element type of the parameter.
    pub expected: (Shape, DType),
    /// Shape and element type in the state.
    pub found: (Shape, DType),
}

impl IncompatibleKeys {
    /// True where the state fits.
    pub fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for IncompatibleKeys {
    /// `missing: fc.bias; unexpected: head.weight; mismatched: fc.weight is [7, 84] f32 in the state and [10, 84] f32 here`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mismatched: Vec<String> = self.mismatched.iter().map(Mismatch::to_string).collect();
        let lists = [("missing", &self.missing), ("unexpected", &self.unexpected), ("mismatched", &mismatched)];
        let parts = lists.into_iter().filter(|(_, names)| !names.is_empty());
        let parts: Vec<String> = parts.map(|(kind, names)| format!("{kind}: {}", listed(names))).collect();
        f.write_str(if parts.is_empty() { "all keys fit" } else { "" })?;
        f.write_str(&parts.join("; "))
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Mismatch { name, expected, found } = self;
        write!(f, "{name} is {} {} in the state and {} {} here", found.0, found.1, expected.0, expected.1)
    }
}

/// The first few names of a list, and how many more there are.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
