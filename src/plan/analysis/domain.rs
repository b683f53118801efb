//! The domain of a kernel over rows, and how a linear index splits into a row and an element.

use crate::shader::index_expr;
use crate::shape::{Layout, Shape};
use std::cmp::Reverse;

/// Sizes and strides, outermost first; dimensions that step alike count as one, those of size 1 not at all.
pub(in crate::plan) fn steps(layout: &Layout) -> Vec<(usize, usize)> {
    merged(layout.shape.iter().copied().zip(layout.strides().iter().copied()))
}

/// Some dimensions of a layout as [`steps`], in the order in which they lie in memory.
pub(in crate::plan) fn steps_in_memory(layout: &Layout, is_one: impl Fn(usize) -> bool) -> Vec<(usize, usize)> {
    let sizes = layout.shape.iter().copied().zip(layout.strides().iter().copied());
    let mut sizes: Vec<(usize, usize)> =
        sizes.enumerate().filter(|&(dim, _)| is_one(dim)).map(|(_, size)| size).collect();
    sizes.sort_unstable_by_key(|&(size, stride)| Reverse((stride, size)));
    merged(sizes.into_iter())
}

fn merged(sizes: impl Iterator<Item = (usize, usize)>) -> Vec<(usize, usize)> {
    let mut steps: Vec<(usize, usize)> = Vec::new();
    for (size, stride) in sizes {
        match steps.last_mut() {
            _ if size == 1 => {}
            Some(last) if last.1 == stride * size => *last = (last.0 * size, stride),
            _ => steps.push((size, stride)),
        }
    }
    steps
}

/// A tensor seen as rows: an index in the order of its elements is a row and an element of the row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::plan) struct Domain {
    /// The row of an index, as a layout: stride 0 along the row.
    pub row_of: Vec<(usize, usize)>,
    /// Rows.
    pub rows: usize,
    /// Elements of a row.
    pub length: usize,
    /// Elements of a row for each index of the outermost dimension, if that is part of a row and larger than 1: a shorter
    /// last batch changes the length and not this.
    pub length_each: Option<usize>,
}

/// The meaning of the four numbers of a vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::plan) enum Wide {
    /// There are no vectors: one number.
    Single,
    /// Neighbouring elements of a row; if `ragged`, the last ones may be missing.
    Elements { ragged: bool },
    /// The same element of neighbouring rows.
    Rows,
}

impl Wide {
    pub fn width(self) -> usize {
        if self == Wide::Single { 1 } else { 4 }
    }
}

impl Domain {
    /// The rows of a shape along `dims`.
    pub fn new(input: &Layout, dims: &[usize]) -> Domain {
        let shape = input.shape;
        let kept: Vec<usize> = (0..shape.len()).filter(|dim| !dims.contains(dim)).collect();
        let mut strides = vec![0; shape.len()];
        let mut stride = 1;
        for &dim in kept.iter().rev() {
            strides[dim] = stride;
            stride *= shape[dim];
        }
        let row_of = steps(&Layout::strided(shape, &strides, 0, input.dtype));
        let rows = kept.iter().map(|&dim| shape[dim]).product();
        let length = dims.iter().map(|&dim| shape[dim]).product();
        let length_each = (dims.contains(&0) && shape[0] > 1).then(|| length / shape[0]);
        Domain { row_of, rows, length, length_each }
    }

    pub fn numel(&self) -> usize {
        self.rows * self.length
    }

    /// True if a layout over the whole domain shows each row's one value to all of its elements.
    pub fn is_row_value(&self, layout: &Layout) -> bool {
        layout.offset == 0 && steps(layout) == self.row_of
    }

    /// The layout of the rows' values that a layout shows: one for each row, or, without `of_rows`, for each element that of
    /// its row.
    pub fn row_values(&self, layout: &Layout, of_rows: bool) -> Option<Layout> {
        let shows = if of_rows {
            layout.is_contiguous() && layout.shape.numel() == self.rows
        } else {
            self.rows < self.numel() && steps(layout) == self.row_of
        };
        let shape = Shape::new(&[self.rows]).ok().filter(|_| shows)?;
        Some(Layout::strided(shape, &[1], layout.offset, layout.dtype))
    }

    /// True if neighbours in memory belong to one row.
    pub fn rows_are_runs(&self) -> bool {
        self.row_of.last().is_none_or(|&(_, stride)| stride == 0)
    }

    pub fn wide(&self) -> Wide {
        match self.row_of[..] {
            // The size of one run is the whole tensor's, which a shorter last batch changes.
            [] | [(_, 0)] => Wide::Elements { ragged: true },
            [.., (size, 0)] if size % 4 == 0 => Wide::Elements { ragged: false },
            [_, .., (size, 1)] if size % 4 == 0 => Wide::Rows,
            _ => Wide::Single,
        }
    }

    /// True if eight neighbours from a multiple of eight on belong to one row.
    pub fn has_u64_pairs(&self) -> bool {
        match self.wide() {
            Wide::Elements { ragged } => ragged || self.row_of.last().is_some_and(|(size, _)| size % 8 == 0),
            Wide::Single | Wide::Rows => false,
        }
    }

    /// For rows or for elements: the sizes and the distances in memory of the dimensions they count through.
    fn part(&self, of_rows: bool) -> Vec<(usize, usize)> {
        let mut part = Vec::new();
        let mut distance = 1;
        for &(size, stride) in self.row_of.iter().rev() {
            if (stride != 0) == of_rows {
                part.push((size, distance));
            }
            distance *= size.max(1);
        }
        part.reverse();
        part
    }

    /// The strides of rows and elements, if both are even; then these numbers are parameters, and one kernel serves many
    /// shapes.
    pub fn even(&self) -> Option<(usize, usize)> {
        match (&self.part(true)[..], &self.part(false)[..]) {
            ([] | [_], [] | [_]) => {
                let step = |part: Vec<(usize, usize)>| part.first().map_or(0, |&(_, distance)| distance);
                Some((step(self.part(true)), step(self.part(false))))
            }
            _ => None,
        }
    }

    /// The WGSL expression of the index of a row's first element.
    pub fn row_start(&self, row: &str) -> String {
        if self.even().is_some() {
            return format!("{row} * params.row_stride");
        }
        index_expr("row", &self.part(true), row)
    }

    /// The WGSL expression of an element's distance from there.
    pub fn distance(&self, element: &str) -> String {
        match self.even() {
            Some(_) if self.rows_are_runs() => element.to_string(),
            Some(_) => format!("{element} * params.element_stride"),
            None => index_expr("element", &self.part(false), element),
        }
    }
}
