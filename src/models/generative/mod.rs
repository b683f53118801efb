//! Networks that draw images, and their training.

mod adversarial;
mod dcgan;
mod rrdb;
mod vae;

pub use adversarial::{AdversarialLosses, AdversarialOptions, relativistic_losses};
pub use dcgan::{DcganDiscriminator, DcganGenerator, DcganOptions};
pub use rrdb::{RrdbNet, RrdbNetOptions};
pub use vae::{Vae, VaeCodes, VaeLosses, VaeOptions};
