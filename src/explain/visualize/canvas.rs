//! Images between 0 and 1 as functions of the optimized numbers.

use super::fourier::FourierBasis;
use crate::data::Normalization;
use crate::error::{Error, Result};
use crate::graph::{Device, Parameter, Tensor, gradient_of_sum, with_grad};
use crate::ops::Conv2dOptions;
use crate::optim::{Adam, AdamOptions, Optimizer};
use crate::options::options;

/// The numbers that gradient ascent changes instead of pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// The pixels themselves, before a sigmoid.
    Pixels,
    /// Waves, scaled by the power that each has in photographs (see [`FourierBasis::scale`]), before a sigmoid. Ascent moves all
    /// frequencies alike, whereas pixels favour the high ones.
    Fourier {
        /// The power of the frequency: 1 for photographs.
        decay: f64,
    },
}

options! {
    /// Images that are made, and their way into the network.
    #[derive(Clone, Debug)]
    CanvasOptions {
        /// The tensor that is optimized.
        basis: Basis = Basis::Fourier { decay: 1.0 },
        /// Optimizes the principal components of ImageNet's colours instead of red, green and blue; for three channels.
        decorrelate: bool = true,
        /// Deviation of the random numbers that ascent begins with.
        std: f64 = 0.01,
        /// The normalization of the images that the network was trained on.
        normalization: Option<Normalization> = None,
    }
}

/// A root of the covariance of ImageNet's colours, over the length of its longest column (Olah et al., 2017).
const COLOURS: [[f64; 3]; 3] = [[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]];

/// Spectra begin with images of about their random numbers' size by this (Olah et al., 2017).
const SPECTRUM: f64 = 0.25;

/// Images between 0 and 1 as a network takes them.
pub(super) fn normalized(images: &Tensor, normalization: Option<&Normalization>) -> Result<Tensor> {
    normalization.map_or_else(|| Ok(images.clone()), |by| by.normalize(images))
}

/// Images as functions of a parameter.
pub(super) struct Canvas {
    parameter: Parameter,
    /// The basis, and the scale of its waves.
    waves: Option<(FourierBasis, Tensor)>,
    colours: Option<Tensor>,
    normalization: Option<Normalization>,
}

impl Canvas {
    pub fn new(op: &'static str, device: &Device, shape: [usize; 4], options: &CanvasOptions) -> Result<Canvas> {
        let [count, channels, height, width] = shape;
        if shape.contains(&0) || options.std.is_nan() || options.std < 0.0 {
            return Err(Error::invalid(op, format!("images {shape:?} from numbers of deviation {}", options.std)));
        }
        let drawn = |shape: &[usize]| {
            Ok::<_, Error>(Parameter::new("canvas", &Tensor::normal(device, shape, 0.0, options.std)?))
        };
        let (parameter, waves) = match options.basis {
            Basis::Pixels => (drawn(&shape)?, None),
            Basis::Fourier { decay } => {
                let basis = FourierBasis::new(device, [height, width])?;
                let scale = (basis.scale(decay)? * SPECTRUM)?;
                (drawn(&[count, channels, 2, height, width / 2 + 1])?, Some((basis, scale)))
            }
        };
        let colours = match options.decorrelate && channels == 3 {
            true => {
                let column = |at: usize| COLOURS.iter().map(|row| row[at] * row[at]).sum::<f64>().sqrt();
                let longest = (0..3).map(column).fold(0.0, f64::max);
                let values: Vec<f64> = COLOURS.as_flattened().iter().map(|value| value / longest).collect();
                Some(Tensor::from_f64(device, &values, &[3, 3, 1, 1])?)
            }
            false => None,
        };
        Ok(Canvas { parameter, waves, colours, normalization: options.normalization.clone() })
    }

    /// The images, between 0 and 1.
    pub fn images(&self) -> Result<Tensor> {
        self.images_of(&self.parameter.value())
    }

    fn images_of(&self, numbers: &Tensor) -> Result<Tensor> {
        let mut images = numbers.clone();
        if let Some((basis, scale)) = &self.waves {
            images = basis.images(&(images * scale)?)?;
        }
        if let Some(colours) = &self.colours {
            images = images.conv2d(colours, None, &Conv2dOptions::default())?;
        }
        images.sigmoid()
    }

    /// Takes steps of Adam up the objective of the images as they are and as the network takes them.
    pub fn climb(
        &self,
        steps: usize,
        lr: f64,
        mut objective: impl FnMut(&Tensor, &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor>,
    ) -> Result<()> {
        let mut adam = Adam::new(vec![self.parameter.clone()], AdamOptions::default().lr(lr))?;
        for _ in 0..steps {
            let numbers = self.parameter.value();
            let value = with_grad(true, || {
                objective(&self.images_of(&numbers)?, &|images| normalized(images, self.normalization.as_ref()))
            })?;
            self.parameter.set_grad(Some(gradient_of_sum(&(-value)?, &numbers, None)?))?;
            adam.step()?;
        }
        Ok(())
    }
}
