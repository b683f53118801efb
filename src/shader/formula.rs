//! Formulas of elements and of rows in WGSL, and the facts about them that the planner asks for.

use crate::shader::cost::{DEAR, cost};
use naga::Expression;
use naga::front::wgsl;
use std::sync::OnceLock;

/// The cost of the most expensive formula that is computed again and not stored.
const CHEAP: u64 = 4;

/// A pointwise formula in WGSL.
///
/// `F`, `I`, `U` and `B` are vectors of four floats, signed and unsigned integers and truth values; `{0}`, `{1}`,
/// `{2}` are the operands, `{first}` the first element of the first operand, `{s0}`, `{s1}`, .. the call's scalars as `u32`
/// words, the first of them `word({words})`, `{i}` the indices of the four elements among the output's, and `quad` the
/// index of the four.
#[derive(Debug)]
pub struct Formula {
    /// Name, as in PyTorch.
    pub name: &'static str,
    /// The expression.
    pub wgsl: &'static str,
    /// WGSL functions it calls, complete; from `shaders/lib/`.
    pub library: &'static [&'static str],
    /// True if every element is the same number, so that it is inlined into its users.
    pub constant: bool,
    facts: OnceLock<Facts>,
}

/// Facts about a formula, from its parsed expression and the functions that this calls.
#[derive(Clone, Copy, Debug)]
struct Facts {
    /// Estimated time, in additions.
    cost: u64,
    /// True if it means the same where `F`, `I`, `U` and `B` are single numbers.
    is_scalar: bool,
    /// True if it depends on an element's position.
    is_positional: bool,
}

impl Formula {
    /// A formula that calls no functions of its own.
    pub const fn new(name: &'static str, wgsl: &'static str) -> Formula {
        Formula { name, wgsl, library: &[], constant: false, facts: OnceLock::new() }
    }

    /// The same, calling functions of these texts.
    #[must_use]
    pub const fn library(mut self, library: &'static [&'static str]) -> Formula {
        self.library = library;
        self
    }

    /// The same, with one number for all elements.
    #[must_use]
    pub const fn constant(mut self) -> Formula {
        self.constant = true;
        self
    }

    /// Estimated time to compute an element, in additions.
    pub(crate) fn cost(&self) -> u64 {
        self.facts().cost
    }

    /// True if it means the same where `F`, `I`, `U` and `B` are single numbers instead of vectors of four.
    pub(crate) fn is_scalar(&self) -> bool {
        self.facts().is_scalar
    }

    /// True if it depends on an element's position.
    pub(crate) fn is_positional(&self) -> bool {
        self.facts().is_positional
    }

    /// True if computing it again costs less than storing it.
    pub(crate) fn is_cheap(&self) -> bool {
        self.cost() <= CHEAP
    }

    fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts::of(self.wgsl, self.library))
    }
}

/// Combines the elements of a row into one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Combine {
    /// Their sum.
    Sum,
    /// Their product.
    Product,
    /// The largest; NaN wins. Truth values count as 0 and 1.
    Largest,
    /// The smallest; NaN wins.
    Smallest,
    /// The sum of exp(x - m), where m is the largest x: the result of the reduction before this one, of the same elements.
    /// For formulas with a `whole` result.
    Exponentials,
}

/// Reductions along the rows of the one input, and a formula of their results, in WGSL: `{0}` is an element, `{r0}`, `{r1}`, ..
/// the results of the reductions; types as in [`Formula`].
#[derive(Debug)]
pub struct RowFormula {
    /// For each reduction its combination of elements, and the expression of an element, which may use earlier results.
    pub reductions: &'static [(Combine, &'static str)],
    /// The expression of the result.
    pub result: &'static str,
    /// True if the result has as many elements as the input, and not one a row.
    pub whole: bool,
}

impl RowFormula {
    /// True if it is the sum of the elements.
    pub(crate) fn is_sum(&self) -> bool {
        matches!(self.reductions, [(Combine::Sum, "{0}")]) && self.result == "{r0}" && !self.whole
    }
}

/// A placeholder in a formula's text, which its writer fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placeholder {
    /// `{0}`, `{1}`, ..: an operand.
    Operand(usize),
    /// `{first}`: the first element of the first operand.
    First,
    /// `{i}`: the indices of the elements.
    Indices,
    /// `{s0}`, `{s1}`, ..: a scalar.
    Scalar(usize),
    /// `{words}`: the index of the first scalar among the words.
    Words,
    /// `{r0}`, `{r1}`, ..: the result of a reduction.
    Result(usize),
}

impl Placeholder {
    fn named(name: &str) -> Option<Placeholder> {
        let number = |prefix: &str| name.strip_prefix(prefix)?.parse().ok();
        match name {
            "i" => Some(Placeholder::Indices),
            "first" => Some(Placeholder::First),
            "words" => Some(Placeholder::Words),
            _ => number("")
                .map(Placeholder::Operand)
                .or_else(|| number("s").map(Placeholder::Scalar))
                .or_else(|| number("r").map(Placeholder::Result)),
        }
    }

    /// The placeholders of a text, in order.
    pub fn all(text: &str) -> impl Iterator<Item = Placeholder> {
        text.split('{').skip(1).filter_map(|part| Placeholder::named(part.split('}').next()?))
    }

    /// The text with its placeholders filled; those that `with` knows nothing for stay.
    pub fn fill(text: &str, mut with: impl FnMut(Placeholder) -> Option<String>) -> String {
        let mut parts = text.split('{');
        let mut filled = parts.next().unwrap_or("").to_string();
        for part in parts {
            match part.split_once('}').and_then(|(name, rest)| Some((with(Placeholder::named(name)?)?, rest))) {
                Some((value, rest)) => filled.extend([&*value, rest]),
                None => filled.extend(["{", part]),
            }
        }
        filled
    }
}

