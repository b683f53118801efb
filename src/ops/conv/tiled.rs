//! Convolutions for GPUs as matrix products with tiles in workgroup memory (an "implicit GEMM").

use super::call::Call;
use super::{Geometry, Pass};
use crate::device::Adapter;
use crate::error::Result;
use crate::ops::shared::constants::{unsigned, unsigned_all};
use crate::shader::{Kernel, Kernels};

const FORWARD: &str = wgsl!("conv/conv2d_tiled");
const DATA: &str = wgsl!("conv/conv2d_backward_data_tiled");
const FILTER: &str = wgsl!("conv/conv2d_backward_filter_tiled");

/// A workgroup's part of the product: rows are channels, columns positions (or weights of a channel).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tile {
    /// Invocations down and across.
    threads: [usize; 2],
    /// Vectors of four, down and across, in an invocation's registers.
    vectors: [usize; 2],
    /// Terms of the sums that are in workgroup memory at a time.
    pub depth: usize,
}

/// Unrolled terms among those if compiling takes long. FXC takes 10 ms for each four multiply-adds of an invocation.
const WRITTEN: usize = 4;

/// Invocations of the smallest tile's workgroup.
pub(super) const FEWEST_THREADS: usize = 128;

/// All tiles. None spills on polaris10, vega10 and navi21, or takes more than 13 KiB of workgroup memory.
pub(super) const TILES: [Tile; 5] = [
    Tile { threads: [16, 16], vectors: [2, 2], depth: 8 },
    Tile { threads: [8, 16], vectors: [2, 2], depth: 16 },
    Tile { threads: [16, 8], vectors: [2, 2], depth: 16 },
    Tile { threads: [16, 8], vectors: [1, 2], depth: 16 },
    Tile { threads: [8, 16], vectors: [1, 2], depth: 16 },
];

/// The tiles to choose from on an adapter. There is only one if compiling takes long: many layers share its pipelines then, and
/// it has half as many sums as others.
pub(super) fn tiles(adapter: &Adapter) -> &'static [Tile] {
    if adapter.profile.compiles_slowly { &TILES[3..4] } else { &TILES }
}

impl Tile {
    pub fn rows(&self) -> usize {
        4 * self.threads[0] * self.vectors[0]
    }
    pub fn columns(&self) -> usize {
        4 * self.threads[1] * self.vectors[1]
    }
    /// Rows and columns of one invocation.
    pub fn block(&self) -> [usize; 2] {
        self.vectors.map(|vectors| 4 * vectors)
    }

    /// Loads of the left and of the right operand by `tiles` down and across, of `taps` times `depth` terms.
    fn loads(&self, tiles: [usize; 2], depth: usize, taps: usize) -> [usize; 2] {
        let terms = depth.next_multiple_of(self.depth) * taps * tiles[0] * tiles[1];
        [terms * self.rows(), terms * self.columns()]
    }

    /// The constants every template has; `rows` and `columns` are its names for the vectors.
    fn specialise(&self, kernel: Kernel, adapter: &Adapter, rows: &'static str, columns: &'static str) -> Kernel {
        let kernel =
            if adapter.profile.compiles_slowly { kernel.constant("WRITTEN_DEPTH", unsigned(WRITTEN)) } else { kernel };
        let kernel = unsigned_all(kernel, ["THREADS_Y", "THREADS_X"], self.threads);
        unsigned_all(kernel, [rows, columns], self.vectors).constant("TILE_DEPTH", unsigned(self.depth))
    }
}

/// Rows of the product for each group, columns for one image or one group's filters, terms of a sum.
pub(super) fn product(pass: Pass, g: &Geometry) -> [usize; 3] {
    let taps = g.kernel[0] * g.kernel[1];
    match pass {
        Pass::Forward => [g.out_per_group, g.output[0] * g.output[1], g.in_per_group * taps],
        Pass::BackwardData => [g.in_per_group, g.input[0] * g.input[1], g.out_per_group * taps],
        Pass::BackwardFilter => [g.out_per_group, g.in_per_group * taps, g.output[0] * g.output[1]],
    }
}

