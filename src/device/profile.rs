//! The differences between a GPU and a software adapter, and between GPUs, that decide how kernels are written.

use wgpu::DeviceType;

/// Iterations that all loops of one invocation may take together on every adapter, nested or not: Mesa's llvmpipe ends them after
/// 65,535 without an error. The difference is for loops that are not counted.
pub(crate) const LONGEST_LOOP: usize = 60_000;

/// Software adapters without such a bound on loops, by a part of their names.
const UNBOUNDED: [&str; 2] = ["SwiftShader", "Microsoft Basic Render Driver"];

/// An adapter's peak rates, and the time to start a kernel. Costs are multiples of a multiply-add's time.
///
/// The numbers are from a table by the kind of adapter. They are not measured: a plan, and so the last bits of results, must not
/// change from one run to the next.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Roofline {
    /// Multiply-adds of f32 a second.
    pub multiply_adds: f64,
    /// Bytes a second from memory, or to it.
    pub memory_bytes: f64,
    /// Bytes a second from caches of the first level, which hold the numbers loaded before.
    pub cache_bytes: f64,
    /// Seconds to start a kernel.
    pub launch: f64,
}

impl Roofline {
    /// llvmpipe, on two cores. It loads number by number, some 1.3 ns each in any cache or in memory; a rectifier takes less
    /// than 0.2 and a hyperbolic tangent 0.8 to 2.6.
    const SOFTWARE: Roofline =
        Roofline { multiply_adds: 25.6e9, memory_bytes: 3.2e9, cache_bytes: 3.2e9, launch: 2.56e-6 };

    /// A GPU that shares memory with the CPU.
    const INTEGRATED: Roofline = Roofline { multiply_adds: 1e12, memory_bytes: 80e9, cache_bytes: 1e12, launch: 10e-6 };

    /// Between navi21 and an H100.
    const DISCRETE: Roofline =
        Roofline { multiply_adds: 25e12, memory_bytes: 2.5e12, cache_bytes: 25e12, launch: 4e-6 };

    /// Between the last two.
    const UNKNOWN: Roofline = Roofline { multiply_adds: 5e12, memory_bytes: 500e9, cache_bytes: 5e12, launch: 5e-6 };

    /// The cost of a number of 32 bits from memory, or to it.
    pub fn word(&self) -> f64 {
        4.0 * self.multiply_adds / self.memory_bytes
    }

    /// The cost of a number of 32 bits that a cache holds.
    pub fn cached_word(&self) -> f64 {
        4.0 * self.multiply_adds / self.cache_bytes
    }

    /// The cost of starting a kernel.
    pub fn launch(&self) -> f64 {
        self.launch * self.multiply_adds
    }
}

/// An adapter's preferences for kernels.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterProfile {
    /// Invocations of a workgroup without shared values: one subgroup on CPUs, so that small grids spread over the cores.
    pub workgroup: usize,
    /// Invocations that keep the adapter busy.
    pub invocations_to_fill: usize,
    /// True if invocations should share values through workgroup memory. Software adapters run barriers badly, and prefer fewer
    /// invocations with wide tiles in registers.
    pub workgroup_memory: bool,
    /// Invocations that each load a part of the values that all of them use, and exchange it by subgroup shuffles; 1 if each
    /// loads for itself.
    pub sharers: usize,
    /// True if pairs of f32 should be loaded and stored as one u64. A software adapter loads number by number, so this takes half
    /// the time.
    pub u64_pairs: bool,
    /// True if products of bytes have an instruction that compilers take; elsewhere they are computed as f32, which is exact.
    pub packed_dot: bool,
    /// Most unrolled multiply-adds in a loop's body.
    pub multiply_adds: usize,
    /// Most sums that an invocation may hold in registers.
    pub accumulators: usize,
    /// True if compiling takes so long that kernels which compile sooner pay although they run longer.
    pub compiles_slowly: bool,
    /// Iterations that all loops of one invocation may take together, nested or not.
    pub longest_loop: usize,
    /// The rates by which the planner compares costs.
    pub roofline: Roofline,
}

impl AdapterProfile {
    /// A software adapter with subgroups of this many invocations.
    pub(super) fn software(subgroup_size: u32, u64_pairs: bool) -> AdapterProfile {
        AdapterProfile {
            workgroup: 8,
            invocations_to_fill: 256,
            workgroup_memory: false,
            sharers: if subgroup_size >= 8 { 8 } else { 1 },
            u64_pairs,
            packed_dot: false,
            multiply_adds: 420,
            accumulators: 160,
            compiles_slowly: false,
            longest_loop: LONGEST_LOOP,
            roofline: Roofline::SOFTWARE,
        }
    }

    /// A GPU of this kind with subgroups of this many invocations. It hides loads by its many invocations, so each holds less.
    ///
    /// FXC, DirectX's compiler if there is no DXC, compiles slowly. It has no subgroup operations, and nearly all GPUs with other
    /// compilers have them. DXC before 1.9 refuses naga's call of the instruction for products of bytes
    /// (DirectXShaderCompiler's issue 7400).
    pub(super) fn gpu(kind: DeviceType, subgroup_size: u32, is_dx12: bool) -> AdapterProfile {
        AdapterProfile {
            workgroup: 64,
            invocations_to_fill: 1 << 16,
            workgroup_memory: true,
            sharers: 1,
            u64_pairs: false,
            packed_dot: !is_dx12,
            multiply_adds: 200,
            accumulators: 32,
            compiles_slowly: subgroup_size == 1,
            longest_loop: usize::MAX,
            roofline: match kind {
                DeviceType::DiscreteGpu => Roofline::DISCRETE,
                DeviceType::IntegratedGpu => Roofline::INTEGRATED,
                _ => Roofline::UNKNOWN,
            },
        }
    }

    /// The profile that selects the plainest kernels, which run on any adapter.
    pub(crate) fn baseline() -> AdapterProfile {
        AdapterProfile::software(1, false)
    }

    /// The same with the bound on loops that the adapter has. An unknown software adapter counts as Mesa's.
    pub(super) fn driven_by(self, is_software: bool, name: &str) -> AdapterProfile {
        let is_bounded = is_software && !UNBOUNDED.iter().any(|free| name.contains(free));
        AdapterProfile { longest_loop: if is_bounded { LONGEST_LOOP } else { usize::MAX }, ..self }
    }

    /// Terms of a sum that one invocation adds up; an iteration of its loop may count as several.
    pub fn longest_sum(&self) -> usize {
        (self.longest_loop / 4).next_power_of_two()
    }

    /// Workgroups of this many invocations that keep the adapter busy.
    pub fn groups_to_fill(&self, workgroup: usize) -> usize {
        self.invocations_to_fill.div_ceil(workgroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plans, and so the last bits of results, follow from these.
    #[test]
    fn costs_of_words_and_launches_stay() {
        let costs = |roofline: Roofline| [roofline.word(), roofline.cached_word(), roofline.launch()].map(f64::round);
        assert_eq!(costs(Roofline::SOFTWARE), [32.0, 32.0, 65_536.0]);
        assert_eq!(costs(Roofline::INTEGRATED), [50.0, 4.0, 1e7]);
        assert_eq!(costs(Roofline::DISCRETE), [40.0, 4.0, 1e8]);
        assert_eq!(costs(Roofline::UNKNOWN), [40.0, 4.0, 2.5e7]);
    }
}
