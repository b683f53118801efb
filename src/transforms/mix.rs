//! Images of a batch mixed with one another, and their labels with them.

use super::functional::Rectangle;
use super::{Draws, Stream, Transform, Views};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::number::nearest;

/// The settings that both share: the shape of the beta distribution, and the number of classes that labels are shared
/// among.
#[derive(Clone, Copy, Debug)]
struct Mixing {
    op: &'static str,
    alpha: f64,
    num_classes: usize,
}

impl Mixing {
    fn new(op: &'static str, alpha: f64, num_classes: usize) -> Result<Mixing> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::invalid(op, format!("alpha is {alpha}; it must be a positive number")));
        }
        if num_classes == 0 {
            return Err(Error::invalid(op, "there must be at least one class"));
        }
        Ok(Mixing { op, alpha, num_classes })
    }

    /// The weight of each image in its mixture.
    fn shares(&self, draws: &mut Draws) -> Result<Vec<f64>> {
        draws.each(|image| image.beta(self.alpha, self.alpha)).into_iter().collect()
    }

    /// Labels `[N]` or `[N, classes]` as shares of classes, mixed with those of the preceding images.
    fn mix_labels(&self, views: &mut Views, shares: &[f64]) -> Result<()> {
        let Some(labels) = views.labels() else {
            return Err(Error::invalid(self.op, "the images have no labels to mix; see Views::with_labels"));
        };
        let labels = match labels.rank() {
            1 => labels.one_hot(Some(self.num_classes))?.to_dtype(DType::F32)?,
            2 if labels.shape()[1] == self.num_classes => labels.to_dtype(DType::F32)?,
            _ => {
                let rule = format!("labels {} are neither [N] nor [N, {}]", labels.shape(), self.num_classes);
                return Err(Error::invalid(self.op, rule));
            }
        };
        let shares = Tensor::from_f64(labels.device(), shares, &[shares.len(), 1])?;
        views.set_labels(mixed(&labels, &shares)?)
    }
}

/// Each row mixed with the one before it: `shares * x + (1 - shares) * x[n - 1]`. The first row mixes with the last.
fn mixed(x: &Tensor, shares: &Tensor) -> Result<Tensor> {
    let others = x.roll(&[1], &[0])?;
    x.mul(shares)?.add(&others.mul(&shares.neg()?.add_scalar(1.0)?)?)
}

/// Each image mixed with the one before it in the batch, and the labels in the same shares, by Zhang et al., "mixup: Beyond
/// Empirical Risk Minimization", 2017: `lambda x + (1 - lambda) x[n - 1]`.
///
/// `lambda` is drawn for each image from `Beta(alpha, alpha)`. Labels become shares of classes, `[N, classes]` in f32. Batches
/// should be shuffled.
///
/// ```
/// use wgrad::transforms::{Draws, MixUp, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let labels = Tensor::from_slice(&device, &[0, 1], &[2])?;
/// let mut views = Views::new(Tensor::rand(&device, &[2, 3, 4, 4])?)?.with_labels(labels)?;
/// MixUp::new(0.2, 2)?.apply(&mut views, &mut Draws::new(0, 0, &[0, 1]))?;
/// assert_eq!(views.labels().unwrap().shape()[..], [2, 2]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MixUp {
    mixing: Mixing,
}

impl MixUp {
    /// With the shape of the distribution, 1 by default in torchvision, and the number of classes.
    ///
    /// # Errors
    /// [`Error::Invalid`] if `alpha` is not positive, or there are no classes.
    pub fn new(alpha: f64, num_classes: usize) -> Result<MixUp> {
        Ok(MixUp { mixing: Mixing::new("MixUp", alpha, num_classes)? })
    }
}

impl Transform for MixUp {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let op = self.mixing.op;
        views.whole_batch(op)?;
        views.images_alone(op)?;
        views.one_size(op)?;
        let shares = self.mixing.shares(draws)?;
        views.change_images(|images| {
            if images.dtype() != DType::F32 {
                return Err(Error::WrongDType { op, expected: "f32 (see functional::to_dtype)", got: images.dtype() });
            }
            mixed(images, &Tensor::from_f64(images.device(), &shares, &[shares.len(), 1, 1, 1])?)
        })?;
        self.mixing.mix_labels(views, &shares)
    }
}

