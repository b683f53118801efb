//! The ways to load an input: in vectors if possible, else element by element.

use crate::dtype::DType;
use crate::plan::analysis::domain::{Wide, steps};
use crate::shader::index_expr;
use crate::shape::Layout;

/// The positions in an input of the numbers of one vector, or of the single number.
#[derive(Clone, Debug)]
pub(in crate::plan) enum Access {
    /// In the order of the indices: one vector.
    Flat,
    /// One vector at a computed place.
    Vector(Vec<(usize, usize)>),
    /// Eight numbers loaded together as four pairs of 64 bits, at a computed place.
    Pairs(Vec<(usize, usize)>),
    /// One number for all four.
    Splat(Vec<(usize, usize)>),
    /// Four numbers, each at a computed place.
    Gather(Vec<(usize, usize)>),
    /// No vectors: one number at a computed place.
    Single(Vec<(usize, usize)>),
}

impl Access {
    /// The access that reads `layout` in the order of its elements, in vectors or not. Sizes become constants of the kernel,
    /// all but the outermost, which a shorter last batch changes.
    pub fn new(layout: &Layout, wide: Wide) -> Access {
        let steps = steps(layout);
        if wide == Wide::Single {
            return Access::Single(steps);
        }
        if layout.is_contiguous() && layout.offset.is_multiple_of(4) {
            return Access::Flat;
        }
        match steps.last() {
            None => Access::Splat(Vec::new()),
            Some((_, 0)) if steps.len() == 1 => Access::Splat(Vec::new()),
            Some((size, 0)) if size % 4 == 0 => Access::Splat(steps),
            Some((size, 1))
                if size % 4 == 0
                    && layout.offset.is_multiple_of(4)
                    && steps.iter().rev().skip(1).all(|step| step.1 % 4 == 0) =>
            {
                Access::Vector(steps)
            }
            _ => Access::Gather(steps),
        }
    }

    /// The same in pairs, if eight numbers from a multiple of eight on are neighbours in memory too.
    pub fn pairs(&self, layout: &Layout) -> Option<Access> {
        let steps = match self {
            Access::Flat => vec![(layout.shape.numel(), 1)],
            Access::Vector(steps) => steps.clone(),
            _ => return None,
        };
        let (last, outer) = steps.split_last()?;
        let is_whole = outer.is_empty() || last.0 % 8 == 0 && outer.iter().all(|step| step.1 % 8 == 0);
        (is_whole && layout.offset == 0 && layout.dtype.size() == 4).then_some(Access::Pairs(steps))
    }

    /// The element type of the binding.
    pub fn array_type(&self, dtype: DType) -> &'static str {
        match self {
            Access::Pairs(_) => "vec4<u64>",
            _ => array_type(dtype, matches!(self, Access::Flat | Access::Vector(_))),
        }
    }

    /// The expression that loads the numbers at `index` from `buffer`, in the type they are computed with. `count` is
    /// the expression of how many there are, where the index may lie past that: such places are not read, except by whole
    /// vectors.
    pub fn load(&self, buffer: &str, offset: &str, index: &str, count: Option<&str>, dtype: DType) -> String {
        let raw = match self {
            Access::Flat => format!("{buffer}[({offset} + {index}) / 4u]"),
            Access::Pairs(_) => format!("bitcast<{}>(four_{buffer})", array_type(dtype, true)),
            Access::Vector(steps) => format!("{buffer}[({offset} + {}) / 4u]", index_expr(buffer, steps, index)),
            Access::Splat(steps) => {
                return converted(&format!("{buffer}[{offset} + {}]", index_expr(buffer, steps, index)), dtype, true);
            }
            Access::Single(steps) => format!("{buffer}[{offset} + {}]", index_expr(buffer, steps, index)),
            Access::Gather(steps) => {
                let within = |index: String| match count {
                    Some(count) => format!("min({index}, {count} - 1u)"),
                    None => format!("({index})"),
                };
                let element = |lane: u32| {
                    format!("{buffer}[{offset} + {}]", index_expr(buffer, steps, &within(format!("{index} + {lane}u"))))
                };
                format!("vec4({}, {}, {}, {})", element(0), element(1), element(2), element(3))
            }
        };
        converted(&raw, dtype, false)
    }
}

/// A stored number, or vector of them, in the type it is computed with.
fn converted(raw: &str, dtype: DType, splat: bool) -> String {
    match dtype {
        DType::Bool => format!("(U({raw}) != U(0u))"),
        // A vector of f32 takes no single f16.
        DType::F16 if splat => format!("F(f32({raw}))"),
        DType::F32 | DType::F16 => format!("F({raw})"),
        DType::I32 if splat => format!("I({raw})"),
        DType::U32 if splat => format!("U({raw})"),
        DType::I32 | DType::U32 => raw.to_string(),
    }
}

/// A computed value in the type it is stored in.
pub(in crate::plan) fn stored(value: &str, dtype: DType, width: usize) -> String {
    match dtype {
        DType::Bool => format!("select(U(0u), U(1u), {value})"),
        DType::F16 if width == 4 => format!("vec4<f16>({value})"),
        DType::F16 => format!("f16({value})"),
        _ => value.to_string(),
    }
}

/// A computed value rounded to its type: f16, which is computed with in f32, is rounded whether it is stored or not.
pub(in crate::plan) fn rounded(value: &str, dtype: DType, width: usize) -> String {
    match dtype {
        DType::F16 => format!("F({})", stored(value, dtype, width)),
        _ => value.to_string(),
    }
}

/// The element type of a binding.
pub(in crate::plan) fn array_type(dtype: DType, vector: bool) -> &'static str {
    match (dtype, vector) {
        (DType::F32, true) => "vec4<f32>",
        (DType::F16, true) => "vec4<f16>",
        (DType::I32, true) => "vec4<i32>",
        (DType::U32 | DType::Bool, true) => "vec4<u32>",
        (_, false) => dtype.wgsl(),
    }
}
