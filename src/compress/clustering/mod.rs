//! Weight clustering: the weights of a layer share a few values (Han et al., "Deep compression", 2016).
//!
//! Each weight is stored as the index of its value, which a Huffman code shortens if values are used unequally often. Further
//! training keeps values shared: the gradients of weights with one value are added up, and each of them takes the sum, so that
//! any elementwise optimizer moves them alike.
//!
//! ```
//! use wgrad::compress::clustering::{ClusterOptions, Clusters};
//! use wgrad::compress::pruning::prunable;
//! use wgrad::nn::{Module, Scope};
//! use wgrad::{Device, models::LeNet5};
//! let net = LeNet5::new(&Scope::new(&Device::reference()))?;
//! let clusters = Clusters::new(prunable(&net), &ClusterOptions::default().values(16))?;
//! // Trainer::new(..)?.callback(&mut clusters).fit(&net, ..)?;
//! let size = clusters.size()?;
//! assert!(size.huffman_bits <= size.index_bits && size.index_bits == 4 * 61_470);
//! assert!(size.ratio() > 7.0);
//! # Ok::<(), wgrad::Error>(())
//! ```

mod clusters;
mod huffman;
mod kmeans;

pub use clusters::{ClusterOptions, Clusters, Size};
pub use huffman::code_lengths;
pub use kmeans::{KMeans, k_means};
