//! The Square attack: random search with squares, without gradients.

mod euclidean;

use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::number::nearest;
use crate::options::options;
use crate::robust::{Attack, Classifier, Goal, Norm, of_each, stream};
use euclidean::Euclidean;

options! {
    /// Options of [`Square`]. The defaults are those of Andriushchenko et al., with the bound of torchattacks.
    #[derive(Clone, Copy, Debug)]
    SquareOptions {
        /// The measure of changes.
        norm: Norm = Norm::Linf,
        /// The largest change.
        eps: f64 = 8.0 / 255.0,
        /// Squares that are tried.
        queries: usize = 5000,
        /// The fraction of an image that the first squares cover.
        p_init: f64 = 0.8,
        /// The schedule of squares is that of 10,000 queries, in proportion; else it is taken as it is.
        rescale_schedule: bool = true,
        /// Queries between two checks if all images are done, each of which waits for the device.
        check_every: usize = 50,
    }
}

/// Tries squares of random positions and signs, and keeps those that lower the margin between the true logit and the largest
/// other one (Andriushchenko et al., "Square Attack: a query-efficient black-box adversarial attack via random search", 2019).
/// Squares shrink by the paper's schedule. It begins with vertical stripes for [`Norm::Linf`], and with a grid of bumps for
/// [`Norm::L2`]. It needs no gradients, so networks that hide them are no harder for it. An image is done as soon as it fools. A
/// round tries one square on all images, which differ in the signs for `L2` only, as in AutoAttack. Draws are from the device's
/// random stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Square {
    options: SquareOptions,
}

/// The images from which a round of the search starts.
struct Found {
    near: Tensor,
    /// The margin of each, which should fall to 0 or below.
    margin: Tensor,
}

impl Square {
    /// An attack with these options.
    pub fn new(options: &SquareOptions) -> Square {
        Square { options: *options }
    }

    /// The fraction of an image that a square covers in a round.
    fn share(&self, round: usize) -> f64 {
        // The last rounds of each share, and its divisor.
        const SCHEDULE: [(usize, f64); 9] = [
            (10, 1.0),
            (50, 2.0),
            (200, 4.0),
            (500, 8.0),
            (1000, 16.0),
            (2000, 32.0),
            (4000, 64.0),
            (6000, 128.0),
            (8000, 256.0),
        ];
        let SquareOptions { p_init, queries, rescale_schedule, .. } = self.options;
        let of_paper = if rescale_schedule { round * 10_000 / queries } else { round };
        let divisor = SCHEDULE.iter().find(|(last, _)| of_paper <= *last).map_or(512.0, |(_, divisor)| *divisor);
        p_init / divisor
    }

    /// The attack with given draws: numbers from 0 up to but not including 1. The order in which it takes them is that of
    /// torchattacks, one for each of its `torch.rand`'s elements as long as no image is through.
    ///
    /// # Errors
    /// As [`perturb`](Attack::perturb).
    pub fn perturb_with(
        &self,
        net: &Classifier<'_>,
        images: &Tensor,
        goal: &Goal,
        draw: &mut dyn FnMut() -> f64,
    ) -> Result<Tensor> {
        const OP: &str = "Square";
        let SquareOptions { norm, eps, queries, p_init, check_every, .. } = self.options;
        goal.check(images)?;
        let &[count, channels, height, width] = &images.shape()[..] else {
            return Err(Error::invalid(OP, format!("images are [N, C, H, W], not {}", images.shape())));
        };
        let is_share = p_init > 0.0 && p_init <= 1.0;
        if !(eps > 0.0 && eps.is_finite() && is_share) || [queries, check_every, height, width].contains(&0) {
            let rule =
                format!("eps {eps}, squares of {p_init} of an image, {queries} queries on {height} x {width} pixels");
            return Err(Error::invalid(OP, rule));
        }
        let images = images.detach();
        let (size, euclidean) = ([height, width], Euclidean { images: &images, eps });
        no_grad(|| {
            let margin = |near: &Tensor| goal.margin(&net.logits(near)?);
            let start = margin(&images)?;
            let near = match norm {
                Norm::Linf => {
                    let stripes = signs(&images, [count, channels, 1, width], draw)?;
                    (&images + (stripes * eps)?)?.clamp(Some(0.0), Some(1.0))?
                }
                Norm::L2 => euclidean.start(draw)?,
            };
            // Those that fool already stay as they are.
            let fools = of_each(&start.le_scalar(0.0)?, &images)?;
            let near = fools.where_(&images, &near)?;
            let mut found = Found { margin: margin(&near)?, near };
            for round in 0..queries {
                if round % check_every == 0 {
                    let margins = found.margin.to_f64()?;
                    if margins.iter().all(|&margin| margin <= 0.0) {
                        break;
                    }
                }
                let side = (self.share(round) * (height * width) as f64).sqrt().round_ties_even();
                let tried = match norm {
                    Norm::Linf => {
                        let side = nearest::<usize>(side).clamp(1, height.min(width));
                        let window = window(&images, place(size, side, draw), side)?;
                        let change = (signs(&images, [1, channels, 1, 1], draw)? * (2.0 * eps))?;
                        let near = (&found.near + (window * change)?)?;
                        let near = near.maximum(&(&images - eps)?)?.minimum(&(&images + eps)?)?;
                        near.clamp(Some(0.0), Some(1.0))?
                    }
                    Norm::L2 => euclidean.tried(&found.near, nearest(side), draw)?,
                };
                let margin = margin(&tried)?;
                let is_better = margin.lt(&found.margin)?.logical_or(&margin.le_scalar(0.0)?)?;
                let is_better = is_better.logical_and(&found.margin.gt_scalar(0.0)?)?;
                found.near = of_each(&is_better, &images)?.where_(&tried, &found.near)?;
                found.margin = is_better.where_(&margin, &found.margin)?;
                images.device().flush()?;
            }
            Ok(found.near)
        })
    }
}

impl Attack for Square {
    fn perturb(&self, net: &Classifier<'_>, images: &Tensor, goal: &Goal) -> Result<Tensor> {
        let mut stream = stream(images);
        self.perturb_with(net, images, goal, &mut || stream.uniform(0.0, 1.0))
    }
}

/// Numbers of -1 and 1 in a shape.
fn signs(images: &Tensor, shape: [usize; 4], draw: &mut dyn FnMut() -> f64) -> Result<Tensor> {
    let signs: Vec<f32> =
        (0..shape.iter().product()).map(|_| if 2.0 * draw() - 1.0 < 0.0 { -1.0 } else { 1.0 }).collect();
    Tensor::from_slice(images.device(), &signs, &shape)
}

/// The upper left corner of a square within an image.
fn place(size: [usize; 2], side: usize, draw: &mut dyn FnMut() -> f64) -> [usize; 2] {
    size.map(|size| nearest::<usize>((draw() * (size - side) as f64).floor()))
}

/// Ones in a square and zeros elsewhere, `[1, 1, H, W]`.
fn window(images: &Tensor, at: [usize; 2], side: usize) -> Result<Tensor> {
    let [height, width] = [images.shape()[2], images.shape()[3]];
    let along = |from: usize, size: usize, shape: &[usize]| {
        let line: Vec<f32> = (0..size).map(|x| if (from..from + side).contains(&x) { 1.0 } else { 0.0 }).collect();
        Tensor::from_slice(images.device(), &line, shape)
    };
    along(at[0], height, &[1, 1, height, 1])? * along(at[1], width, &[1, 1, 1, width])?
}
