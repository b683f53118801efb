//! Images sampled each through its own map, with filters that widen where a map shrinks, and fill values past the edges.
//!
//! A chain of geometric transforms is one such map. It is described on the host; its gradient is its transpose.

mod maps;
mod reference;

pub(crate) use maps::{Clip, ImageMap};

use super::projective::Projective;
use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const OP: &str = "warp";
const TEMPLATE: &str = wgsl!("resample/warp");

/// Weights of the elements around a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Filter {
    /// The nearest.
    Nearest,
    /// A triangle.
    Linear,
    /// Keys' cubic convolution with a = -1/2.
    SmoothCubic,
    /// The same with a = -3/4.
    Cubic,
}

impl Filter {
    /// Its number in the shader.
    fn code(self) -> u32 {
        match self {
            Filter::Nearest => 0,
            Filter::Linear => 1,
            Filter::SmoothCubic | Filter::Cubic => 2,
        }
    }

    fn cubic(self) -> f32 {
        if self == Filter::Cubic { -0.75 } else { -0.5 }
    }

    /// Elements within its reach on each side, for a width of 1.
    fn reach(self) -> f64 {
        if self.code() == 2 { 2.0 } else { 1.0 }
    }
}

/// The treatment of taps past the canvas.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Beyond {
    /// They are ignored: the weights of the others add up to 1, as for resized images.
    Ignore,
    /// They take their fill value, as for rotated images surrounded by zeros.
    Fill,
    /// They take their fill value by twice the missing weight, as torchvision blends a given fill value.
    Twice,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Direction {
    Forward,
    /// Without fill values.
    Homogeneous,
    Transposed,
}

/// The sampling of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sampling {
    pub filter: Filter,
    pub beyond: Beyond,
    /// Height and width of all outputs.
    pub size: [usize; 2],
}

#[derive(Clone, Debug, Hash)]
struct Warp {
    sampling: Sampling,
    clips: usize,
    displaced: bool,
    /// Rounds rows and clamps them to bytes before they are added up: for bytes and filters that may overshoot.
    bytes: bool,
    direction: Direction,
    /// Height and width of the inputs of the forward pass.
    source: [usize; 2],
}

impl Warp {
    fn out(&self) -> [usize; 2] {
        if self.direction == Direction::Transposed { self.source } else { self.sampling.size }
    }
}

