//! The operation for convolutions and products of bytes: its kernel and its reference.

use super::packed::{LANES, bytes_of};
use crate::device::{Adapter, AdapterProfile};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::conv::Geometry;
use crate::ops::shared::constants::unsigned_all;
use crate::shader::{Kernel, Kernels, MOST_GROUPS, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::{Hash, Hasher};

const TEMPLATE: &str = wgsl!("quantize/quantized_conv2d");

pub(super) const OP: &str = "quantized_conv2d";

/// Most terms of a sum of products of bytes: more could overflow i32, zero points included.
pub(super) const MOST_TERMS: usize = 65_535;

/// A sum times a multiplier as bytes: zero point, lowest and highest level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Requantization {
    pub zero_point: i32,
    pub low: i32,
    pub high: i32,
}

impl Requantization {
    /// The levels of sums times their multiplier.
    #[track_caller]
    pub(super) fn level(&self, sums: &Tensor) -> Result<Tensor> {
        sums.round()?.add_scalar(self.zero_point)?.clamp(Some(self.low.into()), Some(self.high.into()))
    }
}

/// The sums of `shaders/quantize/quantized_conv2d.wgsl`, from words, words, offsets and multipliers.
#[derive(Clone, Debug)]
pub(super) struct QuantizedConvolution {
    /// A geometry in words, not in bytes.
    pub geometry: Geometry,
    /// Bytes in a word: fewer than four if a group has fewer channels.
    pub lanes: usize,
    /// True if the result is bytes, rather than f32.
    pub bytes: bool,
    /// Padding, and the requantization's numbers.
    pub scalars: [u32; 4],
}

/// The part of a result that one invocation computes, and the taps of a step.
#[derive(Clone, Copy)]
struct Tile {
    channels: usize,
    columns: usize,
    taps: usize,
}

impl QuantizedConvolution {
    fn requantization(&self) -> Requantization {
        let [_, zero_point, low, high] = self.scalars.map(u32::cast_signed);
        Requantization { zero_point, low, high }
    }

    /// The tile with the lowest predicted time. On software adapters the nanoseconds of a step follow from its loads,
    /// multiply-adds of bytes, accumulators, shuffles and unpacked words, by the measurements of `conv/tiles.rs`; beyond some
    /// hundred unrolled multiply-adds, compiling takes longer than it saves.
    fn tile(&self, adapter: &Adapter, sharers: usize, dynamic: bool) -> Tile {
        let g = &self.geometry;
        let (kernel, stride, dilation) = (g.kernel[1], g.stride[1], g.dilation[1]);
        let width = if dynamic { 8 } else { g.output[1] };
        let (most_products, most_sums) = (2 * adapter.profile.multiply_adds, adapter.profile.accumulators.min(96));
        let mut best = (f64::INFINITY, Tile { channels: 1, columns: 1, taps: 1 });
        for taps in [kernel, 1] {
            for columns in 1..=width.min(16) {
                for channels in [1, 2, 3, 4, 6, 8, 12, 16] {
                    let unused =
                        channels > g.out_per_group.next_multiple_of(LANES) || (self.bytes && channels % LANES != 0);
                    let products = channels * columns * taps;
                    let segment = (columns - 1) * stride + (taps - 1) * dilation + 1;
                    let fits =
                        self.lanes * products <= most_products && channels * columns <= most_sums && segment <= 48;
                    if unused || !fits {
                        continue;
                    }
                    let (weights, sums) = (channels * taps, channels * columns);
                    let loads = segment.min(columns * taps) + weights.div_ceil(sharers);
                    let shuffles = if sharers > 1 { weights } else { 0 };
                    let step = 7.5 * loads as f64
                        + 0.6 * (self.lanes * products) as f64
                        + 0.8 * sums as f64
                        + 0.4 * shuffles as f64
                        + 1.8 * (segment + weights) as f64
                        + 20.0;
                    let steps = g.out_per_group.div_ceil(channels) * width.div_ceil(columns) * kernel / taps;
                    let time = step * steps as f64;
                    if time < best.0 {
                        best = (time, Tile { channels, columns, taps });
                    }
                }
            }
        }
        if self.bytes { Tile { channels: best.1.channels.next_multiple_of(LANES), ..best.1 } } else { best.1 }
    }
}

