//! Networks, built from [`nn`](crate::nn) alone, as types and [by name](by_name).

mod alexnet;
mod all_convolutional;
mod basic_conv;
mod capsules;
mod cifar;
mod convnext;
mod densenet;
pub mod detection;
mod divisible;
mod efficientnet;
pub mod generative;
mod googlenet;
mod inception;
mod initial;
mod intermediate;
mod layers;
mod lenet;
mod maxvit;
mod mnasnet;
mod mobilenet;
mod mobilenet_v2;
mod mobilenet_v3;
pub mod recognition;
mod registry;
mod regnet;
pub mod reinforcement;
mod resnet;
mod resnet_cifar;
pub mod segmentation;
mod shufflenet;
mod siamese;
mod simple;
mod squeezenet;
mod swin;
mod vgg;
pub mod video;
mod vit;
mod windows;

pub use alexnet::{AlexNet, AlexNetOptions};
pub use all_convolutional::{AllConvolutional, AllConvolutionalOptions, NetworkInNetwork};
pub use capsules::{CapsNet, CapsNetLosses, CapsNetOptions, CapsNetOutputs};
pub use cifar::CifarCnn;
pub use convnext::{ConvNeXt, ConvNeXtOptions};
pub use densenet::{DenseNet, DenseNetOptions};
pub use efficientnet::{EfficientNet, EfficientNetOptions, EfficientNetStage};
pub use googlenet::{GoogLeNet, GoogLeNetOptions, GoogLeNetOutputs};
pub use inception::{InceptionV3, InceptionV3Options, InceptionV3Outputs};
pub use lenet::LeNet5;
pub use maxvit::{MaxVit, MaxVitOptions};
pub use mnasnet::{MnasNet, MnasNetOptions};
pub use mobilenet::MobileNetV1;
pub use mobilenet_v2::{MobileNetV2, MobileNetV2Options};
pub use mobilenet_v3::{MobileNetV3, MobileNetV3Options, MobileNetV3Size};
pub use registry::{ModelOptions, by_name, names};
pub use regnet::{RegNet, RegNetOptions};
pub use resnet::{ResNet, ResNetAttention, ResNetOptions, ResNetStem};
pub use resnet_cifar::{CifarResNet, CifarResNetOptions};
pub use shufflenet::{ShuffleNetV2, ShuffleNetV2Options};
pub use siamese::{Siamese, SiameseOptions};
pub use simple::{SimpleCnn, SimpleCnnOptions};
pub use squeezenet::{SqueezeNet, SqueezeNetOptions, SqueezeNetVersion};
pub use swin::{SwinTransformer, SwinTransformerOptions};
pub use vgg::{Vgg, VggOptions};
pub use vit::{VisionTransformer, VisionTransformerOptions};

use crate::error::Result;
use crate::graph::Tensor;
use crate::nn::Module;

/// A network with a part that makes features of images, for other heads to use.
pub trait Backbone: Module {
    /// The features before pooling and the head: `[N, channels, H, W] -> [N, C, H', W']`.
    ///
    /// # Errors
    /// Those of the layers.
    fn features(&self, input: &Tensor) -> Result<Tensor>;
}
