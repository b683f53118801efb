//! Groups sources by destination: a stable radix sort, and the prefix sums that it uses.
//!
//! Keys are moved by their lowest four bits, then by the next four, and so on. Each pass counts the digits of every chunk of 64
//! keys, turns the counts into positions by a prefix sum, and moves the keys there, those of a chunk in order. So equal keys stay
//! in order, and no atomics are needed: the same bits every time.

use crate::shader::{Kernel, Kernels, Operand, fold_groups};

const COUNT: &str = wgsl!("index/sort_count");
const MOVE: &str = wgsl!("index/sort_move");
const SUMS: &str = wgsl!("index/scan_sums");
const BLOCKS: &str = wgsl!("index/scan_blocks");
const BOUNDS: &str = wgsl!("index/segment_bounds");

/// Keys one invocation moves.
const CHUNK: usize = 64;

/// Values of a digit, and its bits.
const DIGITS: usize = 16;
const DIGIT_BITS: usize = 4;

/// Elements one invocation sums up in a prefix sum.
const BLOCK: usize = 256;

/// A new temporary buffer of 32-bit words.
pub(super) fn temporary(kernels: &mut Kernels, words: usize) -> Operand {
    kernels.temporaries.push(4 * words.max(1));
    Operand::Temporary(kernels.temporaries.len() - 1)
}

/// The exclusive prefix sum of `count` words, in place.
pub(super) fn scan(kernels: &mut Kernels, data: Operand, count: usize) {
    // Sums of blocks, of blocks of blocks and so on, until one block is left; then back down.
    let mut levels = vec![(data, count)];
    let (mut from, mut left) = (data, count);
    while left > BLOCK {
        let blocks = left.div_ceil(BLOCK);
        let sums = temporary(kernels, blocks);
        let kernel = Kernel::new("scan_sums", SUMS)
            .bind("data", from)
            .bind("sums", sums)
            .values(&[left, blocks])
            .grid(fold_groups(blocks, 64))
            .work(left);
        kernels.kernels.push(kernel);
        levels.push((sums, blocks));
        (from, left) = (sums, blocks);
    }
    let mut starts = None;
    for &(data, count) in levels.iter().rev() {
        let blocks = count.div_ceil(BLOCK);
        let mut kernel = Kernel::new("scan_blocks", BLOCKS)
            .bind("data", data)
            .values(&[count, blocks])
            .grid(fold_groups(blocks, 64))
            .work(count);
        if let Some(starts) = starts {
            kernel = kernel.bind("starts", starts).hook("start", "return starts[block];");
            kernel.declarations = "@group(0) @binding(2) var<storage, read> starts: array<u32>;\n".to_string();
        }
        kernels.kernels.push(kernel);
        starts = Some(data);
    }
}

/// Sources in the order of their keys.
pub(super) struct Sorted {
    /// The keys, ascending.
    pub keys: Operand,
    /// The source each of them belongs to; ascending where keys are equal.
    pub order: Operand,
    /// For each key from 0 to `last` the position of its first source.
    pub bounds: Operand,
}

/// Sorts `count` keys from 0 to `last`; their buffer is overwritten.
pub(super) fn sort(kernels: &mut Kernels, keys: Operand, count: usize, last: usize) -> Sorted {
    let bits = (usize::BITS - last.leading_zeros()) as usize;
    let chunks = count.div_ceil(CHUNK);
    let counts = temporary(kernels, DIGITS * chunks);
    let mut spare = temporary(kernels, count);
    let mut orders = [temporary(kernels, count), temporary(kernels, count)];
    let mut keys = keys;
    for pass in 0..bits.div_ceil(DIGIT_BITS).max(1) {
        let numbers = [count, chunks, pass * DIGIT_BITS];
        let counting = Kernel::new("sort_count", COUNT)
            .bind("keys", keys)
            .bind("counts", counts)
            .values(&numbers)
            .grid(fold_groups(chunks, 64))
            .work(count);
        kernels.kernels.push(counting);
        scan(kernels, counts, DIGITS * chunks);
        let mut moving = Kernel::new("sort_move", MOVE)
            .bind("keys", keys)
            .bind("starts", counts)
            .bind("moved_keys", spare)
            .bind("moved_order", orders[1])
            .values(&numbers)
            .grid(fold_groups(chunks, 64))
            .work(count);
        if pass > 0 {
            moving = moving.bind("order", orders[0]).hook("source", "return order[n];");
            moving.declarations = "@group(0) @binding(5) var<storage, read> order: array<u32>;\n".to_string();
        }
        kernels.kernels.push(moving);
        std::mem::swap(&mut keys, &mut spare);
        orders.swap(0, 1);
    }
    let bounds = temporary(kernels, last + 1);
    let kernel = Kernel::new("segment_bounds", BOUNDS)
        .bind("keys", keys)
        .bind("bounds", bounds)
        .values(&[count, last])
        .grid(fold_groups(last + 1, 64))
        .work(last);
    kernels.kernels.push(kernel);
    Sorted { keys, order: orders[0], bounds }
}
