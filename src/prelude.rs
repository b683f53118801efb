//! Names that nearly every program that trains something uses: `use wgrad::prelude::*;`.
//!
//! Layers, optimizers and options are named where they are used; they are in [`nn`](crate::nn), [`optim`](crate::optim) and at
//! the crate's root.
//!
//! ```
//! use wgrad::nn::Linear;
//! use wgrad::optim::{Sgd, SgdOptions};
//! use wgrad::prelude::*;
//!
//! # fn main() -> Result<()> {
//! let device = Device::reference();
//! let model = Linear::new(&Scope::new(&device), 4, 1)?;
//! let mut sgd = Sgd::new(&model, SgdOptions::default().lr(0.1))?;
//! model.forward(&Tensor::ones(&device, &[8, 4])?)?.square()?.mean_all()?.backward()?;
//! sgd.step()?;
//! # Ok(())
//! # }
//! ```

pub use crate::nn::{Module, Scope};
pub use crate::optim::Optimizer;
pub use crate::{DType, Device, Error, Parameter, Result, Tensor, no_grad};
