//! Images bent at random.

use super::affine::check_mode;
use super::functional::{InterpolationMode, gaussian_blur, spread};
use super::{Draws, Transform, Views};
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::number::nearest;
use crate::options::options;

options! {
    /// Options of [`ElasticTransform`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    ElasticTransformOptions {
        /// Size of displacements in x and in y, in elements, before neighbours are averaged.
        alpha: [f64; 2] = [50.0; 2],
        /// Standard deviations of the averaging Gaussian in x and in y, in elements.
        sigma: [f64; 2] = [5.0; 2],
        /// Interpolation between elements: nearest or bilinear.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Values past the edges: one number, or one per channel.
        fill: Vec<f32> = vec![0.0],
    }
}

/// Each image bent by a random displacement of each element (Simard, Steinkraus and Platt, "Best practices for convolutional
/// neural networks applied to visual document analysis", 2003): numbers between -1 and 1, averaged by a Gaussian and multiplied
/// by `alpha`.
///
/// Boxes and key points follow as in torchvision, by the displacement at their positions. The device is read for that.
#[derive(Clone, Debug)]
pub struct ElasticTransform {
    options: ElasticTransformOptions,
}

impl ElasticTransform {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for deviations that are not positive, and for modes other than nearest and bilinear.
    pub fn new(options: ElasticTransformOptions) -> Result<ElasticTransform> {
        const OP: &str = "ElasticTransform";
        check_mode(OP, options.interpolation)?;
        if !options.sigma.iter().all(|sigma| *sigma > 0.0 && sigma.is_finite()) {
            return Err(Error::invalid(OP, format!("sigma is {:?}; it must be positive", options.sigma)));
        }
        Ok(ElasticTransform { options })
    }

    /// The displacements of all images, `[N, H, W, 2]`, in elements.
    fn field(&self, draws: &mut Draws, device: &Device, [height, width]: [usize; 2]) -> Result<Tensor> {
        let count = height * width;
        let numbers =
            draws.each(|image| (0..2 * count).map(|_| nearest(image.uniform(-1.0, 1.0))).collect::<Vec<f32>>());
        let numbers = Tensor::from_slice(device, &numbers.concat(), &[draws.len(), 2, height, width])?;
        let [alpha, sigma] = [self.options.alpha, self.options.sigma];
        let by = |d: usize| {
            // torchvision takes the Gaussian's size from one deviation, and its width from both.
            let taps = nearest::<usize>(8.0 * sigma[d] + 1.0) | 1;
            let blurred = gaussian_blur(&numbers.narrow(1, d, 1)?, taps, Some(sigma.map(Into::into)))?;
            blurred.mul_scalar(alpha[d] / 2.0)
        };
        Tensor::cat(&[&by(0)?, &by(1)?], 1)?.permute([0, 2, 3, 1])
    }
}

impl Transform for ElasticTransform {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        let fill = spread("ElasticTransform", &self.options.fill, views.channels())?;
        let field = self.field(draws, views.device(), views.size())?;
        views.bend(&field, self.options.interpolation, &fill)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Away from the edges, each displacement is a sum of numbers of variance 1/3 by the products of two Gaussians.
    #[test]
    fn displacements_are_as_large_as_they_should_be() {
        let elastic =
            ElasticTransform::new(ElasticTransformOptions::default().alpha([30.0, 60.0]).sigma([1.5, 0.8])).unwrap();
        let device = Device::reference();
        let items: Vec<usize> = (0..8).collect();
        let field = elastic.field(&mut Draws::new(0, 0, &items), &device, [40, 40]).unwrap();
        let field = field.narrow(1, 8, 24).unwrap().narrow(2, 8, 24).unwrap().to_vec::<f32>().unwrap();
        let squares = |sigma: f64| {
            let weights = (-20..=20).map(|x| (-0.5 * (f64::from(x) / sigma).powi(2)).exp());
            let total: f64 = weights.clone().sum();
            weights.map(|weight| (weight / total).powi(2)).sum::<f64>()
        };
        for (d, alpha) in [30.0, 60.0].into_iter().enumerate() {
            let values = field.iter().skip(d).step_by(2).map(|&by| f64::from(by));
            let variance = values.clone().map(|by| by * by).sum::<f64>() / values.count() as f64;
            let expected = (alpha / 2.0f64).powi(2) / 3.0 * squares(1.5) * squares(0.8);
            assert!((variance / expected - 1.0).abs() < 0.15, "{variance}, expected {expected}");
        }
    }
}
