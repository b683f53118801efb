//! An operation's description of a kernel: the template, its specialisation, its bindings and its grid.

use crate::error::Error;
use crate::number::nearest;
use crate::shader::template::{HookType, Template};

/// The operand of a kernel's binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An input of the operation.
    Input(usize),
    /// An output of the operation.
    Output(usize),
    /// A buffer that lives only between the operation's own kernels.
    Temporary(usize),
    /// The device's words for the first bad index that a kernel finds, an `array<atomic<u32>>` called `fault`. A kernel with a
    /// [`Word::Fault`] writes them through its hook `fn report(code: u32, size: u32, index: i32)`.
    BadIndex,
}

impl Operand {
    /// The first element in its storage; buffers other than inputs begin with theirs.
    pub(crate) fn offset(self) -> Word {
        match self {
            Operand::Input(input) => Word::Offset(input),
            _ => Word::Value(0),
        }
    }
}

/// A 32-bit word of a kernel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Known when the plan is made.
    Value(u32),
    /// First element of an input in its storage; may differ from run to run.
    Offset(usize),
    /// A data word of the operation ([`Op::scalars`](crate::custom::Op::scalars)); may differ from run to run.
    Scalar(usize),
    /// The code under which a kernel reports a bad index.
    Fault(Fault),
}

/// Meaning of a bad index that a kernel finds. The operation is the one that the caller called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The operation has an index out of range: [`Error::IndexOutOfRange`].
    Index(&'static str),
    /// An operand of the operation has an element below 0, and the index counts that one down from -1: [`Error::Negative`].
    Negative(&'static str, &'static str),
}

impl From<&'static str> for Fault {
    fn from(op: &'static str) -> Fault {
        Fault::Index(op)
    }
}

impl Fault {
    /// The operation.
    pub fn op(self) -> &'static str {
        match self {
            Fault::Index(op) | Fault::Negative(op, _) => op,
        }
    }

    /// The error for an index into something of this size.
    pub fn error(self, index: i64, size: usize) -> Error {
        match self {
            Fault::Index(op) => Error::IndexOutOfRange { op, index, size },
            Fault::Negative(op, operand) => Error::Negative { op, operand, element: !index },
        }
    }
}

/// The granularity of a load hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loads {
    /// One element.
    One,
    /// Four elements.
    Four,
    /// Four neighbours, the first at a multiple of four.
    Neighbours,
}

/// A hook through which a kernel reads an operand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LoadHook {
    pub name: &'static str,
    /// Elements that all invocations together read.
    pub count: u64,
    pub loads: Loads,
}

