//! Networks that draw images, and what trains them.

mod adversarial;
mod dcgan;
mod rrdb;
mod vae;

pub use adversarial::{AdversarialLosses, AdversarialOptions, relativistic_losses};
pub use dcgan::{DcganDiscriminator, DcganGenerator, DcganOptions};
pub use rrdb::{RrdbNet, RrdbNetOptions};
pub use vae::{Vae, VaeCodes, VaeLosses, VaeOptions};
