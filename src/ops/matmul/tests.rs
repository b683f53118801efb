//! Tests every candidate of a product against the reference, not only the chosen one.

use super::Matmul;
use crate::device::{Adapter, DeviceOptions, Disable, Noop};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Budget, Device, Io, Op, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::shader::Kernels;
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

/// A product that runs one of its candidates.
#[derive(Clone, Debug, Hash)]
struct Forced(usize);

impl Op for Forced {
    fn name(&self) -> &'static str {
        "matmul"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Matmul.outputs(inputs)
    }
    fn kernels(&self, io: &Io, adapter: &Adapter) -> Result<Kernels> {
        Ok(Matmul.candidates(io, adapter)?.swap_remove(self.0))
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Matmul.reference(inputs)
    }
}

/// `left` and `right` as they are stored, and their views as operands.
struct Operands {
    left: [usize; 3],
    right: [usize; 3],
    view: fn(Tensor, Tensor) -> Result<(Tensor, Tensor)>,
}

fn shapes() -> Vec<Operands> {
    let plain = |left, right| Operands { left, right, view: |left, right| Ok((left, right)) };
    vec![
        // Vectors of four in both operands, tiles clipped at every edge, and none of it.
        plain([1, 132, 36], [1, 36, 140]),
        plain([2, 67, 37], [2, 37, 71]),
        // Eight columns at a time.
        plain([2, 37, 15], [2, 15, 520]),
        // Quads along the other dimension.
        Operands {
            left: [1, 36, 68],
            right: [1, 72, 36],
            view: |left, right| Ok((left.transpose(1, 2)?, right.transpose(1, 2)?)),
        },
        Operands {
            left: [2, 19, 33],
            right: [2, 35, 19],
            view: |left, right| Ok((left.transpose(1, 2)?, right.transpose(1, 2)?)),
        },
        // Offsets, one a multiple of four and one not; a broadcast batch; no stride of 1.
        Operands {
            left: [2, 40, 36],
            right: [1, 24, 40],
            view: |left, right| Ok((left.narrow(2, 4, 24)?, right.narrow(2, 3, 36)?.expand(&[2, 24, 36])?)),
        },
        Operands {
            left: [1, 10, 48],
            right: [1, 24, 18],
            view: |left, right| Ok((left.slice(2, 0, 48, 2)?, right.slice(2, 0, 18, 2)?)),
        },
        // Depth in parts, the last one shorter.
        plain([1, 9, 1100], [1, 1100, 8]),
        // Few vectors, on either side, the matrix along and across.
        plain([2, 1, 520], [2, 520, 70]),
        plain([2, 70, 517], [2, 517, 3]),
        plain([2, 70, 517], [2, 517, 1]),
        Operands { left: [1, 2, 300], right: [1, 41, 300], view: |left, right| Ok((left, right.transpose(1, 2)?)) },
        Operands { left: [1, 300, 44], right: [1, 300, 4], view: |left, right| Ok((left.transpose(1, 2)?, right)) },
    ]
}

/// Numbers between -1 and 1 that look random, exact in 16-bit floats.
pub(super) fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 16) % 257) as f32 / 128.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn operands(device: &Device, shape: &Operands, dtype: DType) -> Result<(Tensor, Tensor)> {
    // An infinity at the end reveals loads past the edge that are multiplied.
    let tensor = |sizes: &[usize; 3], seed| {
        let mut values = numbers(sizes.iter().product(), seed);
        *values.last_mut().unwrap() = f32::INFINITY;
        Tensor::from_slice(device, &values, sizes)?.to_dtype(dtype)?.copy()
    };
    (shape.view)(tensor(&shape.left, 1)?, tensor(&shape.right, 2)?)
}

/// True if there are 16-bit floats to test; llvmpipe has them.
pub(super) fn has_f16(device: &Device) -> bool {
    let has = device.adapter().is_some_and(|adapter| adapter.has_f16);
    assert!(has || !device.name().starts_with("llvmpipe"), "{} has lost its 16-bit floats", device.name());
    has
}

