//! Methods of computing a convolution for software adapters alone: an invocation there loads and stores eight numbers at a time,
//! and pays for each load.

mod product;
mod winograd;
