//! Networks, built of nothing but [`nn`](crate::nn), as types and [by name](by_name).

mod cifar;
mod lenet;
mod mobilenet;
mod registry;
mod resnet;
mod unet;
mod window;

pub use cifar::CifarCnn;
pub use lenet::LeNet5;
pub use mobilenet::MobileNetV1;
pub use registry::{ModelOptions, by_name, names};
pub use resnet::ResNet18;
pub use unet::{UNet, UNetOptions};