/// One dispatch: a specialised template, its bindings by role, its parameters and its grid.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Stem of the template's file; the label of the pipeline.
    pub name: &'static str,
    /// The template.
    pub(crate) template: &'static Template,
    /// Values for the template's `const` declarations.
    pub constants: Vec<(&'static str, String)>,
    /// Values for those of them that are sizes; see [`size`](Kernel::size).
    pub sizes: Vec<(&'static str, usize)>,
    /// Types for the template's `alias` declarations.
    pub aliases: Vec<(&'static str, &'static str)>,
    /// Bodies for the template's hook functions.
    pub hooks: Vec<(&'static str, String)>,
    /// Bindings and functions that hook bodies use, put before the template's first function.
    pub declarations: String,
    /// Names of bindings in the shader, with their operands.
    pub bindings: Vec<(String, Operand)>,
    /// The words of `params`, in order.
    pub params: Vec<Word>,
    /// Workgroups in x, y, z; see [`fold_groups`].
    pub groups: [u32; 3],
    /// Estimated floating-point operations, for splitting submits.
    pub work: u64,
    /// Hooks that are the only readers of operands, with the number of elements that all invocations together read; see
    /// [`loads`](Kernel::loads).
    pub(crate) loads: Vec<(&'static str, Operand, u64)>,
    /// Vectors of four words that the planner appends to the template's `Params`.
    pub(crate) extra_words: usize,
    /// Compiled with wgpu's bounds checks in release builds too: kernels of a caller's own operations.
    pub(crate) checked: bool,
    /// A value of a parameter that does not fit into its 32 bits, for which the kernel is refused.
    pub(crate) too_large: Option<usize>,
}

impl Kernel {
    /// A kernel from a template, not specialised yet.
    pub fn new(name: &'static str, template: &'static str) -> Kernel {
        Kernel {
            name,
            template: Template::of(template),
            constants: Vec::new(),
            sizes: Vec::new(),
            aliases: Vec::new(),
            hooks: Vec::new(),
            declarations: String::new(),
            bindings: Vec::new(),
            params: Vec::new(),
            groups: [1, 1, 1],
            work: 0,
            loads: Vec::new(),
            extra_words: 0,
            checked: false,
            too_large: None,
        }
    }

    /// Sets a `const`; numbers get the suffix of their declaration.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: impl ToString) -> Kernel {
        self.constants.push((name, value.to_string()));
        self
    }

    /// Sets a `const` of type `u32` that is a size: if sizes keep changing
    /// ([`Device::dynamic_sizes`](crate::Device::dynamic_sizes)), one kernel that reads it from its parameters should serve all.
    /// So it may only take part in arithmetic on indices, and must not be the length of an array or of an unrolled loop, and no
    /// other kernel may be specialised because of it. The template has a `params: Params` to read it from.
    #[must_use]
    pub fn size(mut self, name: &'static str, value: usize) -> Kernel {
        self.sizes.push((name, value));
        self
    }

    /// Sets an `alias`.
    #[must_use]
    pub fn alias(mut self, name: &'static str, to: &'static str) -> Kernel {
        self.aliases.push((name, to));
        self
    }

    /// Sets a hook function's body.
    #[must_use]
    pub fn hook(mut self, name: &'static str, body: impl Into<String>) -> Kernel {
        self.hooks.push((name, body.into()));
        self
    }

    /// Binds an operand to the variable `role`.
    #[must_use]
    pub fn bind(mut self, role: impl Into<String>, operand: Operand) -> Kernel {
        self.bindings.push((role.into(), operand));
        self
    }

    /// Declares that an operand is read only through `hook`, `count` elements of it by all invocations together.
    ///
    /// The hook is `fn hook(index: u32) -> f32`, or that of four elements,
    /// `fn hook(first: u32, second: u32, third: u32, fourth: u32) -> Quad`; if the latter's body is set, it reads an aligned
    /// group of four neighbours. Indices count from the operand's first element or from its storage's: the planner replaces
    /// bodies only if these are the same.
    #[must_use]
    pub(crate) fn loads(mut self, hook: &'static str, operand: Operand, count: usize) -> Kernel {
        self.loads.push((hook, operand, count as u64));
        self
    }

    /// Declares that results go through `store_output_eight(index, low, high)`, an aligned group of eight neighbours, whose body
    /// in the template calls `store_output` for each: then `output`, an array of `Stored`, takes them together.
    #[must_use]
    pub(crate) fn stores_eights(self) -> Kernel {
        let body = "output[index / 8u] = eight_of(low, high);";
        self.constant("STORE_EIGHTS", true)
            .alias("Stored", "vec4<u64>")
            .hook("store_output", "")
            .hook("store_output_eight", body)
    }

    /// True if [`stores_eights`](Kernel::stores_eights) was called.
    pub(crate) fn has_eights(&self) -> bool {
        self.hooks.iter().any(|hook| hook.0 == "store_output_eight")
    }

    /// Replaces the body of `store_output_eight`.
    pub(crate) fn store_eights_by(&mut self, body: String) {
        self.hooks.retain(|hook| hook.0 != "store_output_eight");
        self.hooks.push(("store_output_eight", body));
    }

    /// Replaces the body of `store_output`, which then takes all results.
    pub(crate) fn store_by(&mut self, body: String) {
        self.constants.retain(|constant| constant.0 != "STORE_EIGHTS");
        self.aliases.retain(|alias| alias.0 != "Stored");
        self.reset_hook("store_output");
        self.hooks.push(("store_output", body));
    }

    /// Drops the bodies of a hook and of those that call it in the template.
    pub(crate) fn reset_hook(&mut self, name: &str) {
        let template = self.template;
        self.hooks.retain(|hook| hook.0 != name && !template.calls(hook.0, name));
    }

    /// Appends parameter words.
    #[must_use]
    pub fn words(mut self, words: impl IntoIterator<Item = Word>) -> Kernel {
        self.params.extend(words);
        self
    }

    /// Appends parameter words known now.
    #[must_use]
    pub fn values(mut self, values: &[usize]) -> Kernel {
        self.too_large = self.too_large.or(values.iter().copied().find(|&value| u32::try_from(value).is_err()));
        self.words(values.iter().map(|&value| Word::Value(nearest(value))))
    }

    /// Sets the grid.
    #[must_use]
    pub fn grid(mut self, groups: [u32; 3]) -> Kernel {
        self.groups = groups;
        self
    }

    /// True if a binding has this operand.
    pub(crate) fn shows(&self, operand: Operand) -> bool {
        self.bindings.iter().any(|binding| binding.1 == operand)
    }

    /// True if its results go through the template's `store_output(index, value)`, so that the planner may replace the body.
    pub(crate) fn has_store_hook(&self) -> bool {
        let is_set = |hook: &(&str, String)| hook.0 == "store_output" && !hook.1.is_empty();
        let takes = self.template.signature("store_output", &self.aliases);
        let takes_floats = takes.is_some_and(|(arguments, _)| arguments == [HookType::U32, HookType::F32]);
        takes_floats && !self.hooks.iter().any(is_set) && self.template.params().is_some()
    }

    /// The hook through which an operand is read, if the planner may replace the body.
    pub(crate) fn load_hook(&self, operand: Operand) -> Option<LoadHook> {
        let &(name, _, count) = self.loads.iter().find(|load| load.1 == operand)?;
        let (arguments, result) = self.template.signature(name, &self.aliases)?;
        let is_set = self.hooks.iter().any(|hook| hook.0 == name);
        let loads = match (&arguments[..], result?, is_set) {
            ([HookType::U32], HookType::F32, false) => Loads::One,
            ([HookType::U32, HookType::U32, HookType::U32, HookType::U32], HookType::Quad, false) => Loads::Four,
            ([HookType::U32, HookType::U32, HookType::U32, HookType::U32], HookType::Quad, true) => Loads::Neighbours,
            _ => return None,
        };
        (!self.checked && self.param_fields().is_some()).then_some(LoadHook { name, count, loads })
    }

    /// The number of words in the template's `Params`; `None` if it has other members than single ones.
    pub(crate) fn param_fields(&self) -> Option<usize> {
        self.template.params()
    }

    /// The first binding number after the template's and those declared so far.
    pub(crate) fn free_binding(&self) -> usize {
        let declared = self.bindings.iter().filter(|binding| !self.template.binds(&binding.0));
        self.template.free_binding() + declared.count()
    }

    /// Sets the estimated work.
    #[must_use]
    pub fn work(mut self, operations: usize) -> Kernel {
        self.work = operations as u64;
        self
    }
}

/// The kernels of one operation, in order.
#[derive(Clone, Debug, Default)]
pub struct Kernels {
    /// Dispatches.
    pub kernels: Vec<Kernel>,
    /// Bytes of each temporary buffer.
    pub temporaries: Vec<usize>,
}

impl Kernels {
    /// True if the kernel that stores the first output does so through the hook that the planner may rewrite.
    pub(crate) fn has_open_stores(&self) -> bool {
        let writers = self.kernels.iter().filter(|kernel| kernel.shows(Operand::Output(0)));
        let mut open = writers.map(|kernel| kernel.has_store_hook() && !kernel.checked).peekable();
        open.peek().is_some() && open.all(|is| is)
    }

    /// The number of loads of an input and the work of the kernels that load it, if the planner may rewrite the loads.
    pub(crate) fn open_loads(&self, input: usize) -> Option<(u64, u64)> {
        let operand = Operand::Input(input);
        let mut readers = self.kernels.iter().filter(|kernel| kernel.shows(operand)).peekable();
        readers.peek()?;
        readers.try_fold((0, 0), |(loads, work), kernel| {
            Some((loads + kernel.load_hook(operand)?.count, work + kernel.work))
        })
    }
}

impl From<Kernel> for Kernels {
    fn from(kernel: Kernel) -> Kernels {
        Kernels { kernels: vec![kernel], ..Kernels::default() }
    }
}

/// Workgroups that WebGPU allows in one dimension of a grid.
pub(crate) const MOST_GROUPS: usize = 65_535;

/// A grid of at least `invocations` invocations in groups of `size`, folded so that no dimension passes the
/// 65,535 groups WebGPU allows. The shader's linear index is `group.x + group.y * groups.x` times `size`.
pub fn fold_groups(invocations: usize, size: usize) -> [u32; 3] {
    let groups = invocations.div_ceil(size).max(1);
    // Debug builds fold grids of three groups already, so that tests run folded ones without millions of elements.
    let most = if cfg!(debug_assertions) { groups.div_ceil(MOST_GROUPS).max(2) } else { MOST_GROUPS };
    let y = groups.div_ceil(most);
    [nearest::<u32>(groups.div_ceil(y)), nearest::<u32>(y), 1]
}
