//! Attributions: the parts of an input, and of a layer's maps, that a network's answer rests on.
//!
//! An [`Explainer`] holds a network and the answer that is asked about; its methods are the methods of the literature, by
//! captum's and pytorch-grad-cam's names. All of them work on any [`Module`], on the device, and leave nothing behind in it:
//! layers are named as in its [`summary`](Module::summary), and observed by a [`Probe`](crate::nn::Probe) of one pass.
//!
//! ```
//! use wgrad::explain::{CamMethod, Explainer, Target};
//! use wgrad::{Device, Tensor, models::{ResNet, ResNetOptions}, nn::{Module, Scope}};
//!
//! let device = Device::reference();
//! let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18_cifar().classes(10))?;
//! net.eval();
//! let images = Tensor::uniform(&device, &[1, 3, 8, 8], 0.0, 1.0)?;
//! let explainer = Explainer::new(&net).target(Target::Class(3));
//! let pixels = explainer.saliency(&images)?;
//! let map = explainer.cam(&images, "layer2", CamMethod::GradCam)?;
//! assert_eq!((&pixels.shape()[..], &map.shape()[..]), (&[1, 3, 8, 8][..], &[1, 1, 8, 8][..]));
//! # Ok::<(), wgrad::Error>(())
//! ```

mod ablation;
mod cam;
mod colour_map;
mod dead_units;
mod deep_lift;
mod effective_field;
mod gradients;
mod heat_map;
mod layer;
mod layer_histograms;
mod lime;
mod loss_surface;
mod noise;
mod quadrature;
mod rectifiers;
mod rise;
mod sanity;
mod sheets;
mod slic;
mod surrogate;
mod target;
mod visualize;

pub use ablation::OcclusionOptions;
pub use cam::CamMethod;
pub use colour_map::ColourMap;
pub use dead_units::{DeadUnits, dead_units};
pub use effective_field::{EffectiveReceptiveField, effective_receptive_field};
pub use gradients::IntegratedGradientsOptions;
pub use heat_map::{HeatMap, HeatMapOptions, Sign};
pub use layer_histograms::{LayerHistogram, activation_histograms, gradient_histograms};
pub use lime::{LimeDistance, LimeOptions};
pub use loss_surface::{LossSurface, LossSurfaceOptions, filter_normalized, loss_surface};
pub use noise::{GradientShapOptions, NoiseTunnelKind, NoiseTunnelOptions};
pub use rise::RiseOptions;
pub use sanity::{Randomized, rank_correlation};
pub use sheets::{Stretch, feature_maps, filters};
pub use slic::{SlicOptions, Superpixels, slic};
pub use surrogate::Surrogate;
pub use target::Target;
pub use visualize::{
    Basis, CanvasOptions, DeepDreamOptions, FourierBasis, MaximizeOptions, Objective, Priors, ReconstructOptions,
    Reconstruction, Transformations, deep_dream, maximize_activation, reconstruct, total_variation,
};

use crate::graph::Tensor;
use crate::nn::Module;

/// A network whose answers are explained, in the mode that it is in: put it into evaluation mode first.
#[derive(Clone)]
pub struct Explainer<'a> {
    model: &'a dyn Module,
    target: Target,
    /// The classes of the images that are explained, where they are known already.
    classes: Option<Tensor>,
    batch: usize,
}

impl<'a> Explainer<'a> {
    /// Explains the class that the network finds likeliest, with batches of at most 64 images where a method asks for many.
    pub fn new(model: &'a dyn Module) -> Explainer<'a> {
        Explainer { model, target: Target::Predicted, classes: None, batch: 64 }
    }

    /// Asks about this answer.
    #[must_use = "it returns the explainer"]
    pub fn target(mut self, target: Target) -> Explainer<'a> {
        self.target = target;
        self
    }

    /// Limits the images that run at once, if a method makes many of one: captum's `perturbations_per_eval`.
    #[must_use = "it returns the explainer"]
    pub fn batch(mut self, batch: usize) -> Explainer<'a> {
        self.batch = batch.max(1);
        self
    }

    /// Copies of `images` that go through the network at once.
    fn copies(&self, images: usize) -> usize {
        (self.batch / images.max(1)).max(1)
    }
}
