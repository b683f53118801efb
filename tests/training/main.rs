//! Layers, optimizers, networks, training and checkpoints.

#[path = "../common/mod.rs"]
mod common;

mod adafactor;
mod algorithms;
mod amp;
mod backbones;
mod blocks;
mod capsules;
mod channels;
mod checkpoint;
mod clipping;
mod clustering;
mod corruptions;
mod detection;
mod detection_parts;
mod distillation;
#[cfg(feature = "images")]
mod examples;
mod explain;
mod extremes;
#[cfg(feature = "report")]
mod gallery;
mod generative;
mod groups;
mod guard;
mod heat_maps;
mod init;
mod intermediates;
mod job;
mod losses;
mod low_rank;
mod lr_finder;
mod mnist;
mod models;
mod modules;
mod muon;
mod nets;
mod networks;
mod nn;
mod optim;
mod pruning;
mod q_learning;
mod quantization;
mod rcnn;
mod recognition;
mod resume;
mod robust;
mod sanity;
mod schedules;
mod segmentation;
mod siamese;
mod summary;
mod superpixels;
mod video;
mod views;
mod visualize;
mod weights;
mod wrappers;
