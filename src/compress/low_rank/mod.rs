//! Low-rank factorization: a layer of large weights as two of small ones in a row.
//!
//! The weight, as a matrix, is replaced by the nearest one of a lower rank, which is a product of two thin matrices (Eckart and
//! Young, 1936): each is the weight of a layer. A convolution becomes, by [`Scheme`], one along the height and one along the
//! width (Jaderberg et al., "Speeding up convolutional neural networks with low rank expansions", 2014; Tai et al., 2016), or one
//! to few channels and one of 1 x 1 (Denton et al., 2014; Zhang et al., 2016); a linear layer becomes two.
//!
//! ```
//! use wgrad::compress::low_rank::{LowRankOptions, Rank, factorize};
//! use wgrad::nn::{Module, Scope};
//! use wgrad::{Device, models::LeNet5};
//! let net = LeNet5::new(&Scope::new(&Device::reference()))?;
//! let options = LowRankOptions::default().rank(Rank::Fixed(8)).only(["fc1.*".to_string()]);
//! let done = factorize(&net, &options)?;
//! assert_eq!((done[0].layer.as_str(), done[0].rank), ("fc1", 8));
//! assert_eq!(net.summary(&[1, 1, 28, 28])?.trained_parameters, 61_706 - 400 * 120 + 8 * 400 + 120 * 8);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! The network is the same object, in which two layers replace one: their parameters are its parameters, which optimizers made
//! from then on train, and [`weights::save`](crate::weights::save) writes a file from which
//! [`weights::open`](crate::weights::open) and [`load`](crate::weights::load) rebuild it.

mod factorize;
mod svd;

pub use factorize::{Factorized, LowRankOptions, Rank, Scheme, factorize};
