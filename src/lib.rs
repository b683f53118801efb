//! wgrad trains convolutional networks on any GPU that wgpu reaches, and on a software adapter in CI.
//!
//! Tensors live on the device, kernels are WGSL, a recorder turns the forward pass into a graph, and the device
//! replays it backward for the gradients. Names, shapes and semantics are PyTorch's.
//!
//! ```
//! use wgrad::prelude::*;
//!
//! let device = Device::open().unwrap_or_else(|_| Device::reference());
//! let x = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0], &[3])?.requires_grad();
//! let loss = x.square()?.sum_all()?;
//! loss.backward()?;
//! assert_eq!(x.grad().unwrap().to_vec::<f32>()?, [2.0, 4.0, 6.0]);
//! # Ok::<(), wgrad::Error>(())
//! ```
//!
//! Modules, from the ground up: [`Error`], [`Shape`], [`DType`]; `device`, the only one that sees wgpu; `shader`, which
//! specialises WGSL templates; `graph`, which records; `reference`, which walks a graph on the CPU; `tune`, which chooses kernels
//! by measuring; `plan`, which turns a graph into dispatches; `ops`, one file an operation; `tensor`, creation and reading;
//! [`nn`], [`optim`] and [`data`]; [`models`] and [`train`]; [`explain`], [`robust`] and [`compress`]; [`custom`], for your own
//! operations.

#![warn(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::exit
)]
// Numbers change their kind in `number.rs`.
#![cfg_attr(not(test), warn(clippy::cast_possible_truncation, clippy::cast_sign_loss))]

/// The text of a file in `shaders/` with its imports, by its path without the ending.
macro_rules! wgsl {
    ($path:literal) => {{
        use crate::shader::import::{expand, text};
        const TEMPLATE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/shaders/", $path, ".wgsl"));
        const EXPANDED: [u8; expand::<0>(TEMPLATE).1] = expand(TEMPLATE).0;
        const TEXT: &str = text(&EXPANDED);
        TEXT
    }};
}

pub mod amp;
pub mod compress;
pub mod custom;
pub mod data;
mod debug;
mod device;
mod dims;
mod dtype;
mod error;
pub mod explain;
mod file;
#[cfg(test)]
mod formulas;
mod graph;
mod host_tensor;
pub mod logs;
pub mod metrics;
pub mod models;
pub mod nn;
mod number;
pub mod ops;
pub mod optim;
mod options;
mod pattern;
#[cfg(any(feature = "images", feature = "tensorboard"))]
mod picture;
mod plan;
pub mod prelude;
mod profile;
mod reference;
#[cfg(feature = "report")]
pub mod report;
pub mod robust;
mod shader;
mod shape;
mod state;
mod tensor;
pub mod train;
pub mod transforms;
mod tune;
pub mod weights;
mod zip;

pub use device::{AdapterInfo, Debug, DeviceOptions, Disable, DynamicSizes, Noop};
pub use dims::{Dim, Dims};
pub use dtype::{DType, Element};
pub use error::{Error, IncompatibleKeys, Mismatch, Result};
pub use graph::{
    BackwardOptions, CheckpointResults, Device, Graph, Parameter, ProfileEvent, RandomState, Stats, Tensor, checkpoint,
    grad, no_grad,
};
pub use ops::{
    AttentionOptions, AvgPool1dOptions, AvgPool2dOptions, AvgPool3dOptions, AvgPoolOptions, BatchNormOptions,
    BoxFormat, CapsuleMarginOptions, Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvOptions, ConvTranspose1dOptions,
    ConvTranspose2dOptions, ConvTranspose3dOptions, ConvTransposeOptions, CrossEntropyOptions, CtcLengths,
    CtcLossOptions, EmbeddingOptions, GaussianNllOptions, GridSampleMode, GridSampleOptions, GridSamplePadding,
    InProjection, InstanceNormOptions, InterpolateMode, InterpolateOptions, KlDivOptions, KlDivReduction,
    LpPool1dOptions, LpPool2dOptions, LpPool3dOptions, LpPoolOptions, MaxPool1dOptions, MaxPool2dOptions,
    MaxPool3dOptions, MaxPoolOptions, MaxUnpool1dOptions, MaxUnpool2dOptions, MaxUnpool3dOptions, MaxUnpoolOptions,
    MinedTripletOptions, MultiHeadOptions, MultiHeadWeights, MultiMarginOptions, PadMode, Padding, PoissonNllOptions,
    QuantizationParameters, QuantizedTensor, RecurrentOptions, Reduction, RoiAlignOptions, RoundingMode,
    ScatterReduction, TripletMarginOptions, TripletMarginWithDistanceOptions, TripletMining, UnfoldOptions,
};
pub use options::As;
pub use profile::{Profile, ProfileRow};
pub use shape::{MAX_RANK, Shape};
pub use tune::{TuneOutcome, TunedCall, TunedCandidate, Tuning};
