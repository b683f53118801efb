//! Data sets, and the batches they come in.

mod array;
mod batches;
mod cifar;
mod dataset;
mod file;
mod idx;
mod image;
mod images;
mod mnist;
mod normalization;
mod npy;
mod npz;
mod random;
mod stl;

pub use array::Array;
pub use batches::{Batch, Batches};
pub use cifar::{Cifar10, Cifar100, Cifar100Labels};
pub use dataset::{Dataset, Map, Subset, Zip};
pub use image::{Image, Sample};
pub use images::Images;
pub use mnist::{Emnist, EmnistSplit, FashionMnist, Mnist};
pub use normalization::Normalization;
pub use npy::NpyArray;
pub use npz::Npz;
pub use stl::Stl10;
