//! The kernel for cooperative matrices, computed without them: the same text, with functions instead of the instructions that few
//! adapters have. So its indices, edges, splits and stores run on every adapter with 16-bit floats, and so do the calls that the
//! planner fuses behind it. The instructions themselves run on no adapter here.

use super::tests::{has_f16, numbers};
use super::{Matmul, Product, Variant, with_product};
use crate::device::{Adapter, DeviceOptions};
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Device, Io, Op, Tensor, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::shader::{Kernels, Template};
use crate::shape::Layout;
use std::hash::Hasher;

/// The types and calls of cooperative matrices, and their replacements. A factor is its location: 1 if a line is a row, its first
/// vector of four, and the number of vectors from line to line. For sums, a lane keeps eight columns of one row.
const REPLACED: [(&str, &str); 14] = [
    ("enable wgpu_cooperative_matrix;\n", ""),
    ("coop_mat16x16<f16, A>", "vec3<u32>"),
    ("coop_mat16x16<f16, B>", "vec3<u32>"),
    ("coop_mat16x16<f32, C>", "mat2x4<f32>"),
    ("coopLoadT<LeftMatrix>(&left_tile[", "vec3(1u, "),
    ("coopLoad<LeftMatrix>(&left_tile[", "vec3(0u, "),
    ("coopLoadT<RightMatrix>(&right_tile[", "vec3(1u, "),
    ("coopLoad<RightMatrix>(&right_tile[", "vec3(0u, "),
    ("], LEFT_PITCH)", ", LEFT_PITCH)"),
    ("], RIGHT_PITCH)", ", RIGHT_PITCH)"),
    ("coopMultiplyAdd(", "multiply_add(lane, "),
    ("coopStoreT(sums[i * FRAGMENTS + j], &finished[own], ", "store_by_rows(lane, sums[i * FRAGMENTS + j], own, "),
    (
        "    @builtin(subgroup_id) subgroup: u32,\n    @builtin(subgroup_invocation_id) lane: u32,\n) {\n",
        ") {\n    let subgroup = local / SUBGROUP;\n    let lane = local % SUBGROUP;\n",
    ),
    ("@compute", FUNCTIONS),
];

const FUNCTIONS: &str = "
fn place_of(matrix: vec3<u32>, row: u32, column: u32) -> vec2<u32> {
    let at = select(vec2(column, row), vec2(row, column), matrix.x == 1u);
    return vec2(matrix.y + at.x * matrix.z + at.y / 4u, at.y % 4u);
}

fn multiply_add(lane: u32, left: LeftMatrix, right: RightMatrix, sums: Sums) -> Sums {
    var results = sums;
    for (var k = 0u; k < 16u; k++) {
        let at = place_of(left, lane / 2u, k);
        let factor = f32(left_tile[at.x][at.y]);
        for (var i = 0u; i < 8u; i++) {
            let other = place_of(right, k, lane % 2u * 8u + i);
            results[i / 4u][i % 4u] += factor * f32(right_tile[other.x][other.y]);
        }
    }
    return results;
}

fn store_by_rows(lane: u32, sums: Sums, first: u32, stride: u32) {
    var results = sums;
    for (var i = 0u; i < 8u; i++) {
        finished[first + lane / 2u * stride + lane % 2u * 8u + i] = results[i / 4u][i % 4u];
    }
}

@compute";

/// A product by the twin, whose depth is split into this many parts.
#[derive(Clone, Debug, Hash)]
struct Twin {
    fragments: usize,
    splits: usize,
}

impl Op for Twin {
    fn name(&self) -> &'static str {
        "matmul_twin"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Matmul.outputs(inputs)
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let variant = Variant::Cooperative { fragments: self.fragments, splits: self.splits };
        let mut kernels = with_product(io, |product: &Product| product.kernels(variant))?;
        let product = &mut kernels.kernels[0];
        let mut text = product.template.text.to_string();
        for (from, to) in REPLACED {
            assert!(text.contains(from), "the kernel lacks {from:?}");
            text = text.replace(from, to);
        }
        assert!(!text.contains("coopL") && !text.contains("coop_mat"), "{text}");
        (product.name, product.template) = ("matmul_twin", Template::of(Box::leak(text.into_boxed_str())));
        Ok(kernels)
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Matmul.reference(inputs)
    }
}

/// Sizes as the operands are stored, true if they are transposed, and true if a call is fused behind it.
struct Call {
    left: [usize; 3],
    right: [usize; 3],
    transposed: [bool; 2],
    is_fused: bool,
    twin: Twin,
}

/// Every combination of directions; sizes that no tile divides, odd where vectors of four don't run along them.
fn calls() -> Vec<Call> {
    let call = |left, right, transposed, is_fused, fragments, splits| {
        let twin = Twin { fragments, splits };
        Call { left, right, transposed, is_fused, twin }
    };
    vec![
        call([2, 67, 20], [2, 20, 76], [false, false], true, 2, 1),
        call([2, 37, 68], [2, 37, 44], [true, false], false, 2, 1),
        call([2, 67, 52], [2, 45, 52], [false, true], true, 2, 1),
        call([2, 36, 76], [2, 45, 36], [true, true], true, 2, 2),
        call([1, 131, 100], [1, 100, 140], [false, false], false, 4, 3),
    ]
}

fn run(device: &Device, call: &Call) -> Result<Vec<f64>> {
    let operand = |shape: [usize; 3], seed, is_transposed| {
        let values = numbers(shape.iter().product(), seed);
        let stored = Tensor::from_slice(device, &values, &shape)?.to_dtype(DType::F16)?.copy()?;
        device.flush()?;
        if is_transposed { stored.transpose(1, 2) } else { Ok(stored) }
    };
    let (left, right) = (operand(call.left, 1, call.transposed[0])?, operand(call.right, 2, call.transposed[1])?);
    let sums = record_one(call.twin.clone(), &[&left, &right])?;
    if !call.is_fused {
        return sums.to_f64();
    }
    let bias = Tensor::from_slice(device, &numbers(sums.shape()[2], 3), &[sums.shape()[2]])?;
    let before = device.stats().dispatches;
    let activated = ((sums.to_dtype(DType::F32)? + &bias)?.relu()? * 0.75)?;
    let values = activated.to_f64()?;
    let all = device.stats().dispatches - before;
    assert!(device.is_reference() || call.twin.splits > 1 || all == 1, "{all} dispatches");
    Ok(values)
}

#[test]
fn the_kernel_for_cooperative_matrices_has_the_indices_of_a_product() {
    if std::env::var("WGRAD_TEST_ADAPTER").as_deref() == Ok("none") {
        return;
    }
    let device = Device::with_options(&DeviceOptions::default().poison(true)).unwrap();
    if !has_f16(&device) {
        return;
    }
    for call in calls() {
        let got = run(&device, &call).unwrap();
        let expected = run(&Device::reference(), &call).unwrap();
        assert_eq!(got.len(), expected.len());
        let scale = expected.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
        // A sum of f32 that rounds to another number of f16 than the exact one does.
        let allowed = scale / 1024.0;
        let wrong = (0..got.len()).find(|&at| (got[at] - expected[at]).abs().total_cmp(&allowed).is_gt());
        let Call { left, right, twin, .. } = &call;
        assert_eq!(wrong.map(|at| (at, got[at], expected[at])), None, "{twin:?} of {left:?} and {right:?}");
    }
}
