//! Networks, built of nothing but [`nn`](crate::nn).

mod lenet;

pub use lenet::LeNet5;
