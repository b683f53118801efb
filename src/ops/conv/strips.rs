//! Convolutions by strips of positions in an invocation's registers; lanes share common loads if subgroups have 8 lanes.

use super::Pass;
use super::call::Call;
use super::tiles::Tiles;
use crate::error::Result;
use crate::ops::shared::constants::{unsigned, unsigned_all};
use crate::shader::{Kernel, Kernels};

const FORWARD: &str = wgsl!("conv/conv2d_strips");
const DATA: &str = wgsl!("conv/conv2d_backward_data_strips");
const FILTER: &str = wgsl!("conv/conv2d_backward_filter_strips");

impl Call<'_> {
    /// The pass by strips.
    pub fn strips(&self, tiles: &Tiles) -> Result<Kernels> {
        match self.pass {
            Pass::Forward => Ok(self.forward_strips(tiles)?.into()),
            Pass::BackwardData => Ok(self.data_strips(tiles)?.into()),
            Pass::BackwardFilter => self.filter_strips(tiles),
        }
    }

    /// A kernel whose template has this name for the channels of a tile.
    fn of_strips(&self, name: &'static str, template: &'static str, channels: &'static str, tiles: &Tiles) -> Kernel {
        let kernel = self.grouped_by_size(name, template).constant("SHUFFLE", self.adapter.profile.sharers > 1);
        unsigned_all(kernel, ["WORKGROUP", channels, "TILE_X"], [self.workgroup(), tiles.channels, tiles.x])
    }

    fn forward_strips(&self, tiles: &Tiles) -> Result<Kernel> {
        let g = self.geometry;
        let kernel_rows = g.in_per_group * g.kernel[0];
        if kernel_rows / tiles.step + tiles.channels > self.adapter.profile.longest_loop {
            return Err(self.too_large("kernel rows"));
        }
        let strips = self.batch * g.output[0] * g.output[1].div_ceil(tiles.x);
        let down = g.groups * g.out_per_group.div_ceil(tiles.channels);
        let rows = strips * down * kernel_rows;
        let weights = rows * g.kernel[1] * tiles.channels / self.adapter.profile.sharers;
        let kernel = self.of_strips("conv2d_strips", FORWARD, "TILE_OUT", tiles).constant("STEP", unsigned(tiles.step));
        let kernel = self.bound(kernel, self.pass, [rows * g.columns_seen(tiles.x), weights]);
        self.on_grid(self.whole(kernel, &[kernel_rows]), [strips.div_ceil(self.workgroup()), down, 1])
    }

    fn data_strips(&self, tiles: &Tiles) -> Result<Kernel> {
        let g = self.geometry;
        let [row_step, _] = self.tap_steps();
        if g.kernel[0].div_ceil(row_step) * (g.out_per_group / tiles.step + 1) + g.kernel[0] + tiles.channels
            > self.adapter.profile.longest_loop
        {
            return Err(self.too_large("output channels times kernel rows"));
        }
        let strips = self.batch * g.input[0].div_ceil(g.stride[0]) * g.input[1].div_ceil(tiles.x);
        let down = g.groups * g.in_per_group.div_ceil(tiles.channels);
        // Rows of the input see every `row_step`th row of the kernel.
        let rows = strips * g.stride[0] * down * g.out_per_group * g.kernel[0].div_ceil(row_step);
        let reach = ((g.kernel[1] - 1) * g.dilation[1]).div_ceil(g.stride[1]);
        let segment = (tiles.x - 1 + g.padding[1]) / g.stride[1] + reach + 1;
        let weights = rows * g.kernel[1] * tiles.channels / self.adapter.profile.sharers;
        let kernel = self.of_strips("conv2d_backward_data_strips", DATA, "TILE_IN", tiles);
        let kernel = unsigned_all(kernel, ["STEP", "KERNEL_Y_STEP"], [tiles.step, row_step]);
        let kernel = self.bound(kernel, self.pass, [rows * segment, weights]);
        self.on_grid(self.whole(kernel, &[]), [strips.div_ceil(self.workgroup()), down, g.stride[0]])
    }

    fn filter_strips(&self, tiles: &Tiles) -> Result<Kernels> {
        let g = self.geometry;
        let rows = g.in_per_group * g.kernel[0] + usize::from(self.ones);
        let across = rows.div_ceil(self.workgroup());
        let down = g.groups * g.out_per_group.div_ceil(tiles.channels);
        let terms = self.batch * g.output[0];
        let visits = terms * g.output[1].div_ceil(tiles.x) * rows * down;
        let kernel = self
            .of_strips("conv2d_backward_filter_strips", FILTER, "TILE_OUT", tiles)
            .constant("ONES", unsigned(usize::from(self.ones)));
        let loads =
            [visits * tiles.x * tiles.channels / self.adapter.profile.sharers, visits * g.columns_seen(tiles.x)];
        let kernel = self.bound(kernel, self.pass, loads);
        // The same parts with either tile, so that the choice between these changes no bit.
        let [alone, shared] = [false, true].map(|dynamic| self.tiles(dynamic).unwrap_or(*tiles));
        let groups = across * g.groups * g.out_per_group.div_ceil(alone.channels);
        let strips = g.output[1].div_ceil(alone.x.min(shared.x));
        let rest = alone.channels.max(shared.channels);
        let parts = self.parts(groups, terms, strips, rest)?;
        self.in_parts(kernel, [across, down, parts], terms.div_ceil(parts), &[])
    }
}
