//! Data sets, and the batches they come in.

mod array;
mod batches;
mod cifar;
mod collate;
mod dataset;
mod file;
mod idx;
mod image;
mod images;
mod loader;
mod mnist;
mod normalization;
mod npy;
mod npz;
mod queue;
mod random;
mod resident;
mod sampler;
mod stl;

pub use array::Array;
pub use batches::{Batch, Batches};
pub use cifar::{Cifar10, Cifar100, Cifar100Labels};
pub use collate::{ImageBatch, pad_arrays, pad_images, stack_arrays, stack_images, stack_masks};
pub use dataset::{Dataset, Map, Subset, Zip};
pub use image::{Image, Sample};
pub use images::Images;
pub use loader::{DataLoader, DataLoaderIter, DataLoaderOptions, LoadTimes};
pub use mnist::{Emnist, EmnistSplit, FashionMnist, Mnist};
pub use normalization::Normalization;
pub use npy::NpyArray;
pub use npz::Npz;
pub use resident::Resident;
pub use sampler::{DistributedSampler, RandomSampler, Sampler, SequentialSampler, StratifiedSampler, WeightedSampler};
pub use stl::Stl10;
