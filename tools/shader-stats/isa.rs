//! Finds the loop that matters in RADV's assembly.

use std::collections::HashMap;

/// An innermost loop, with the counts of its instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loop {
    pub instructions: usize,
    pub multiply_adds: usize,
}

impl Loop {
    pub fn share(self) -> f64 {
        self.multiply_adds as f64 / self.instructions as f64
    }
}

fn is_multiply_add(instruction: &str) -> bool {
    let name = instruction.trim_start_matches("v_").trim_start_matches("pk_").trim_start_matches("dual_");
    let is_float = name.contains("_f32") || name.contains("_f16") || name.contains("_mix_") || name.starts_with("dot");
    // `wmma` multiplies small matrices, a subgroup together.
    instruction.starts_with("v_")
        && is_float
        && ["fma", "mad", "mac", "dot", "wmma"].iter().any(|m| name.starts_with(m))
}

/// The innermost loop with the most multiply-adds, in the assembly of one shader: lines `BB7:`, and instructions after a tab. A
/// loop is a branch back to a block.
pub fn hottest_loop(assembly: &str) -> Option<Loop> {
    // The start of each block, and for each instruction true if it is a multiply-add.
    let mut starts: HashMap<&str, usize> = HashMap::new();
    let mut multiply_adds: Vec<bool> = Vec::new();
    let mut loops: Vec<(usize, usize)> = Vec::new();
    for line in assembly.lines() {
        if let Some(block) = line.strip_suffix(':').filter(|block| block.starts_with("BB")) {
            starts.insert(block, multiply_adds.len());
        }
        let mut words = line.split_whitespace();
        let Some(instruction) = words.next().filter(|_| line.starts_with('\t')) else { continue };
        multiply_adds.push(is_multiply_add(instruction));
        let target = words.next().filter(|_| instruction.contains("branch"));
        loops.extend(target.and_then(|block| starts.get(block)).map(|&start| (start, multiply_adds.len())));
    }
    // A loop with several branches back extends to the last of them.
    loops.sort_by_key(|&(start, end)| (start, std::cmp::Reverse(end)));
    loops.dedup_by_key(|&mut (start, _)| start);
    let contains =
        |outer: (usize, usize), inner: (usize, usize)| outer != inner && outer.0 <= inner.0 && inner.1 <= outer.1;
    let innermost = loops.iter().filter(|&&outer| !loops.iter().any(|&inner| contains(outer, inner)));
    innermost
        .map(|&(start, end)| Loop {
            instructions: end - start,
            multiply_adds: multiply_adds[start..end].iter().filter(|&&is| is).count(),
        })
        .max_by_key(|found| found.multiply_adds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_loop_with_the_most_multiply_adds_counts() {
        let text = "BB0:\n\ts_mov_b32 s0, 0\nBB1:\n\tv_mul_f32 v0, v1, v2\nBB2:\n\tv_fmac_f32_e32 v0, v1, v2 ; 00\n\
            \tv_mac_f32_e32 v0, v1, v2\n\ts_cbranch_scc1 BB4\n\ts_branch BB2\nBB3:\n\tv_mad_u32_u24 v0, v1, v2, v3\n\
            \ts_cbranch_scc0 BB3\n\ts_branch BB1\nBB4:\n\ts_endpgm\n";
        assert_eq!(hottest_loop(text), Some(Loop { instructions: 4, multiply_adds: 2 }));
        assert_eq!(hottest_loop("BB0:\n\ts_endpgm\n"), None);
    }
}
