//! Networks that act.

mod q_network;

pub use q_network::{QNetwork, QNetworkOptions};
