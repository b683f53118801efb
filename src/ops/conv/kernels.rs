//! How the kernels of a convolution or of a gradient of one are specialised; `choice` says which are taken.
//!
//! Here are those of strips, whose invocations hold a part of the result in registers and need nobody else: `shuffle`
//! where subgroups have 8 lanes, `plain` elsewhere (where a strip would be too long there are `blocks`); and those for
//! depthwise convolutions (one input and one output channel a group), which walk down the rows with a sliding window. A
//! convolution that sees one pixel is a product of `matmul` there (`product`). `tiled` and `winograd` are for GPUs.

use super::choice::{Method, methods};
use super::tiled::{FEWEST_THREADS, product};
use super::tiles::{Target, Tiles, choose, width, widths_like};
use super::{Geometry, Pass};
use crate::device::{Adapter, AdapterProfile};
use crate::error::{Error, Result};
use crate::graph::Budget;
use crate::number::nearest;
use crate::ops::matmul;
use crate::ops::shared::congruence::greatest_common_divisor;
use crate::ops::shared::partial_sums;
use crate::shader::{Kernel, Kernels, MOST_GROUPS, Operand, Word, fold_groups};
use crate::shape::Layout;

const FORWARD_SHUFFLE: &str = wgsl!("conv/conv2d_shuffle");
const FORWARD_PLAIN: &str = wgsl!("conv/conv2d_plain");
const DATA_SHUFFLE: &str = wgsl!("conv/conv2d_backward_data_shuffle");
const DATA_PLAIN: &str = wgsl!("conv/conv2d_backward_data_plain");
const FILTER_SHUFFLE: &str = wgsl!("conv/conv2d_backward_filter_shuffle");
const FILTER_PLAIN: &str = wgsl!("conv/conv2d_backward_filter_plain");
const DEPTHWISE: &str = wgsl!("conv/conv2d_depthwise");
const DEPTHWISE_FILTER: &str = wgsl!("conv/conv2d_depthwise_backward_filter");

/// Registers a sliding window may take: more would spill.
const LARGEST_WINDOW: usize = 160;

/// What the choice of kernels depends on.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub pass: Pass,
    pub geometry: &'a Geometry,
    pub batch: usize,
    pub inputs: [&'a Layout; 2],
    pub output: &'a Layout,
    pub adapter: &'a Adapter,
    pub budget: Budget,
    /// Whether the gradient of the weight has one more column, which sees nothing but ones, so that it is the sum of
    /// `grad` for each channel.
    pub ones: bool,
    /// Groups in one dimension of a grid, past which it is folded: [`MOST_GROUPS`], or less to test that.
    pub most_groups: usize,
}

