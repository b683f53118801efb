//! Sorting along one dimension, and its by-products: positions, the largest and smallest elements, the k-th.
//!
//! One stable merge sort serves all: runs of a few elements are sorted by insertion, then each dispatch merges pairs of runs.
//! Sizes are parameters, so the same kernels sort rows of any length and number.

mod permute;

use crate::device::Adapter;
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, record, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;
use permute::Permute;
use std::hash::Hasher;

const RUNS: &str = wgsl!("sort/sort_runs");
const MERGE: &str = wgsl!("sort/sort_merge");
const VALUES: &str = wgsl!("sort/sort_values");

/// Elements sorted by insertion, and elements one invocation merges: 16 in both shaders.
const RUN: usize = 16;

/// Values in order and their positions, along the middle dimension of contiguous `[outer, length, inner]`.
#[derive(Clone, Debug)]
struct Sort {
    /// All bits set for a descending order: keys are inverted, and equal elements still keep their order.
    turn: [u32; 1],
}

impl Op for Sort {
    fn name(&self) -> &'static str {
        "sort"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn scalars(&self) -> &[u32] {
        &self.turn
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let input = &inputs[0];
        let indices = Layout::contiguous(input.shape, DType::I32);
        Ok(vec![Layout::contiguous(input.shape, input.dtype), indices])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let (input, shape) = (&io.inputs[0], io.outputs[0].shape);
        let (count, length, inner) = (shape.numel(), shape[1], shape[2]);
        let rows = shape[0] * inner;
        let runs = length.div_ceil(RUN);
        let mut kernels = Kernels { temporaries: vec![4 * count; 2], ..Kernels::default() };
        let (mut keys, mut places) = (Operand::Temporary(0), Operand::Temporary(1));
        let sort = Kernel::new("sort_runs", RUNS)
            .alias("Element", input.dtype.wgsl())
            .bind("input", Operand::Input(0))
            .bind("keys", keys)
            .bind("places", places)
            .values(&[rows * runs, length, inner, runs])
            .words([Word::Scalar(0), Word::Offset(0)])
            .grid(fold_groups(rows * runs, 64))
            .work(64 * count);
        kernels.kernels.push(match input.dtype {
            DType::F32 | DType::F16 => sort,
            DType::I32 => sort.hook("key", "return bitcast<u32>(x) ^ 0x80000000u;"),
            DType::U32 | DType::Bool => sort.hook("key", "return x;"),
        });
        let (mut free_keys, mut free_places) = (Operand::Temporary(2), Operand::Temporary(3));
        let mut run = RUN;
        while run < length {
            kernels.temporaries.resize(4, 4 * count);
            let merge = Kernel::new("sort_merge", MERGE)
                .bind("keys", keys)
                .bind("places", places)
                .bind("merged_keys", free_keys)
                .bind("merged_places", free_places)
                .values(&[rows * runs, length, runs, run])
                .grid(fold_groups(rows * runs, 64))
                .work(16 * count);
            kernels.kernels.push(merge);
            std::mem::swap(&mut keys, &mut free_keys);
            std::mem::swap(&mut places, &mut free_places);
            run *= 2;
        }
        let values = Kernel::new("sort_values", VALUES)
            .alias("Element", input.dtype.wgsl())
            .bind("input", Operand::Input(0))
            .bind("places", places)
            .bind("values", Operand::Output(0))
            .bind("indices", Operand::Output(1))
            .values(&[count, length, inner])
            .words([Word::Offset(0)])
            .grid(fold_groups(count, 64))
            .work(count);
        kernels.kernels.push(values);
        Ok(kernels)
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let input = &inputs[0];
        let (outer, length, inner) = (input.shape[0], input.shape[1], input.shape[2]);
        let mut values = input.values.clone();
        let mut indices = vec![0.0; values.len()];
        for row in 0..outer * inner {
            let at = |j: usize| (row / inner * length + j) * inner + row % inner;
            let mut order: Vec<usize> = (0..length).collect();
            // NaN is the largest of all.
            order.sort_by(|&a, &b| {
                let (a, b) = (input.values[at(a)], input.values[at(b)]);
                let ascending = a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()));
                if self.turn[0] == 0 { ascending } else { ascending.reverse() }
            });
            for (j, place) in order.into_iter().enumerate() {
                values[at(j)] = input.values[at(place)];
                indices[at(j)] = place as f64;
            }
        }
        Ok(vec![HostTensor::new(input.shape, input.dtype, values), HostTensor::new(input.shape, DType::I32, indices)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let gradient =
            context.of(0, |g| record_one(Permute { back: false }, &[&g.contiguous()?, context.output(1)]))?;
        Ok(vec![gradient])
    }
}

