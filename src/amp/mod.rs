//! Training in half precision: less memory and less to load, with what needs it kept in f32.

mod autocast;
mod grad_scaler;

pub use autocast::{AutocastOptions, autocast, autocast_with};
pub use grad_scaler::{GradScaler, GradScalerOptions};
