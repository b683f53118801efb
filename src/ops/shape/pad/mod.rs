//! Padding, and other maps of indices one dimension at a time: rolling and flipping.
//!
//! `Remap` maps up to three dimensions in one kernel; the adjoint of reflect, replicate and circular padding is `PadBackward`,
//! one dimension a kernel. Cropping, and the adjoint of padding with a constant, are views.

mod backward;

use crate::device::Adapter;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const PAD: &str = wgsl!("shape/pad");

/// Dimensions that one kernel maps.
const MOST: usize = 3;

/// Most elements that the replicate kernel puts at an end: one invocation of its adjoint adds up that many. More are joined from
/// copies of the ends.
const LONGEST: isize = 1024;

/// The values that [`Tensor::pad`] puts around a tensor.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PadMode {
    /// This number (converted to the element type).
    Constant(f64),
    /// The inner elements, mirrored at the edge without repeating it: `c b | a b c | b a`.
    Reflect,
    /// The edge: `a a | a b c | c c`.
    Replicate,
    /// The other end: `b c | a b c | a b`.
    Circular,
}

/// Maps a dimension's indices to their source; the numbers are those of `shaders/shape/pad.wgsl`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::ops) enum Mode {
    Constant = 0,
    Reflect = 1,
    Replicate = 2,
    Circular = 3,
    Flip = 4,
}

impl Mode {
    /// The source of index `at`, if it is inside.
    fn source(self, at: usize, before: isize, size: usize) -> Option<usize> {
        let (x, size) = (at as isize - before, size as isize);
        let from = match self {
            Mode::Constant => x,
            Mode::Reflect => {
                if x < 0 {
                    -x
                } else if x >= size {
                    2 * (size - 1) - x
                } else {
                    x
                }
            }
            Mode::Replicate => x.clamp(0, (size - 1).max(0)),
            Mode::Circular if size > 0 => x.rem_euclid(size),
            Mode::Circular => return None,
            Mode::Flip => size - 1 - x,
        };
        (0..size).contains(&from).then_some(nearest::<usize>(from))
    }
}

/// The map of one dimension: its new size, and the number of elements put before the old first one.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct Map {
    pub mode: Mode,
    pub out: usize,
    pub before: isize,
}

impl Map {
    fn identity(size: usize) -> Map {
        Map { mode: Mode::Constant, out: size, before: 0 }
    }
    fn is_identity(&self, size: usize) -> bool {
        self.mode != Mode::Flip && self.before == 0 && self.out == size
    }
    fn backward(&self, size: usize) -> Map {
        match self.mode {
            // A roll in the other direction.
            Mode::Circular => Map { before: (size as isize - self.before) % size.max(1) as isize, ..*self },
            _ => *self,
        }
    }
}

/// `output[n, a, b, c] = input[n, source(a), source(b), source(c)]`, or a fill value.
#[derive(Clone, Debug)]
struct Remap {
    name: &'static str,
    modes: [Mode; MOST],
    outs: [usize; MOST],
    /// The number of elements put before each dimension (as i32), and the fill value's bits.
    words: [u32; MOST + 1],
}

impl Remap {
    fn before(&self, d: usize) -> isize {
        self.words[d] as i32 as isize
    }
    fn map(&self, d: usize) -> Map {
        Map { mode: self.modes[d], out: self.outs[d], before: self.before(d) }
    }
}

/// The word of a fill value in an element type.
fn fill_word(value: f64, dtype: DType) -> u32 {
    match dtype {
        DType::F32 | DType::F16 => nearest::<f32>(value).to_bits(),
        DType::I32 => nearest::<i32>(value).cast_unsigned(),
        DType::U32 => nearest::<u32>(value),
        DType::Bool => u32::from(value != 0.0),
    }
}

