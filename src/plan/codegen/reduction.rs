//! Reductions: how two values are combined, within a vector, along a loop and across the invocations of a team.

use crate::dtype::DType;
use crate::shader::Combine;
use std::fmt::Write;

/// The functions that find NaN among the largest and the smallest.
pub(super) const LIBRARY: &str = wgsl!("lib/not_a_number");

/// One reduction in a kernel.
pub(super) struct Accumulator {
    /// The variable of its result.
    pub name: String,
    pub combine: Combine,
    /// The type of the call's result.
    pub dtype: DType,
    /// For sums of exponentials the variable of the largest element.
    pub largest: Option<String>,
}

impl Accumulator {
    /// The alias of the type that it is computed in.
    pub fn vector(&self) -> &'static str {
        match self.dtype {
            DType::F32 | DType::F16 => "F",
            DType::I32 => "I",
            DType::U32 | DType::Bool => "U",
        }
    }

    /// The type it is computed in.
    pub fn computed(&self) -> DType {
        if self.dtype == DType::F16 { DType::F32 } else { self.dtype }
    }

    /// The type of one number.
    fn scalar(&self) -> &'static str {
        self.computed().wgsl()
    }

    /// The result over nothing, a number that changes no other. Infinity is no constant in WGSL, so it is made of data.
    pub fn nothing(&self) -> String {
        let vector = self.vector();
        let word = |bits: &str| match vector {
            "F" => format!("F(bitcast<f32>({bits} + min(params.length, 0u)))"),
            _ => format!("{vector}({bits})"),
        };
        match (self.combine, vector) {
            (Combine::Sum | Combine::Exponentials, "F") => "F(0.0)".to_string(),
            (Combine::Sum | Combine::Exponentials, _) => format!("{vector}(0)"),
            (Combine::Product, "F") => "F(1.0)".to_string(),
            (Combine::Product, _) => format!("{vector}(1)"),
            (Combine::Largest, "F") => word("0xff800000u"),
            (Combine::Largest, "I") => word("-2147483647 - 1"),
            (Combine::Largest, _) => word("0u"),
            (Combine::Smallest, "F") => word("0x7f800000u"),
            (Combine::Smallest, "I") => word("2147483647"),
            (Combine::Smallest, _) if self.dtype == DType::Bool => word("1u"),
            (Combine::Smallest, _) => word("0xffffffffu"),
        }
    }

    /// Two values of the kernel's vector type combined.
    pub fn combined(&self, a: &str, b: &str) -> String {
        self.joined(a, b, self.vector())
    }

    fn joined(&self, a: &str, b: &str, of: &str) -> String {
        match self.combine {
            Combine::Sum | Combine::Exponentials => format!("({a} + {b})"),
            Combine::Product => format!("({a} * {b})"),
            Combine::Largest if self.is_float() => format!("largest_{of}({a}, {b})"),
            Combine::Smallest if self.is_float() => format!("smallest_{of}({a}, {b})"),
            Combine::Largest => format!("max({a}, {b})"),
            Combine::Smallest => format!("min({a}, {b})"),
        }
    }

    /// True for the largest or smallest of floats, among which NaN wins.
    pub fn is_extreme(&self) -> bool {
        self.is_float() && matches!(self.combine, Combine::Largest | Combine::Smallest)
    }

    fn is_float(&self) -> bool {
        self.vector() == "F"
    }

    /// The value that an element adds to the partial result, after `growth`.
    pub fn element(&self, value: String) -> String {
        match self.largest {
            Some(_) => format!("exp({value} - at_{})", self.name),
            None => value,
        }
    }

    /// The lines that rescale a sum of exponentials to the largest element so far: at `at` each counts as 1.
    pub fn growth(&self) -> String {
        let (Some(largest), name) = (&self.largest, &self.name) else { return String::new() };
        format!(
            "    let next_{name} = max(at_{name}, part_{largest});
    let less_{name} = less(at_{name}, next_{name});
    part_{name} *= less_{name};
    sum_{name} *= less_{name};
    at_{name} = next_{name};
"
        )
    }

    /// The lines before an invocation's loop. `at` is the lowest number at first, as infinities have no difference.
    pub fn start(&self) -> String {
        let at = format!("    var at_{} = F(-3.4028234e38);\n", self.name);
        let at = self.largest.as_ref().map(|_| at).unwrap_or_default();
        format!("    var sum_{} = {};\n{at}", self.name, self.nothing())
    }

    /// The row's result after an invocation's loop.
    pub fn end(&self, across: bool, width: usize, lanes: usize) -> String {
        let (name, sum) = (&self.name, format!("sum_{}", self.name));
        let ready = self.largest.as_ref().map(|largest| format!("    {sum} *= less(at_{name}, {largest});\n"));
        format!("{}    let {name} = {};\n", ready.unwrap_or_default(), self.total(&sum, across, width, lanes))
    }

    /// The row's result of an invocation's `sum`: over the vector's four numbers where they are elements of one row
    /// (`across`), and over the team.
    pub fn total(&self, sum: &str, across: bool, width: usize, lanes: usize) -> String {
        let scalar = self.scalar();
        let shared = |value: String| {
            if lanes > 1 { format!("{}({value}, local)", self.team_function()) } else { value }
        };
        if across {
            let pairs = [("x", "y"), ("z", "w")]
                .map(|(a, b)| self.joined(&format!("{sum}.{a}"), &format!("{sum}.{b}"), scalar));
            return format!("{}({})", self.vector(), shared(self.joined(&pairs[0], &pairs[1], scalar)));
        }
        if lanes == 1 {
            return sum.to_string();
        }
        if width == 1 {
            return shared(sum.to_string());
        }
        let parts = ["x", "y", "z", "w"].map(|part| shared(format!("{sum}.{part}")));
        format!("{}({})", self.vector(), parts.join(", "))
    }

    fn team_function(&self) -> String {
        let combine = match self.combine {
            Combine::Sum | Combine::Exponentials => "sum",
            Combine::Product => "product",
            Combine::Largest => "largest",
            Combine::Smallest => "smallest",
        };
        format!("team_{combine}_{}", self.scalar())
    }
}

