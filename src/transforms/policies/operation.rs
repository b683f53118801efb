//! The operations of policies, and their application to a batch.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::ColourStep;
use crate::transforms::functional::{self, AffineNumbers, InterpolationMode, Numbers, spread};
use crate::transforms::pending::Step;
use crate::transforms::{Views, maps};

/// An operation, by torchvision's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Identity,
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Brightness,
    Color,
    Contrast,
    Sharpness,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Invert,
}

use Operation::*;

/// The sampling of moved pixels: interpolation, and values past the edges.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Moves {
    pub interpolation: InterpolationMode,
    pub fill: Option<Vec<f32>>,
}

impl Operation {
    /// A shear, about the upper left corner.
    fn shear(self, magnitude: f64) -> Option<AffineNumbers> {
        let degrees = magnitude.atan().to_degrees();
        let shear = match self {
            ShearX => [degrees, 0.0],
            ShearY => [0.0, degrees],
            _ => return None,
        };
        Some(AffineNumbers { shear, ..AffineNumbers::default() })
    }

    /// A translation by whole pixels, or a rotation, about the middle.
    fn motion(self, magnitude: f64) -> Option<AffineNumbers> {
        let still = AffineNumbers::default();
        match self {
            TranslateX => Some(AffineNumbers { translate: [magnitude.trunc(), 0.0], ..still }),
            TranslateY => Some(AffineNumbers { translate: [0.0, magnitude.trunc()], ..still }),
            // Anticlockwise, as torchvision's rotate turns.
            Rotate => Some(AffineNumbers { angle: -magnitude, ..still }),
            _ => None,
        }
    }

    /// The colour step of the operation.
    fn step(self, magnitude: f64, dtype: DType) -> Option<ColourStep> {
        let number = |number: f64| nearest::<f32>(number);
        let bound = if dtype.is_float() { 1.0 } else { 255.0 };
        match self {
            Brightness => Some(ColourStep::Brightness(number(1.0 + magnitude))),
            Color => Some(ColourStep::Saturation(number(1.0 + magnitude))),
            Contrast => Some(ColourStep::Contrast(number(1.0 + magnitude))),
            Posterize => Some(ColourStep::Posterize(number(magnitude))),
            Solarize => Some(ColourStep::Solarize(number(magnitude * bound))),
            AutoContrast => Some(ColourStep::Autocontrast),
            Equalize => Some(ColourStep::Equalize),
            Invert => Some(ColourStep::Invert),
            _ => None,
        }
    }
}

/// An operation and its strength.
pub(super) type Applied = (Operation, f64);

/// Applies its own operation to each image of a batch. Images with the same kind of operation are processed together, so the
/// launches are bounded by the kinds of operations and not by the images. Pixels are always sampled, whichever images are moved.
pub(super) fn carry_out(views: &mut Views, operations: &[Applied], moves: &Moves) -> Result<()> {
    views.sample()?;
    let fill = moves.fill.as_ref().map(|fill| spread("fill", fill, views.channels())).transpose()?;
    let step = |(&(operation, magnitude), size): (&Applied, [usize; 2])| match (
        operation.shear(magnitude),
        operation.motion(magnitude),
    ) {
        (Some(numbers), _) => Step::Warp(maps::affine(&numbers, Some([0.0; 2]), size), size, fill.clone()),
        (None, Some(numbers)) => Step::Warp(maps::affine(&numbers, None, size), size, fill.clone()),
        (None, None) => Step::Stay,
    };
    let steps = operations.iter().zip(views.sizes()).map(step).collect();
    views.step(steps, moves.interpolation, false)?;
    let sharpened: Vec<bool> = operations.iter().map(|applied| applied.0 == Sharpness).collect();
    views.among(&sharpened, |views| {
        let factors: Vec<f64> = operations.iter().map(|(_, magnitude)| (1.0 + magnitude).max(0.0)).collect();
        views.change_images(|images| {
            let factors = Tensor::from_f64(images.device(), &factors, &[factors.len()])?;
            functional::adjust_sharpness(images, Numbers::Each(factors))
        })
    })?;
    let dtype = views.dtype();
    let step = |&(operation, magnitude): &Applied| operation.step(magnitude, dtype).into_iter().collect();
    views.recolour(operations.iter().map(step).collect())
}
