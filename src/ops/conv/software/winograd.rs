//! Winograd's minimal filtering on software adapters: F(4x4, 3x3), and F(3x3, 4x4) for the gradient of the weight.
//!
//! Such an adapter takes long to load and to store, so that transforming tiles number by number would cost as much as the
//! products save. An invocation transforms eight neighbouring tiles, and loads and stores eight numbers at a time. The products
//! are those of `matmul`, one of matrices for each of a transformed tile's 36 numbers, with the tiles of several images side by
//! side.
//!
//! The gradient of the weight is the sum over all tiles of a small convolution: of a tile of the input, whose taps are the tile
//! of 4 x 4 of the output's gradient that saw it.
//!
//! Products of whole numbers are exact: the weight's transform, 24 times F(4x4, 3x3)'s, has whole numbers too, products and their
//! sums are i32 that may wrap, and what wrapped is right again in the result, a 24th of a 24th of its sum. Half of that is a
//! factor of 9, which has an inverse modulo 2^32; the other is 64, so that results of less than 2^25 are whole.
//!
//! The error is that of `winograd`'s larger tiles and has its bound, except for gradients of the weight from few and small
//! images: with fewer than 170 terms they err by up to 64 times f32's epsilon times the largest result.

use crate::dtype::DType;
use crate::error::Result;
use crate::ops::conv::call::Call;
use crate::ops::conv::winograd::{convolution, has_its_taps};
use crate::ops::conv::{Geometry, Pass};
use crate::ops::matmul::{Product, Variant};
use crate::ops::shared::congruence::greatest_common_divisor;
use crate::ops::shared::constants::unsigned;
use crate::shader::{Kernel, Kernels, Operand, Word, fold_groups};
use crate::shape::{Layout, Shape};

const SPREAD: &str = wgsl!("conv/conv2d_winograd_spread_eights");
const OUTPUT: &str = wgsl!("conv/conv2d_winograd_output_eights");
const WEIGHT: &str = wgsl!("conv/conv2d_winograd_weight_eights");
const BACKWARD_FILTER: &str = wgsl!("conv/conv2d_winograd_backward_filter_eights");

/// The transform of F(3x3, 4x4)'s taps, in the template's function; the template has that of its input.
const TRANSFORM_TAPS: &str = "
    let even = d[0] + d[2];
    let odd = d[1] + d[3];
    let far_even = d[0] / 24.0 + d[2] / 6.0;
    let far_odd = d[1] / 12.0 + d[3] / 3.0;
    return array(0.25 * d[0], (even + odd) / -6.0, (even - odd) / -6.0, far_even + far_odd, far_even - far_odd, d[3]);
";

/// The transform of F(4x4, 3x3)'s taps, times 24, and the result from its 576th part modulo 2^32.
const TRANSFORM_WHOLE: &str = "
    let even = w[0] + w[2];
    let far = w[0] + 4.0 * w[2];
    return array(6.0 * w[0], -4.0 * (even + w[1]), -4.0 * (even - w[1]), far + 2.0 * w[1], far - 2.0 * w[1], 24.0 * w[2]);
";
const RESULT_WHOLE: &str = "return f32((value * 954437177) >> 6u);";

/// Loads a number from an array of groups of eight.
const ONE_OF_INPUT: &str = "
    let pair = input[(params.input_offset + index) / 8u][index % 8u / 2u];
    return bitcast<f32>(u32(select(pair, pair >> 32u, index % 2u == 1u)));
";

/// Rows and columns of a tile of results.
const SIDE: usize = 4;

/// The kernels of the products.
const PRODUCTS: Variant = Variant::Shuffle { int64: true };

/// Numbers of a transformed tile.
const POSITIONS: usize = 36;

/// Tiles that a sum of products runs over at a time: longer sums lose precision.
const LONGEST_SUM: usize = 16_384;

