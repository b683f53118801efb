//! Training in half precision: less memory and less to load, with f32 for the values that need it.

mod autocast;
mod grad_scaler;

pub use autocast::{AutocastOptions, autocast, autocast_with};
pub use grad_scaler::{GradScaler, GradScalerOptions};
