//! Runs one way to compute a call on random values, to check its results and to time it.

use crate::device::{Adapter, Bindings, Buffer, Dispatch, Gpu, Pipeline, Uniform, Waiting};
use crate::error::{Error, Result};
use crate::graph::{Io, Op};
use crate::number::nearest;
use crate::shader::{Kernel, Kernels, Operand};
use crate::shape::Layout;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Elements compared at a time.
const PART: usize = 4096;

/// A call to be computed in several ways.
pub(crate) struct Call<'a> {
    pub op: &'a dyn Op,
    pub io: &'a Io<'a>,
    pub gpu: &'a Gpu,
    /// True if its kernels keep wgpu's bounds checks.
    pub checked: bool,
}

impl Call<'_> {
    /// The cost model's choice.
    pub fn kernels(&self) -> Result<Kernels> {
        Ok(self.with_checks(self.op.kernels(self.io, self.gpu.adapter())?))
    }

    /// The ways to compute it on this adapter.
    pub fn candidates(&self, adapter: &Adapter) -> Result<Vec<Kernels>> {
        let candidates = self.op.candidates(self.io, adapter)?;
        Ok(candidates.into_iter().map(|kernels| self.with_checks(kernels)).collect())
    }

    fn with_checks(&self, mut kernels: Kernels) -> Kernels {
        kernels.kernels.iter_mut().for_each(|kernel| kernel.checked = self.checked);
        kernels
    }
}

/// The operands and results that all ways to compute a call share.
pub(super) struct Bench<'a> {
    call: &'a Call<'a>,
    inputs: Vec<Buffer>,
    outputs: Vec<Buffer>,
}

/// A way to compute a call, ready to run.
pub(super) struct Trial {
    steps: Vec<Step>,
    /// Held so that the pool gives them to nothing else.
    temporaries: Vec<Buffer>,
    /// Bytes of each.
    sizes: Vec<usize>,
}

struct Step {
    pipeline: Arc<Pipeline>,
    bindings: Bindings,
    groups: [u32; 3],
    work: u64,
}

impl<'a> Bench<'a> {
    /// Inputs of random numbers between -1 and 1, the same each time; integers are 0, which is a valid index everywhere.
    pub fn new(call: &'a Call<'a>) -> Result<Bench<'a>> {
        let mut state = 1u64;
        let mut random = || {
            // The generator of Knuth's MMIX; its high bits are as good as random.
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
        };
        let mut inputs = Vec::with_capacity(call.io.inputs.len());
        for layout in call.io.inputs {
            let count = extent(layout);
            let mut bytes = Vec::with_capacity(count * layout.dtype.size());
            for _ in 0..count {
                layout.dtype.encode(if layout.dtype.is_float() { random() } else { 0.0 }, &mut bytes);
            }
            let buffer = call.gpu.take(bytes.len())?;
            call.gpu.upload(&buffer, &bytes)?;
            inputs.push(buffer);
        }
        let outputs = call.io.outputs.iter().map(|layout| call.gpu.take(layout.bytes())).collect::<Result<_>>()?;
        Ok(Bench { call, inputs, outputs })
    }

    /// Compiles and binds the kernels of one way.
    pub fn prepare(&self, kernels: &Kernels) -> Result<Trial> {
        let gpu = self.call.gpu;
        let temporaries = kernels.temporaries.iter().map(|&bytes| gpu.take(bytes)).collect::<Result<Vec<_>>>()?;
        let mut params = Vec::new();
        let mut placed = Vec::with_capacity(kernels.kernels.len());
        for kernel in &kernels.kernels {
            let pipeline = gpu.pipeline(kernel)?;
            let offset = |input: usize| nearest::<u32>(self.call.io.inputs[input].offset);
            let scalar = |scalar: usize| self.call.op.scalars()[scalar];
            let start = gpu.append_params(&mut params, (&*pipeline, kernel), offset, scalar)?;
            placed.push((kernel, pipeline, nearest::<u32>(start)));
        }
        gpu.compile(placed.iter().map(|(_, pipeline, _)| pipeline))?;
        let uniform = gpu.uniform(params.len())?;
        gpu.write_uniform(&uniform, &params)?;
        let steps = placed
            .into_iter()
            .map(|(kernel, pipeline, params_offset)| {
                let bindings = self.bind(kernel, &pipeline, (&uniform, params_offset), &temporaries)?;
                Ok(Step { pipeline, bindings, groups: kernel.groups, work: kernel.work })
            })
            .collect::<Result<_>>()?;
        Ok(Trial { steps, temporaries, sizes: kernels.temporaries.clone() })
    }

    fn bind(
        &self,
        kernel: &Kernel,
        pipeline: &Pipeline,
        params: (&Uniform, u32),
        temporaries: &[Buffer],
    ) -> Result<Bindings> {
        let buffers = pipeline.operands(kernel, |operand| match operand {
            Operand::Input(input) => self.inputs.get(input).cloned(),
            Operand::Output(output) => self.outputs.get(output).cloned(),
            Operand::Temporary(temporary) => temporaries.get(temporary).cloned(),
            Operand::BadIndex => None,
        })?;
        let mut bindings = Bindings::default();
        self.call.gpu.bind(&mut bindings, pipeline, params, &buffers)?;
        Ok(bindings)
    }

    /// The results, computed into buffers that were filled with NaN.
    pub fn results(&self, trial: &Trial) -> Result<Vec<Vec<u8>>> {
        let gpu = self.call.gpu;
        let sizes = self.call.io.outputs.iter().map(Layout::bytes);
        let buffers = self.outputs.iter().zip(sizes).chain(trial.temporaries.iter().zip(trial.sizes.iter().copied()));
        for (buffer, bytes) in buffers {
            gpu.upload(buffer, &vec![0xff; bytes])?;
        }
        gpu.submit(None, trial.dispatches().into_iter())?;
        let checked = self.outputs.iter().zip(self.call.io.outputs).take(self.call.op.results());
        checked.map(|(buffer, layout)| pollster::block_on(gpu.read(buffer, layout.bytes(), Waiting::Here))).collect()
    }

    /// The time of one run: on the device if it has timestamps, and otherwise until the host learns that it has ended.
    pub fn time(&self, trial: &Trial) -> Result<Duration> {
        let (gpu, since) = (self.call.gpu, Instant::now());
        if gpu.adapter().has_timestamps {
            return Ok(gpu.submit_timed(&trial.dispatches(), since)?.iter().map(|span| span.time).sum());
        }
        gpu.submit(None, trial.dispatches().into_iter())?;
        pollster::block_on(gpu.sync(Waiting::Here))?;
        Ok(since.elapsed())
    }

    /// Checks that other results can be compared with these: they are finite, and not all zeros.
    pub fn check_plain(&self, plain: &[Vec<u8>]) -> Result<()> {
        for (layout, plain) in self.call.io.outputs.iter().zip(plain) {
            let values = plain.chunks(PART * layout.dtype.size()).flat_map(|part| layout.dtype.decode(part));
            let scale = values.fold(0.0, largest);
            let tells = scale > 0.0 && scale.is_finite();
            if layout.dtype.is_float() && !tells {
                let reason = format!("the largest of the plain kernel's results is {scale}");
                return Err(Error::Internal { op: self.call.op.name(), reason });
            }
        }
        Ok(())
    }

    /// The reason why `got` can't be the result if `plain` is, with sums of `terms` terms.
    pub fn difference(&self, got: &[Vec<u8>], plain: &[Vec<u8>], terms: f64) -> Option<String> {
        let mut layouts = self.call.io.outputs.iter();
        got.iter().zip(plain).find_map(|(got, plain)| difference(layouts.next()?, got, plain, terms))
    }
}