/// Bytes of tiles and products at a time, which should fit a core's second-level cache, and the limit for a call that should make
/// do with few kernels. The CIFAR network's step takes as long with 2 as with 4 MB, a quarter longer with 8 and half as long
/// again with 16; ResNet-18's of 8 images has its launches with 5.
const CACHE: usize = 5 << 20;
const MOST: usize = 2 * CACHE;

/// Kernels of every pass, and those of each part of a batch.
const LAUNCHES: usize = 1;
const LAUNCHES_A_PART: usize = 3;

/// Rows and columns of a product that a workgroup computes.
const ROWS: usize = 32;
const COLUMNS: usize = 64;

/// Cost of transforming a channel's tile, in multiply-adds of strips: of an input, of one whose rows are not multiples of eight,
/// and of an output.
const SPREAD_COST: f64 = 600.0;
const SINGLY_COST: f64 = 1_500.0;
const OUTPUT_COST: f64 = 450.0;

/// Cost of transforming a pair of channels of the weight, and of adding a product to that of an earlier part.
const WEIGHT_COST: f64 = 600.0;
const ADDED_COST: f64 = 26.0;

/// Eight neighbouring tiles, and the number of such runs in a plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Runs {
    /// Tiles down and across in a run.
    size: [usize; 2],
    /// Runs down and across.
    count: [usize; 2],
}

impl Runs {
    /// The runs of a plane of `size` results with the fewest tiles past its edges; of several, those that suit most sizes.
    fn of(size: [usize; 2]) -> Runs {
        let [four, eight, two] = [4, 8, 2].map(|across| {
            let run = [8 / across, across];
            Runs { size: run, count: [0, 1].map(|dim| size[dim].div_ceil(SIDE * run[dim])) }
        });
        [eight, two].into_iter().fold(four, |best, next| if next.tiles() < best.tiles() { next } else { best })
    }

    /// Runs of a plane.
    fn of_plane(&self) -> usize {
        self.count[0] * self.count[1]
    }

    /// Tiles of a plane, those past its edges included.
    fn tiles(&self) -> usize {
        8 * self.of_plane()
    }

    /// Sets the constants for the planes of this many channels of some images.
    fn specialise(&self, kernel: Kernel, plane: [usize; 2], channels: usize, [first, images]: [usize; 2]) -> Kernel {
        kernel.constant("RUN_Y", unsigned(self.size[0])).constant("RUN_X", unsigned(self.size[1])).values(&[
            channels,
            first,
            images,
            plane[0],
            plane[1],
            self.count[1],
            self.of_plane(),
        ])
    }
}

/// Images whose tiles are transformed.
struct Images {
    /// Their input among the call's.
    input: usize,
    channels: usize,
    size: [usize; 2],
    padding: [usize; 2],
    /// Rows and columns of a tile.
    takes: usize,
}

/// The division of a pass's images.
struct Parts {
    runs: Runs,
    /// Bytes of the transformed weight, and of an image's transformed input and output.
    bytes: [usize; 3],
    /// Images at a time.
    images: usize,
}

impl Parts {
    /// The bytes of the temporaries for the weight, the input and the output.
    fn temporaries(&self) -> Vec<usize> {
        let [weight, input, output] = self.bytes;
        vec![weight, self.images * input, self.images * output]
    }
}

