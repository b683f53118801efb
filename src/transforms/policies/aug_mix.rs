//! Chains of operations, mixed.

use super::operation::Operation::{self, *};
use super::operation::{Applied, Moves, carry_out};
use super::space::MIXED;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::Tensor;
use crate::options::options;
use crate::transforms::functional::InterpolationMode;
use crate::transforms::{Draws, Stream, Transform, Views};
use rand_distr::{Distribution, Gamma};

/// The operations without brightness, saturation, contrast and sharpness come first.
const OPERATIONS: [Operation; 13] = [
    ShearX,
    ShearY,
    TranslateX,
    TranslateY,
    Rotate,
    Posterize,
    Solarize,
    AutoContrast,
    Equalize,
    Brightness,
    Color,
    Contrast,
    Sharpness,
];

/// Steps from the weakest to the strongest.
const BINS: usize = 10;

/// The longest chain of random length.
const DEPTH: usize = 3;

options! {
    /// Options of [`AugMix`], with torchvision's defaults.
    #[derive(Clone, Debug, PartialEq)]
    AugMixOptions {
        /// Largest strength of operations, from 1 to 10.
        severity: usize = 3,
        /// Number of chains.
        mixture_width: usize = 3,
        /// Operations per chain; from 1 to 3 at random if left out.
        chain_depth: Option<usize> = None,
        /// The shape of the distributions of the shares.
        alpha: f64 = 1.0,
        /// Also takes brightness, saturation, contrast and sharpness.
        all_ops: bool = true,
        /// Interpolation of moved pixels.
        interpolation: InterpolationMode = InterpolationMode::Bilinear,
        /// Values past the edges of moved images: one number, or one per channel. Zeros if left out.
        fill: Option<Vec<f32>> = None,
    }
}

/// Mixes each image with the results of random chains of operations, by Hendrycks et al., "AugMix: A Simple Data Processing
/// Method to Improve Robustness and Uncertainty", 2019: `m x + (1 - m) sum over i of w[i] chain[i](x)`.
///
/// `m` is drawn from `Beta(alpha, alpha)` and `w` from `Dirichlet(alpha, .., alpha)`.
///
/// ```
/// use wgrad::transforms::{AugMix, AugMixOptions, Draws, Transform, Views};
/// use wgrad::{Device, Tensor};
/// let augment = AugMix::new(AugMixOptions::default())?;
/// let mut views = Views::new(Tensor::rand(&Device::reference(), &[2, 3, 8, 8])?)?;
/// augment.apply(&mut views, &mut Draws::new(0, 0, &[0, 1]))?;
/// assert_eq!(views.images()?.shape()[..], [2, 3, 8, 8]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct AugMix {
    options: AugMixOptions,
    gamma: Gamma<f64>,
    moves: Moves,
}

/// The mixture of an image: its own weight, and the weight and the operations of each chain.
struct Mixture {
    own: f64,
    chains: Vec<(f64, Vec<Applied>)>,
}

impl AugMix {
    /// From options.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a severity that is not between 1 and 10, no chains, chains without operations, and an
    /// `alpha` that is not positive.
    pub fn new(options: AugMixOptions) -> Result<AugMix> {
        const OP: &str = "AugMix";
        let AugMixOptions { severity, mixture_width, chain_depth, alpha, interpolation, fill, .. } = options.clone();
        if !(1..=BINS).contains(&severity) {
            return Err(Error::invalid(OP, format!("severity is {severity}; it must be between 1 and {BINS}")));
        }
        if mixture_width == 0 || chain_depth == Some(0) {
            return Err(Error::invalid(OP, "there must be a chain, and an operation in it"));
        }
        let gamma = Gamma::new(alpha, 1.0)
            .map_err(|_| Error::invalid(OP, format!("alpha is {alpha}; it must be a positive number")))?;
        Ok(AugMix { options, gamma, moves: Moves { interpolation, fill } })
    }

    /// `count` shares that add up to 1, by the Dirichlet distribution.
    fn shares(&self, image: &mut Stream, count: usize) -> Vec<f64> {
        let parts: Vec<f64> = (0..count).map(|_| self.gamma.sample(image)).collect();
        let sum: f64 = parts.iter().sum();
        // With a tiny alpha all may be 0.
        parts.iter().map(|part| if sum > 0.0 { part / sum } else { 1.0 / count as f64 }).collect()
    }

