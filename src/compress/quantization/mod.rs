//! Quantization: convolutions and linear maps of signed bytes.
//!
//! | for | there is |
//! |---|---|
//! | a trained network, with some batches to measure its activations by | [`Quantized::calibrated`] |
//! | a network of linear maps, without batches | [`Quantized::dynamic`] |
//! | training that knows of the rounding | [`QuantizationAware`] |
//! | a file of a quarter of the size | [`save`], [`open`], [`is_quantized`] |
//! | batch norms folded into convolutions | [`fuse_batch_norms`] |
//!
//! No network is rewritten. While a quantized one runs, each convolution and linear map first checks if its weight has been
//! quantized, and then multiplies bytes with sums in i32 ([`QuantizedTensor`](crate::QuantizedTensor)); the calls after it, such
//! as a batch norm or a rectifier, are computed on the sums' floats as these are stored. So every network here can be quantized,
//! and your own modules too.
//!
//! Weights have a scale for each output, so that a batch norm's factor, or folding it, changes no byte of them.
//!
//! ```
//! use wgrad::compress::quantization::{Quantized, QuantizationOptions};
//! use wgrad::nn::{Module, Scope};
//! use wgrad::{Device, Tensor, models::LeNet5};
//! let device = Device::reference();
//! let net = LeNet5::new(&Scope::new(&device))?;
//! let images = Tensor::rand(&device, &[2, 1, 28, 28])?;
//! let exact = net.forward(&images)?;
//! let small = Quantized::calibrated(net, [Ok(images.clone())], &QuantizationOptions::default())?;
//! let error = (small.forward(&images)? - &exact)?.abs()?.amax(..)?.item::<f32>()?;
//! assert!(error > 0.0 && error < 0.05 * exact.abs()?.amax(..)?.item::<f32>()?);
//! # Ok::<(), wgrad::Error>(())
//! ```

mod aware;
mod calibrate;
mod file;
mod fuse;
mod histogram;
mod layer;
mod network;
mod observer;

pub use aware::QuantizationAware;
pub use file::{is_quantized, open, save};
pub use fuse::fuse_batch_norms;
pub use network::{QuantizationOptions, Quantized};
pub use observer::{Observer, Scheme};
