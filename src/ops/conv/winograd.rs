//! Winograd's minimal filtering for 3 x 3 taps: fewer products, of transformed tiles.
//!
//! A tile of `outputs^2` results comes from `(outputs + 2)^2` products instead of `9 outputs^2`: 2.25 times fewer with
//! F(2x2, 3x3), 4 times fewer with F(4x4, 3x3). The products are a convolution of one tap whose groups are the positions
//! of a tile, by the kernel that computes those. The gradient of the input is the convolution of the output's with
//! the taps rotated.
//!
//! # Error
//!
//! The transforms add and subtract terms that cancel. Measured against f64, of operands uniform in -1 to 1 with 16 to 512
//! channels, the largest error is at most 0.14 (2x2) and 3.3 (4x4) times f32's epsilon times the square root of the number of
//! terms of a sum times the largest result: errors add up like a random walk. F(2x2, 3x3) is more exact than adding up in
//! order; F(4x4, 3x3) is 5 to 9 times less exact. Both are far below the number of terms, the bound of any sum in f32, and so
//! both are used where they are fast; `WGRAD_DISABLE=winograd` turns them off.

use super::call::Call;
use super::depthwise::rotated;
use super::tiled::Tile;
use super::{Geometry, Pass};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::shared::constants::unsigned;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::Layout;

const SPREAD: &str = wgsl!("conv/conv2d_winograd_spread");
const OUTPUT: &str = wgsl!("conv/conv2d_winograd_output");

/// The transforms of F(4x4, 3x3), in the templates' functions; the templates have those of F(2x2, 3x3).
const FILTER_4: &str = "
    let even = w[0] + w[2];
    let far = w[0] / 24.0 + w[2] / 6.0;
    return array(0.25 * w[0], (even + w[1]) / -6.0, (even - w[1]) / -6.0, far + w[1] / 12.0, far - w[1] / 12.0, w[2]);
";
const INPUT_4: &str = "
    let even = d[4] - 4.0 * d[2];
    let odd = d[3] - 4.0 * d[1];
    let far_even = d[4] - d[2];
    let far_odd = 2.0 * (d[3] - d[1]);
    return array(4.0 * d[0] - 5.0 * d[2] + d[4], even + odd, even - odd, far_even + far_odd, far_even - far_odd,
        4.0 * d[1] - 5.0 * d[3] + d[5]);
";
const OUTPUT_4: &str = "
    let even = m[1] + m[2];
    let odd = m[1] - m[2];
    let far_even = m[3] + m[4];
    let far_odd = m[3] - m[4];
    return array(m[0] + even + far_even, odd + 2.0 * far_odd, even + 4.0 * far_even, odd + 8.0 * far_odd + m[5]);
";

/// Sizes of the side of an output tile.
pub(super) const OUTPUTS: [usize; 2] = [2, 4];

/// The largest measured errors, and a tenth; see above.
#[cfg(test)]
pub(super) const ERROR: [f64; 2] = [0.15, 3.6];

/// True if it has 3 x 3 taps and neither strides nor dilation.
pub(super) fn has_its_taps(g: &Geometry) -> bool {
    g.kernel == [3, 3] && g.stride == [1, 1] && g.dilation == [1, 1]
}

/// The convolution of 3 x 3 taps of the pass, if it is one.
pub(super) fn convolution(pass: Pass, g: &Geometry) -> Option<Geometry> {
    if !has_its_taps(g) {
        return None;
    }
    match pass {
        Pass::Forward => Some(*g),
        Pass::BackwardData => {
            let rotated = rotated(g)?;
            Some(Geometry { in_per_group: g.out_per_group, out_per_group: g.in_per_group, ..rotated })
        }
        Pass::BackwardFilter => None,
    }
}

/// The products of a convolution's tiles: a convolution of one tap, planes as rows.
pub(super) fn products(g: &Geometry, outputs: usize) -> Geometry {
    let tiles = [1, g.output[0].div_ceil(outputs) * g.output[1].div_ceil(outputs)];
    let groups = g.groups * (outputs + 2) * (outputs + 2);
    Geometry { groups, kernel: [1, 1], padding: [0, 0], input: tiles, output: tiles, ..*g }
}

/// Bytes of the transformed weights, and of an image's transformed input and its products.
pub(super) fn bytes(spread: &Geometry) -> [usize; 3] {
    let plane = 4 * spread.groups * spread.input[1];
    [4 * spread.weights(), plane * spread.in_per_group, plane * spread.out_per_group]
}

