//! Operations: values, gradients and edges, against the reference, PyTorch, differences and worked answers.

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/conformance/mod.rs"]
mod conformance;
#[path = "../common/conformance/different.rs"]
mod different;

mod autocast;
mod cases;
mod constants;
mod cross_entropy;
mod custom;
mod dropout;
mod extremes;
mod golden;
mod gradients;
mod grids;
mod half;
mod harness;
mod index;
mod kernels;
mod large;
mod networks;
mod normalization;
mod operations;
mod operators;
mod quantize;
mod rows;
mod series;
