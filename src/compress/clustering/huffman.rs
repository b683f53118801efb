//! Huffman codes.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The lengths in bits of a Huffman code (Huffman, "A method for the construction of minimum-redundancy codes", 1952) for symbols
/// that occur so often: 0 for those that don't, 1 for a single one.
///
/// ```
/// use wgrad::compress::clustering::code_lengths;
/// assert_eq!(code_lengths(&[45, 13, 12, 16, 9, 5]), [1, 3, 3, 3, 4, 4]);
/// ```
pub fn code_lengths(counts: &[u64]) -> Vec<u32> {
    let mut lengths = vec![0; counts.len()];
    let used = (0..counts.len()).filter(|&symbol| counts[symbol] > 0);
    // Trees by their weights, the older first among equals, each with its symbols.
    let mut trees: BinaryHeap<Reverse<(u64, usize, Vec<usize>)>> =
        used.map(|symbol| Reverse((counts[symbol], symbol, vec![symbol]))).collect();
    if let (1, Some(Reverse((_, symbol, _)))) = (trees.len(), trees.peek()) {
        lengths[*symbol] = 1;
    }
    let mut made = counts.len();
    while let (Some(Reverse((low, _, mut symbols))), Some(Reverse((high, _, others)))) = (trees.pop(), trees.pop()) {
        symbols.extend(others);
        symbols.iter().for_each(|&symbol| lengths[symbol] += 1);
        trees.push(Reverse((low.saturating_add(high), made, symbols)));
        made += 1;
    }
    lengths
}
