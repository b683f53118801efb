//! A pass of a convolution, for which `choice` selects kernels.
//!
//! Those of `strips` hold a part of the result in registers, without help of other invocations; `blocks` serves if a strip would
//! be too long. `depthwise` has those for one input and one output channel a group. A convolution that sees one pixel is a
//! product of `matmul` on software adapters (`software`); `tiled` and `winograd` are for GPUs.

use super::choice::{Method, methods};
use super::depthwise::rotated;
use super::tiled::{FEWEST_THREADS, product};
use super::tiles::{Target, Tiles, choose, width, widths_like};
use super::{Geometry, Pass};
use crate::device::{Adapter, AdapterProfile};
use crate::error::{Error, Result};
use crate::graph::Budget;
use crate::number::nearest;
use crate::ops::matmul;
use crate::ops::shared::congruence::greatest_common_divisor;
use crate::ops::shared::constants::unsigned;
use crate::ops::shared::partial_sums;
use crate::shader::{Kernel, Kernels, MOST_GROUPS, Operand, fold_groups};
use crate::shape::Layout;

/// The call's properties on which the choice of kernels depends.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub pass: Pass,
    pub geometry: &'a Geometry,
    pub batch: usize,
    pub inputs: [&'a Layout; 2],
    /// The bindings of the two inputs and the output.
    pub operands: [Operand; 3],
    pub output: &'a Layout,
    pub adapter: &'a Adapter,
    pub budget: Budget,
    /// True if the gradient of the weight has one more column, which sees only ones, so that it is the sum of `grad` for each
    /// channel.
    pub ones: bool,
    /// True for whole numbers, whose results are exact.
    pub whole: bool,
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

    /// The kernels of the weight's gradient that add up `grad` too, if that costs next to nothing.
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

    /// Most parts of such a kernel's sums within the memory budget.
    pub fn most_parts(&self) -> usize {
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
            (Method::Depthwise(x), Pass::BackwardData) => match rotated(g) {
                Some(rotated) => Ok(self.depthwise(&rotated, true, x).into()),
                None => self.blocks(),
            },
            (Method::Depthwise(x), Pass::BackwardFilter) => self.depthwise_filter(x),
            (Method::Strips(tiles), _) => self.strips(&tiles),
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

    /// The register tile of strips, if they are short enough to be unrolled; a `dynamic` one serves other widths as well.
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

    /// The kernel on a grid of this many groups across, tiles down and layers. These are separate dimensions, with folds of the
    /// first in the third; if one passes the limit, all are numbered in one row, across slowest, since groups past the last
    /// across store nothing.
    pub fn on_grid(&self, kernel: Kernel, [across, down, layers]: [usize; 3]) -> Result<Kernel> {
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
            return vec3(at / {down}u / layers, at % {down}u, at / {down}u % layers);"
        );
        Ok(kernel.hook("unfolded", body).grid(fold_groups(groups, 1)))
    }

    /// A kernel of the convolution `g` without the channels of a group.
    pub fn of_planes(&self, name: &'static str, template: &'static str, g: &Geometry) -> Kernel {
        g.specialise(Kernel::new(name, template)).alias("Element", self.output.dtype.wgsl()).work(self.work())
    }

    /// A kernel with the constants of all but the depthwise ones.
    pub fn grouped(&self, name: &'static str, template: &'static str) -> Kernel {
        let g = self.geometry;
        self.of_planes(name, template, g)
            .constant("IN_PER_GROUP", unsigned(g.in_per_group))
            .constant("OUT_PER_GROUP", unsigned(g.out_per_group))
    }

    /// The same for templates in which no array's length depends on the channels, which are sizes then.
    pub fn grouped_by_size(&self, name: &'static str, template: &'static str) -> Kernel {
        let g = self.geometry;
        self.of_planes(name, template, g).size("IN_PER_GROUP", g.in_per_group).size("OUT_PER_GROUP", g.out_per_group)
    }

    /// Binds the operands by their names in the templates of `pass`; all invocations together load this many elements of them.
    pub fn bound(&self, kernel: Kernel, pass: Pass, loads: [usize; 2]) -> Kernel {
        let inputs = pass.operands().into_iter().zip(self.operands).zip(loads);
        inputs.fold(kernel, |kernel, (([name, hook], operand), count)| {
            kernel.bind(name, operand).loads(hook, operand, count)
        })
    }

    /// A kernel that stores whole sums, with parameters of its own.
    pub fn whole(&self, kernel: Kernel, values: &[usize]) -> Kernel {
        kernel
            .bind("output", self.operands[2])
            .values(&[self.batch])
            .values(values)
            .words(self.operands[..2].iter().map(|operand| operand.offset()))
    }

    /// Distance between the taps that reach the same position of the input.
    pub fn tap_steps(&self) -> [usize; 2] {
        let g = self.geometry;
        [0, 1].map(|dim| g.stride[dim] / greatest_common_divisor(g.stride[dim], g.dilation[dim]))
    }

    /// The number of parts in which a kernel of this many groups adds up `steps` of `length` iterations each; `rest` are an
    /// invocation's other iterations.
    pub fn parts(&self, groups: usize, steps: usize, length: usize, rest: usize) -> Result<usize> {
        let longest = (self.adapter.profile.longest_loop.saturating_sub(rest) / length.max(1)).max(1);
        let for_groups = (self.enough_groups() / groups.max(1)).min(self.most_parts());
        if length + rest > self.adapter.profile.longest_loop {
            return Err(self.too_large("steps of a sum"));
        }
        Ok(for_groups.clamp(1, steps.max(1)).max(steps.div_ceil(longest)))
    }

    /// A kernel whose layers store parts of the sums, each of `span` of its steps, and the one that adds the parts up;
    /// `values` are parameters of its own.
    pub fn in_parts(
        &self,
        kernel: Kernel,
        [across, down, parts]: [usize; 3],
        span: usize,
        values: &[usize],
    ) -> Result<Kernels> {
        let kernel = kernel
            .values(&[self.batch, parts, span])
            .values(values)
            .words(self.operands[..2].iter().map(|operand| operand.offset()));
        let kernel = self.on_grid(kernel, [across, down, parts])?;
        Ok(partial_sums::in_parts(kernel, parts, self.stored(), self.output.dtype))
    }
}
