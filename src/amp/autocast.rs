//! Operations that choose their types.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::autocast::{Autocast, set};
use crate::options::options;

options! {
    /// Options of [`autocast_with`]; by default f16, and an error where an adapter lacks it.
    #[derive(Clone, Copy, Debug, PartialEq)]
    AutocastOptions {
        /// The type of products: f16.
        dtype: DType = DType::F16,
        /// Lets operations choose their types. Without it, they use the types of their inputs.
        enabled: bool = true,
        /// Uses f32 on an adapter without 16-bit floats, instead of returning an error.
        or_f32: bool = false,
    }
}

/// Runs `body` with operations that choose their types (PyTorch's `torch.autocast`; Micikevicius et al. 2018, "Mixed precision
/// training").
///
/// Products and convolutions cast their inputs to f16 and add up in f32; exponentials, logarithms, powers, sums, losses, softmax,
/// layer and group norm compute in f32; operations on several tensors of one type cast them to the widest; all others keep the
/// types of their inputs, and compute statistics in f32 in any case. The lists are PyTorch's for CUDA. Weights stay f32: each is
/// cast once in `body`, and its gradient comes back in f32. Call `backward` after `body`; a gradient has the type of the value
/// that it belongs to, so a loss should be scaled first: [`GradScaler`](crate::amp::GradScaler).
///
/// It applies to this thread, may be nested, and can be switched off inside: [`autocast_with`].
///
/// # Errors
/// Those of `body`; [`Error::Invalid`] for types other than f16. In `body`: [`Error::Unsupported`] if an adapter has no
/// 16-bit floats (see [`AutocastOptions::or_f32`]), [`Error::Invalid`] from
/// [`binary_cross_entropy`](crate::Tensor::binary_cross_entropy), whose probabilities f16 would have rounded to 0 or 1.
///
/// ```
/// use wgrad::{DType, Device, Tensor, amp};
/// let device = Device::reference();
/// let w = Tensor::full(&device, &[2, 2], 0.5f32)?.requires_grad();
/// let x = Tensor::ones(&device, &[3, 2])?;
/// let (y, loss) = amp::autocast(DType::F16, || {
///     let y = x.matmul(&w)?;
///     let loss = y.sum_all()?;
///     Ok((y, loss))
/// })?;
/// assert_eq!((y.dtype(), loss.dtype()), (DType::F16, DType::F32));
/// loss.backward()?;
/// assert_eq!(w.grad().unwrap().to_vec::<f32>()?, [3.0; 4]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn autocast<R>(dtype: DType, body: impl FnOnce() -> Result<R>) -> Result<R> {
    autocast_with(&AutocastOptions::default().dtype(dtype), body)
}

/// [`autocast`] with options.
///
/// # Errors
/// As `autocast`.
///
/// ```
/// use wgrad::amp::{AutocastOptions, autocast, autocast_with};
/// use wgrad::{DType, Device, Tensor};
/// let x = Tensor::ones(&Device::reference(), &[2, 2])?;
/// let exact = autocast(DType::F16, || autocast_with(&AutocastOptions::default().enabled(false), || x.matmul(&x)))?;
/// assert_eq!(exact.dtype(), DType::F32);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn autocast_with<R>(options: &AutocastOptions, body: impl FnOnce() -> Result<R>) -> Result<R> {
    let &AutocastOptions { dtype, enabled, or_f32 } = options;
    if dtype != DType::F16 {
        let rule = format!("it casts to f16, not to {dtype}; see AutocastOptions::enabled for none");
        return Err(Error::invalid("autocast", rule));
    }
    let _setting = set(enabled.then_some(Autocast { dtype, or_f32 }));
    body()
}
