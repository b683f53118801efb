//! Networks over clips of video, `[N, channels, T, H, W]`: `T` frames one behind the other.

mod cnn_lstm;
mod resnet;

pub use cnn_lstm::{CnnLstm, CnnLstmOptions};
pub use resnet::{VideoConvolution, VideoResNet, VideoResNetOptions};