/// The functions that these reductions call.
pub(super) fn team_functions(accumulators: &[Accumulator], lanes: usize) -> String {
    let mut text = String::new();
    if accumulators.iter().any(Accumulator::is_extreme) {
        for (of, is_nan) in [("F", "not_a_number"), ("f32", "one_not_a_number")] {
            // A NaN wins over everything, as in PyTorch.
            for (name, beats) in [("largest", ">"), ("smallest", "<")] {
                let _ = write!(
                    text,
                    "
fn {name}_{of}(a: {of}, b: {of}) -> {of} {{ return select(a, b, ((b {beats} a) | {is_nan}(b)) & !{is_nan}(a)); }}
"
                );
            }
        }
    }
    if accumulators.iter().any(|accumulator| accumulator.largest.is_some()) {
        // The factor between exp(x - b) and exp(x - a), without a rounding if that is 1.
        text.push_str("\nfn less(a: F, b: F) -> F { return select(exp(a - b), F(1.0), a == b); }\n");
    }
    if lanes == 1 {
        return text;
    }
    text.push_str("\nvar<workgroup> partials: array<u32, WORKGROUP>;\n");
    let mut written: Vec<String> = Vec::new();
    for accumulator in accumulators {
        let (name, scalar) = (accumulator.team_function(), accumulator.scalar());
        if written.contains(&name) {
            continue;
        }
        let halves = accumulator.joined(
            &format!("bitcast<{scalar}>(partials[local])"),
            &format!("bitcast<{scalar}>(partials[local + reach])"),
            scalar,
        );
        let _ = write!(
            text,
            "
fn {name}(value: {scalar}, local: u32) -> {scalar} {{
    // No invocation may still read the last call's partials.
    workgroupBarrier();
    partials[local] = bitcast<u32>(value);
    workgroupBarrier();
    for (var reach = LANES / 2u; reach > 0u; reach /= 2u) {{
        if (local % LANES < reach) {{
            partials[local] = bitcast<u32>({halves});
        }}
        workgroupBarrier();
    }}
    return bitcast<{scalar}>(partials[local - local % LANES]);
}}
",
        );
        written.push(name);
    }
    text
}
