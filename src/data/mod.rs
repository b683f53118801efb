//! Data sets and batches.

mod array;
mod balance;
mod batches;
mod boxes;
mod cifar;
mod collate;
mod dataset;
#[cfg(feature = "images")]
mod disk;
pub(crate) mod file;
mod idx;
mod image;
mod image_strings;
mod images;
mod loader;
mod mnist;
mod moving_shapes;
mod normalization;
pub(crate) mod npy;
mod npz;
mod queue;
pub(crate) mod random;
mod resident;
mod sampler;
#[cfg(feature = "images")]
mod save;
mod shapes;
mod split;
mod stl;

pub use array::Array;
pub use balance::{class_weights, oversample};
pub use batches::{Batch, Batches};
pub use boxes::BoundingBox;
pub use cifar::{Cifar10, Cifar100, Cifar100Labels};
pub use collate::{ImageBatch, pad_arrays, pad_images, stack_arrays, stack_images, stack_masks};
pub use dataset::{Dataset, Enumerate, Map, Subset, Zip};
#[cfg(feature = "images")]
pub use disk::{
    ColorMode, ImageFiles, ImageHeader, MaskFolder, TableColumns, YoloFolder, coco, image_folder, image_table,
    images_below, multi_label_image_table, voc, yolo,
};
pub use image::{Image, Sample};
pub use image_strings::ImageStrings;
pub use images::Images;
pub use loader::{DataLoader, DataLoaderIter, DataLoaderOptions, LoadTimes};
pub use mnist::{Emnist, EmnistSplit, FashionMnist, Mnist};
pub use moving_shapes::MovingShapes;
pub use normalization::Normalization;
pub(crate) use normalization::pack_words;
pub use npy::NpyArray;
pub use npz::Npz;
pub use resident::Resident;
pub use sampler::{DistributedSampler, RandomSampler, Sampler, SequentialSampler, StratifiedSampler, WeightedSampler};
#[cfg(feature = "images")]
pub use save::save_images;
pub use shapes::{Drawing, Shapes};
pub use split::{Split, group_k_fold, k_fold, stratified_k_fold, stratified_split, train_test_split};
pub use stl::Stl10;
