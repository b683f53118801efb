//! Files of weights.
//!
//! | task | function |
//! |---|---|
//! | load values from a file of any program into a model | [`load`] |
//! | save a model's values to a file that others read | [`save`] |
//! | make a network from its file alone | [`open`] |
//! | list a file's contents, and read single tensors | [`Reader`], [`Metadata::read`] |
//! | copy values in memory, from one model to another | [`state_dict`](crate::nn::Module::state_dict), [`load_state_dict`](crate::nn::Module::load_state_dict) |
//! | interrupt a run and resume it, with its optimizer | [`train::save`](crate::train::save), [`train::load`](crate::train::load) |

mod content;
mod load;
mod metadata;
mod npz;
mod pickle;
mod reader;
mod safetensors;
mod save;
mod structure;
mod torch;
mod values;

pub(crate) use load::{CHECKPOINT, build};
pub use load::{LoadOptions, Report, load, open};
pub use metadata::Metadata;
pub(crate) use metadata::TAG;
pub use reader::{Entry, Reader};
pub(crate) use safetensors::write as write_safetensors;
pub(crate) use save::encode;
pub use save::{SaveOptions, save};
pub(crate) use structure::Structure;
pub(crate) use values::to_tensor;
