//! Networks that read text, and decoders of their answers.

mod crnn;
mod decode;

pub use crnn::{Crnn, CrnnOptions};
pub use decode::{CtcBeamSearch, CtcHypothesis, ctc_greedy_decode};
