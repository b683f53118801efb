//! The memory layout of a product's operands, and their loads.

use crate::dtype::DType;
use crate::error::Result;
use crate::shape::{Layout, Shape};

/// The inner dimension along which an operand is loaded.
pub(super) fn fastest(operand: &Layout) -> usize {
    if operand.strides()[2] == 1 { 2 } else { 1 }
}

/// True if quads along dimension `fastest` can be loaded as vectors.
pub(super) fn has_quads(layout: &Layout, fastest: usize) -> bool {
    layout.offset.is_multiple_of(4) && has_runs(layout, fastest, 4)
}

/// True if neighbours along dimension `fastest` are neighbours in memory, in aligned groups of `size`.
pub(super) fn has_runs(layout: &Layout, fastest: usize, size: usize) -> bool {
    let step = |dim: usize| if dim == 0 && layout.shape[0] == 1 { 0 } else { layout.strides()[dim] };
    layout.strides()[fastest] == 1
        && layout.shape[fastest].is_multiple_of(size)
        && (0..3).all(|dim| dim == fastest || step(dim).is_multiple_of(size))
}

/// The same as [`quads`] for f32, two numbers of a quad at a time.
pub(super) fn pairs(layout: &Layout, fastest: usize, binding: &str) -> (&'static str, Option<String>) {
    if layout.dtype != DType::F32 || !has_quads(layout, fastest) {
        return quads(layout, fastest, binding);
    }
    ("vec2<u64>", Some(format!("return bitcast<Quad>(four_of_pairs({binding}[first / 4u]));")))
}

/// The element type of a binding, and the body of the function that loads four neighbours from it if they are one vector.
pub(super) fn quads(layout: &Layout, fastest: usize, binding: &str) -> (&'static str, Option<String>) {
    if !has_quads(layout, fastest) {
        return (layout.dtype.wgsl(), None);
    }
    let element = if layout.dtype == DType::F16 { "vec4<f16>" } else { "vec4<f32>" };
    (element, Some(format!("return Quad({binding}[first / 4u]);")))
}

/// A batch of matrices transposed.
pub(super) fn transposed(operand: &Layout) -> Result<Layout> {
    let (shape, strides) = (operand.shape, operand.strides());
    let shape = Shape::new(&[shape[0], shape[2], shape[1]])?;
    Ok(Layout::strided(shape, &[strides[0], strides[2], strides[1]], operand.offset, operand.dtype))
}
