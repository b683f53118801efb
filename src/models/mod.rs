//! Networks, built of nothing but [`nn`](crate::nn).

mod cifar;
mod lenet;
mod mobilenet;
mod resnet;
mod unet;
mod window;

pub use cifar::CifarCnn;
pub use lenet::LeNet5;
pub use mobilenet::MobileNetV1;
pub use resnet::ResNet18;
pub use unet::{UNet, UNetOptions};