impl Tensor {
    /// The elements in order along `dim`, and their positions (i32).
    ///
    /// NaN is the largest of all. The sort is stable: equal elements keep their order, also in a descending one, so the positions
    /// are the same on every adapter.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, 1.0, 2.0], &[3])?;
    /// let (values, indices) = x.sort(0, false)?;
    /// assert_eq!(values.to_vec::<f32>()?, [1.0, 2.0, 3.0]);
    /// assert_eq!(indices.to_vec::<i32>()?, [1, 2, 0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn sort(&self, dim: impl Dim, descending: bool) -> Result<(Tensor, Tensor)> {
        self.sort_as("sort", dim, descending)
    }

    /// Only the positions that [`sort`](Tensor::sort) returns.
    ///
    /// # Errors
    /// As `sort`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, 1.0, 2.0], &[3])?;
    /// assert_eq!(x.argsort(0, true)?.to_vec::<i32>()?, [0, 2, 1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn argsort(&self, dim: impl Dim, descending: bool) -> Result<Tensor> {
        Ok(self.sort_as("argsort", dim, descending)?.1)
    }

    /// The `k` largest elements along `dim`, or the smallest, in order, and their positions (i32). NaN is the largest of all; of
    /// equal elements, the first ones are taken.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::Invalid`] if `k` is more than there are; [`Error::WrongDType`] for bool.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, 1.0, 2.0], &[3])?;
    /// let (values, indices) = x.topk(2, 0, true)?;
    /// assert_eq!(values.to_vec::<f32>()?, [3.0, 2.0]);
    /// assert_eq!(indices.to_vec::<i32>()?, [0, 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn topk(&self, k: usize, dim: impl Dim, largest: bool) -> Result<(Tensor, Tensor)> {
        const OP: &str = "topk";
        let at = self.shape().dim(OP, dim)?;
        let size = self.shape().get(at).copied().unwrap_or(1);
        if self.dtype() == DType::Bool {
            return Err(Error::WrongDType { op: OP, expected: "numbers", got: self.dtype() });
        }
        if k > size {
            return Err(Error::invalid(OP, format!("k is {k}, and dimension {dim} of {} has {size}", self.shape())));
        }
        let (values, indices) = self.sort_as(OP, dim, largest)?;
        if self.rank() == 0 {
            return Ok((values, indices));
        }
        Ok((values.narrow(dim, 0, k)?, indices.narrow(dim, 0, k)?))
    }

    /// The `k`-th smallest element along `dim`, counted from 1, and its position (i32). NaN is the largest of all; equal elements
    /// count in their order.
    ///
    /// # Errors
    /// [`Error::DimOutOfRange`]; [`Error::Invalid`] if `k` is 0 or more than there are; [`Error::WrongDType`] for bool.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[3.0f32, 1.0, 2.0], &[3])?;
    /// assert_eq!(x.kthvalue(2, 0)?.0.item::<f32>()?, 2.0);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn kthvalue(&self, k: usize, dim: impl Dim) -> Result<(Tensor, Tensor)> {
        self.kth(k, dim, false)
    }

    /// [`kthvalue`](Tensor::kthvalue) that keeps the reduced dimension, with size 1.
    ///
    /// # Errors
    /// As `kthvalue`.
    #[track_caller]
    pub fn kthvalue_keepdim(&self, k: usize, dim: impl Dim) -> Result<(Tensor, Tensor)> {
        self.kth(k, dim, true)
    }

    #[track_caller]
    fn kth(&self, k: usize, dim: impl Dim, keepdim: bool) -> Result<(Tensor, Tensor)> {
        const OP: &str = "kthvalue";
        let _line = ascribe_to_caller();
        let at = self.shape().dim(OP, dim)?;
        let size = self.shape().get(at).copied().unwrap_or(1);
        if self.dtype() == DType::Bool {
            return Err(Error::WrongDType { op: OP, expected: "numbers", got: self.dtype() });
        }
        if k == 0 || k > size {
            let rule = format!("k is {k}; dimension {dim} of {} takes 1 to {size}", self.shape());
            return Err(Error::invalid(OP, rule));
        }
        let (values, indices) = self.sort_as(OP, dim, false)?;
        if self.rank() == 0 {
            return Ok((values, indices));
        }
        let kept = self.shape().without(&[at], keepdim);
        let pick = |t: Tensor| t.narrow(dim, k - 1, 1)?.reshape_to(kept);
        Ok((pick(values)?, pick(indices)?))
    }

    #[track_caller]
    fn sort_as(&self, op: &'static str, dim: impl Dim, descending: bool) -> Result<(Tensor, Tensor)> {
        let dim = self.shape().dim(op, dim)?;
        let rows = self.contiguous()?.reshape_to(self.shape().around(dim)?)?;
        let sorted = record(Sort { turn: [if descending { u32::MAX } else { 0 }] }, &[&rows])?;
        Ok((sorted[0].reshape_to(*self.shape())?, sorted[1].reshape_to(*self.shape())?))
    }
}

