//! The errors of the crate, with the numbers needed to correct their causes.

use crate::dtype::DType;
use crate::shape::Shape;
use std::fmt;
use std::panic::Location;
use std::path::PathBuf;
use std::time::Duration;

/// `Result` with [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of an operation, a device or a file, with what was asked for and what is allowed.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The machine has no adapter, or none that fits the options.
    #[error(
        "no adapter fits {wanted}; available: {available}. Install a Vulkan driver (Debian: mesa-vulkan-drivers) or use Device::reference()"
    )]
    NoAdapter {
        /// The adapter that was asked for.
        wanted: String,
        /// The adapters of the machine.
        available: String,
    },
    /// The adapter refused to open a device.
    #[error("adapter {adapter} did not open: {reason}")]
    DeviceRequest {
        /// Adapter name.
        adapter: String,
        /// The driver's message.
        reason: String,
    },
    /// The device is gone; everything on it is lost. Open a new one.
    #[error("device lost: {reason}. Open a new device and load the last checkpoint")]
    DeviceLost {
        /// The driver's message.
        reason: String,
    },
    /// The adapter's memory ran out.
    #[error("out of device memory: {reason}. Use a smaller batch, or drop tensors that you no longer need")]
    OutOfMemory {
        /// The driver's message.
        reason: String,
    },
    /// wgpu reported an error outside of any call.
    #[error("device error: {reason}")]
    Device {
        /// The message of wgpu.
        reason: String,
    },
    /// The device did not finish in time.
    #[error("the device did not answer within {waited:?}; raise DeviceOptions::timeout if the work takes longer")]
    Timeout {
        /// The time waited.
        waited: Duration,
    },
    /// A flush failed after part of it had run. The values that it was to compute, parameters among them, are neither the old
    /// ones nor the recorded ones. Every later use of the device returns this error until the values are replaced: by
    /// [`train::load`](crate::train::load), or by the program, which then calls
    /// [`Device::assume_restored`](crate::Device::assume_restored).
    #[error(
        "the device's state is unknown: a flush failed after part of it had run ({reason}). Load the last checkpoint, or replace all values and call Device::assume_restored()"
    )]
    StateUnknown {
        /// The error of the flush.
        reason: String,
    },
    /// A module that is to be trained does not reach parameters made in its scope, because
    /// [`children`](crate::nn::Module::children) leaves out a field, for example. Dropped parameters do not count.
    #[error(
        "{module} does not reach {} parameters of its scope: {}. Name the fields that hold them in children() and own_parameters(), give another model a Scope::new of its own, or train a list of parameters",
        parameters.len(), listed(parameters)
    )]
    Unreached {
        /// The module's type.
        module: String,
        /// The names of the parameters.
        parameters: Vec<String>,
    },
    /// A state does not fit the module that should load it.
    #[error("load_state_dict: {keys}. Pass strict = false to load the values that fit")]
    IncompatibleKeys {
        /// The names that do not fit.
        keys: Box<IncompatibleKeys>,
    },
    /// A file of weights does not fit its model; see [`weights::load`](crate::weights::load).
    #[error(
        "{}: {keys}. LoadOptions::partial loads the values that fit; LoadOptions::rename renames values of the file", path.display()
    )]
    UnfitWeights {
        /// The file.
        path: PathBuf,
        /// The names that do not fit.
        keys: Box<IncompatibleKeys>,
    },
    /// A tensor is larger than indices or the adapter's bindings allow.
    #[error("{op}: {shape} is too large: the limit is {limit} {unit}")]
    TooLarge {
        /// Operation.
        op: &'static str,
        /// Shape asked for.
        shape: Shape,
        /// The limit.
        limit: u64,
        /// The unit of the limit.
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
    /// A tensor would have more dimensions than it can.
    #[error("a tensor has at most {limit} dimensions, not {rank}")]
    TooManyDimensions {
        /// Dimensions asked for.
        rank: usize,
        /// The limit.
        limit: usize,
    },
    /// Two shapes do not broadcast.
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
    /// The tensor does not have the dimension.
    #[error("{op}: dimension {dim} is out of range for a tensor of {rank} dimensions")]
    DimOutOfRange {
        /// Operation.
        op: &'static str,
        /// Dimension asked for.
        dim: isize,
        /// The tensor's rank.
        rank: usize,
    },
    /// A dimension is named twice.
    #[error("{op}: dimension {dim} appears twice")]
    DimRepeated {
        /// Operation.
        op: &'static str,
        /// The dimension.
        dim: usize,
    },
    /// Shapes or attributes break the operation's rule.
    #[error("{op}: {rule}")]
    Invalid {
        /// Operation.
        op: &'static str,
        /// The rule and the numbers that break it.
        rule: String,
    },
    /// The operation does not take the element type.
    #[error("{op}: expected {expected}, got {got}")]
    WrongDType {
        /// Operation.
        op: &'static str,
        /// The types that it takes.
        expected: &'static str,
        /// The type that it got.
        got: DType,
    },
    /// Tensors of two devices meet in one operation.
    #[error("{op}: the tensors are on different devices, {left} and {right}")]
    DeviceMismatch {
        /// Operation.
        op: &'static str,
        /// First device.
        left: String,
        /// Second device.
        right: String,
    },
    /// The device found an index or label outside of its dimension.
    #[error("{op}: index {index} is out of range for a dimension of size {size}")]
    IndexOutOfRange {
        /// Operation.
        op: &'static str,
        /// The index.
        index: i64,
        /// The size it indexes.
        size: usize,
    },
    /// The device found a negative element in an operand that must not have any.
    #[error("{op}: element {element} of {operand} is negative; it must be at least 0")]
    Negative {
        /// Operation.
        op: &'static str,
        /// The operand.
        operand: &'static str,
        /// The first such element, in row-major order.
        element: i64,
    },
    /// A result is not finite although all of its inputs are, or the caller passed in a NaN. [`Debug::nan`](crate::Debug::nan)
    /// looks for these.
    #[error(
        "{op}: element {element:?} of output {output}, {shape}, is {value} {}; recorded at {recorded_at}",
        if *leaf { "in a tensor that you passed in" } else { "although all inputs are finite" }
    )]
    NotFinite {
        /// Operation.
        op: &'static str,
        /// The output, counted from 0.
        output: usize,
        /// The output's shape.
        shape: Shape,
        /// Coordinates of the first such element.
        element: Vec<usize>,
        /// The element.
        value: f64,
        /// True if the caller passed the value in.
        leaf: bool,
        /// The line of user code that recorded it.
        recorded_at: &'static Location<'static>,
    },
    /// A kernel's result differs from the reference's by more than rounding explains. [`Debug::diff`](crate::Debug::diff) looks
    /// for such results.
    #[error(
        "{op}: element {element:?} of output {output}, {shape}, is {value} on the device and {expected} on the reference \
         (allowed: {allowed:.1e}), computed as {} from {inputs:?}; recorded at {recorded_at}",
        calls.join("+")
    )]
    Differs {
        /// Operation.
        op: &'static str,
        /// All operations that the kernel computes: more than one if each by itself is right and their fusion wrong.
        calls: Vec<&'static str>,
        /// Shapes of the inputs.
        inputs: Vec<Shape>,
        /// The operation's output, counted from 0.
        output: usize,
        /// The output's shape.
        shape: Shape,
        /// Coordinates of the first element that differs.
        element: Vec<usize>,
        /// The device's element.
        value: f64,
        /// The reference's element.
        expected: f64,
        /// The largest difference allowed.
        allowed: f64,
        /// The line of user code that recorded it.
        recorded_at: &'static Location<'static>,
    },
    /// `backward` was called on a tensor without a gradient.
    #[error(
        "{op}: the tensor does not require a gradient. Compute it from a parameter, or from a tensor marked with requires_grad()"
    )]
    NoGradient {
        /// Operation.
        op: &'static str,
    },
    /// The operation has no derivative.
    #[error("{op} is not differentiable; call detach() on tensors that need no gradient")]
    NotDifferentiable {
        /// Operation.
        op: &'static str,
    },
    /// A gradient is not the slope; see [`gradcheck`](crate::custom::gradcheck).
    #[error(
        "gradcheck: the gradient at element {element} of input {input} is {got}, but the slope by differences is {expected}; at most {allowed:e} apart is allowed"
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
    /// `backward` walked a graph that an earlier call had released.
    #[error(
        "{op}: an earlier backward() released this graph; set BackwardOptions::retain_graph there to walk it again"
    )]
    GraphReleased {
        /// Operation at which the walk stopped.
        op: &'static str,
    },
    /// A shader could not be specialised or parsed, which is a bug of wgrad unless the operation is a custom one.
    #[error("shader {shader}: {reason}")]
    Shader {
        /// Shader stem.
        shader: String,
        /// The fault found in it.
        reason: String,
    },
    /// An invariant of wgrad is broken.
    #[error("{op}: internal error: {reason}. Please report this")]
    Internal {
        /// Operation.
        op: &'static str,
        /// The broken invariant.
        reason: String,
    },
    /// An item of a data set could not be fetched.
    #[error("item {index} of the data set: {source}")]
    Item {
        /// Its index.
        index: usize,
        /// The error of the set.
        source: Box<Error>,
    },
    /// A file could not be read or written.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The fault found in it.
        reason: String,
    },
}

impl Error {
    /// The error of a broken rule, with the numbers in the text. Custom operations return it too.
    pub fn invalid(op: &'static str, rule: impl Into<String>) -> Error {
        Error::Invalid { op, rule: rule.into() }
    }

    /// A file that cannot be used.
    pub(crate) fn file(path: impl Into<PathBuf>, reason: impl ToString) -> Error {
        Error::File { path: path.into(), reason: reason.to_string() }
    }
}

/// The names by which a state does not fit a module; see [`Module::load_state_dict`](crate::nn::Module::load_state_dict).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IncompatibleKeys {
    /// Parameters without a value in the state.
    pub missing: Vec<String>,
    /// Values that belong to no parameter.
    pub unexpected: Vec<String>,
    /// Values that do not fit their parameters.
    pub mismatched: Vec<Mismatch>,
}

/// A value that does not fit its parameter: it has another shape, or is a float for an integer.
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
    /// True if the state fits.
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

/// The first few names of a list, and the number of those left out.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}