impl Call<'_> {
    /// The pass with one tile.
    pub fn tiled(&self, tile: &Tile) -> Result<Kernels> {
        match self.pass {
            Pass::Forward => Ok(self.tiled_forward(tile)?.into()),
            Pass::BackwardData => Ok(self.tiled_data(tile)?.into()),
            Pass::BackwardFilter => self.tiled_filter(tile),
        }
    }

    /// A kernel of tiles; if compiling takes long, layers that differ in channels share it.
    fn of_tiles(&self, name: &'static str, template: &'static str) -> Kernel {
        if self.adapter.profile.compiles_slowly {
            self.grouped_by_size(name, template)
        } else {
            self.grouped(name, template)
        }
    }

    pub fn tiled_forward(&self, tile: &Tile) -> Result<Kernel> {
        let g = self.geometry;
        let steps = g.in_per_group.div_ceil(tile.depth) * g.kernel[0] * g.kernel[1];
        self.check_steps(steps)?;
        let kernel = self.of_tiles("conv2d_tiled", FORWARD).constant("NO_PADDING", g.sees_no_padding());
        let kernel = tile.specialise(kernel, self.adapter, "VECTORS_OUT", "VECTORS_POSITIONS");
        let positions = self.batch * g.output[0] * g.output[1];
        let down = g.groups * g.out_per_group.div_ceil(tile.rows());
        let loads = tile.loads([down, positions.div_ceil(tile.columns())], g.in_per_group, g.kernel[0] * g.kernel[1]);
        let kernel = self.bound(kernel, self.pass, [loads[1], loads[0]]);
        self.on_grid(self.whole(kernel, &[steps]), [positions.div_ceil(tile.columns()), down, 1])
    }

    fn tiled_data(&self, tile: &Tile) -> Result<Kernel> {
        let g = self.geometry;
        let depth_steps = g.out_per_group.div_ceil(tile.depth);
        self.check_steps(depth_steps * g.kernel[0] * g.kernel[1])?;
        let [step_y, step_x] = self.tap_steps();
        let kernel = self.of_tiles("conv2d_backward_data_tiled", DATA);
        let kernel = tile.specialise(kernel, self.adapter, "VECTORS_IN", "VECTORS_POSITIONS");
        let kernel = unsigned_all(kernel, ["KERNEL_Y_STEP", "KERNEL_X_STEP"], [step_y, step_x]);
        let positions = self.batch * g.input[0].div_ceil(g.stride[0]) * g.input[1].div_ceil(g.stride[1]);
        let down = g.groups * g.in_per_group.div_ceil(tile.rows());
        let across = positions.div_ceil(tile.columns()).saturating_mul(g.stride[0]).saturating_mul(g.stride[1]);
        let taps = g.kernel[0].div_ceil(step_y) * g.kernel[1].div_ceil(step_x);
        let loads = tile.loads([down, across], g.out_per_group, taps);
        let kernel = self.bound(kernel, self.pass, [loads[1], loads[0]]);
        let remainders = g.stride[0].saturating_mul(g.stride[1]);
        self.on_grid(self.whole(kernel, &[depth_steps]), [positions.div_ceil(tile.columns()), down, remainders])
    }

    fn tiled_filter(&self, tile: &Tile) -> Result<Kernels> {
        let g = self.geometry;
        let [rows, columns, positions] = product(self.pass, g);
        let across = (columns + usize::from(self.ones)).div_ceil(tile.columns());
        let down = g.groups * rows.div_ceil(tile.rows());
        let steps = (self.batch * positions).div_ceil(tile.depth);
        // A span must be worth the store and the load of its sums.
        let wanted =
            (self.enough_groups() / (across * down)).min(self.most_parts()).clamp(1, steps.div_ceil(16).max(1));
        let span = steps.div_ceil(wanted).clamp(1, self.adapter.profile.longest_sum());
        let parts = steps.div_ceil(span).max(1);
        let kernel = self.of_tiles("conv2d_backward_filter_tiled", FILTER);
        let kernel = tile
            .specialise(kernel, self.adapter, "VECTORS_OUT", "VECTORS_COLUMNS")
            .constant("NO_PADDING", g.sees_no_padding());
        let loads = tile.loads([down, across], self.batch * positions, 1);
        let kernel = self.bound(kernel.constant("ONES", unsigned(usize::from(self.ones))), self.pass, loads);
        self.in_parts(kernel, [across, down, parts], span, &[])
    }

    fn check_steps(&self, steps: usize) -> Result<()> {
        if steps > self.adapter.profile.longest_loop { Err(self.too_large("steps of a sum")) } else { Ok(()) }
    }
}
