//! Layers, optimizers, networks, training and checkpoints.

#[path = "../common/mod.rs"]
mod common;

mod adafactor;
mod algorithms;
mod amp;
mod backbones;
mod blocks;
mod capsules;
mod checkpoint;
mod clipping;
mod corruptions;
mod detection;
mod detection_parts;
mod examples;
mod explain;
mod generative;
mod groups;
mod guard;
mod heat_maps;
mod init;
mod intermediates;
mod job;
mod losses;
mod lr_finder;
mod mnist;
mod models;
mod modules;
mod muon;
mod networks;
mod nn;
mod optim;
mod pruning;
mod q_learning;
mod rcnn;
mod recognition;
mod resume;
mod robust;
mod schedules;
mod segmentation;
mod siamese;
mod summary;
mod superpixels;
mod video;
mod weights;
mod wrappers;
