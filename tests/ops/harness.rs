//! The harness itself: bugs planted in a kernel must be caught by the comparison that `tests/ops/kernels.rs` runs. Planted bugs
//! in gradients are in `tests/ops/gradients.rs`.

use crate::common::{Outcome, differences, poisoned};
use std::hash::Hasher;
use wgrad::custom::{Adapter, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, Vjp, Word, apply};
use wgrad::ops::case::{Case, Input};
use wgrad::{DType, Device, Disable, Result, Shape, Tensor};

/// Row sums of `[rows, 64]`, a workgroup a row, its invocations passing partial sums through workgroup memory.
const TEMPLATE: &str = r"
const STRIDE: u32 = 64u;

struct Params {
    rows: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

var<workgroup> partial: array<f32, 64>;

fn store_output(row: u32, sum: f32) { output[row] = sum; }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    partial[lane] = input[params.offset + group.x * STRIDE + lane];
    workgroupBarrier();
    for (var reach = 32u; reach > 0u; reach /= 2u) {
        if (lane < reach) {
            partial[lane] += partial[lane + reach];
        }
        workgroupBarrier();
    }
    if (lane == 0u) {
        store_output(group.x, partial[0]);
    }
}
";

const COLUMNS: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bug {
    None,
    /// Takes a row stride of 63 elements.
    WrongStride,
    /// Invocations read values that others have not written yet.
    MissingBarrier,
    /// Skips the last row.
    UnwrittenTail,
    /// Adds the sum to the buffer's old content, which is assumed to be zero.
    AssumesZeros,
    /// Also writes a result past the end of the output.
    PastTheEnd,
    /// A word of state survives from run to run: right the first time, wrong the second.
    SecondRun,
    /// The kernel of the gradient drops one of the terms.
    DroppedAdjoint,
}

#[derive(Clone, Copy, Debug)]
struct RowSum(Bug);

impl Op for RowSum {
    fn name(&self) -> &'static str {
        "row_sum"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        state.write_u8(self.0 as u8);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(Shape::new(&[inputs[0].shape[0]])?, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let rows = io.inputs[0].shape[0];
        let template = if self.0 == Bug::MissingBarrier {
            Box::leak(TEMPLATE.replace("workgroupBarrier();", "").into_boxed_str())
        } else {
            TEMPLATE
        };
        let kernel = Kernel::new("row_sum", template)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[rows])
            .words([Word::Offset(0)])
            .grid([(rows - usize::from(self.0 == Bug::UnwrittenTail)) as u32, 1, 1]);
        Ok(match self.0 {
            Bug::WrongStride => kernel.constant("STRIDE", "63u"),
            Bug::AssumesZeros => kernel.hook("store_output", "output[row] += sum;"),
            Bug::PastTheEnd => kernel.hook("store_output", "output[row] = sum; output[params.rows + 4u] = sum;"),
            _ => kernel,
        }
        .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let values: Vec<f64> = inputs[0].values.chunks(COLUMNS).map(|row| row.iter().sum()).collect();
        Ok(vec![HostTensor::new(Shape::new(&[values.len()])?, DType::F32, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let shape = *context.input(0).shape();
        let gradient = context.of(0, |g| g.unsqueeze(1)?.expand(&[shape[0] as isize, shape[1] as isize]))?;
        // A gradient that is right in the reference and drops an adjoint in its kernel.
        Ok(vec![match (gradient, self.0) {
            (Some(g), Bug::DroppedAdjoint) => Some(apply(TwoTerms, &[&g])?.remove(0)),
            (gradient, _) => gradient,
        }])
    }
}

/// `x / 2 + x / 2`, one term of which the kernel drops.
#[derive(Clone, Copy, Debug)]
struct TwoTerms;

impl Op for TwoTerms {
    fn name(&self) -> &'static str {
        "two_terms"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let template = r"
struct Params {
    columns: u32,
    row_stride: u32,
    column_stride: u32,
    offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = params.offset + group.x * params.row_stride + lane * params.column_stride;
    output[group.x * params.columns + lane] = 0.5 * input[place];
}
";
        let (shape, strides) = (io.inputs[0].shape, io.inputs[0].strides());
        Ok(Kernel::new("two_terms", template)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .values(&[shape[1], strides[0], strides[1]])
            .words([Word::Offset(0)])
            .grid([shape[0] as u32, 1, 1])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![inputs[0].clone()])
    }
}

/// 13 rows on a device, compared as every case of the library is.
fn found(bug: Bug, device: &Device) -> Vec<String> {
    let runs = std::sync::atomic::AtomicUsize::new(0);
    let case = Case {
        op: "row_sum",
        inputs: vec![Input {
            shape: vec![13, COLUMNS],
            dtype: DType::F32,
            domain: (-2.0, 2.0),
            kinks: &[],
            distinct: false,
        }],
        arguments: Vec::new(),
        run: Box::new(move |x| {
            let input = if bug == Bug::SecondRun && !x[0].device().is_reference() {
                let run = runs.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                x[0].add_scalar(1e-7 * run as f32)?
            } else {
                x[0].add_scalar(0.0)?
            };
            apply(RowSum(bug), &[&input])
        }),
        tolerance: COLUMNS as f64,
        needs_f16: false,
        differentiable: true,
        differences: false,
        smooth: false,
    };
    differences(&case, 7, device)
}

#[test]
fn planted_bugs_are_caught_and_nothing_else_is() {
    let Some(device) = poisoned(Disable::default()) else { return };
    assert_eq!(found(Bug::None, &device), Vec::<String>::new());
    let bugs = [
        (Bug::WrongStride, "output 0[1]"),
        (Bug::MissingBarrier, "output 0["),
        (Bug::UnwrittenTail, "output 0[12]: expected"),
        (Bug::AssumesZeros, "output 0[0]"),
        (Bug::PastTheEnd, "past the end of a buffer of 52"),
        (Bug::SecondRun, "the second run gives other bits"),
        (Bug::DroppedAdjoint, "gradient 0[0]"),
    ];
    for (bug, sign) in bugs {
        let found = found(bug, &device);
        assert!(found.iter().any(|line| line.contains(sign)), "{bug:?} must show {sign:?}; found {found:?}");
    }
}

#[test]
fn results_are_measured_by_themselves() {
    let outcome =
        |dtype: DType, values: [f64; 2]| Outcome { name: "it".into(), dtype, shape: vec![2], values: values.into() };
    let is_seen = |got: &Outcome, expected: &Outcome| got.difference(expected, 8.0).is_some();
    let small = outcome(DType::F32, [1e-7, -3e-7]);
    assert!(!is_seen(&small, &small));
    assert!(!is_seen(&outcome(DType::F32, [1e-7, -3e-7 * (1.0 + 1e-7)]), &small));
    assert!(is_seen(&outcome(DType::F32, [0.0; 2]), &small), "zeros for small numbers");
    assert!(is_seen(&outcome(DType::F32, [1e-7, f64::NAN]), &small));
    let whole = outcome(DType::I32, [1.0, 2e9]);
    assert!(is_seen(&outcome(DType::I32, [1.0, 2e9 - 1.0]), &whole), "an integer that is off by one");
    for (got, expected) in [(DType::Bool, DType::I32), (DType::F16, DType::F32), (DType::U32, DType::I32)] {
        assert!(is_seen(&outcome(got, [0.0, 1.0]), &outcome(expected, [0.0, 1.0])), "{got} for {expected}");
    }
    let column = Outcome { shape: vec![2, 1], ..outcome(DType::F32, [1e-7, -3e-7]) };
    assert!(is_seen(&column, &small), "another shape");
}