impl Call<'_> {
    /// The kernels that the cost model prefers.
    pub fn kernels(&self) -> Result<Kernels> {
        let mut refused = None;
        for method in methods(self).into_iter().chain([Method::Blocks]) {
            match self.compute(method) {
                Err(error @ Error::TooLarge { .. }) => refused = Some(error),
                result => return result,
            }
        }
        Err(refused.unwrap_or_else(|| self.too_large("kernels")))
    }

    /// The kernels of every method that can compute it, in the cost model's order.
    pub fn candidates(&self) -> Result<Vec<Kernels>> {
        let fit = |result: &Result<Kernels>| !matches!(result, Err(Error::TooLarge { .. }));
        let kernels: Vec<Kernels> =
            methods(self).into_iter().map(|method| self.compute(method)).filter(fit).collect::<Result<_>>()?;
        if kernels.is_empty() { self.kernels().map(|kernels| vec![kernels]) } else { Ok(kernels) }
    }

    /// The kernels of the weight's gradient that add up `grad` too, where that costs next to nothing.
    pub fn summing(&self) -> Result<Option<Kernels>> {
        let method = methods(self).into_iter().next();
        let [_, columns, _] = product(self.pass, self.geometry);
        let has_room = match method {
            Some(Method::Strips(_)) => matmul::takes_one_more(columns / self.geometry.kernel[1], self.workgroup()),
            Some(Method::Tiled(tile)) => matmul::takes_one_more(columns, tile.columns()),
            _ => false,
        };
        match method.filter(|_| has_room).map(|method| Call { ones: true, ..*self }.compute(method)) {
            None | Some(Err(Error::TooLarge { .. })) => Ok(None),
            Some(kernels) => kernels.map(Some),
        }
    }

    /// Elements that a kernel stores of each part of its sums.
    pub fn stored(&self) -> usize {
        let g = self.geometry;
        self.output.shape.numel() + if self.ones { g.groups * g.out_per_group } else { 0 }
    }

    /// Parts of such a kernel's sums that there is room for.
    pub fn most_splits(&self) -> usize {
        self.budget.bytes / (4 * self.stored()).max(1)
    }

    fn compute(&self, method: Method) -> Result<Kernels> {
        let g = self.geometry;
        match (method, self.pass) {
            (Method::Product, Pass::BackwardFilter) => self.product_of_images(),
            (Method::Product, _) => self.product(),
            (Method::Tiled(tile), _) => self.tiled(&tile),
            (Method::Winograd { geometry, outputs, tile }, _) => self.winograd(&geometry, outputs, &tile),
            (Method::WinogradEights, _) => self.winograd_eights(),
            (Method::Depthwise(x), Pass::Forward) => Ok(self.depthwise(g, false, x).into()),
            (Method::Depthwise(x), Pass::BackwardData) => match turned(g) {
                Some(turned) => Ok(self.depthwise(&turned, true, x).into()),
                None => self.blocks(),
            },
            (Method::Depthwise(x), Pass::BackwardFilter) => self.depthwise_filter(x),
            (Method::Strips(tiles), Pass::Forward) => Ok(self.forward(&tiles)?.into()),
            (Method::Strips(tiles), Pass::BackwardData) => Ok(self.backward_data(&tiles)?.into()),
            (Method::Strips(tiles), Pass::BackwardFilter) => self.backward_filter(&tiles),
            (Method::Blocks, _) => self.blocks(),
        }
    }

    pub fn target(&self) -> Target {
        match self.adapter.profile {
            AdapterProfile { workgroup_memory: true, .. } => Target::Gpu,
            AdapterProfile { sharers: 1, .. } => Target::Plain,
            _ => Target::Shuffle,
        }
    }

    /// The register tile of strips, if they are short enough to be written out; a `dynamic` one serves other widths as well.
    pub fn tiles(&self, dynamic: bool) -> Option<Tiles> {
        let width = width(self.pass, self.geometry);
        let widths = if dynamic { widths_like(width) } else { width..=width };
        choose(self.pass, self.geometry, widths, self.target())
    }

    /// Invocations of a workgroup of strips.
    pub fn workgroup(&self) -> usize {
        self.adapter.profile.workgroup
    }

    /// Workgroups that keep the adapter busy.
    pub fn enough_groups(&self) -> usize {
        let profile = &self.adapter.profile;
        profile.groups_to_fill(if profile.workgroup_memory { FEWEST_THREADS } else { profile.workgroup })
    }

    pub fn work(&self) -> usize {
        let g = self.geometry;
        2 * self.batch * g.output[0] * g.output[1] * g.weights()
    }

    pub fn too_large(&self, unit: &'static str) -> Error {
        Error::TooLarge {
            op: self.pass.name(),
            shape: self.output.shape,
            limit: self.adapter.profile.longest_loop as u64,
            unit,
        }
    }

    /// The kernel on a grid of so many groups across, tiles down and `layers`, which its template calls `name`. They are
    /// dimensions of their own, with folds of the first in the third; where one passes the limit, all are numbered in one
    /// row, across slowest, since groups past the last across store nothing.
    pub fn on_grid(&self, kernel: Kernel, [across, down, layers]: [usize; 3], name: &str) -> Result<Kernel> {
        let [x, folds, _] = fold_groups(across, 1);
        if down.max(layers.saturating_mul(folds as usize)) <= self.most_groups {
            return Ok(kernel.grid([x, nearest::<u32>(down), folds * nearest::<u32>(layers)]));
        }
        let groups = across.saturating_mul(down).saturating_mul(layers);
        if groups > MOST_GROUPS.pow(2) {
            let (op, shape, limit) = (self.pass.name(), self.output.shape, MOST_GROUPS.pow(2) as u64);
            return Err(Error::TooLarge { op, shape, limit, unit: "workgroups" });
        }
        let body = format!(
            "let at = workgroup.y * groups.x + workgroup.x;
            return vec3(at / {down}u / {name}, at % {down}u, at / {down}u % {name});"
        );
        Ok(kernel.hook("unfolded", body).grid(fold_groups(groups, 1)))
    }

    /// The element type and the constants every kernel has.
    fn sized(&self, kernel: Kernel, g: &Geometry) -> Kernel {
        let pairs: [([&'static str; 2], [usize; 2]); 4] = [
            (["KERNEL_Y", "KERNEL_X"], g.kernel),
            (["STRIDE_Y", "STRIDE_X"], g.stride),
            (["PAD_Y", "PAD_X"], g.padding),
            (["DILATION_Y", "DILATION_X"], g.dilation),
        ];
        let mut kernel = kernel
            .alias("Element", self.output.dtype.wgsl())
            .size("IN_HEIGHT", g.input[0])
            .size("IN_WIDTH", g.input[1])
            .size("OUT_HEIGHT", g.output[0])
            .size("OUT_WIDTH", g.output[1]);
        for (names, values) in pairs {
            for (name, value) in names.into_iter().zip(values) {
                kernel = kernel.constant(name, unsigned(value));
            }
        }
        kernel
    }

    /// A kernel with the constants that all have but the depthwise ones.
    pub fn grouped(&self, name: &'static str, template: &'static str) -> Kernel {
        let g = self.geometry;
        self.sized(Kernel::new(name, template), g)
            .constant("GROUPS", unsigned(g.groups))
            .constant("IN_PER_GROUP", unsigned(g.in_per_group))
            .constant("OUT_PER_GROUP", unsigned(g.out_per_group))
            .work(self.work())
    }

    /// The same for templates in which no length of an array follows from the channels, which are sizes then.
    pub fn grouped_by_size(&self, name: &'static str, template: &'static str) -> Kernel {
        let g = self.geometry;
        self.sized(Kernel::new(name, template), g)
            .constant("GROUPS", unsigned(g.groups))
            .size("IN_PER_GROUP", g.in_per_group)
            .size("OUT_PER_GROUP", g.out_per_group)
            .work(self.work())
    }

    /// How far apart the taps lie that reach the same position of the input.
    pub fn tap_steps(&self) -> [usize; 2] {
        let g = self.geometry;
        [0, 1].map(|dim| g.stride[dim] / greatest_common_divisor(g.stride[dim], g.dilation[dim]))
    }

    /// Invocations that load what all of them use together.
    fn sharers(&self) -> usize {
        self.adapter.profile.sharers
    }

    /// A kernel of strips.
    fn strips(&self, name: [&'static str; 2], template: [&'static str; 2]) -> Kernel {
        let at = usize::from(self.target() != Target::Shuffle);
        self.grouped_by_size(name[at], template[at]).constant("WORKGROUP", unsigned(self.workgroup()))
    }

    fn forward(&self, tiles: &Tiles) -> Result<Kernel> {
        let g = self.geometry;
        let kernel = self.strips(["conv2d_shuffle", "conv2d_plain"], [FORWARD_SHUFFLE, FORWARD_PLAIN]);
        let kernel_rows = g.in_per_group * g.kernel[0];
        if kernel_rows / tiles.step + tiles.channels > self.adapter.profile.longest_loop {
            return Err(self.too_large("kernel rows"));
        }
        let strips = self.batch * g.output[0] * g.output[1].div_ceil(tiles.x);
        let down = g.groups * g.out_per_group.div_ceil(tiles.channels);
        let rows = strips * down * kernel_rows;
        let segment = window_columns(g, tiles.x);
        let kernel = kernel.values(&[self.batch]);
        let kernel = if self.target() == Target::Shuffle { kernel } else { kernel.values(&[kernel_rows]) };
        let kernel = kernel
            .constant("TILE_OUT", unsigned(tiles.channels))
            .constant("TILE_X", unsigned(tiles.x))
            .constant("STEP", unsigned(tiles.step))
            .bind("input", Operand::Input(0))
            .bind("weight", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .loads("load_input", Operand::Input(0), rows * segment)
            .loads("load_weight", Operand::Input(1), rows * g.kernel[1] * tiles.channels / self.sharers())
            .words([Word::Offset(0), Word::Offset(1)]);
        self.on_grid(kernel, [strips.div_ceil(self.workgroup()), down, 1], "1u")
    }

    fn backward_data(&self, tiles: &Tiles) -> Result<Kernel> {
        let g = self.geometry;
        let kernel =
            self.strips(["conv2d_backward_data_shuffle", "conv2d_backward_data_plain"], [DATA_SHUFFLE, DATA_PLAIN]);
        let [row_step, _] = self.tap_steps();
        if g.kernel[0].div_ceil(row_step) * (g.out_per_group / tiles.step + 1) + g.kernel[0] + tiles.channels
            > self.adapter.profile.longest_loop
        {
            return Err(self.too_large("output channels times kernel rows"));
        }
        let strips = self.batch * g.input[0].div_ceil(g.stride[0]) * g.input[1].div_ceil(tiles.x);
        let columns = g.groups * g.in_per_group.div_ceil(tiles.channels);
        // Rows of the input see every `row_step`th row of the kernel.
        let rows = strips * g.stride[0] * columns * g.out_per_group * g.kernel[0].div_ceil(row_step);
        let reach = ((g.kernel[1] - 1) * g.dilation[1]).div_ceil(g.stride[1]);
        let segment = (tiles.x - 1 + g.padding[1]) / g.stride[1] + reach + 1;
        let kernel = kernel
            .loads("load_grad", Operand::Input(0), rows * segment)
            .loads("load_weight", Operand::Input(1), rows * g.kernel[1] * tiles.channels / self.sharers())
            .constant("KERNEL_Y_STEP", unsigned(row_step))
            .constant("TILE_IN", unsigned(tiles.channels))
            .constant("TILE_X", unsigned(tiles.x))
            .constant("STEP", unsigned(tiles.step))
            .bind("grad", Operand::Input(0))
            .bind("weight", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .values(&[self.batch])
            .words([Word::Offset(0), Word::Offset(1)]);
        self.on_grid(kernel, [strips.div_ceil(self.workgroup()), columns, g.stride[0]], "STRIDE_Y")
    }

    fn backward_filter(&self, tiles: &Tiles) -> Result<Kernels> {
        let g = self.geometry;
        let kernel = self
            .strips(["conv2d_backward_filter_shuffle", "conv2d_backward_filter_plain"], [FILTER_SHUFFLE, FILTER_PLAIN]);
        let rows = g.in_per_group * g.kernel[0] + usize::from(self.ones);
        let across = rows.div_ceil(self.workgroup());
        let down = g.groups * g.out_per_group.div_ceil(tiles.channels);
        let strips = g.output[1].div_ceil(tiles.x);
        let segment = window_columns(g, tiles.x);
        let visits = self.batch * g.output[0] * strips * rows * down;
        let kernel = kernel
            .loads("load_grad", Operand::Input(0), visits * tiles.x * tiles.channels / self.sharers())
            .loads("load_input", Operand::Input(1), visits * segment)
            .constant("TILE_OUT", unsigned(tiles.channels))
            .constant("TILE_X", unsigned(tiles.x))
            .constant("ONES", unsigned(usize::from(self.ones)));
        // The same splits with either tile, so that the choice between these changes no bit.
        let [alone, shared] = [false, true].map(|dynamic| self.tiles(dynamic).unwrap_or(*tiles));
        let groups = across * g.groups * g.out_per_group.div_ceil(alone.channels);
        let strips = g.output[1].div_ceil(alone.x.min(shared.x));
        let rest = alone.channels.max(shared.channels);
        let splits = self.splits(groups, self.batch * g.output[0], strips, rest)?;
        self.summed(kernel, &[], [across, down, splits])
    }

    /// The number of parts in which a kernel of so many groups adds up `spans` of `length` iterations each; `rest` are an
    /// invocation's other iterations.
    fn splits(&self, groups: usize, spans: usize, length: usize, rest: usize) -> Result<usize> {
        let longest = (self.adapter.profile.longest_loop.saturating_sub(rest) / length.max(1)).max(1);
        let for_groups = (self.enough_groups() / groups.max(1)).min(self.most_splits());
        if length + rest > self.adapter.profile.longest_loop {
            return Err(self.too_large("steps of a sum"));
        }
        Ok(for_groups.clamp(1, spans.max(1)).max(spans.div_ceil(longest)))
    }

    /// A kernel whose layers are splits, and the one that adds the splits up; `values` are parameters of its own.
    pub fn summed(&self, kernel: Kernel, values: &[usize], [across, down, splits]: [usize; 3]) -> Result<Kernels> {
        let kernel = kernel
            .bind("grad", Operand::Input(0))
            .bind("input", Operand::Input(1))
            .values(&[self.batch, splits])
            .values(values)
            .words([Word::Offset(0), Word::Offset(1)]);
        let kernel = self.on_grid(kernel, [across, down, splits], "params.splits")?;
        Ok(partial_sums::in_parts(kernel, "Partial", splits, self.stored(), self.output.dtype))
    }

    /// The width of the strip whose sliding window fits the registers, where the convolution is depthwise.
    pub fn window(&self) -> Option<usize> {
        let turned = if self.pass == Pass::BackwardData { turned(self.geometry) } else { Some(*self.geometry) };
        let g = &turned?;
        if self.pass == Pass::BackwardFilter && self.window_steps() > self.adapter.profile.longest_loop {
            return None;
        }
        if g.in_per_group != 1 || g.out_per_group != 1 {
            return None;
        }
        let taps = g.kernel[0] * g.kernel[1];
        let widest = if self.target() == Target::Gpu { 4 } else { 8 };
        (2..=widest).rev().find(|x| window_rows(g) * window_columns(g, *x) <= LARGEST_WINDOW && x * taps <= 400)
    }

    fn depthwise_sized(&self, kernel: Kernel, g: &Geometry, x: usize) -> Kernel {
        self.sized(kernel, g)
            .constant("CHANNELS", unsigned(g.groups))
            .constant("TILE_X", unsigned(x))
            .constant("WORKGROUP", unsigned(self.workgroup()))
            .work(self.work())
    }

    fn depthwise(&self, g: &Geometry, rotate: bool, x: usize) -> Kernel {
        let rows = g.output[0].min(if self.target() == Target::Gpu { 8 } else { 32 });
        let strips = self.batch * g.groups * g.output[0].div_ceil(rows) * g.output[1].div_ceil(x);
        let [groups, folds, _] = fold_groups(strips, self.workgroup());
        let steps = rows + (window_rows(g) - 1) / g.stride[0];
        self.depthwise_sized(Kernel::new("conv2d_depthwise", DEPTHWISE), g, x)
            .size("TILE_Y", rows)
            .constant("ROTATE", rotate)
            .loads("load_input", Operand::Input(0), strips * steps * g.stride[0] * window_columns(g, x))
            .loads("load_weight", Operand::Input(1), strips * g.kernel[0] * g.kernel[1])
            .bind("input", Operand::Input(0))
            .bind("weight", Operand::Input(1))
            .bind("output", Operand::Output(0))
            .values(&[self.batch])
            .words([Word::Offset(0), Word::Offset(1)])
            .grid([groups, 1, folds])
    }

    /// Rows that a window of the weight's gradient walks down.
    fn window_steps(&self) -> usize {
        self.geometry.output[0] + window_rows(self.geometry) + 1
    }

    fn depthwise_filter(&self, x: usize) -> Result<Kernels> {
        let g = self.geometry;
        let kernel = Kernel::new("conv2d_depthwise_backward_filter", DEPTHWISE_FILTER);
        let across = g.groups.div_ceil(self.workgroup());
        let spans = self.batch * g.output[1].div_ceil(x);
        let steps = spans * g.groups * self.window_steps();
        let kernel = self.depthwise_sized(kernel, g, x).loads("load_grad", Operand::Input(0), steps * x).loads(
            "load_input",
            Operand::Input(1),
            steps * g.stride[0] * window_columns(g, x),
        );
        let splits = self.splits(across, spans, self.window_steps(), 0)?;
        self.summed(kernel, &[], [across, 1, splits])
    }
}

/// The convolution that is the gradient of a depthwise one's input, if it is one: a kernel turned by half a
/// circle over `grad`.
pub(super) fn turned(g: &Geometry) -> Option<Geometry> {
    if g.stride != [1, 1] {
        return None;
    }
    let padding = |dim: usize| (g.dilation[dim] * (g.kernel[dim] - 1)).checked_sub(g.padding[dim]);
    Some(Geometry { input: g.output, output: g.input, padding: [padding(0)?, padding(1)?], ..*g })
}

fn window_rows(g: &Geometry) -> usize {
    ((g.kernel[0] - 1) * g.dilation[0] + 1).max(g.stride[0])
}

/// What a strip of `x` positions sees of a row.
fn window_columns(g: &Geometry, x: usize) -> usize {
    (x - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1
}

pub(super) fn unsigned(value: usize) -> String {
    format!("{value}u")
}
