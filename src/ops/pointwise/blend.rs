//! Operations of three tensors: interpolation, added products and quotients, and filling by a mask.

use super::{Row, apply};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::ops::case::Case;

pub(super) const ROWS: &[&Row] = &[&LERP];

/// `a + w (b - a)`, computed from the nearer end, so that both ends are exact.
static LERP: Row = Row::float(
    "lerp",
    3,
    "select({1} - ({1} - {0}) * (F(1.0) - {2}), {0} + {2} * ({1} - {0}), abs({2}) < F(0.5))",
    |x| if x[2].abs() < 0.5 { x[0] + x[2] * (x[1] - x[0]) } else { x[1] - (x[1] - x[0]) * (1.0 - x[2]) },
    |c| {
        let (start, end, weight) = (c.input(0), c.input(1), c.input(2));
        let of_start = c.of(0, |g| g * (1.0 - weight))?;
        let of_end = c.of(1, |g| g * weight)?;
        Ok(vec![of_start, of_end, c.of(2, |g| g * (end - start))?])
    },
);

impl Tensor {
    /// `self + weight (end - self)`: linear interpolation between two tensors.
    ///
    /// # Errors
    /// [`Error::Broadcast`]; [`Error::WrongDType`] for types other than floats, and for two of them.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let start = Tensor::from_slice(&device, &[1.0f32, 2.0], &[2])?;
    /// let end = Tensor::from_slice(&device, &[3.0f32, 6.0], &[2])?;
    /// assert_eq!(start.lerp(&end, 0.5)?.to_vec::<f32>()?, [2.0, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn lerp(&self, end: &Tensor, weight: f64) -> Result<Tensor> {
        apply(&LERP, &[self, end, &self.everywhere(weight)?])
    }

    /// [`lerp`](Tensor::lerp) with a weight for each element. All three broadcast.
    ///
    /// # Errors
    /// As [`lerp`](Tensor::lerp).
    #[track_caller]
    pub fn lerp_tensor(&self, end: &Tensor, weight: &Tensor) -> Result<Tensor> {
        apply(&LERP, &[self, end, weight])
    }

    /// `self + value * tensor1 * tensor2` (PyTorch's default `value` is 1). All three broadcast, and types are promoted; for
    /// integers `value` is truncated.
    ///
    /// # Errors
    /// [`Error::Broadcast`]; [`Error::DeviceMismatch`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[2])?;
    /// assert_eq!(x.addcmul(&x, &x, 0.5)?.to_vec::<f32>()?, [1.5, 4.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn addcmul(&self, tensor1: &Tensor, tensor2: &Tensor, value: f64) -> Result<Tensor> {
        let whole = [self, tensor1, tensor2].iter().all(|tensor| !tensor.dtype().is_float());
        let value = if whole { value.trunc() } else { value };
        let product = (tensor1 * tensor2)?;
        // Truth values can't be multiplied: they count as 1 and 0.
        let product = if product.dtype() == DType::Bool { product.to_dtype(DType::I32)? } else { product };
        self + product * value
    }

    /// `self + value * tensor1 / tensor2` (PyTorch's default `value` is 1). All three broadcast.
    ///
    /// # Errors
    /// [`Error::Broadcast`]; [`Error::WrongDType`] if neither `tensor1` nor `tensor2` holds floats.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[1.0f32, 2.0], &[2])?;
    /// assert_eq!(x.addcdiv(&x, &x, 0.5)?.to_vec::<f32>()?, [1.5, 2.5]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn addcdiv(&self, tensor1: &Tensor, tensor2: &Tensor, value: f64) -> Result<Tensor> {
        if !tensor1.dtype().is_float() && !tensor2.dtype().is_float() {
            let expected = "floats to divide (see to_dtype)";
            return Err(Error::WrongDType { op: "addcdiv", expected, got: tensor1.dtype() });
        }
        self + tensor1 * value / tensor2
    }

    /// `value` where the bool tensor `mask` is true, otherwise the elements. Both broadcast; the type is the tensor's, and a
    /// fraction that it can't hold is truncated.
    ///
    /// # Errors
    /// [`Error::WrongDType`] for a mask that is not bool; [`Error::Broadcast`].
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// # let device = Device::reference();
    /// let x = Tensor::from_slice(&device, &[-1.0f32, 2.0], &[2])?;
    /// assert_eq!(x.masked_fill(&x.lt_scalar(0.0)?, 9.0)?.to_vec::<f32>()?, [9.0, 2.0]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn masked_fill(&self, mask: &Tensor, value: f64) -> Result<Tensor> {
        self.masked_fill_tensor(mask, &self.number(value)?)
    }

    /// [`masked_fill`](Tensor::masked_fill) with a tensor of no dimensions, which has a gradient.
    ///
    /// # Errors
    /// As [`masked_fill`](Tensor::masked_fill); [`Error::Invalid`] for a value with dimensions.
    #[track_caller]
    pub fn masked_fill_tensor(&self, mask: &Tensor, value: &Tensor) -> Result<Tensor> {
        const OP: &str = "masked_fill";
        if mask.dtype() != DType::Bool {
            return Err(Error::WrongDType { op: OP, expected: "a bool mask", got: mask.dtype() });
        }
        if value.rank() != 0 {
            return Err(Error::invalid(
                OP,
                format!("the value has shape {}; it must have no dimensions", value.shape()),
            ));
        }
        mask.where_(&value.to_dtype(self.dtype())?, self)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for shapes in [[&[7][..], &[7], &[7]], [&[2, 1, 3], &[5, 1], &[3]]] {
        cases.push(Case::new("addcmul", &shapes, |x| Ok(vec![x[0].addcmul(&x[1], &x[2], -0.75)?])));
        cases.push(Case::new("addcdiv", &shapes, |x| Ok(vec![x[0].addcdiv(&x[1], &x[2], 1.5)?])).domain(2, 0.5, 2.0));
        cases.push(Case::new("lerp", &shapes[..2], |x| Ok(vec![x[0].lerp(&x[1], 0.3)?, x[0].lerp(&x[1], 0.7)?])));
    }
    cases.extend([
        Case::new("addcmul", &[&[5], &[5], &[1]], |x| Ok(vec![x[0].addcmul(&x[1], &x[2], 2.5)?]))
            .integers(0, -9, 9)
            .integers(1, -9, 9)
            .integers(2, -9, 9)
            .no_gradient(),
        Case::new("masked_fill", &[&[3, 1, 5], &[4, 1]], |x| Ok(vec![x[0].masked_fill(&x[1], 2.5)?])).truth(1),
        Case::new("masked_fill", &[&[3, 5], &[5, 3], &[]], |x| Ok(vec![x[0].masked_fill_tensor(&x[1].t()?, &x[2])?]))
            .truth(1),
        Case::new("masked_fill", &[&[7], &[7]], |x| Ok(vec![x[0].masked_fill(&x[1], 2.5)?]))
            .integers(0, -9, 9)
            .truth(1)
            .no_gradient(),
        Case::new("clamp_tensor", &[&[3, 5], &[5], &[3, 1]], |x| {
            Ok(vec![x[0].clamp_tensor(Some(&x[1]), Some(&x[2]))?])
        })
        .first_order(),
        Case::new("clamp_tensor", &[&[4, 3], &[3, 4]], |x| Ok(vec![x[0].t()?.clamp_tensor(None, Some(&x[1]))?]))
            .first_order(),
        Case::new("clamp", &[&[9]], |x| Ok(vec![x[0].clamp(Some(-1.5), None)?, x[0].clamp(None, Some(2.0))?]))
            .integers(0, -3, 3)
            .no_gradient(),
        Case::new("round_decimals", &[&[33]], |x| Ok(vec![x[0].round_decimals(2)?, x[0].round_decimals(-1)?]))
            .domain(0, -90.0, 90.0)
            .no_gradient(),
    ]);
    cases
}