impl Trial {
    fn dispatches(&self) -> Vec<Dispatch<'_>> {
        self.steps.iter().map(Step::dispatch).collect()
    }
}

impl Step {
    fn dispatch(&self) -> Dispatch<'_> {
        Dispatch { pipeline: &self.pipeline, bindings: &self.bindings, groups: self.groups, work: self.work }
    }
}

/// Elements of storage that a layout reaches.
fn extent(layout: &Layout) -> usize {
    let last: usize = layout.shape.iter().zip(layout.strides()).map(|(&n, &stride)| n.saturating_sub(1) * stride).sum();
    if layout.shape.numel() == 0 { 0 } else { layout.offset + last + 1 }
}

/// The larger magnitude; unlike `f64::max` it does not pass over a NaN.
fn largest(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.abs() <= a { a } else { b.abs() }
}

/// The reason why `got` can't be what `plain` is. Floats may differ by
///
/// ```text
/// |got - plain| <= (eps (n / 2 + 16) + eps_stored) max|plain|
/// ```
///
/// where `eps` is f32's, `n` the terms of a sum, `eps_stored` the epsilon of the type it is stored in. F(4x4, 3x3), the least
/// exact way to compute a convolution, stays below `eps n / 4`, all others below `eps n / 32`, measured and tested
/// (`ops/conv/winograd.rs`); 16 allows for the roundings of sums of few terms. Integers and truth values must be equal.
fn difference(layout: &Layout, got: &[u8], plain: &[u8], terms: f64) -> Option<String> {
    let dtype = layout.dtype;
    let part = PART * dtype.size();
    let (mut scale, mut worst) = (0.0, 0.0);
    for (got, plain) in got.chunks(part).zip(plain.chunks(part)) {
        for (got, plain) in dtype.decode(got).into_iter().zip(dtype.decode(plain)) {
            scale = largest(scale, plain);
            worst = largest(worst, if got == plain { 0.0 } else { got - plain });
        }
    }
    let stored = if dtype.size() == 2 { 1.0 / 1024.0 } else { 0.0 };
    let epsilon = f64::from(f32::EPSILON) * (terms / 2.0 + 16.0) + stored;
    let allowed = if dtype.is_float() { epsilon * scale } else { 0.0 };
    // Not "worst > allowed": a NaN is neither.
    let is_right = worst <= allowed;
    (!is_right).then(|| format!("off by {worst:.1e}, where {allowed:.1e} is allowed and {scale:.1e} the largest"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtype::{DType, Element};
    use crate::shape::Shape;

    fn off(got: &[f32], plain: &[f32], terms: f64) -> Option<String> {
        let layout = Layout::contiguous(Shape::new(&[got.len()]).unwrap(), DType::F32);
        difference(&layout, &f32::device_bytes(got), &f32::device_bytes(plain), terms)
    }

    #[test]
    fn rounding_passes_and_nothing_else() {
        let plain: Vec<f32> = (0..10_000).map(|i| (i as f32).sin()).collect();
        let with = |at: usize, value: f32| {
            let mut got = plain.clone();
            got[at] = value;
            got
        };
        assert_eq!(off(&plain, &plain, 1.0), None);
        // 16 roundings of f32 and a quarter of 600 are 166; half of 600 is more than that.
        assert_eq!(off(&with(9_999, plain[9_999] + 1e-5), &plain, 600.0), None);
        assert!(off(&with(9_999, plain[9_999] + 1e-4), &plain, 600.0).unwrap().contains("off by 1.0e-4"));
        for wrong in [f32::NAN, f32::INFINITY] {
            assert!(off(&with(5_000, wrong), &plain, 600.0).is_some());
        }
    }
}
