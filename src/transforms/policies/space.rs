//! Strengths of operations, in steps from the weakest to the strongest.

use super::operation::Applied;
use super::operation::Operation::{self, *};
use crate::transforms::Stream;

/// A range of magnitudes, in even steps.
#[derive(Clone, Copy, Debug)]
enum Magnitude {
    /// No magnitude.
    None,
    /// Between two numbers.
    Between(f64, f64),
    /// From 0 to a fraction of the width.
    OfWidth(f64),
    /// From 0 to a fraction of the height.
    OfHeight(f64),
    /// Bits, from the first number down by the second.
    Bits(f64, f64),
}

use Magnitude::*;

/// Operations and their magnitudes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// Largest magnitudes of shears, translations and rotation, and of changes of colour.
    shear: f64,
    translate: Translate,
    rotate: f64,
    enhance: f64,
    /// Bits, from the first number down by the second.
    posterize: [f64; 2],
}

#[derive(Clone, Copy, Debug)]
enum Translate {
    Pixels(f64),
    Part(f64),
}

/// AutoAugment's and RandAugment's.
pub(super) const USUAL: Space =
    Space { shear: 0.3, translate: Translate::Part(150.0 / 331.0), rotate: 30.0, enhance: 0.9, posterize: [8.0, 4.0] };

/// TrivialAugment's, which are wider.
pub(super) const WIDE: Space =
    Space { shear: 0.99, translate: Translate::Pixels(32.0), rotate: 135.0, enhance: 0.99, posterize: [8.0, 6.0] };

/// AugMix's.
pub(super) const MIXED: Space =
    Space { shear: 0.3, translate: Translate::Part(1.0 / 3.0), rotate: 30.0, enhance: 0.9, posterize: [4.0, 4.0] };

/// The operations of RandAugment and TrivialAugment.
pub(super) const OPERATIONS: [Operation; 14] = [
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
];

impl Space {
    fn range(&self, operation: Operation) -> Magnitude {
        match (operation, self.translate) {
            (ShearX | ShearY, _) => Between(0.0, self.shear),
            (TranslateX | TranslateY, Translate::Pixels(most)) => Between(0.0, most),
            (TranslateX, Translate::Part(part)) => OfWidth(part),
            (TranslateY, Translate::Part(part)) => OfHeight(part),
            (Rotate, _) => Between(0.0, self.rotate),
            (Brightness | Color | Contrast | Sharpness, _) => Between(0.0, self.enhance),
            (Posterize, _) => Bits(self.posterize[0], self.posterize[1]),
            (Solarize, _) => Between(1.0, 0.0),
            (Identity | AutoContrast | Equalize | Invert, _) => None,
        }
    }

    /// The magnitude of step `bin` of `bins` for images of a height and a width, without a sign.
    pub(super) fn magnitude(&self, operation: Operation, bin: usize, bins: usize, size: [usize; 2]) -> f64 {
        let part = if bins > 1 { bin as f64 / (bins - 1) as f64 } else { 0.0 };
        match self.range(operation) {
            None => 0.0,
            Between(low, high) => low + (high - low) * part,
            OfWidth(most) => most * size[1] as f64 * part,
            OfHeight(most) => most * size[0] as f64 * part,
            Bits(from, less) => (from - less * part).round_ties_even(),
        }
    }

    /// An operation at a step, with a random sign where it has two directions.
    pub(super) fn applied(
        &self,
        image: &mut Stream,
        operation: Operation,
        [bin, bins]: [usize; 2],
        size: [usize; 2],
    ) -> Applied {
        let magnitude = self.magnitude(operation, bin, bins, size);
        let is_signed = !matches!(self.range(operation), None | Bits(..)) && operation != Solarize;
        let is_negative = image.chance(0.5) && is_signed;
        (operation, if is_negative { -magnitude } else { magnitude })
    }
}