pub(super) fn cases() -> Vec<Case> {
    let sort = |shape: &[usize], dim: isize, descending: bool| {
        Case::new("sort", &[shape], move |x| x[0].sort(dim, descending).map(|(v, i)| vec![v, i]))
            .with("dim", dim)
            .with("descending", descending)
            .distinct()
    };
    let topk = |shape: &[usize], k: usize, dim: isize, largest: bool| {
        Case::new("topk", &[shape], move |x| x[0].topk(k, dim, largest).map(|(v, i)| vec![v, i]))
            .with("k", k)
            .with("dim", dim)
            .with("largest", largest)
            .distinct()
    };
    let both = |x: &[Tensor]| {
        let ((a, b), (c, d)) = (x[0].sort(-1, false)?, x[0].sort(0, true)?);
        Ok(vec![a, b, c, d])
    };
    vec![
        sort(&[7], 0, false),
        sort(&[], 0, true),
        sort(&[3, 5], 0, true),
        sort(&[2, 19, 3], 1, false),
        sort(&[2, 1, 17], -1, true),
        sort(&[3, 0], 1, false),
        sort(&[0, 3], 1, false),
        sort(&[2, 1000], 1, false).first_order(),
        sort(&[133, 2], 0, true).first_order(),
        Case::new("sort", &[&[4, 5]], |x| x[0].t()?.sort(1, false).map(|(v, i)| vec![v, i])).distinct(),
        // Ties.
        Case::new("sort", &[&[41, 37]], both).integers(0, -3, 3).no_gradient(),
        Case::new("sort", &[&[5, 33]], both).truth(0).no_gradient(),
        Case::new("sort", &[&[5, 33]], |x| {
            let (values, indices) = x[0].to_dtype(DType::F16)?.sort(1, true)?;
            Ok(vec![values, indices])
        })
        .half()
        .distinct(),
        Case::new("argsort", &[&[3, 70]], |x| Ok(vec![x[0].argsort(1, true)?])).distinct().no_gradient(),
        Case::new("kthvalue", &[&[3, 5, 2]], |x| x[0].kthvalue_keepdim(2, 1).map(|(v, i)| vec![v, i])).distinct(),
        Case::new("kthvalue", &[&[]], |x| x[0].kthvalue(1, 0).map(|(v, i)| vec![v, i])),
        topk(&[7], 3, 0, true),
        topk(&[3, 20, 2], 4, 1, false),
        topk(&[3, 5], 0, 0, true),
        topk(&[3, 5], 5, -1, true),
        topk(&[], 1, -1, false),
        Case::new("topk", &[&[5, 33]], |x| x[0].topk(6, 1, true).map(|(v, i)| vec![v, i]))
            .integers(0, -9, 9)
            .no_gradient(),
    ]
}