fn all_candidates_agree(disable: Disable, dtype: DType) {
    if std::env::var("WGRAD_TEST_ADAPTER").as_deref() == Ok("none") {
        return;
    }
    let device = Device::with_options(&DeviceOptions::default().disable(disable).poison(true)).unwrap();
    let adapter = device.adapter().unwrap().clone();
    if dtype == DType::F16 && !has_f16(&device) {
        return;
    }
    let mut ran = 0;
    for (shape_number, shape) in shapes().into_iter().enumerate() {
        let (left, right) = operands(&Device::reference(), &shape, dtype).unwrap();
        let expected = record_one(Matmul, &[&left, &right]).unwrap().to_f64().unwrap();
        let (left, right) = operands(&device, &shape, dtype).unwrap();
        let inputs = [*left.layout(), *right.layout()];
        let outputs = Matmul.outputs(&inputs).unwrap();
        let candidates =
            Matmul.candidates(&Io { inputs: &inputs, outputs: &outputs, budget: Budget::default() }, &adapter).unwrap();
        // Tiles of all sizes only for the first shapes: each compiles for a second and more.
        let of_all_sizes = shape_number < 3 && dtype == DType::F32;
        let worth = |kernels: &Kernels| of_all_sizes || kernels.kernels[0].name != candidates[0].kernels[0].name;
        for (number, kernels) in candidates.iter().enumerate().filter(|(n, kernels)| *n == 0 || worth(kernels)) {
            let got = record_one(Forced(number), &[&left, &right]).unwrap().to_f64().unwrap();
            // Each sum is rounded once a term, and once more to the type it is stored in.
            let depth = inputs[0].shape[2] as f64;
            let stored = if dtype == DType::F16 { 2f64.powi(-11) } else { 0.0 };
            let allowed = |e: f64| depth * f64::from(f32::EPSILON) + stored * e.abs();
            let wrong = (0..expected.len()).find(|&at| {
                // Not "further off than allowed": a NaN is neither.
                let is_near = (got[at] - expected[at]).abs() <= allowed(expected[at]);
                let is_same = got[at] == expected[at] || got[at].is_nan() && expected[at].is_nan();
                !is_near && !is_same
            });
            let (kernel, total) = (&kernels.kernels[0], expected.len());
            if let Some(at) = wrong {
                let (name, constants) = (kernel.name, &kernel.constants);
                panic!("{name} {constants:?}: {} is not {} at {at} of {total}", got[at], expected[at]);
            }
            ran += 1;
        }
    }
    assert!(ran > 10, "only {ran} candidates");
}

#[test]
fn candidates_for_software_agree_with_the_reference() {
    all_candidates_agree(Disable::default(), DType::F32);
}

#[test]
fn candidates_for_gpus_agree_with_the_reference() {
    all_candidates_agree(Disable { software: true, ..Disable::default() }, DType::F32);
}

#[test]
fn candidates_for_gpus_agree_with_the_reference_in_f16() {
    all_candidates_agree(Disable { software: true, ..Disable::default() }, DType::F16);
}

/// The pipeline of the first chosen kernel, as far as it depends on the sizes.
fn pipeline(left: Layout, right: Layout, adapter: &Adapter) -> String {
    let inputs = [left, right];
    let outputs = Matmul.outputs(&inputs).unwrap();
    let kernels =
        Matmul.kernels(&Io { inputs: &inputs, outputs: &outputs, budget: Budget::default() }, adapter).unwrap();
    let kernel = &kernels.kernels[0];
    format!("{} {:?} {:?} {:?}", kernel.name, kernel.constants, kernel.aliases, kernel.hooks)
}

#[test]
fn a_shorter_batch_chooses_the_same_pipeline() {
    let noop = Noop { software: false, subgroup_size: 32, ..Noop::default() };
    let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
    let adapter = device.adapter().unwrap();
    let rows = |sizes: [usize; 2]| Layout::contiguous(Shape::new(&[1, sizes[0], sizes[1]]).unwrap(), DType::F32);
    let turned = |sizes: [usize; 2]| {
        let [r, c] = sizes;
        Layout::strided(Shape::new(&[1, c, r]).unwrap(), &[r * c, 1, c], 0, DType::F32)
    };
    for features in [[400, 120], [84, 10], [4096, 4096], [513, 2], [300, 33]] {
        let [inputs, outputs] = features;
        let of = |batch: usize| {
            [
                pipeline(rows([batch, inputs]), turned([outputs, inputs]), adapter),
                pipeline(rows([batch, outputs]), rows([outputs, inputs]), adapter),
                pipeline(turned([batch, outputs]), rows([batch, inputs]), adapter),
            ]
        };
        let full = of(256);
        for batch in 2..256 {
            assert_eq!(of(batch), full, "{features:?}, batch {batch}");
        }
    }
}