    fn mixture(&self, image: &mut Stream, size: [usize; 2]) -> Mixture {
        let AugMixOptions { severity, mixture_width, chain_depth, all_ops, .. } = self.options;
        let operations = if all_ops { &OPERATIONS[..] } else { &OPERATIONS[..9] };
        let both = self.shares(image, 2);
        let shares = self.shares(image, mixture_width);
        let chain = |share: f64| {
            let depth = chain_depth.unwrap_or_else(|| 1 + image.below(DEPTH));
            let applied = (0..depth).map(|_| {
                let operation = operations[image.below(operations.len())];
                let bin = image.below(severity);
                MIXED.applied(image, operation, [bin, BINS], size)
            });
            (both[1] * share, applied.collect())
        };
        Mixture { own: both[0], chains: shares.into_iter().map(chain).collect() }
    }

    /// All chains side by side, as images of one batch.
    fn mixed(&self, images: &Tensor, mixtures: &[Mixture]) -> Result<Tensor> {
        let width = self.options.mixture_width;
        let mut views = Views::new(Tensor::cat(&vec![images; width], 0)?)?;
        for turn in 0..self.options.chain_depth.unwrap_or(DEPTH) {
            let at = |chain: usize, mixture: &Mixture| mixture.chains[chain].1.get(turn).copied();
            let operations = (0..width).flat_map(|chain| mixtures.iter().map(move |mixture| at(chain, mixture)));
            let operations: Vec<Applied> = operations.map(|applied| applied.unwrap_or((Identity, 0.0))).collect();
            carry_out(&mut views, &operations, &self.moves)?;
        }
        let column = |shares: Vec<f64>| Tensor::from_f64(images.device(), &shares, &[shares.len(), 1, 1, 1]);
        let floats = |images: &Tensor| images.to_dtype(DType::F32);
        let mut mix = floats(images)?.mul(&column(mixtures.iter().map(|mixture| mixture.own).collect())?)?;
        let chains = views.images()?;
        for chain in 0..width {
            let shares = column(mixtures.iter().map(|mixture| mixture.chains[chain].0).collect())?;
            let images = chains.narrow(0, chain * mixtures.len(), mixtures.len())?;
            mix = mix.add(&floats(&images)?.mul(&shares)?)?;
        }
        mix.to_dtype(images.dtype())
    }
}

impl Transform for AugMix {
    fn apply(&self, views: &mut Views, draws: &mut Draws) -> Result<()> {
        views.images_alone("AugMix")?;
        views.one_size("AugMix")?;
        let size = views.size();
        let mixtures = draws.each(|image| self.mixture(image, size));
        views.change_images(|images| self.mixed(images, &mixtures))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transforms::moments::{check, check_frequency, drawn};

    #[test]
    fn shares_depths_and_operations_have_their_distributions() {
        let augment = AugMix::new(AugMixOptions::default().alpha(0.5)).unwrap();
        let mixtures = drawn(|image| augment.mixture(image, [10, 10]));
        // Beta(1/2, 1/2); a component of Dirichlet(1/2, 1/2, 1/2) has mean 1/3 and variance (1/3)(2/3) / (5/2).
        check("own", mixtures.iter().map(|mixture| mixture.own), 0.5, 8f64.sqrt().recip());
        let share = |mixture: &Mixture| mixture.chains[0].0 / (1.0 - mixture.own);
        check("share", mixtures.iter().map(share), 1.0 / 3.0, (4.0f64 / 45.0).sqrt());
        for depth in 1..=3 {
            check_frequency("depth", mixtures.iter().map(|mixture| mixture.chains[1].1.len() == depth), 1.0 / 3.0);
        }
        for operation in OPERATIONS {
            let first = mixtures.iter().map(|mixture| mixture.chains[2].1[0].0 == operation);
            check_frequency(&format!("{operation:?}"), first, 1.0 / 13.0);
        }
        assert!(mixtures.iter().all(|mixture| {
            let sum: f64 = mixture.chains.iter().map(|chain| chain.0).sum();
            (mixture.own + sum - 1.0).abs() < 1e-12
        }));
    }
}
