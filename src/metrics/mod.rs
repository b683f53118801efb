//! Metrics that add up on the device, and are read once.
