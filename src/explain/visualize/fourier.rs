//! Images as sums of waves.

use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::shape::Shape;
use std::f64::consts::TAU;

const OP: &str = "FourierBasis";

/// Real images of one size as sums of waves: PyTorch's `torch.fft.irfft2`, by products with the matrices of the discrete Fourier
/// transform in place of a fast one, which takes `O(H + W)` multiply-adds a pixel and is as exact.
///
/// ```
/// use wgrad::{Device, Tensor, explain::FourierBasis};
///
/// let device = Device::reference();
/// let basis = FourierBasis::new(&device, [4, 6])?;
/// // The wave without ups and downs alone.
/// let mut spectrum = vec![0.0; 2 * 4 * 4];
/// spectrum[0] = 24.0;
/// let image = basis.images(&Tensor::from_f64(&device, &spectrum, &[1, 1, 2, 4, 4])?)?;
/// assert!(image.to_f64()?.iter().all(|pixel| (pixel - 1.0).abs() < 1e-6));
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FourierBasis {
    size: [usize; 2],
    /// `cos` and `sin` of `2 pi u h / H`, over `H`: `[H, H]`.
    down: [Tensor; 2],
    /// `cos` and `sin` of `2 pi v w / W`, over `W`, doubled for waves that represent their mirror images too: `[W / 2 + 1, W]`.
    across: [Tensor; 2],
}

impl FourierBasis {
    /// The basis for images of a height and a width.
    ///
    /// # Errors
    /// [`Error::Invalid`] for images without pixels; errors of the device.
    pub fn new(device: &Device, size: [usize; 2]) -> Result<FourierBasis> {
        let [height, width] = size;
        if height == 0 || width == 0 {
            return Err(Error::invalid(OP, format!("images of {height} x {width} have no pixels")));
        }
        let waves = width / 2 + 1;
        // Whole turns are removed, so that angles keep their digits.
        let angle = |wave: usize, at: usize, size: usize| TAU * (wave * at % size) as f64 / size as f64;
        let down = |wave: fn(f64) -> f64| {
            let values = (0..height * height).map(|at| wave(angle(at / height, at % height, height)) / height as f64);
            Tensor::from_f64(device, &values.collect::<Vec<_>>(), &[height, height])
        };
        let across = |wave: fn(f64) -> f64| {
            let value = |at: usize| {
                let number = at / width;
                let times = if number == 0 || 2 * number == width { 1.0 } else { 2.0 };
                times * wave(angle(number, at % width, width)) / width as f64
            };
            Tensor::from_f64(device, &(0..waves * width).map(value).collect::<Vec<_>>(), &[waves, width])
        };
        Ok(FourierBasis {
            size,
            down: [down(f64::cos)?, down(f64::sin)?],
            across: [across(f64::cos)?, across(f64::sin)?],
        })
    }

    /// Images `[N, C, H, W]` of spectra `[N, C, 2, H, W / 2 + 1]`, real parts first: `irfft2` with PyTorch's scale, `1 / (H W)`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for spectra of another shape.
    pub fn images(&self, spectrum: &Tensor) -> Result<Tensor> {
        let ([height, width], shape) = (self.size, spectrum.shape());
        if shape.len() != 5 || shape[2..] != [2, height, width / 2 + 1] {
            let rule = format!("a spectrum is {shape}; expected [N, C, 2, {height}, {}]", width / 2 + 1);
            return Err(Error::invalid(OP, rule));
        }
        let part = |at: usize| spectrum.narrow(2, at, 1)?.squeeze(2);
        let (real, imaginary) = (part(0)?, part(1)?);
        let [cos, sin] = &self.down;
        let (real, imaginary) =
            ((cos.matmul(&real)? - sin.matmul(&imaginary)?)?, (sin.matmul(&real)? + cos.matmul(&imaginary)?)?);
        let [cos, sin] = &self.across;
        real.matmul(cos)? - imaginary.matmul(sin)?
    }

    /// The spectrum's scale `sqrt(H W) / max(f, 1 / max(H, W))^decay`, with `f` a wave's cycles a pixel: with 1 all waves have as
    /// much of a photograph's power as they have there (Olah et al., "Feature Visualization", 2017). `[H, W / 2 + 1]`.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn scale(&self, decay: f64) -> Result<Tensor> {
        let [height, width] = self.size;
        let waves = width / 2 + 1;
        let least = 1.0 / height.max(width) as f64;
        let scale = |at: usize| {
            let (u, v) = (at / waves, at % waves);
            // The upper half are the negative ones.
            let along_y = u.min(height - u) as f64 / height as f64;
            let cycles = along_y.hypot(v as f64 / width as f64);
            ((height * width) as f64).sqrt() / cycles.max(least).powf(decay)
        };
        let values: Vec<f64> = (0..height * waves).map(scale).collect();
        Tensor::from_f64(self.down[0].device(), &values, &Shape::new(&[height, waves])?)
    }
}
