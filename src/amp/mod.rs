//! Training in half precision: less memory and less to load, with what needs it kept in f32.

mod autocast;

pub use autocast::{AutocastOptions, autocast, autocast_with};
