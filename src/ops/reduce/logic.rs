//! Tests if all or any elements are true, and counts them.

use super::Kind;
use super::forms::reduction;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::case::Case;

impl Tensor {
    #[track_caller]
    fn all_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.to_dtype(DType::Bool)?.reduce(Kind::All, dims, keepdim)
    }

    #[track_caller]
    fn any_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.to_dtype(DType::Bool)?.reduce(Kind::Any, dims, keepdim)
    }

    #[track_caller]
    fn count_nonzero_over(&self, dims: &[usize], keepdim: bool) -> Result<Tensor> {
        self.to_dtype(DType::Bool)?.reduce(Kind::Sum, dims, keepdim)
    }
}

reduction! {
    /// True if all elements over `dims` are true, that is, not 0; true over nothing.
    ///
    /// Takes any element type and gives bool. NaN is true.
    ///
    /// # Errors
    /// As [`sum`](Tensor::sum).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.all(1)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    all(..), all_keepdim, all_all => all_over
}

reduction! {
    /// True if any element over `dims` is true, that is, not 0; false over nothing.
    ///
    /// # Errors
    /// As [`all`](Tensor::all).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 0.0, 0.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.any(1)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    any(..), any_keepdim, any_all => any_over
}

reduction! {
    /// The number of elements over `dims` that are not 0, in i32.
    ///
    /// # Errors
    /// As [`all`](Tensor::all).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.count_nonzero_all()?.item::<i32>()?, 3);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    count_nonzero(..), count_nonzero_keepdim, count_nonzero_all => count_nonzero_over
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dims, keepdim) in [(&[0, 1, 2][..], false), (&[1], true), (&[0, 2], false)] {
        let question = |op, ask: fn(&Tensor, &[usize], bool) -> Result<Tensor>| {
            Case::new(op, &[&[2, 3, 5]], move |x| Ok(vec![ask(&x[0], dims, keepdim)?]))
                .with("dims", dims)
                .with("keepdim", keepdim)
                .no_gradient()
        };
        cases.push(question("all", Tensor::all_over).integers(0, 0, 4));
        cases.push(question("any", Tensor::any_over).integers(0, 0, 1));
        cases.push(question("all", Tensor::all_over));
        cases.push(question("any", Tensor::any_over).truth(0));
        let count = |x: &[Tensor]| Ok(vec![x[0].count_nonzero([1, 0])?, x[0].count_nonzero_all()?]);
        let count = Case::new("count_nonzero", &[&[4, 7, 2]], count).with("draw", dims.len());
        cases.push(count.integers(0, -1, 1).no_gradient());
    }
    for shape in [&[][..], &[3, 0], &[0, 3]] {
        let both = move |x: &[Tensor]| Ok(vec![x[0].all(-1)?, x[0].any_keepdim(-1)?]);
        cases.push(Case::new("all", &[shape], both).no_gradient());
    }
    cases.push(Case::new("all", &[&[2, 1000]], |x| Ok(vec![x[0].all(1)?])).truth(0).no_gradient());
    cases
}
