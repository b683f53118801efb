//! Networks made smaller: fewer weights, fewer bits, a smaller network that has learned from a large one.

pub mod channels;
pub mod clustering;
pub mod distillation;
pub mod low_rank;
pub mod pruning;
pub mod quantization;