impl Op for QuantizedConvolution {
    fn name(&self) -> &'static str {
        OP
    }
    fn structure(&self, mut state: &mut dyn Hasher) {
        (self.geometry, self.lanes, self.bytes).hash(&mut state);
    }
    fn scalars(&self) -> &[u32] {
        &self.scalars
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let g = &self.geometry;
        let channels = g.groups * g.out_per_group;
        let (channels, dtype) = match self.bytes {
            true => (channels.div_ceil(LANES), DType::U32),
            false => (channels, DType::F32),
        };
        let shape = Shape::new(&[inputs[0].shape[0], channels, g.output[0], g.output[1]])?;
        Ok(vec![Layout::contiguous(shape, dtype)])
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        let g = &self.geometry;
        let batch = io.inputs[0].shape[0];
        let AdapterProfile { sharers, workgroup, packed_dot, .. } = adapter.profile;
        let tile = self.tile(adapter, sharers, io.budget.dynamic);
        let strips = batch * g.output[0] * g.output[1].div_ceil(tile.columns);
        let down = g.groups * g.out_per_group.div_ceil(tile.channels);
        let groups = strips.div_ceil(workgroup).saturating_mul(down);
        let most = MOST_GROUPS.pow(2);
        if groups > most {
            return Err(Error::TooLarge { op: OP, shape: io.outputs[0].shape, limit: most as u64, unit: "workgroups" });
        }
        let steps = g.in_per_group * g.kernel[0] * g.kernel[1] / tile.taps;
        let stored = (1..=LANES).rev().find(|&stored| tile.channels.is_multiple_of(stored)).unwrap_or(1);
        let kernel = g
            .specialise(Kernel::new(OP, TEMPLATE))
            .size("IN_PER_GROUP", g.in_per_group)
            .size("OUT_PER_GROUP", g.out_per_group);
        let kernel = unsigned_all(kernel, ["TILE_OUT", "TILE_X", "TAPS"], [tile.channels, tile.columns, tile.taps]);
        let mut kernel = unsigned_all(kernel, ["STORE_OUT", "SHARERS", "WORKGROUP"], [stored, sharers, workgroup]);
        if sharers > 1 {
            kernel = kernel.hook("shared_word", "return subgroupShuffle(word, lane);");
        }
        if !packed_dot {
            kernel = kernel.hook("product", "return dot(unpack4xI8(left), unpack4xI8(right));");
        }
        if self.bytes {
            kernel = kernel.alias("Element", "u32").hook("store_output", "output[index] = Element(value);");
        }
        Ok(kernel
            .constant("BYTES", self.bytes)
            .bind("input", Operand::Input(0))
            .bind("weight", Operand::Input(1))
            .bind("offset", Operand::Input(2))
            .bind("multiplier", Operand::Input(3))
            .bind("output", Operand::Output(0))
            .values(&[batch, steps, down])
            .words((0..4).map(Word::Scalar))
            .words((0..4).map(Word::Offset))
            .grid(fold_groups(groups, 1))
            .work(2 * LANES * batch * g.output[0] * g.output[1] * g.weights())
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let g = &self.geometry;
        let outputs = g.groups * g.out_per_group;
        let [image, filter] = [0, 1].map(|at| inputs[at].values.iter().map(|&word| bytes_of(word)).collect::<Vec<_>>());
        let padding = bytes_of(self.scalars[0].into());
        let place = |d: usize, at: usize, tap: usize| {
            (at * g.stride[d] + tap * g.dilation[d]).checked_sub(g.padding[d]).filter(|&place| place < g.input[d])
        };
        let sum = |n: usize, o: usize, y: usize, x: usize| {
            let mut sum = nearest::<i64>(inputs[2].values[o]);
            for word in 0..g.in_per_group {
                let plane = (n * g.groups + o / g.out_per_group) * g.in_per_group + word;
                for r in 0..g.kernel[0] {
                    for s in 0..g.kernel[1] {
                        let tap = filter[((o * g.in_per_group + word) * g.kernel[0] + r) * g.kernel[1] + s];
                        let seen = match (place(0, y, r), place(1, x, s)) {
                            (Some(y), Some(x)) => image[(plane * g.input[0] + y) * g.input[1] + x],
                            _ => padding,
                        };
                        sum += tap.iter().zip(seen).map(|(&a, b)| i64::from(a) * i64::from(b)).sum::<i64>();
                    }
                }
            }
            nearest::<f32>(sum as f64) * nearest::<f32>(inputs[3].values[o])
        };
        let Requantization { zero_point, low, high } = self.requantization();
        let level = |value: f32| f64::from(value.round_ties_even() + zero_point as f32).clamp(low.into(), high.into());
        let layout = self.outputs(&[Layout::contiguous(inputs[0].shape, DType::U32)])?[0];
        let value = |at: &[usize]| match *at {
            [n, o, y, x] if !self.bytes => sum(n, o, y, x).into(),
            [n, word, y, x] => {
                // Lanes past the last channel repeat it.
                let channels = (word * LANES..(word + 1) * LANES).rev();
                let byte = |o: usize| nearest::<i32>(level(sum(n, o.min(outputs - 1), y, x))).cast_unsigned() & 255;
                f64::from(channels.fold(0, |word, o| word << 8 | byte(o)))
            }
            _ => 0.0,
        };
        Ok(vec![HostTensor::from_fn(layout.shape, layout.dtype, value)])
    }
    fn differentiable(&self) -> bool {
        false
    }
}
