//! Images that a network answers strongly to, by gradient ascent on their pixels.

mod canvas;
mod deep_dream;
mod fourier;
mod maximize;
mod objective;
mod priors;
mod reconstruct;
mod transformations;

pub use canvas::{Basis, CanvasOptions};
pub use deep_dream::{DeepDreamOptions, deep_dream};
pub use fourier::FourierBasis;
pub use maximize::{MaximizeOptions, maximize_activation};
pub use objective::Objective;
pub use priors::{Priors, total_variation};
pub use reconstruct::{ReconstructOptions, Reconstruction, reconstruct};
pub use transformations::Transformations;
