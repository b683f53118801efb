//! Repeated tensors.

use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;
use crate::shape::{MAX_RANK, Shape};

/// A dimension of the result: elements of the input, or repetitions of them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Factor {
    size: usize,
    repeated: bool,
}

/// Appends a factor, or merges it with the last one if that is of the same kind. Size 1 is skipped.
fn join(factors: &mut Vec<Factor>, size: usize, repeated: bool) {
    match factors.last_mut() {
        _ if size == 1 => {}
        Some(last) if last.repeated == repeated => last.size *= size,
        _ => factors.push(Factor { size, repeated }),
    }
}

impl Tensor {
    /// Repeated `repeats[d]` times along each dimension: `[n, m]` becomes `[n a, m b]` for `repeats = [a, b]`. Further dimensions
    /// come in front.
    ///
    /// # Errors
    /// [`Error::Invalid`] for fewer repeats than dimensions; [`Error::TooManyDimensions`]; [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2], &[2])?;
    /// assert_eq!(x.repeat(&[2, 2])?.to_vec::<i32>()?, [1, 2, 1, 2, 1, 2, 1, 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn repeat(&self, repeats: &[usize]) -> Result<Tensor> {
        const OP: &str = "repeat";
        let Some(added) = repeats.len().checked_sub(self.rank()) else {
            let rule = format!("{repeats:?} must have a number for each dimension of {}", self.shape());
            return Err(Error::invalid(OP, rule));
        };
        // As many sizes as repeats; too many of both is the first error.
        Shape::new(repeats)?;
        let sizes = [&vec![1; added], &self.shape()[..]].concat();
        let too_large = || Error::invalid(OP, format!("{} times {repeats:?} is too large", self.shape()));
        let outputs: Option<Vec<usize>> = sizes.iter().zip(repeats).map(|(s, r)| s.checked_mul(*r)).collect();
        let output = Shape::new(&outputs.ok_or_else(too_large)?)?;
        if output.numel() == 0 {
            return self.emptied(output);
        }
        // One copy repeats along as many inner dimensions as fit into a tensor's rank; mostly all of them.
        let mut result = self.reshape_to(Shape::new(&sizes)?)?;
        let mut done = repeats.len();
        while done > 0 {
            let mut first = done;
            let mut factors = Vec::new();
            while first > 0 {
                let mut longer = Vec::new();
                join(&mut longer, sizes[..first - 1].iter().product(), false);
                for d in first - 1..done {
                    join(&mut longer, repeats[d], true);
                    join(&mut longer, sizes[d], false);
                }
                join(&mut longer, outputs_behind(&output, done), false);
                if longer.len() > MAX_RANK {
                    break;
                }
                (first, factors) = (first - 1, longer);
            }
            let all: Vec<usize> = factors.iter().map(|f| f.size).collect();
            let once: Vec<usize> = factors.iter().map(|f| if f.repeated { 1 } else { f.size }).collect();
            result = result.reshape_to(Shape::new(&once)?)?.expand_to(Shape::new(&all)?, OP)?;
            done = first;
        }
        result.reshape_to(output)
    }

    /// [`repeat`](Tensor::repeat), except that missing numbers in front count as 1.
    ///
    /// # Errors
    /// [`Error::TooManyDimensions`]; [`Error::TooLarge`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1, 2], &[2, 1])?;
    /// assert_eq!(x.tile(&[2])?.to_vec::<i32>()?, [1, 1, 2, 2]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn tile(&self, dims: &[usize]) -> Result<Tensor> {
        let missing = self.rank().saturating_sub(dims.len());
        self.repeat(&[&vec![1; missing], dims].concat())
    }

    /// An empty tensor of a shape without elements: a view of none of this tensor's.
    #[track_caller]
    fn emptied(&self, shape: Shape) -> Result<Tensor> {
        self.reshape(&[-1])?.narrow(0, 0, 0)?.reshape_to(shape)
    }
}

/// Elements of the result within one step of dimension `dim - 1`.
fn outputs_behind(output: &Shape, dim: usize) -> usize {
    output[dim..].iter().product()
}

pub(in crate::ops) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (shape, repeats) in [
        (&[5][..], &[3][..]),
        (&[], &[2, 3]),
        (&[3, 5], &[2, 1, 3]),
        (&[2, 3, 2], &[1, 2, 2]),
        (&[1, 3, 1, 2], &[2, 2, 3, 1]),
        (&[2, 3, 2, 3], &[2, 2, 2, 2]),
        (&[2, 3, 2], &[0, 1, 2]),
        (&[0, 2], &[2, 3]),
        (&[7], &[1]),
    ] {
        cases.push(Case::new("repeat", &[shape], move |x| Ok(vec![x[0].repeat(repeats)?])).with("repeats", repeats));
    }
    cases.push(Case::new("repeat", &[&[3, 4]], |x| Ok(vec![x[0].t()?.slice(0, 0, 4, 2)?.repeat(&[2, 3])?])));
    cases.push(Case::new("tile", &[&[2, 3, 2]], |x| Ok(vec![x[0].tile(&[2])?])));
    cases.push(Case::new("tile", &[&[3]], |x| Ok(vec![x[0].tile(&[2, 1, 2])?])).truth(0).no_gradient());
    cases
}
