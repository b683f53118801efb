//! The cases of an operation: what its tests and benchmarks run.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::options::Options;
use std::fmt::Debug;

/// The tolerance of most cases: some roundings of f32, whose effects hardly add up. Of 1,185 cases on llvmpipe, 1,086 are within
/// 2.
const SOME: f64 = 8.0;

/// The tolerance for results stored as f16: one that rounds the other way.
const F16: f64 = 8192.0;

/// Computes the case's outputs from its inputs.
pub type Run = Box<dyn Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync>;

/// The shape and the contents of an input.
#[derive(Clone, Debug)]
pub struct Input {
    /// Sizes.
    pub shape: Vec<usize>,
    /// Element type.
    pub dtype: DType,
    /// Smallest and largest value; floats are uniform between, integers include both.
    pub domain: (f64, f64),
    /// Values from which elements keep a distance, because the gradient jumps there.
    pub kinks: &'static [f64],
    /// All elements differ by a visible step, so that no maximum has a tie.
    pub distinct: bool,
}

/// One call of an operation. Conformance, gradient checks and benchmarks iterate over [`cases`](crate::ops::cases).
pub struct Case {
    /// PyTorch's name of the operation.
    pub op: &'static str,
    /// The inputs.
    pub inputs: Vec<Input>,
    /// The arguments that are not inputs, by name.
    pub arguments: Vec<(&'static str, String)>,
    /// The call.
    pub run: Run,
    /// Allowed difference between device and reference, relative to the largest magnitude of a result or a gradient, in units of
    /// f32's epsilon.
    pub tolerance: f64,
    /// True if there is a gradient, in which devices are compared with the reference.
    pub differentiable: bool,
    /// True if the gradient is compared with finite differences.
    pub differences: bool,
    /// True if the second derivative is, too.
    pub smooth: bool,
    /// True if it runs only on adapters with 16-bit floats.
    pub needs_f16: bool,
}

impl Case {
    /// A differentiable case with f32 inputs between -2 and 2.
    pub(crate) fn new(
        op: &'static str,
        shapes: &[&[usize]],
        run: impl Fn(&[Tensor]) -> Result<Vec<Tensor>> + Send + Sync + 'static,
    ) -> Case {
        let input = |shape: &&[usize]| Input {
            shape: shape.to_vec(),
            dtype: DType::F32,
            domain: (-2.0, 2.0),
            kinks: &[],
            distinct: false,
        };
        Case {
            op,
            inputs: shapes.iter().map(input).collect(),
            arguments: Vec::new(),
            run: Box::new(run),
            tolerance: SOME,
            differentiable: true,
            differences: true,
            smooth: true,
            needs_f16: false,
        }
    }

    /// Adds an argument to the name; it replaces an earlier value of that argument.
    pub(crate) fn with(self, name: &'static str, value: impl Debug) -> Case {
        self.argument(name, &format!("{value:?}"))
    }

    /// Adds the options that differ from their defaults to the name.
    pub(crate) fn options(self, options: &impl Options) -> Case {
        options.changed().iter().fold(self, |case, (name, value)| case.argument(name, value))
    }

    fn argument(mut self, name: &'static str, value: &str) -> Case {
        self.arguments.retain(|(known, _)| *known != name);
        self.arguments.push((name, short(value)));
        self
    }

    /// The operation with its parameters, which no other case of the operation has:
    /// `conv2d[2x3x8x9,4x3x3x3,4,stride=2,padding=1x2]`.
    pub fn name(&self) -> String {
        format!("{}[{}]", self.op, self.parameters().join(","))
    }

    /// The shapes of the inputs with their types, where those are not f32, and the arguments.
    fn parameters(&self) -> Vec<String> {
        let input = |input: &Input| {
            let sizes: Vec<String> = input.shape.iter().map(usize::to_string).collect();
            let shape = if sizes.is_empty() { "scalar".to_string() } else { sizes.join("x") };
            if input.dtype == DType::F32 { shape } else { format!("{shape}:{}", input.dtype) }
        };
        let arguments = self.arguments.iter().map(|(name, value)| format!("{name}={value}"));
        let half = self.needs_f16.then(|| DType::F16.to_string());
        self.inputs.iter().map(input).chain(arguments).chain(half).collect()
    }

    /// True if `filter` names the case's operation, alone or with some of the case's parameters in any order: `conv2d`,
    /// `conv2d[stride=2,groups=4]`. Semicolons separate several filters, one of which must hold.
    pub fn matches(&self, filter: &str) -> bool {
        let parameters = self.parameters();
        filter.split(';').any(|filter| {
            let (op, wanted) = filter.strip_suffix(']').unwrap_or(filter).split_once('[').unwrap_or((filter, ""));
            let mut wanted = wanted.split(',').filter(|parameter| !parameter.is_empty());
            op == self.op && wanted.all(|wanted| parameters.iter().any(|parameter| parameter == wanted))
        })
    }

    /// The values of input `index` lie between `low` and `high`.
    pub(crate) fn domain(mut self, index: usize, low: f64, high: f64) -> Case {
        self.inputs[index].domain = (low, high);
        self
    }

    /// Input `index` holds integers from `low` to `high`.
    pub(crate) fn integers(mut self, index: usize, low: i32, high: i32) -> Case {
        self.inputs[index].dtype = DType::I32;
        self.domain(index, f64::from(low), f64::from(high))
    }

    /// Input `index` holds truth values.
    pub(crate) fn truth(mut self, index: usize) -> Case {
        self.inputs[index].dtype = DType::Bool;
        self.domain(index, 0.0, 1.0)
    }

    /// All values of the inputs differ.
    pub(crate) fn distinct(mut self) -> Case {
        for input in &mut self.inputs {
            input.distinct = true;
        }
        self
    }

    /// Allowed difference in f32 epsilons, if it is more than a few: the measured one and a tenth.
    pub(crate) fn tolerance(mut self, epsilons: f64) -> Case {
        self.tolerance = epsilons;
        self
    }

    /// Goes through 16-bit floats: needs an adapter that has them, rounds to their 11 bits a few times, and has steps in place of
    /// a derivative.
    pub(crate) fn half(mut self) -> Case {
        self.needs_f16 = true;
        self.tolerance(F16).no_differences()
    }

    /// The first derivative is compared with differences, the second is not: it is zero or jumps.
    pub(crate) fn first_order(mut self) -> Case {
        self.smooth = false;
        self
    }

    /// Differences can't tell if the gradient is right: it takes something as constant that varies, or values are rounded inside;
    /// or they take too long.
    pub(crate) fn no_differences(mut self) -> Case {
        self.differences = false;
        self.first_order()
    }

    /// There is no gradient.
    pub(crate) fn no_gradient(mut self) -> Case {
        self.differentiable = false;
        self.no_differences()
    }
}

/// A value's text without brackets and commas: `2x1` for `[2, 1]`, `2` for `Some([2, 2])`.
fn short(text: &str) -> String {
    let wrapped = ["Some(", "Explicit("].iter().find_map(|name| text.strip_prefix(name)?.strip_suffix(')'));
    let text = wrapped.unwrap_or(text);
    let list = text.strip_prefix('[').and_then(|list| list.strip_suffix(']'));
    match list.filter(|list| !list.contains(['[', '(', '{'])) {
        Some(list) => {
            let mut items: Vec<&str> = list.split(", ").collect();
            if items.iter().all(|item| *item == items[0]) {
                items.truncate(1);
            }
            items.join("x")
        }
        None => text.replace('"', "").replace(", ", " ").replace(',', " "),
    }
}
