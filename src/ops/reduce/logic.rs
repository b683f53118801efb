//! Whether all or any elements are true, and how many.

use super::Kind;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::ops::case::Case;

impl Tensor {
    /// Whether all elements over `dims` (all where the list is empty) are true, that is, not 0; true over nothing.
    ///
    /// Takes any element type and gives bool. NaN is not 0. Reduced dimensions stay with size 1 where `keepdim`.
    ///
    /// # Errors
    /// As [`sum`](Tensor::sum).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.all(&[1], false)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn all(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.to_dtype(DType::Bool)?.reduce(Kind::All, "all", dims, keepdim)
    }

    /// Whether any element over `dims` (all where the list is empty) is true, that is, not 0; false over nothing.
    ///
    /// # Errors
    /// As [`all`](Tensor::all).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 0.0, 0.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.any(&[1], false)?.to_vec::<bool>()?, [true, false]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn any(&self, dims: &[isize], keepdim: bool) -> Result<Tensor> {
        self.to_dtype(DType::Bool)?.reduce(Kind::Any, "any", dims, keepdim)
    }

    /// How many elements over `dims` (all where the list is empty) are not 0, in i32.
    ///
    /// # Errors
    /// As [`all`](Tensor::all).
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 0.0], &[2, 2])?;
    /// assert_eq!(x.count_nonzero(&[])?.item::<i32>()?, 3);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn count_nonzero(&self, dims: &[isize]) -> Result<Tensor> {
        self.to_dtype(DType::Bool)?.reduce(Kind::Sum, "count_nonzero", dims, false)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (dims, keepdim) in [(&[][..], false), (&[1], true), (&[0, -1], false)] {
        let question = |op, ask: fn(&Tensor, &[isize], bool) -> Result<Tensor>| {
            Case::new(op, &[&[2, 3, 5]], move |x| Ok(vec![ask(&x[0], dims, keepdim)?])).no_gradient()
        };
        cases.push(question("all", Tensor::all).integers(0, 0, 4));
        cases.push(question("any", Tensor::any).integers(0, 0, 1));
        cases.push(question("all", Tensor::all));
        cases.push(question("any", Tensor::any).truth(0));
        let count = |x: &[Tensor]| Ok(vec![x[0].count_nonzero(&[1, 0])?, x[0].count_nonzero(&[])?]);
        cases.push(Case::new("count_nonzero", &[&[4, 7, 2]], count).integers(0, -1, 1).no_gradient());
    }
    for shape in [&[][..], &[3, 0], &[0, 3]] {
        let both = move |x: &[Tensor]| Ok(vec![x[0].all(&[-1], false)?, x[0].any(&[-1], true)?]);
        cases.push(Case::new("all", &[shape], both).no_gradient());
    }
    cases.push(Case::new("all", &[&[2, 1000]], |x| Ok(vec![x[0].all(&[1], false)?])).truth(0).no_gradient());
    cases
}