impl Call<'_> {
    /// Number of images at a time, so that temporaries of `fixed` bytes and those of each image fit: parts of about the same
    /// size, so that none takes more memory than it must.
    pub fn images(&self, [fixed, first, second]: [usize; 3], bytes: usize) -> Result<usize> {
        let limit = self.adapter.max_binding_bytes;
        let largest = first.max(second).max(1);
        if fixed.max(largest) as u64 > limit {
            let (op, shape, unit) = (self.pass.name(), self.output.shape, "bytes of transformed tiles");
            return Err(Error::TooLarge { op, shape, limit, unit });
        }
        let most = (bytes.saturating_sub(fixed) / (first + second).max(1)).min(nearest::<usize>(limit) / largest);
        let parts = self.batch.div_ceil(most.max(1)).max(1);
        Ok(self.batch.div_ceil(parts).max(1))
    }

    /// The pass, which is the convolution `g`, by tiles of `outputs^2` results and products by `tile`.
    pub fn winograd(&self, g: &Geometry, outputs: usize, tile: &Tile) -> Result<Kernels> {
        let spread = products(g, outputs);
        let spread_layout = Layout::contiguous(self.output.shape, DType::F32);
        let operands = [1, 0, 2].map(Operand::Temporary);
        let call = Call { pass: Pass::Forward, geometry: &spread, operands, output: &spread_layout, ..*self };
        let [filter_bytes, input_bytes, product_bytes] = bytes(&spread);
        let images = self.images(bytes(&spread), self.budget.bytes)?;
        let mut kernels = Vec::new();
        for first in (0..self.batch).step_by(images) {
            let part = images.min(self.batch - first);
            kernels.push(self.spread(g, outputs, [first, part]));
            kernels.push(Call { batch: part, ..call }.tiled_forward(tile)?);
            kernels.push(self.transformed_output(g, outputs, [first, part]));
        }
        let temporaries = vec![filter_bytes, images * input_bytes, images * product_bytes];
        Ok(Kernels { kernels, temporaries })
    }

    /// The transforms of some images, and before the first of them those of the weights.
    fn spread(&self, g: &Geometry, outputs: usize, [first, images]: [usize; 2]) -> Kernel {
        let of_weight = self.geometry;
        let filters = of_weight.weights() / 9;
        let filter_invocations = if first == 0 { filters.next_multiple_of(64) } else { 0 };
        let channels = g.groups * g.in_per_group;
        let [y, x] = g.output.map(|size| size.div_ceil(outputs));
        let invocations = filter_invocations + images * channels * y * x;
        let kernel = Kernel::new("conv2d_winograd_spread", SPREAD)
            .alias("Element", self.output.dtype.wgsl())
            .constant("GROUPS", unsigned(of_weight.groups))
            .constant("IN_PER_GROUP", unsigned(of_weight.in_per_group))
            .constant("OUT_PER_GROUP", unsigned(of_weight.out_per_group))
            .constant("ROTATE", self.pass == Pass::BackwardData)
            .constant("CHANNELS", unsigned(channels))
            .size("IN_HEIGHT", g.input[0])
            .size("IN_WIDTH", g.input[1])
            .constant("PAD_Y", unsigned(g.padding[0]))
            .constant("PAD_X", unsigned(g.padding[1]))
            .size("TILES_Y", y)
            .size("TILES_X", x)
            .constant("OUTPUTS", unsigned(outputs))
            .bind("weight", Operand::Input(1))
            .bind("input", Operand::Input(0))
            .loads("load_weight", Operand::Input(1), if first == 0 { 9 * filters } else { 0 })
            .loads("load_input", Operand::Input(0), images * channels * y * x * (outputs + 2) * (outputs + 2))
            .bind("filters", Operand::Temporary(0))
            .bind("tiles", Operand::Temporary(1))
            .values(&[filter_invocations, first, images])
            .words([Word::Offset(1), Word::Offset(0)])
            .grid(fold_groups(invocations, 64))
            .work(invocations * (outputs + 2) * (outputs + 2) * 4);
        if outputs == 4 { kernel.hook("transform_filter", FILTER_4).hook("transform_input", INPUT_4) } else { kernel }
    }

    fn transformed_output(&self, g: &Geometry, outputs: usize, [first, images]: [usize; 2]) -> Kernel {
        let channels = g.groups * g.out_per_group;
        let [y, x] = g.output.map(|size| size.div_ceil(outputs));
        let invocations = images * channels * y * x;
        let kernel = Kernel::new("conv2d_winograd_output", OUTPUT)
            .alias("Element", self.output.dtype.wgsl())
            .constant("CHANNELS", unsigned(channels))
            .size("HEIGHT", g.output[0])
            .size("WIDTH", g.output[1])
            .size("TILES_Y", y)
            .size("TILES_X", x)
            .constant("OUTPUTS", unsigned(outputs))
            .bind("products", Operand::Temporary(2))
            .bind("output", Operand::Output(0))
            .values(&[first, images])
            .grid(fold_groups(invocations, 64))
            .work(invocations * (outputs + 2) * (outputs + 2) * 4);
        if outputs == 4 { kernel.hook("transform", OUTPUT_4) } else { kernel }
    }
}
