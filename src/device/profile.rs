//! The differences between a GPU and a software adapter, and between GPUs, that decide how kernels are written.

/// Iterations that all loops of one invocation may take together on every adapter, nested or not: Mesa's llvmpipe ends them after
/// 65,535 and says nothing. The rest is for loops that nobody counts.
pub(crate) const LONGEST_LOOP: usize = 60_000;

/// Software adapters whose loops have no such bound, by a part of their names.
const UNBOUNDED: [&str; 2] = ["SwiftShader", "Microsoft Basic Render Driver"];

/// How an adapter wants its kernels.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AdapterProfile {
    /// Invocations of a workgroup that share nothing: one subgroup on CPUs, so that small grids spread over the cores.
    pub workgroup: usize,
    /// Invocations that keep the adapter busy.
    pub invocations_to_fill: usize,
    /// Invocations share values through workgroup memory. Software adapters run barriers badly, and want fewer invocations
    /// with wide tiles in registers.
    pub workgroup_memory: bool,
    /// Invocations that each load a part of the values that all of them use, and pass it on by subgroup shuffles; 1 where
    /// each loads for itself.
    pub sharers: usize,
    /// Pairs of f32 are loaded and stored as one u64. A software adapter loads number by number, so that takes half the time.
    pub u64_pairs: bool,
    /// Products of bytes have an instruction; elsewhere multiplying them as f32 is faster.
    pub packed_dot: bool,
    /// Multiply-adds that a loop's body may hold, written out.
    pub multiply_adds: usize,
    /// Sums that an invocation may hold in registers.
    pub accumulators: usize,
    /// Compiling takes so long that kernels which compile sooner pay though they run longer.
    pub compiles_slowly: bool,
    /// Iterations that all loops of one invocation may take together, nested or not.
    pub longest_loop: usize,
}

impl AdapterProfile {
    /// A software adapter with subgroups of so many invocations.
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
        }
    }

    /// A GPU with subgroups of so many invocations. It hides loads by its many invocations, so each holds less.
    ///
    /// FXC, which DirectX compiles with where there is no DXC, compiles slowly. It has no subgroup operations, and others have
    /// them on nearly all GPUs.
    pub(super) fn gpu(subgroup_size: u32) -> AdapterProfile {
        AdapterProfile {
            workgroup: 64,
            invocations_to_fill: 1 << 16,
            workgroup_memory: true,
            sharers: 1,
            u64_pairs: false,
            packed_dot: true,
            multiply_adds: 200,
            accumulators: 32,
            compiles_slowly: subgroup_size == 1,
            longest_loop: usize::MAX,
        }
    }

    /// The profile that asks for the plainest kernels, which run on any adapter.
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

    /// Workgroups of so many invocations that keep the adapter busy.
    pub fn groups_to_fill(&self, workgroup: usize) -> usize {
        self.invocations_to_fill.div_ceil(workgroup)
    }
}