/// The types that operands may have.
const TYPES: [&str; 4] = ["F", "I", "U", "B"];

/// Operands that need not be floats.
const MOST_MIXED: usize = 4;

impl Facts {
    /// Tries types for the operands, floats first, until the expression is valid. An expression that is valid with none gets
    /// the facts with which the planner fuses least; the compilation of its kernel reports it.
    fn of(expression: &str, library: &[&str]) -> Facts {
        let operand = |placeholder| match placeholder {
            Placeholder::Operand(operand) => Some(operand + 1),
            _ => None,
        };
        let operands = Placeholder::all(expression).filter_map(operand).max().unwrap_or(0);
        // Two bits an operand.
        let combinations = 1usize << (2 * operands.min(MOST_MIXED));
        (0..combinations)
            .flat_map(|combination| [1, 4].map(|width| (combination, width)))
            .find_map(|(combination, width)| {
                let bits = |operand: usize| if operand < MOST_MIXED { combination >> (2 * operand) & 3 } else { 0 };
                let types = (0..operands).map(|operand| TYPES[bits(operand)]);
                Facts::parsed(&module(expression, library, types, width), width)
            })
            .unwrap_or(Facts { cost: DEAR, is_scalar: false, is_positional: true })
    }

    /// The facts of the last function of a module; `None` if the module is not valid.
    fn parsed(source: &str, width: u64) -> Option<Facts> {
        let module = wgsl::parse_str(source).ok()?;
        let function = &module.functions.iter().last()?.1;
        let reads = |name: &str| {
            let is_read = |expression: &Expression| match *expression {
                Expression::GlobalVariable(variable) => module.global_variables[variable].name.as_deref() == Some(name),
                _ => false,
            };
            function.expressions.iter().any(|(_, expression)| is_read(expression))
        };
        let cost = cost(&module, function)?.div_ceil(width).max(1);
        let is_scalar = width == 1 && !reads("quad");
        Some(Facts { cost, is_scalar, is_positional: reads("quad") || reads("indices") })
    }
}

/// A module whose last function computes an expression of operands of these types.
fn module(expression: &str, library: &[&str], types: impl Iterator<Item = &'static str>, width: u64) -> String {
    let vector = |number: &str| if width == 1 { number.to_string() } else { format!("vec4<{number}>") };
    let aliases = TYPES.iter().zip(["f32", "i32", "u32", "bool"]);
    let aliases: String = aliases.map(|(alias, number)| format!("alias {alias} = {};\n", vector(number))).collect();
    let parameters: Vec<String> = types.enumerate().map(|(at, of)| format!("x{at}: {of}")).collect();
    let value = Placeholder::fill(expression, |placeholder| match placeholder {
        Placeholder::Operand(operand) => Some(format!("x{operand}")),
        Placeholder::First => Some(if width == 1 { "x0" } else { "x0.x" }.to_string()),
        Placeholder::Indices => Some("indices".to_string()),
        Placeholder::Scalar(scalar) => Some(format!("word({scalar}u)")),
        Placeholder::Words => Some("0u".to_string()),
        Placeholder::Result(_) => None,
    });
    format!(
        "{aliases}var<private> quad: u32;\nvar<private> indices: U;\nfn word(index: u32) -> u32 {{ return index; }}\n\
         {}\nfn formula({}) {{ _ = {value}; }}\n",
        library.concat(),
        parameters.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_come_from_what_an_expression_computes() {
        let words = "// The square root of a quad of vec4, by tangents: exp, log.\nfn far(x: F) -> F { return abs(x) + F(1.0); }\n\
                     fn unused(x: F) -> F { return sqrt(x); }\n";
        let facts = Facts::of("far({0}) * F(2.0)", &[words]);
        assert_eq!((facts.cost, facts.is_scalar, facts.is_positional), (3, true, false));
        let root = Facts::of("far({0}) * inverseSqrt({1})", &[words]);
        assert_eq!(root.cost, 3 + DEAR);
        let vector = Facts::of("reversed({0} + {0})", &["fn reversed(x: F) -> F { return x.wzyx; }"]);
        assert_eq!((vector.cost, vector.is_scalar, vector.is_positional), (1, false, false));
        assert!(Facts::of("F({i})", &[]).is_positional && Facts::of("F({i})", &[]).is_scalar);
        assert!(Facts::of("F(f32(quad))", &[]).is_positional && !Facts::of("F(f32(quad))", &[]).is_scalar);
        // Operands of several types, and a loop.
        let turns =
            "fn power(x: F, y: U) -> F {\n var p = x;\n for (var i = 0u; i < 9u; i++) { p = p * x; }\n return p;\n}\n";
        assert!(Facts::of("select({0}, power({0}, {2}), {1})", &[turns]).cost > 16);
        assert!(!Facts::of("{0} +", &[]).is_scalar);
    }

    #[test]
    fn placeholders_are_filled_and_others_stay() {
        let filled = Placeholder::fill("{1} + {s0} { x } {7}", |placeholder| match placeholder {
            Placeholder::Operand(1) => Some("a".to_string()),
            Placeholder::Scalar(scalar) => Some(format!("word({scalar}u)")),
            _ => None,
        });
        assert_eq!(filled, "a + word(0u) { x } {7}");
        assert_eq!(
            Placeholder::all("{r1} * {first} + {i}").collect::<Vec<_>>(),
            [Placeholder::Result(1), Placeholder::First, Placeholder::Indices]
        );
    }
}
