//! RISE: the score under random masks.

use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::explain::Explainer;
use crate::explain::ablation::sizes;
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;
use crate::ops::{InterpolateMode, InterpolateOptions};
use crate::options::options;
use crate::shape::Shape;

options! {
    /// Options of [`Explainer::rise`], with the paper's numbers for images of 224 x 224.
    #[derive(Clone, Copy, Debug)]
    RiseOptions {
        /// Masks.
        masks: usize = 4000,
        /// Cells of a mask along the picture's height and width.
        grid: usize = 7,
        /// The fraction of cells that are uncovered.
        shown: f64 = 0.5,
    }
}

impl Explainer<'_> {
    /// The mean probability of the class under masks that uncover a pixel:
    /// `sum over masks of p(class | x mask) mask / (masks shown)` (Petsiuk et al., "RISE: Randomized Input Sampling for
    /// Explanation of Black-box Models", 2018). Images `[N, C, H, W]`, a network that answers with logits; the result is
    /// `[N, 1, H, W]`. Masks are grids of random cells from the device's generator, scaled up linearly and shifted by part of a
    /// cell.
    ///
    /// # Errors
    /// As [`saliency`](Explainer::saliency); [`Error::Invalid`] for no masks, an empty grid or a fraction outside of 0 to 1.
    pub fn rise(&self, images: &Tensor, options: &RiseOptions) -> Result<Tensor> {
        const OP: &str = "rise";
        let &RiseOptions { masks, grid, shown } = options;
        let [count, _, height, width] = sizes(OP, images)?;
        if masks == 0 || grid == 0 || !(shown > 0.0 && shown <= 1.0) {
            let rule = format!("{masks} masks of {grid} x {grid} cells of which {shown} are shown");
            return Err(Error::invalid(OP, rule));
        }
        no_grad(|| {
            let (classes, images) = (self.classes(images)?, images.detach());
            let mut sum = Tensor::zeros(images.device(), &[count, 1, height, width])?;
            let batch = self.copies(count);
            for first in (0..masks).step_by(batch) {
                let drawn = batch.min(masks - first);
                let masks = drawn_masks(&images, drawn, grid, shown)?;
                let covered = (images.unsqueeze(0)? * masks.unsqueeze(1)?)?.flatten(0, 1)?;
                let output = self.model.forward(&covered)?.softmax(1)?;
                let scores = self.pick(&output, &classes)?.reshape_to(Shape::new(&[drawn, count, 1, 1, 1])?)?;
                sum = (sum + (scores * masks.unsqueeze(1)?)?.sum(0)?)?;
            }
            sum / (masks as f64 * shown)
        })
    }
}

/// So many masks `[masks, 1, H, W]` for images: a cell of the grid is as large as a part of the picture, and the mask begins
/// somewhere in the first.
fn drawn_masks(images: &Tensor, masks: usize, grid: usize, shown: f64) -> Result<Tensor> {
    let device = images.device();
    let size = [images.shape()[2], images.shape()[3]];
    let cell = size.map(|size| size.div_ceil(grid));
    let cells = Tensor::full(device, &[masks, 1, grid + 1, grid + 1], nearest::<f32>(shown))?.bernoulli()?;
    let whole = cell.map(|cell| (grid + 1) * cell);
    let options = InterpolateOptions::default().size([whole[0], whole[1]]).mode(InterpolateMode::Bilinear);
    let large = cells.interpolate(&options)?;
    let along = |dim: usize| -> Result<Tensor> {
        let start = Tensor::randint(device, 0, nearest(cell[dim]), &[masks, 1])?;
        start + Tensor::arange(device, 0.0, size[dim] as f64, 1.0, DType::I32)?
    };
    let rows = along(0)?.reshape_to(Shape::new(&[masks, 1, size[0], 1])?)?;
    let rows = rows.expand_to(Shape::new(&[masks, 1, size[0], whole[1]])?, "rise")?;
    let columns = along(1)?.reshape_to(Shape::new(&[masks, 1, 1, size[1]])?)?;
    let columns = columns.expand_to(Shape::new(&[masks, 1, size[0], size[1]])?, "rise")?;
    large.gather(2, &rows)?.gather(3, &columns)
}