impl Call<'_> {
    /// The cost of an image among `batch` images, in multiply-adds of strips; `None` if the pass can't be computed this way.
    pub(in crate::ops::conv) fn cost_of_eights(&self, batch: usize) -> Option<f64> {
        let spread = |size: [usize; 2]| if size[1].is_multiple_of(8) { SPREAD_COST } else { SINGLY_COST };
        let g = match self.pass {
            Pass::BackwardFilter => Some(*self.geometry).filter(has_its_taps),
            _ => convolution(self.pass, self.geometry),
        };
        let g = g?;
        let pairs = g.weights() / 9;
        if !pairs.is_multiple_of(8) {
            return None;
        }
        let parts = self.batch_parts(&g).ok()?;
        if LAUNCHES + LAUNCHES_A_PART * self.batch.div_ceil(parts.images) > self.budget.launches {
            return None;
        }
        let tiles = parts.runs.tiles();
        let in_parts = parts.images < self.batch;
        let (of_output, columns) = match self.pass {
            Pass::BackwardFilter => (spread(g.output), g.in_per_group),
            _ => (OUTPUT_COST, tiles * if in_parts { parts.images } else { batch }),
        };
        let [rows, columns] = [(g.out_per_group, ROWS), (columns, COLUMNS)]
            .map(|(size, tile)| size.next_multiple_of(tile) as f64 / size as f64);
        let products = (POSITIONS * pairs) as f64 * rows * columns;
        let transforms =
            g.groups as f64 * (spread(g.input) * g.in_per_group as f64 + of_output * g.out_per_group as f64);
        let added = match self.pass {
            Pass::BackwardFilter if in_parts => ADDED_COST * (POSITIONS * pairs) as f64 / parts.images as f64,
            Pass::BackwardFilter => 0.0,
            _ => WEIGHT_COST * pairs as f64 / batch as f64,
        };
        Some(tiles as f64 * (products + transforms) + added)
    }

    /// The pass by tiles of 4 x 4 results.
    pub(in crate::ops::conv) fn winograd_eights(&self) -> Result<Kernels> {
        match convolution(self.pass, self.geometry) {
            Some(g) => self.convolution_eights(&g),
            None => self.filter_eights(),
        }
    }

    /// The division of the images of the convolution `g`, or of the gradient of its weight.
    fn batch_parts(&self, g: &Geometry) -> Result<Parts> {
        let runs = Runs::of(g.output);
        let plane = 4 * POSITIONS * runs.tiles() * g.groups;
        let weight = 4 * POSITIONS * g.weights() / 9;
        let bytes = [weight, plane * g.in_per_group, plane * g.out_per_group];
        let images = self.images(bytes, self.budget.bytes.min(MOST + weight))?;
        let cached = self.images(bytes, CACHE + weight)?;
        let (most, wanted) = match self.pass {
            Pass::BackwardFilter => (images.min((LONGEST_SUM / runs.tiles()).max(1)), cached),
            // As many as fill a workgroup with columns, if the tiles of fewer would not.
            _ => (images, cached.next_multiple_of(COLUMNS / greatest_common_divisor(COLUMNS, runs.tiles()))),
        };
        let launches = self.budget.launches.saturating_sub(LAUNCHES) / LAUNCHES_A_PART;
        let fewest = self.batch.div_ceil(launches.max(1));
        Ok(Parts { runs, bytes, images: wanted.max(fewest).min(most) })
    }

    /// The convolution `g` of the pass.
    fn convolution_eights(&self, g: &Geometry) -> Result<Kernels> {
        let parts = self.batch_parts(g)?;
        let batch = POSITIONS * g.groups;
        let left = match self.pass {
            Pass::BackwardData => transposed(batch, g.out_per_group, g.in_per_group)?,
            _ => matrices(batch, g.out_per_group, g.in_per_group)?,
        };
        let channels = g.groups * g.in_per_group;
        let input = Images { input: 0, channels, size: g.input, padding: g.padding, takes: SIDE + 2 };
        let mut kernels = vec![self.weight_eights()];
        for first in (0..self.batch).step_by(parts.images) {
            let images = parts.images.min(self.batch - first);
            let columns = images * parts.runs.tiles();
            let right = matrices(batch, g.in_per_group, columns)?;
            let output = matrices(batch, g.out_per_group, columns)?;
            kernels.push(self.spread_eights(&input, &parts.runs, 1, [first, images]));
            let product = Product::new([&left, &right], &output).operands([0, 1, 2].map(Operand::Temporary)).wide();
            let product = if self.whole { product.whole() } else { product };
            kernels.extend(product.kernels(PRODUCTS)?.kernels);
            kernels.push(self.output_eights(g, &parts.runs, [first, images]));
        }
        Ok(Kernels { kernels, temporaries: parts.temporaries() })
    }

    /// The gradient of the weight. The parts of the batch add to the same products.
    fn filter_eights(&self) -> Result<Kernels> {
        let g = self.geometry;
        let parts = self.batch_parts(g)?;
        let batch = POSITIONS * g.groups;
        let output = matrices(batch, g.out_per_group, g.in_per_group)?;
        let channels = [g.in_per_group, g.out_per_group].map(|each| g.groups * each);
        let input = Images { input: 1, channels: channels[0], size: g.input, padding: g.padding, takes: SIDE + 2 };
        let grad = Images { input: 0, channels: channels[1], size: g.output, padding: [0, 0], takes: SIDE };
        let mut kernels = Vec::new();
        for first in (0..self.batch).step_by(parts.images) {
            let images = parts.images.min(self.batch - first);
            let columns = images * parts.runs.tiles();
            let left = matrices(batch, g.out_per_group, columns)?;
            let right = transposed(batch, columns, g.in_per_group)?;
            kernels.push(self.spread_eights(&input, &parts.runs, 1, [first, images]));
            kernels.push(self.spread_eights(&grad, &parts.runs, 2, [first, images]));
            let product = Product::new([&left, &right], &output).operands([2, 1, 0].map(Operand::Temporary));
            let mut products = product.kernels(PRODUCTS)?.kernels;
            if first > 0 {
                products.iter_mut().for_each(|kernel| kernel.store_by("output[index] += value;".to_string()));
            }
            kernels.extend(products);
        }
        kernels.push(self.taps_eights());
        Ok(Kernels { kernels, temporaries: parts.temporaries() })
    }

    /// The transforms of the weight.
    fn weight_eights(&self) -> Kernel {
        let weight = self.inputs[1];
        let pairs = self.geometry.weights() / 9;
        let kernel = Kernel::new("conv2d_winograd_weight_eights", WEIGHT)
            .alias("Element", weight.dtype.wgsl())
            .constant("ROTATE", self.pass == Pass::BackwardData)
            .bind("weight", Operand::Input(1))
            .bind("filters", Operand::Temporary(0))
            .values(&[pairs / 8])
            .words([Word::Offset(1)])
            .grid(fold_groups(pairs / 8, 8))
            .work(pairs * POSITIONS * 4);
        let kernel = stores_tiles(kernel, "store_filters_eight", "filters[index / 8u] = eight_of(low, high);");
        let kernel = if self.whole { kernel.hook("transform", TRANSFORM_WHOLE) } else { kernel };
        if !lies_in_eights(weight) {
            return kernel;
        }
        // Nothing is left to load by itself.
        kernel
            .alias("Loaded", "vec4<u64>")
            .hook("load_weight_eight", "return floats_of(weight[(params.weight_offset + index) / 8u]);")
            .hook("load_weight", "return 0.0;")
    }

    /// The transforms of the tiles of `images` images from `first` on, into a temporary.
    fn spread_eights(&self, of: &Images, runs: &Runs, to: usize, [first, images]: [usize; 2]) -> Kernel {
        let layout = self.inputs[of.input];
        let invocations = images * of.channels * runs.of_plane();
        let kernel = runs
            .specialise(Kernel::new("conv2d_winograd_spread_eights", SPREAD), of.size, of.channels, [first, images])
            .alias("Element", layout.dtype.wgsl())
            .constant("PAD_Y", unsigned(of.padding[0]))
            .constant("PAD_X", unsigned(of.padding[1]))
            .constant("TAKES", unsigned(of.takes))
            .bind("input", Operand::Input(of.input))
            .bind("tiles", Operand::Temporary(to))
            .words([Word::Offset(of.input)])
            .grid(fold_groups(invocations, 8))
            .work(invocations * 8 * POSITIONS * 4);
        let kernel = stores_tiles(kernel, "store_tiles_eight", "tiles[index / 8u] = eight_of(low, high);");
        let kernel = if of.takes == SIDE { kernel.hook("transform", TRANSFORM_TAPS) } else { kernel };
        if !lies_in_eights(layout) || !of.size[1].is_multiple_of(8) || of.padding[1] > of.takes - SIDE {
            return kernel;
        }
        kernel
            .constant("EIGHTS", true)
            .alias("Loaded", "vec4<u64>")
            .hook("load_input_eight", "return floats_of(input[(params.input_offset + index) / 8u]);")
            .hook("load_input", ONE_OF_INPUT)
    }

    /// The gradient of the weight from its products.
    fn taps_eights(&self) -> Kernel {
        let pairs = self.geometry.weights() / 9;
        let kernel = Kernel::new("conv2d_winograd_backward_filter_eights", BACKWARD_FILTER)
            .alias("Element", self.output.dtype.wgsl())
            .bind("products", Operand::Temporary(0))
            .bind("output", Operand::Output(0))
            .values(&[pairs / 8])
            .grid(fold_groups(pairs / 8, 8))
            .work(pairs * POSITIONS * 4);
        let kernel = loads_products(kernel);
        if self.output.dtype == DType::F32 { kernel.stores_eights() } else { kernel }
    }

    /// The results of this many images from their products.
    fn output_eights(&self, g: &Geometry, runs: &Runs, [first, images]: [usize; 2]) -> Kernel {
        let channels = g.groups * g.out_per_group;
        let invocations = images * channels * runs.of_plane();
        let kernel = runs
            .specialise(Kernel::new("conv2d_winograd_output_eights", OUTPUT), g.output, channels, [first, images])
            .alias("Element", self.output.dtype.wgsl())
            .bind("products", Operand::Temporary(2))
            .bind("output", Operand::Output(0))
            .grid(fold_groups(invocations, 8))
            .work(invocations * 8 * POSITIONS * 4);
        let kernel = loads_products(kernel);
        let kernel = if self.whole { kernel.alias("Sum", "i32").hook("result", RESULT_WHOLE) } else { kernel };
        let in_eights = self.output.dtype == DType::F32 && g.output[1].is_multiple_of(8);
        if in_eights { kernel.stores_eights() } else { kernel }
    }
}

