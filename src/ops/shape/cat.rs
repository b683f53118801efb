//! Joining tensors along a dimension, and taking them apart again.

use crate::device::Adapter;
use crate::dims::Dim;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Io, Op, Tensor, Vjp, ascribe_to_caller, hash_structure, record_one};
use crate::host_tensor::HostTensor;
use crate::ops::case::Case;
use crate::ops::pointwise::joint_dtype;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups, index_expr};
use crate::shape::{Layout, Shape};
use std::hash::Hasher;

const TEMPLATE: &str = wgsl!("shape/cat");

/// The inputs one after the other along a dimension.
#[derive(Clone, Debug, Hash)]
struct Cat {
    dim: usize,
}

impl Op for Cat {
    fn name(&self) -> &'static str {
        "cat"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        hash_structure(self, state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let (first, dim) = (&inputs[0], self.dim);
        let mut sizes = first.shape.to_vec();
        sizes[dim] = 0;
        for (i, input) in inputs.iter().enumerate() {
            if input.dtype != first.dtype {
                let expected = "tensors of one type (see to_dtype)";
                return Err(Error::WrongDType { op: "cat", expected, got: input.dtype });
            }
            let fits =
                input.shape.len() == sizes.len() && (0..sizes.len()).all(|d| d == dim || input.shape[d] == sizes[d]);
            if !fits {
                let rule = format!(
                    "tensor {i} has shape {}, which must agree with that of tensor 0, {}, except along dimension {dim}",
                    input.shape, first.shape
                );
                return Err(Error::invalid("cat", rule));
            }
            sizes[dim] += input.shape[dim];
        }
        Ok(vec![Layout::contiguous(Shape::new(&sizes)?, first.dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let output = &io.outputs[0];
        let row = |layout: &Layout| layout.shape[self.dim..].iter().product::<usize>();
        // The outermost size must stay out of the shader.
        let size = |layout: &Layout| if self.dim == 0 { 0 } else { row(layout) };
        let mut kernels = Kernels::default();
        let mut start = 0;
        for (i, input) in io.inputs.iter().enumerate() {
            let count = input.shape.numel();
            if count == 0 {
                continue;
            }
            let mut kernel = Kernel::new("cat", TEMPLATE)
                .alias("Element", output.dtype.wgsl())
                .alias("Value", output.dtype.computed())
                .size("ROW", size(input))
                .size("OUT_ROW", size(output))
                .bind("input", Operand::Input(i))
                .bind("output", Operand::Output(0))
                .values(&[count])
                .words([Word::Offset(i)])
                .values(&[start])
                .grid(fold_groups(count, 64))
                .work(count);
            if !input.is_contiguous() {
                let index = index_expr("index", &input.steps(0..input.shape.len()), "index");
                kernel = kernel.hook("place", format!("return {index};"));
            }
            kernels.kernels.push(kernel);
            start += row(input);
        }
        Ok(kernels)
    }
    fn is_copy(&self) -> bool {
        true
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let dim = self.dim;
        let mut sizes = inputs[0].shape.to_vec();
        sizes[dim] = inputs.iter().map(|input| input.shape[dim]).sum();
        let output = HostTensor::from_fn(Shape::new(&sizes)?, inputs[0].dtype, |at| {
            let mut from = at.to_vec();
            let mut source = 0;
            while from[dim] >= inputs[source].shape[dim] {
                from[dim] -= inputs[source].shape[dim];
                source += 1;
            }
            inputs[source].at(&from)
        });
        Ok(vec![output])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let mut start = 0;
        (0..context.inputs.len())
            .map(|i| {
                let length = context.input(i).shape()[self.dim];
                start += length;
                context.of(i, |g| g.narrow(self.dim, start - length, length))
            })
            .collect()
    }
}

impl Tensor {
    /// Tensors concatenated along `dim`: `[.., n1, ..]`, `[.., n2, ..]`, .. become `[.., n1 + n2 + .., ..]`.
    ///
    /// The other sizes agree, and types are promoted as in PyTorch. Any number of tensors; one of shape `[0]` is ignored whatever
    /// the shape of the others, as in PyTorch.
    ///
    /// # Errors
    /// [`Error::Invalid`] without tensors, of tensors without dimensions and if shapes don't agree;
    /// [`Error::WrongDType`] if types don't; [`Error::DimOutOfRange`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4], &[2, 2])?;
    /// let y = Tensor::from_slice(&device, &[5, 6], &[2, 1])?;
    /// assert_eq!(Tensor::cat(&[&x, &y], 1)?.to_vec::<i32>()?, [1, 2, 5, 3, 4, 6]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn cat(tensors: &[&Tensor], dim: impl Dim) -> Result<Tensor> {
        const OP: &str = "cat";
        let Some(&first) = tensors.first() else {
            return Err(Error::invalid(OP, "there must be at least one tensor"));
        };
        if let Some(i) = tensors.iter().position(|t| t.rank() == 0) {
            return Err(Error::invalid(OP, format!("tensor {i} has no dimensions to join along; see stack")));
        }
        let joined: Vec<&Tensor> = tensors.iter().copied().filter(|t| t.shape()[..] != [0]).collect();
        let Some(&model) = joined.first() else {
            return Ok(first.clone());
        };
        let dim = model.shape().dim(OP, dim)?;
        let dtype = joint_dtype(OP, &joined)?;
        let joined: Vec<Tensor> = joined.iter().map(|tensor| tensor.to_dtype(dtype)).collect::<Result<_>>()?;
        record_one(Cat { dim }, &joined.iter().collect::<Vec<_>>())
    }

    /// Tensors of one shape along a new dimension before `dim`: `[n, m]`, `[n, m]`, .. become `[count, n, m]` for
    /// `dim = 0`.
    ///
    /// # Errors
    /// As [`cat`](Tensor::cat); [`Error::Invalid`] if the shapes differ.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2], &[2])?;
    /// let y = Tensor::from_slice(&device, &[3, 4], &[2])?;
    /// assert_eq!(Tensor::stack(&[&x, &y], 1)?.to_vec::<i32>()?, [1, 3, 2, 4]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn stack(tensors: &[&Tensor], dim: impl Dim) -> Result<Tensor> {
        const OP: &str = "stack";
        let _line = ascribe_to_caller();
        let Some(first) = tensors.first() else {
            return Err(Error::invalid(OP, "there must be at least one tensor"));
        };
        if let Some(i) = tensors.iter().position(|t| t.shape() != first.shape()) {
            let rule =
                format!("tensor {i} has shape {}, tensor 0 {}: they must agree", tensors[i].shape(), first.shape());
            return Err(Error::invalid(OP, rule));
        }
        let (dim, rank) = (dim.number(), first.rank() as isize + 1);
        if !(-rank..rank).contains(&dim) {
            return Err(Error::DimOutOfRange { op: OP, dim, rank: first.rank() });
        }
        let dim = if dim < 0 { dim + rank } else { dim };
        let rows: Vec<Tensor> = tensors.iter().map(|t| t.unsqueeze(dim)).collect::<Result<_>>()?;
        Tensor::cat(&rows.iter().collect::<Vec<_>>(), dim)
    }

    /// Parts of the given sizes along `dim`, as views: `[.., n, ..]` becomes `[.., sizes[0], ..]`,
    /// `[.., sizes[1], ..]`, .. .
    ///
    /// # Errors
    /// [`Error::Invalid`] if the sizes don't add up to `n`; [`Error::DimOutOfRange`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4, 5], &[5])?;
    /// assert_eq!(x.split_with_sizes(&[2, 3], 0)?[1].to_vec::<i32>()?, [3, 4, 5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn split_with_sizes(&self, sizes: &[usize], dim: impl Dim) -> Result<Vec<Tensor>> {
        let _line = ascribe_to_caller();
        let (at, size) = self.divided("split_with_sizes", dim)?;
        if sizes.iter().try_fold(0usize, |sum, &size| sum.checked_add(size)) != Some(size) {
            let rule = format!("{sizes:?} must add up to {size}, the size of dimension {at} of {}", self.shape());
            return Err(Error::invalid("split_with_sizes", rule));
        }
        let mut start = 0;
        sizes
            .iter()
            .map(|&length| {
                start += length;
                self.narrow(at, start - length, length)
            })
            .collect()
    }

