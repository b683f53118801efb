//! The workloads that matter most, by the names that comparisons with other libraries use.

mod convolutions;
mod pointwise;
mod products;
mod rows;

use super::workload::Workload;

/// The images that layers in the middle of a network see.
const IMAGES: [usize; 4] = [16, 64, 32, 32];
/// Rows of features or of logits.
const ROWS: [usize; 2] = [1024, 1000];
/// 4 M elements, more than caches hold.
const MATRIX: [usize; 2] = [2048, 2048];

/// All of them; in quick mode with tiny sizes, and for a GPU with some that take a software adapter minutes.
pub fn named(is_quick: bool, is_gpu: bool) -> Vec<Workload> {
    let mut all = products::workloads(is_quick);
    all.extend(convolutions::workloads(is_quick));
    all.extend(rows::workloads(is_quick));
    all.extend(pointwise::workloads(is_quick));
    if is_gpu {
        all.extend(products::large(is_quick));
        all.extend(convolutions::large(is_quick));
    }
    all
}