impl Op for Warp {
    fn name(&self) -> &'static str {
        if self.direction == Direction::Transposed { "warp_backward" } else { OP }
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let [height, width] = self.out();
        let shape = Shape::new(&[inputs[0].shape[0], inputs[0].shape[1], height, width])?;
        Ok(vec![Layout::contiguous(shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (count, maps, channels) = (io.outputs[0].shape.numel(), io.inputs[1].shape, io.inputs[0].shape[1]);
        let Sampling { filter, beyond, size } = self.sampling;
        let mut kernel = Kernel::new("warp", TEMPLATE)
            .alias("Element", io.inputs[0].dtype.wgsl())
            .constant("FILTER", format!("{}u", filter.code()))
            .constant("BEYOND", format!("{}u", beyond as u32))
            .constant("CUBIC_A", format!("{:?}", filter.cubic()))
            .constant("CLIPS", format!("{}u", self.clips))
            .constant("DISPLACED", self.displaced)
            .constant("BYTES", self.bytes)
            .constant("TRANSPOSED", self.direction == Direction::Transposed)
            .constant("HOMOGENEOUS", self.direction != Direction::Forward)
            .constant("CHANNELS", format!("{channels}u"))
            .size("HEIGHT", self.source[0])
            .size("WIDTH", self.source[1])
            .size("OUT_HEIGHT", size[0])
            .size("OUT_WIDTH", size[1])
            .bind("input", Operand::Input(0))
            .bind("maps", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .values(&[count, maps[1]])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid(fold_groups(count, 64))
            .work(64 * count);
        if self.displaced {
            let field = io.inputs[2].shape;
            kernel = kernel
                .size("FIELD_HEIGHT", field[1])
                .size("FIELD_WIDTH", field[2])
                .bind("field", Operand::Input(2))
                .words([Word::Offset(2)]);
        } else {
            kernel = kernel.bind("field", Operand::Input(1)).values(&[0]);
        }
        Ok(kernel.into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![reference::warp(self, inputs)?])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        if self.displaced && context.wants(0) {
            return Err(Error::NotDifferentiable { op: OP });
        }
        let direction = match self.direction {
            Direction::Transposed => Direction::Homogeneous,
            _ => Direction::Transposed,
        };
        let other = Warp { direction, ..self.clone() };
        let gradient = context.of(0, |g| record_one(other, &[&g.contiguous()?, context.input(1)]))?;
        Ok(vec![gradient, None])
    }
}

impl Tensor {
    /// Images `[N, C, H, W]` in f32 or i32, sampled through a map each, as f32 `[N, C, H', W']`.
    ///
    /// `field` is a displacement for each element of the frame that the maps' `outer` leads to, in elements: `[N, h, w, 2]`.
    #[track_caller]
    pub(crate) fn warp(&self, maps: &[ImageMap], field: Option<&Tensor>, sampling: Sampling) -> Result<Tensor> {
        let source = [self.shape()[2], self.shape()[3]];
        let clips = maps.first().map_or(0, |map| map.clips.len());
        let words: Vec<f32> = maps.iter().flat_map(|map| map.words(source)).collect();
        let table = Tensor::from_slice(self.device(), &words, &[maps.len(), words.len() / maps.len().max(1)])?;
        let images = self.contiguous()?;
        let op = Warp {
            sampling,
            clips,
            displaced: field.is_some(),
            bytes: self.dtype() == DType::I32 && sampling.filter.code() == 2,
            direction: Direction::Forward,
            source,
        };
        match field {
            Some(field) => record_one(op, &[&images, &table, &field.contiguous()?]),
            None => record_one(op, &[&images, &table]),
        }
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    // Numbers that put no position between two elements.
    let rotated = Projective([0.913, 0.307, -0.731, -0.253, 0.817, 1.329, 0.0, 0.0, 1.0]);
    let leaning = Projective([0.811, 0.103, 0.309, -0.107, 0.907, 0.411, 0.021, -0.029, 1.0]);
    let map = |map: Projective, size: [usize; 2], source: [usize; 2]| ImageMap {
        size: [size[1] as f64, size[0] as f64],
        map,
        window: [0.0, 0.0, source[1] as f64, source[0] as f64],
        canvas: [0.0, 0.0, source[1] as f64, source[0] as f64],
        widths: [1.0; 2],
        inner_fill: vec![0.3, -0.6],
        fill: vec![0.7, 0.2],
        outer: None,
        clips: Vec::new(),
    };
    let case = |source: [usize; 2], maps: Vec<ImageMap>, sampling: Sampling| {
        let shape = [maps.len(), 2, source[0], source[1]];
        let widths = maps.first().map_or([1.0; 2], |map| map.widths);
        Case::new(OP, &[&shape], move |x| Ok(vec![x[0].warp(&maps, None, sampling)?]))
            .with("widths", widths)
            .with("filter", sampling.filter)
            .with("beyond", sampling.beyond)
            .with("size", sampling.size)
    };
    let sampling = |filter, beyond, size| Sampling { filter, beyond, size };
    let (source, size) = ([5, 7], [6, 4]);
    let plain = map(rotated, size, source);
    // A window within a canvas, a filter of other widths, and a frame that cuts off a corner.
    let framed = ImageMap {
        size: [3.0, 5.0],
        window: [1.0, 0.0, 6.0, 4.0],
        canvas: [0.0, -1.0, 7.0, 5.0],
        widths: [2.3, 1.6],
        clips: vec![Clip { map: rotated, is_inner: false, size: [3.5, 2.5], fill: vec![0.1, 0.4] }],
        ..map(leaning, size, source)
    };
    let whole = Clip { map: Projective::IDENTITY, is_inner: false, size: [9.0, 9.0], fill: vec![0.0; 2] };
    let open = ImageMap { clips: vec![whole], ..map(rotated, size, source) };
    let shrunk = ImageMap { widths: [2.0, 1.5], ..map(Projective::scaling([2.0, 1.5], [0.3, 0.2]), [3, 3], source) };
    let displaced = move |x: &[Tensor]| {
        let clips = vec![Clip { map: rotated, is_inner: true, size: [5.5, 4.5], fill: vec![0.1, 0.4] }];
        let map = ImageMap { outer: Some(leaning), clips, ..map(rotated, size, source) };
        Ok(vec![x[0].warp(&[map], Some(&x[1]), sampling(Filter::Linear, Beyond::Fill, size))?])
    };
    let through_view = {
        let plain = plain.clone();
        move |x: &[Tensor]| {
            let view = x[0].permute([0, 3, 1, 2])?.narrow(0, 1, 1)?;
            Ok(vec![view.warp(std::slice::from_ref(&plain), None, sampling(Filter::Linear, Beyond::Fill, size))?])
        }
    };
    vec![
        case(source, vec![plain.clone()], sampling(Filter::Nearest, Beyond::Fill, size)),
        case(source, vec![plain.clone(), map(leaning, [4, 3], source)], sampling(Filter::Linear, Beyond::Twice, size)),
        case(source, vec![framed.clone(), open.clone()], sampling(Filter::Linear, Beyond::Fill, size)),
        case(source, vec![open, framed], sampling(Filter::Nearest, Beyond::Fill, size)),
        case(source, vec![shrunk.clone()], sampling(Filter::Linear, Beyond::Ignore, [3, 3])),
        case(source, vec![shrunk.clone()], sampling(Filter::SmoothCubic, Beyond::Ignore, [3, 3])),
        case(source, vec![map(leaning, size, source)], sampling(Filter::Cubic, Beyond::Ignore, size)).tolerance(16.0),
        case(source, vec![shrunk], sampling(Filter::SmoothCubic, Beyond::Ignore, [3, 3]))
            .integers(0, 0, 255)
            .no_gradient(),
        case([1, 1], vec![map(Projective::scaling([0.25, 0.5], [0.0; 2]), [2, 4], [1, 1])], {
            sampling(Filter::Linear, Beyond::Ignore, [2, 4])
        }),
        case(source, Vec::new(), sampling(Filter::Linear, Beyond::Fill, size)),
        Case::new(OP, &[&[2, 5, 7, 2]], through_view),
        Case::new(OP, &[&[1, 2, 5, 7], &[1, 4, 5, 2]], displaced).no_gradient().tolerance(11.0),
    ]
}
