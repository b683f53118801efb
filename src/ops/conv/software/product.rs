//! Convolutions that see one pixel, and their gradients, as matrix products on software adapters.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::ops::conv::Pass;
use crate::ops::conv::call::Call;
use crate::ops::conv::tiles::Target;
use crate::ops::matmul::{Product, Variant};
use crate::ops::shared::partial_sums;
use crate::shader::{Kernels, Operand};
use crate::shape::{Layout, Shape};

/// Columns of a product below which lanes of a subgroup are idle: four a lane.
const FEWEST_COLUMNS: usize = 32;

impl Call<'_> {
    /// True if it is a product of the weight, or of its transpose, and each image; or a sum of products of gradients and images
    /// with enough columns for the lanes of a subgroup.
    pub(in crate::ops::conv) fn is_product(&self) -> bool {
        let g = self.geometry;
        let is_pointwise = g.kernel == [1, 1] && g.stride == [1, 1] && g.padding == [0, 0] && g.input == g.output;
        let fits = self.pass != Pass::BackwardFilter || (self.batch > 0 && g.in_per_group >= FEWEST_COLUMNS);
        self.target() == Target::Shuffle && fits && g.groups == 1 && is_pointwise
    }

    /// The convolution, or the gradient of its input, as a product for each image.
    pub(in crate::ops::conv) fn product(&self) -> Result<Kernels> {
        let g = self.geometry;
        let positions = g.output[0] * g.output[1];
        let (rows, depth, strides) = match self.pass {
            Pass::BackwardData => (g.in_per_group, g.out_per_group, [0, 1, g.in_per_group]),
            _ => (g.out_per_group, g.in_per_group, [0, g.in_per_group, 1]),
        };
        let [images, weight] = self.inputs;
        let left = Layout::strided(Shape::new(&[self.batch, rows, depth])?, &strides, weight.offset, weight.dtype);
        let strides = [depth * positions, positions, 1];
        let right =
            Layout::strided(Shape::new(&[self.batch, depth, positions])?, &strides, images.offset, images.dtype);
        let variant = Variant::Shuffle { int64: self.adapter.profile.u64_pairs };
        // The weight is the second input, and the left operand.
        let operands = [Operand::Input(1), Operand::Input(0), Operand::Output(0)];
        Product::new([&left, &right], self.output).operands(operands).kernels(variant)
    }

    /// The gradient of the weight, with groups of `summed` images added up in one workgroup.
    pub(in crate::ops::conv) fn product_of_images(&self) -> Result<Kernels> {
        let g = self.geometry;
        let (rows, columns, depth) = (g.out_per_group, g.in_per_group, g.output[0] * g.output[1]);
        let view = |operand: &Layout, sizes: [usize; 2], strides: [usize; 2]| {
            let shape = Shape::new(&[self.batch, sizes[0], sizes[1]])?;
            let strides = [sizes[0] * sizes[1], strides[0], strides[1]];
            Ok::<Layout, Error>(Layout::strided(shape, &strides, operand.offset, operand.dtype))
        };
        let [grad, input] = self.inputs;
        let (left, right) = (view(grad, [rows, depth], [depth, 1])?, view(input, [depth, columns], [1, depth])?);
        let steps = depth.div_ceil(4).max(1);
        let longest = self.adapter.profile.longest_loop;
        if steps > longest {
            return Err(self.too_large("steps of a sum"));
        }
        let groups = rows.div_ceil(32) * columns.div_ceil(2 * FEWEST_COLUMNS);
        let splits = (self.enough_groups() / groups).min(self.most_parts()).clamp(1, self.batch);
        let summed = self.batch.div_ceil(splits).min(longest / steps);
        let layers = self.batch.div_ceil(summed);
        let (to, dtype) = match layers {
            1 => (Operand::Output(0), self.output.dtype),
            _ => (Operand::Temporary(0), DType::F32),
        };
        let output = Layout::contiguous(Shape::new(&[layers, rows, columns])?, dtype);
        let product =
            Product::new([&left, &right], &output).operands([Operand::Input(0), Operand::Input(1), to]).summed(summed);
        let product = if columns > FEWEST_COLUMNS { product.wide() } else { product };
        let mut kernels = product.kernels(Variant::Shuffle { int64: self.adapter.profile.u64_pairs })?;
        if layers > 1 {
            let sum = partial_sums::sum_rows(to, layers, rows * columns);
            kernels.kernels.push(sum.alias("Result", self.output.dtype.wgsl()));
            kernels.temporaries = vec![4 * layers * rows * columns];
        }
        Ok(kernels)
    }
}
