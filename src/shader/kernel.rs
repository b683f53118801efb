//! What an operation says about a kernel: the template, how to specialise it, what to bind, how often to run.

/// A pointwise formula in WGSL.
///
/// `F`, `I`, `U` and `B` are vectors of four floats, signed and unsigned integers and truth values; `{0}`, `{1}`,
/// `{2}` are the operands, `{s0}`, `{s1}`, .. the call's scalars as `u32` words, and `quad` is the index of the
/// four elements among the output's.
#[derive(Debug)]
pub struct Formula {
    /// Name, as in PyTorch.
    pub name: &'static str,
    /// The expression.
    pub wgsl: &'static str,
    /// WGSL functions it calls, complete; from `shaders/lib/`.
    pub library: &'static [&'static str],
    /// Whether every element is the same number, so that it is written into whoever uses it.
    pub constant: bool,
}

/// What a binding of a kernel shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operand {
    /// An input of the operation.
    Input(usize),
    /// An output of the operation.
    Output(usize),
    /// A buffer that lives only between the operation's own kernels.
    Temporary(usize),
}

/// A 32-bit word of a kernel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Word {
    /// Known when the plan is made.
    Value(u32),
    /// First element of an input in its storage; may differ from run to run.
    Offset(usize),
    /// A data word of the operation ([`Op::scalars`](crate::Op::scalars)); may differ from run to run.
    Scalar(usize),
    /// The code under which a kernel reports a bad index: the operation the caller asked for, and the size of the
    /// dimension.
    Fault(&'static str, usize),
}

/// One dispatch: a specialised template, its bindings by role, its parameters and its grid.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// Stem of the template's file; the label of the pipeline.
    pub name: &'static str,
    /// The template's text.
    pub template: &'static str,
    /// Values for the template's `const` declarations.
    pub constants: Vec<(&'static str, String)>,
    /// Types for the template's `alias` declarations.
    pub aliases: Vec<(&'static str, &'static str)>,
    /// Bodies for the template's hook functions.
    pub hooks: Vec<(&'static str, String)>,
    /// Bindings and functions that hook bodies use, put before the template's first function.
    pub declarations: String,
    /// Binding name in the shader and what it shows.
    pub bindings: Vec<(String, Operand)>,
    /// The words of `params`, in order.
    pub params: Vec<Word>,
    /// Workgroups in x, y, z; see [`fold_groups`].
    pub groups: [u32; 3],
    /// Estimated floating-point operations, for splitting submits.
    pub work: u64,
    /// Compiled with wgpu's bounds checks in release builds too: kernels of a caller's own operations.
    pub(crate) checked: bool,
}

impl Kernel {
    /// A kernel from a template without anything specialised yet.
    pub fn new(name: &'static str, template: &'static str) -> Kernel {
        Kernel {
            name,
            template,
            constants: Vec::new(),
            aliases: Vec::new(),
            hooks: Vec::new(),
            declarations: String::new(),
            bindings: Vec::new(),
            params: Vec::new(),
            groups: [1, 1, 1],
            work: 0,
            checked: false,
        }
    }

    /// Sets a `const`; numbers are given the suffix their declaration has.
    #[must_use]
    pub fn constant(mut self, name: &'static str, value: impl ToString) -> Kernel {
        self.constants.push((name, value.to_string()));
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

    /// Appends parameter words.
    #[must_use]
    pub fn words(mut self, words: impl IntoIterator<Item = Word>) -> Kernel {
        self.params.extend(words);
        self
    }

    /// Appends parameter words known now.
    #[must_use]
    pub fn values(self, values: &[usize]) -> Kernel {
        self.words(values.iter().map(|&v| Word::Value(v as u32)))
    }

    /// Sets the grid.
    #[must_use]
    pub fn grid(mut self, groups: [u32; 3]) -> Kernel {
        self.groups = groups;
        self
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
    /// The input whose buffer the first output takes over, where the kernel was made so.
    pub in_place: Option<usize>,
}

impl From<Kernel> for Kernels {
    fn from(kernel: Kernel) -> Kernels {
        Kernels { kernels: vec![kernel], ..Kernels::default() }
    }
}

/// A grid of at least `invocations` invocations in groups of `size`, folded so that no dimension passes the
/// 65,535 groups WebGPU allows. The shader's linear index is `group.x + group.y * groups.x` times `size`.
pub fn fold_groups(invocations: usize, size: usize) -> [u32; 3] {
    const LIMIT: usize = 65_535;
    let groups = invocations.div_ceil(size).max(1);
    let y = groups.div_ceil(LIMIT);
    [groups.div_ceil(y) as u32, y as u32, 1]
}