    /// Parts of `size` along `dim`, as views; the last one may be smaller.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `size` is 0 and the dimension is not empty; [`Error::DimOutOfRange`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2, 3, 4, 5], &[5])?;
    /// let parts = x.split(2, 0)?;
    /// assert_eq!(parts.len(), 3);
    /// assert_eq!(parts[2].to_vec::<i32>()?, [5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn split(&self, size: usize, dim: impl Dim) -> Result<Vec<Tensor>> {
        let (at, all) = self.divided("split", dim)?;
        if size == 0 && all > 0 {
            let rule = format!("parts of size 0 never add up to {all}, the size of dimension {at} of {}", self.shape());
            return Err(Error::invalid("split", rule));
        }
        let count = if all == 0 { 1 } else { all.div_ceil(size) };
        let sizes: Vec<usize> = (0..count).map(|i| size.min(all - i * size)).collect();
        self.split_with_sizes(&sizes, at)
    }

    /// At most `chunks` parts of one size along `dim`, as views; the last one may be smaller, and there may be fewer:
    /// 5 elements in 4 chunks are 2, 2 and 1.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `chunks` is 0; [`Error::DimOutOfRange`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::zeros(&device, &[7, 2])?;
    /// let sizes: Vec<usize> = x.chunk(3, 0)?.iter().map(|part| part.shape()[0]).collect();
    /// assert_eq!(sizes, [3, 3, 1]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn chunk(&self, chunks: usize, dim: impl Dim) -> Result<Vec<Tensor>> {
        let (at, all) = self.divided("chunk", dim)?;
        if chunks == 0 {
            return Err(Error::invalid("chunk", format!("{} cannot be in 0 chunks", self.shape())));
        }
        if all == 0 {
            return self.split_with_sizes(&vec![0; chunks], at);
        }
        self.split(all.div_ceil(chunks), at)
    }

    /// The index and the size of a dimension to be divided.
    #[track_caller]
    fn divided(&self, op: &'static str, dim: impl Dim) -> Result<(usize, usize)> {
        if self.rank() == 0 {
            return Err(Error::invalid(op, "a tensor without dimensions cannot be divided"));
        }
        let at = self.shape().dim(op, dim)?;
        Ok((at, self.shape()[at]))
    }
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let cat = |dim: isize, shapes: &[&[usize]]| {
        Case::new("cat", shapes, move |x| Ok(vec![Tensor::cat(&x.iter().collect::<Vec<_>>(), dim)?])).with("dim", dim)
    };
    let many: Vec<&[usize]> = (0..11).map(|i| [&[3, 2][..], &[3, 1], &[3, 0], &[3, 5]][i % 4]).collect();
    let mut cases = vec![
        cat(0, &[&[7]]),
        cat(0, &[&[3], &[4]]),
        cat(0, &[&[2, 3], &[5, 3], &[1, 3]]),
        cat(1, &[&[2, 3], &[2, 1]]),
        cat(-2, &[&[2, 3, 5], &[2, 1, 5], &[2, 4, 5]]),
        cat(2, &[&[2, 3, 1], &[2, 3, 4]]),
        cat(1, &[&[2, 3, 3, 5], &[2, 2, 3, 5]]),
        cat(1, &[&[0], &[2, 3], &[0], &[2, 2]]),
        cat(0, &[&[0], &[0]]),
        cat(1, &[&[0, 3], &[0, 2]]),
        cat(0, &[&[0, 3], &[2, 3]]),
        cat(1, &many),
        // Several workgroups.
        cat(1, &[&[9, 31], &[9, 40]]),
        // Strided inputs are read as they are; a tensor may come twice.
        Case::new("cat", &[&[5, 3], &[4, 3]], |x| Ok(vec![Tensor::cat(&[&x[0].t()?, &x[1].t()?, &x[0].t()?], 1)?])),
        Case::new("cat", &[&[2, 1], &[7, 3]], |x| {
            Ok(vec![Tensor::cat(&[&x[0].expand(&[2, 3])?, &x[1].slice(0, 1, 6, 2)?], 0)?])
        }),
        Case::new("cat", &[&[3, 2], &[3, 4]], |x| Ok(vec![Tensor::cat(&[&x[0], &x[1]], 1)?]))
            .integers(0, -9, 9)
            .integers(1, -9, 9)
            .no_gradient(),
        Case::new("cat", &[&[3, 2], &[3, 3]], |x| {
            Ok(vec![Tensor::cat(&[&x[0].to_dtype(DType::F16)?, &x[1].to_dtype(DType::F16)?], 1)?])
        })
        .half(),
    ];
    for dim in [0, 1, -1] {
        let run = move |x: &[Tensor]| Ok(vec![Tensor::stack(&[&x[0], &x[1], &x[2]], dim)?]);
        cases.push(Case::new("stack", &[&[2, 3], &[2, 3], &[2, 3]], run).with("dim", dim));
    }
    cases.push(Case::new("stack", &[&[], &[]], |x| Ok(vec![Tensor::stack(&[&x[0], &x[1]], 0)?])));
    cases.push(Case::new("split", &[&[7, 3]], |x| x[0].split(3, 0)));
    cases.push(Case::new("split", &[&[2, 7]], |x| x[0].split(2, -1)));
    cases.push(Case::new("split", &[&[0, 3]], |x| x[0].split(2, 0)));
    cases.push(Case::new("split_with_sizes", &[&[2, 7, 3]], |x| x[0].split_with_sizes(&[2, 0, 5], 1)));
    cases.push(Case::new("chunk", &[&[5, 3]], |x| x[0].chunk(4, 0)));
    cases.push(Case::new("chunk", &[&[3, 8]], |x| x[0].chunk(3, 1)));
    cases
}