/// True if aligned groups of eight can be loaded.
fn lies_in_eights(layout: &Layout) -> bool {
    layout.dtype == DType::F32 && layout.offset.is_multiple_of(8)
}

/// Lets a kernel store transformed tiles eight numbers at a time, by this body of a hook.
fn stores_tiles(kernel: Kernel, hook: &'static str, body: &str) -> Kernel {
    kernel.alias("Transformed", "vec4<u64>").hook(hook, body)
}

/// Lets a kernel load products eight at a time.
fn loads_products(kernel: Kernel) -> Kernel {
    kernel.alias("Transformed", "vec4<u64>").hook("load_products_eight", "return floats_of(products[index / 8u]);")
}

/// A batch of matrices in order.
fn matrices(batch: usize, rows: usize, columns: usize) -> Result<Layout> {
    Ok(Layout::contiguous(Shape::new(&[batch, rows, columns])?, DType::F32))
}

/// A batch of matrices with contiguous columns.
fn transposed(batch: usize, rows: usize, columns: usize) -> Result<Layout> {
    let shape = Shape::new(&[batch, rows, columns])?;
    Ok(Layout::strided(shape, &[rows * columns, 1, rows], 0, DType::F32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_cover_a_plane_with_few_tiles_past_its_edges() {
        let runs = |size| (Runs::of(size).size, Runs::of(size).tiles());
        assert_eq!(runs([32, 32]), ([2, 4], 64));
        assert_eq!(runs([16, 16]), ([2, 4], 16));
        assert_eq!(runs([28, 28]), ([1, 8], 56));
        assert_eq!(runs([8, 8]), ([2, 4], 8));
        assert_eq!(runs([32, 8]), ([4, 2], 16));
        assert_eq!(runs([5, 33]), ([2, 4], 24));
    }
}