/// A rectangle of each image taken from the one before it in the batch, and the labels mixed by its area, by Yun et al.,
/// "CutMix: Regularization Strategy to Train Strong Classifiers with Localizable Features", 2019.
///
/// Its sides are `sqrt(1 - lambda)` of the image's, with `lambda` drawn for each image from `Beta(alpha, alpha)`, and
/// its middle is any pixel; the part outside the image is cut off. Labels become shares of classes, `[N, classes]` in
/// f32, by the pixels taken. Batches should be shuffled.
#[derive(Clone, Copy, Debug)]
pub struct CutMix {
    mixing: Mixing,
}

impl CutMix {
    /// With the shape of the distribution, 1 by default in torchvision, and the number of classes.
    ///
    /// # Errors
    /// As [`MixUp::new`].
    pub fn new(alpha: f64, num_classes: usize) -> Result<CutMix> {
        Ok(CutMix { mixing: Mixing::new("CutMix", alpha, num_classes)? })
    }
}

/// Top, left, height and width of a rectangle that leaves about `share` of an image.
fn rectangle(image: &mut Stream, size: [usize; 2], share: f64) -> [usize; 4] {
    let part = 0.5 * (1.0 - share).sqrt();
    let [(left, columns), (top, rows)] = [size[1], size[0]].map(|size| {
        let (middle, half) = (image.below(size), nearest::<usize>(part * size as f64));
        let start = middle.saturating_sub(half);
        (start, (middle + half).min(size) - start)
    });
    [top, left, rows, columns]
}

impl Transform for CutMix {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let op = self.mixing.op;
        views.whole_batch(op)?;
        views.images_alone(op)?;
        views.one_size(op)?;
        let size = views.size();
        let mut shares = self.mixing.shares(draws)?.into_iter();
        let rectangles = draws.each(|image| rectangle(image, size, shares.next().unwrap_or(1.0)));
        views.change_images(|images| {
            let rectangle = Rectangle::each(images, &rectangles)?;
            rectangle.mask(op, images)?.where_(&images.roll(&[1], &[0])?, images)
        })?;
        let pixels = (size[0] * size[1]).max(1) as f64;
        let kept = |rectangle: &[usize; 4]| 1.0 - (rectangle[2] * rectangle[3]) as f64 / pixels;
        self.mixing.mix_labels(views, &rectangles.iter().map(kept).collect::<Vec<_>>())
    }
}

#[cfg(test)]
mod tests {
    use super::super::moments::{check, drawn};
    use super::*;

    /// The mean of Beta(a, a) is 1/2, its variance 1 / (4 (2 a + 1)).
    #[test]
    fn shares_are_of_the_beta_distribution() {
        for alpha in [0.2, 1.0, 3.0] {
            let shares = drawn(|image| image.beta(alpha, alpha).unwrap());
            check("share", shares, 0.5, (4.0 * (2.0 * alpha + 1.0)).powf(-0.5));
        }
    }

    /// Moments of 40,000 rectangles that torchvision 0.29 draws for images of 32 x 24 pixels with an alpha of 0.7.
    #[test]
    fn rectangles_are_torchvisions() {
        let rectangles = drawn(|image| {
            let share = image.beta(0.7, 0.7).unwrap();
            rectangle(image, [32, 24], share)
        });
        let of = |number: fn(&[usize; 4]) -> usize| rectangles.iter().map(move |rectangle| number(rectangle) as f64);
        check("share", of(|r| r[2] * r[3]).map(|area| 1.0 - area / 768.0), 0.70947, 0.19641);
        check("left", of(|r| r[1]), 5.6824, 5.8443);
        check("top", of(|r| r[0]), 7.6139, 7.8052);
        check("right", of(|r| r[1] + r[3]), 17.6177, 6.1637);
        check("bottom", of(|r| r[0] + r[2]), 23.7941, 8.0880);
    }
}