impl Op for Remap {
    fn name(&self) -> &'static str {
        self.name
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(&(self.modes, self.outs), state);
    }
    fn scalars(&self) -> &[u32] {
        &self.words
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let [a, b, c] = self.outs;
        Ok(vec![Layout::contiguous(Shape::new(&[inputs[0].shape[0], a, b, c])?, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        const NAMES: [[&str; 3]; MOST] =
            [["MODE_A", "SIZE_A", "OUT_A"], ["MODE_B", "SIZE_B", "OUT_B"], ["MODE_C", "SIZE_C", "OUT_C"]];
        let (input, output) = (&io.inputs[0], &io.outputs[0]);
        let count = output.shape.numel();
        let mut kernel = Kernel::new("pad", PAD)
            .alias("Element", output.dtype.wgsl())
            .alias("Value", output.dtype.computed())
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[count])
            .words([Word::Offset(0)])
            .words((0..=MOST).map(Word::Scalar))
            .grid(fold_groups(count, 64))
            .work(count);
        for (d, [mode, size, out]) in NAMES.into_iter().enumerate() {
            kernel = kernel.constant(mode, format!("{}u", self.modes[d] as u32));
            let [from, to] = [input.shape[d + 1], self.outs[d].max(1)];
            kernel = match [from, to] {
                // A missing dimension costs no division if the others are parameters.
                [1, 1] => kernel.constant(size, "1u").constant(out, "1u"),
                _ => kernel.size(size, from).size(out, to),
            };
        }
        Ok(match output.dtype {
            DType::F32 | DType::F16 => kernel,
            DType::I32 => kernel.hook("fill", "return bitcast<i32>(params.value);"),
            DType::U32 | DType::Bool => kernel.hook("fill", "return params.value;"),
        }
        .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let fill = match input.dtype {
            DType::F32 | DType::F16 => f64::from(f32::from_bits(self.words[MOST])),
            DType::I32 => f64::from(self.words[MOST] as i32),
            DType::U32 | DType::Bool => f64::from(self.words[MOST]),
        };
        let [a, b, c] = self.outs;
        let shape = Shape::new(&[input.shape[0], a, b, c])?;
        let output = HostTensor::from_fn(shape, input.dtype, |at| {
            let source = |d: usize| self.modes[d].source(at[d + 1], self.before(d), input.shape[d + 1]);
            match (source(0), source(1), source(2)) {
                (Some(a), Some(b), Some(c)) => input.at(&[at[0], a, b, c]),
                _ => fill,
            }
        });
        Ok(vec![output])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let shape = *context.input(0).shape();
        let gradient = context.of(0, |mut g| {
            let moves_all = |d: usize| match self.modes[d] {
                Mode::Circular => self.outs[d] == shape[d + 1],
                Mode::Flip => true,
                _ => self.map(d).is_identity(shape[d + 1]),
            };
            if (0..MOST).all(moves_all) {
                let maps: Vec<Map> = (0..MOST).map(|d| self.map(d).backward(shape[d + 1])).collect();
                return g.remap(self.name, 1, &maps, 0.0);
            }
            for d in 0..MOST {
                let (map, size) = (self.map(d), shape[d + 1]);
                if map.is_identity(size) {
                    continue;
                }
                g = match map.mode {
                    // Crops were made before, so the input lies within the output.
                    Mode::Constant => g.narrow(d + 1, nearest::<usize>(map.before), size)?,
                    mode => g.pad_backward(mode, d + 1, size, map.before)?,
                };
            }
            Ok(g)
        })?;
        Ok(vec![gradient])
    }
}

impl Tensor {
    /// Maps the dimensions from `first` on; dimensions past the list are unchanged.
    #[track_caller]
    pub(in crate::ops) fn remap(&self, name: &'static str, first: usize, maps: &[Map], value: f64) -> Result<Tensor> {
        let mut rest: Vec<Map> = self.shape().iter().map(|&size| Map::identity(size)).collect();
        rest[first..first + maps.len()].copy_from_slice(maps);
        let mut result = self.clone();
        loop {
            let shape = *result.shape();
            // Adjacent unchanged dimensions are merged; those in front are the outermost dimension.
            let mut groups: Vec<(usize, Map)> = Vec::new();
            let mut starts: Vec<usize> = Vec::new();
            for (d, (map, &size)) in rest.iter().zip(shape.iter()).enumerate() {
                match groups.last_mut() {
                    Some((joint, last)) if map.is_identity(size) && last.is_identity(*joint) => {
                        *joint *= size;
                        last.out = *joint;
                    }
                    _ => {
                        groups.push((size, *map));
                        starts.push(d);
                    }
                }
            }
            if groups.iter().all(|(size, map)| map.is_identity(*size)) {
                return Ok(result);
            }
            let kept = groups.len().saturating_sub(MOST);
            let from = if kept == 0 && groups[0].1.is_identity(groups[0].0) { 1 } else { kept };
            let (inner, start) = (&groups[from..], starts[from]);
            let outer: usize = shape[..start].iter().product();
            let mut sizes = [outer, 1, 1, 1];
            let mut op = Remap {
                name,
                modes: [Mode::Constant; MOST],
                outs: [1; MOST],
                words: [0, 0, 0, fill_word(value, self.dtype())],
            };
            // Filled from the end, so that rows are rows.
            let skipped = MOST - inner.len();
            for (i, (size, map)) in inner.iter().enumerate() {
                let d = skipped + i;
                sizes[d + 1] = *size;
                (op.modes[d], op.outs[d], op.words[d]) =
                    (map.mode, map.out, nearest::<i32>(map.before).cast_unsigned());
            }
            let mut moved = shape.to_vec();
            for d in start..shape.len() {
                moved[d] = rest[d].out;
                rest[d] = Map::identity(moved[d]);
            }
            let moved = Shape::new(&moved)?;
            let four = result.contiguous()?.reshape_to(Shape::new(&sizes)?)?;
            result = record_one(op, &[&four])?.reshape_to(moved)?;
        }
    }

    /// Padded at both ends of the last dimensions: `pads` holds the number of elements before and after the last dimension, then
    /// those of the one in front of it, and so on. Negative numbers crop.
    ///
    /// `output[.., o, ..] = input[.., source(o - before), ..]`, and `[.., n, ..]` becomes
    /// `[.., before + n + after, ..]`. A constant pads any number of dimensions; the other modes pad the last one, two
    /// or three of a tensor that has one or two more (channels, or batch and channels). As
    /// `torch.nn.functional.pad`.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `pads` has an odd length or too many numbers for the shape, if a crop takes more than there is, if a
    /// reflected pad is not smaller than its dimension, if a circular one is larger than its dimension, and if reflect or
    /// replicate would extend an empty dimension.
    ///
    /// ```
    /// # use wgrad::{Device, PadMode, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3], &[1, 3])?;
    /// assert_eq!(x.pad(&[2, 1], PadMode::Constant(9.0))?.to_vec::<i32>()?, [9, 9, 1, 2, 3, 9]);
    /// assert_eq!(x.pad(&[2, 1], PadMode::Reflect)?.to_vec::<i32>()?, [3, 2, 1, 2, 3, 2]);
    /// assert_eq!(x.pad(&[2, 1], PadMode::Replicate)?.to_vec::<i32>()?, [1, 1, 1, 2, 3, 3]);
    /// assert_eq!(x.pad(&[2, 1], PadMode::Circular)?.to_vec::<i32>()?, [2, 3, 1, 2, 3, 1]);
    /// assert_eq!(x.pad(&[-1, 0], PadMode::Constant(0.0))?.to_vec::<i32>()?, [2, 3]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn pad(&self, pads: &[isize], mode: PadMode) -> Result<Tensor> {
        const OP: &str = "pad";
        let (shape, rank, padded) = (*self.shape(), self.rank(), pads.len() / 2);
        let invalid = |rule: String| Err(Error::invalid(OP, rule));
        if !pads.len().is_multiple_of(2) || padded > rank {
            return invalid(format!("{pads:?} must hold a pair for each of at most the {rank} dimensions of {shape}"));
        }
        let is_constant = matches!(mode, PadMode::Constant(_));
        let pads_space = (1..=3).contains(&padded) && (padded + 1..=padded + 2).contains(&rank);
        if !is_constant && !pads_space {
            return invalid(format!(
                "{mode:?} pads the last 1, 2 or 3 dimensions of a tensor that has one or two more, not {padded} of \
                 {shape}"
            ));
        }
        let first = rank - padded;
        // Pairs in the order of the dimensions.
        let pairs: Vec<(isize, isize)> = pads.chunks_exact(2).rev().map(|pair| (pair[0], pair[1])).collect();
        for (i, &(before, after)) in pairs.iter().enumerate() {
            let (d, size) = (first + i, shape[first + i] as isize);
            let wrong = |why: &str| {
                invalid(format!("({before}, {after}) at dimension {d} of {shape}, which has size {size}: {why}"))
            };
            if before.unsigned_abs().max(after.unsigned_abs()) > i32::MAX as usize {
                return wrong("a pad must fit 32 bits");
            }
            let cropped = size + before.min(0) + after.min(0);
            match mode {
                PadMode::Constant(_) | PadMode::Circular if cropped < 0 => {
                    return wrong("a crop takes more than there is");
                }
                PadMode::Circular if before > cropped || after > cropped => {
                    return wrong("a circular pad must not be larger than what is wrapped");
                }
                PadMode::Reflect if before >= size || after >= size => {
                    return wrong("a reflected pad must be smaller than the dimension");
                }
                PadMode::Reflect | PadMode::Replicate if size == 0 || size + before + after < 1 => {
                    return wrong("the dimension must not be empty, before or after");
                }
                _ => {}
            }
        }
        if matches!(mode, PadMode::Reflect | PadMode::Replicate) && shape[rank - padded - 1..].contains(&0) {
            return invalid(format!("{mode:?} needs elements in all dimensions of {shape} but the batch"));
        }
        let (inner, value) = match mode {
            PadMode::Constant(value) => (Mode::Constant, value),
            PadMode::Reflect => (Mode::Reflect, 0.0),
            PadMode::Replicate => (Mode::Replicate, 0.0),
            PadMode::Circular => (Mode::Circular, 0.0),
        };
        let mut result = self.clone();
        let mut pairs = pairs;
        if matches!(inner, Mode::Constant | Mode::Circular) {
            for (i, (before, after)) in pairs.iter_mut().enumerate() {
                let (skip, cut) = (nearest::<usize>((-*before).max(0)), nearest::<usize>((-*after).max(0)));
                if skip + cut > 0 {
                    result = result.narrow(first + i, skip, shape[first + i] - skip - cut)?;
                }
                (*before, *after) = ((*before).max(0), (*after).max(0));
            }
        }
        if inner == Mode::Replicate {
            for (i, (before, after)) in pairs.iter_mut().enumerate().filter(|(_, pair)| pair.0.max(pair.1) > LONGEST) {
                result = result.extended(
                    first + i,
                    nearest::<usize>((*before).max(0)),
                    nearest::<usize>((*after).max(0)),
                )?;
                (*before, *after) = ((*before).min(0), (*after).min(0));
            }
        }
        let map = |(i, &(before, after)): (usize, &(isize, isize))| {
            let out = result.shape()[first + i] as isize + before + after;
            Map { mode: inner, out: nearest::<usize>(out), before }
        };
        let maps: Vec<Map> = pairs.iter().enumerate().map(map).collect();
        result.remap(OP, first, &maps, value)
    }

    /// Adds copies of a dimension's first and last slices before and after it.
    #[track_caller]
    fn extended(&self, dim: usize, before: usize, after: usize) -> Result<Tensor> {
        let _line = ascribe_to_caller();
        let repeated = |start: usize, count: usize| {
            let mut sizes = self.shape().to_vec();
            sizes[dim] = count;
            let shape = Shape::new(&sizes)?;
            self.narrow(dim, start, 1)?.expand_to(shape, "pad")
        };
        let (first, last) = (repeated(0, before)?, repeated(self.shape()[dim] - 1, after)?);
        Tensor::cat(&[&first, self, &last], dim)
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    use PadMode::{Circular, Constant, Reflect, Replicate};
    let pad = |shape: &[usize], pads: &'static [isize], mode: PadMode| {
        Case::new("pad", &[shape], move |x| Ok(vec![x[0].pad(pads, mode)?])).with("pad", pads).with("mode", mode)
    };
    let mut cases = Vec::new();
    for mode in [Constant(0.75), Reflect, Replicate, Circular] {
        cases.extend([
            pad(&[2, 5], &[2, 1], mode),
            pad(&[3, 2, 7], &[0, 3], mode),
            pad(&[2, 3, 5, 7], &[1, 2, 3, 1], mode),
            pad(&[2, 5, 4], &[2, 0, 0, 3], mode),
            pad(&[2, 3, 3, 4, 5], &[1, 2, 2, 1, 0, 2], mode),
            pad(&[2, 4, 3, 5], &[1, 1, 0, 0, 2, 1], mode),
            // Crops, alone and with pads at the other end.
            pad(&[2, 3, 7, 6], &[-1, -2, -2, 0], mode),
            pad(&[2, 3, 7, 6], &[-2, 2, 3, -1], mode),
            // Nothing to do, sizes at the limit, an empty batch.
            pad(&[2, 3, 4], &[0, 0], mode),
            pad(&[0, 3, 4, 4], &[1, 1, 2, 0], mode),
            Case::new("pad", &[&[5, 3, 2]], move |x| Ok(vec![x[0].permute([2, 1, 0])?.pad(&[2, 2], mode)?]))
                .with("mode", mode),
            pad(&[3, 6], &[1, 2], mode).integers(0, -9, 9).no_gradient(),
            Case::new("pad", &[&[3, 6]], move |x| Ok(vec![x[0].to_dtype(DType::F16)?.pad(&[1, 2], mode)?]))
                .with("mode", mode)
                .half(),
        ]);
    }
    cases.extend([
        pad(&[2, 3], &[2, 2], Reflect),
        pad(&[2, 3], &[3, 3], Circular),
        pad(&[2, 1], &[4, 7], Replicate),
        pad(&[1, 4], &[-4, 3], Replicate),
        pad(&[1, 4], &[3, -4], Reflect),
        pad(&[1, 2], &[1500, 0], Replicate).first_order(),
        pad(&[7], &[3, 2], Constant(-1.5)),
        pad(&[2, 3], &[1, 0, 2, 1], Constant(-1.5)),
        pad(&[3, 0], &[1, 2], Constant(-1.5)),
        pad(&[2, 3], &[-1, -2], Constant(-1.5)),
        // More dimensions than one kernel maps.
        pad(&[2, 3, 2, 3, 2], &[1, 0, 0, 2, 1, 1, 0, 0, 1, 0], Constant(-1.5)),
        Case::new("pad", &[&[3, 4]], |x| Ok(vec![x[0].pad(&[1, 1], Constant(1.0))?])).truth(0).no_gradient(),
    ]);
    cases
}
