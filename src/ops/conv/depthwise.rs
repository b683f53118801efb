//! Depthwise convolutions, of one input and one output channel a group: a window slides down the rows in registers.

use super::call::Call;
use super::tiles::Target;
use super::{Geometry, Pass};
use crate::error::Result;
use crate::ops::shared::constants::unsigned_all;
use crate::shader::{Kernel, Kernels, fold_groups};

const FORWARD: &str = wgsl!("conv/conv2d_depthwise");
const FILTER: &str = wgsl!("conv/conv2d_depthwise_backward_filter");

/// Registers a sliding window may take: more would spill.
const LARGEST_WINDOW: usize = 160;

impl Call<'_> {
    /// The width of the strip whose sliding window fits the registers, if the convolution is depthwise.
    pub fn window(&self) -> Option<usize> {
        let rotated = if self.pass == Pass::BackwardData { rotated(self.geometry) } else { Some(*self.geometry) };
        let g = &rotated?;
        if self.pass == Pass::BackwardFilter && self.window_steps() > self.adapter.profile.longest_loop {
            return None;
        }
        if g.in_per_group != 1 || g.out_per_group != 1 {
            return None;
        }
        let taps = g.kernel[0] * g.kernel[1];
        let widest = if self.target() == Target::Gpu { 4 } else { 8 };
        (2..=widest).rev().find(|x| window_rows(g) * g.columns_seen(*x) <= LARGEST_WINDOW && x * taps <= 400)
    }

    fn of_windows(&self, name: &'static str, template: &'static str, g: &Geometry, x: usize) -> Kernel {
        unsigned_all(self.of_planes(name, template, g), ["TILE_X", "WORKGROUP"], [x, self.workgroup()])
    }

    /// The convolution `g`, with its taps rotated by 180 degrees if `rotate`.
    pub fn depthwise(&self, g: &Geometry, rotate: bool, x: usize) -> Kernel {
        let rows = g.output[0].min(if self.target() == Target::Gpu { 8 } else { 32 });
        let strips = self.batch * g.groups * g.output[0].div_ceil(rows) * g.output[1].div_ceil(x);
        let [groups, folds, _] = fold_groups(strips, self.workgroup());
        let steps = rows + (window_rows(g) - 1) / g.stride[0];
        let kernel = self.of_windows("conv2d_depthwise", FORWARD, g, x).size("TILE_Y", rows).constant("ROTATE", rotate);
        let loads = [strips * steps * g.stride[0] * g.columns_seen(x), strips * g.kernel[0] * g.kernel[1]];
        let kernel = self.bound(kernel, Pass::Forward, loads);
        self.whole(kernel, &[]).grid([groups, 1, folds])
    }

    /// Number of rows that a window of the weight's gradient walks down.
    fn window_steps(&self) -> usize {
        self.geometry.output[0] + window_rows(self.geometry) + 1
    }

    pub fn depthwise_filter(&self, x: usize) -> Result<Kernels> {
        let g = self.geometry;
        let across = g.groups.div_ceil(self.workgroup());
        let strips = self.batch * g.output[1].div_ceil(x);
        let steps = strips * g.groups * self.window_steps();
        let kernel = self.of_windows("conv2d_depthwise_backward_filter", FILTER, g, x);
        let kernel = self.bound(kernel, self.pass, [steps * x, steps * g.stride[0] * g.columns_seen(x)]);
        let parts = self.parts(across, strips, self.window_steps(), 0)?;
        self.in_parts(kernel, [across, 1, parts], strips.div_ceil(parts), &[])
    }
}

/// The convolution that is the gradient of a depthwise one's input, if it is one: over `grad`, with the taps rotated by
/// 180 degrees.
pub(super) fn rotated(g: &Geometry) -> Option<Geometry> {
    if g.stride != [1, 1] {
        return None;
    }
    let padding = |dim: usize| (g.dilation[dim] * (g.kernel[dim] - 1)).checked_sub(g.padding[dim]);
    Some(Geometry { input: g.output, output: g.input, padding: [padding(0)?, padding(1)?], ..*g })
}

fn window_rows(g: &Geometry) -> usize {
    ((g.kernel[0] - 1) * g.dilation[0] + 1).max(g.stride[0])
}
