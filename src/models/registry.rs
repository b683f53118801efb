//! Networks by name.

use super::segmentation::{
    DeepLabV3, DeepLabV3Options, Fcn, FcnOptions, Lraspp, LrasppOptions, UNet, UNetOptions, UNetUpsampling,
};
use super::video::{VideoResNet, VideoResNetOptions};
use super::*;
use crate::error::{Error, Result};
use crate::nn::{Module, Scope};
use crate::number::nearest;
use crate::options::options;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Images of at most this many pixels a side get the stem of 3 x 3 that keeps their size.
const SMALL: usize = 64;

/// The most levels of a network that halves its images: 65,536 pixels a side are one then.
const MOST_LEVELS: usize = 16;

options! {
    /// Options of a network that is built [by name](by_name).
    #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
    #[serde(default)]
    ModelOptions {
        /// Number of classes: logits of an image, or of a pixel.
        classes: usize = 1000,
        /// Channels of the images.
        channels: usize = 3,
        /// Height and width of the images. Networks with a fully connected layer over pixels take no others.
        size: [usize; 2] = [224, 224],
        /// Numbers that only some networks have; see [`set`](ModelOptions::set).
        other: BTreeMap<String, f64> = BTreeMap::new(),
    }
}

impl ModelOptions {
    /// Sets a number that only some networks have: `width` of MobileNet, `depth` and `base_width` of the U-Net.
    #[must_use = "it returns options with the number set"]
    pub fn set(mut self, name: impl Into<String>, value: f64) -> ModelOptions {
        self.other.insert(name.into(), value);
        self
    }

    /// The shape of a batch of images, `[N, channels, height, width]`.
    pub fn images(&self, batch: usize) -> [usize; 4] {
        let [height, width] = self.size;
        [batch, self.channels, height, width]
    }

    /// Refuses numbers that a network does not have, and sizes that are not images.
    fn check(&self, network: &'static str, known: &[&str]) -> Result<()> {
        if let Some(name) = self.other.keys().find(|name| !known.contains(&name.as_str())) {
            let rule = match known {
                [] => format!("{name} is none of its options; it has no others than classes, channels and size"),
                known => format!("{name} is none of its options: classes, channels, size, {}", known.join(", ")),
            };
            return Err(Error::invalid(network, rule));
        }
        if self.classes == 0 || self.channels == 0 || self.size.contains(&0) {
            let ModelOptions { classes, channels, size: [height, width], .. } = self;
            let rule = format!("{classes} classes, {channels} channels, images of {height} x {width}: none may be 0");
            return Err(Error::invalid(network, rule));
        }
        Ok(())
    }

    fn number(&self, name: &str, default: f64) -> f64 {
        self.other.get(name).copied().unwrap_or(default)
    }

    /// The side of square images.
    fn side(&self, network: &'static str) -> Result<usize> {
        match self.size {
            [height, width] if height == width => Ok(height),
            [height, width] => Err(Error::invalid(network, format!("it takes square images, not {height} x {width}"))),
        }
    }

    fn count(&self, network: &'static str, name: &str, default: usize) -> Result<usize> {
        let value = self.number(name, default as f64);
        if value.fract() != 0.0 || !(0.0..=f64::from(u32::MAX)).contains(&value) {
            return Err(Error::invalid(network, format!("{name} is a count, not {value}")));
        }
        Ok(nearest(value))
    }
}

type Build = fn(&'static str, &Scope, &ModelOptions) -> Result<Box<dyn Module>>;

/// The names of fields.
macro_rules! known {
    ([$($field:ident)*]) => {
        &[$(stringify!($field)),*]
    };
}

/// Sets the fields for which there are numbers.
macro_rules! set {
    ($network:ident, $options:ident, [$($field:ident)*]) => {
        $($network.$field = nearest($options.number(stringify!($field), f64::from($network.$field)));)*
    };
}

/// Networks of one type, whose options have a constructor for each name, and fields that [`ModelOptions::set`] may set.
macro_rules! family {
    ($network:ident, $options:ident, $fields:tt, $($name:ident)*) => {
        [$((stringify!($name), (|name, scope, options| {
            options.check(name, known!($fields))?;
            #[allow(unused_mut, reason = "some have no fields to set")]
            let mut network = $options::$name().classes(options.classes).channels(options.channels);
            set!(network, options, $fields);
            Ok(Box::new($network::new(scope, &network)?))
        }) as Build)),*]
    };
}

/// The same for square images of a given size.
macro_rules! sized_family {
    ($network:ident, $options:ident, $fields:tt, $($name:ident)*) => {
        [$((stringify!($name), (|name, scope, options| {
            options.check(name, known!($fields))?;
            let mut network = $options::$name().classes(options.classes).channels(options.channels);
            network.image_size = options.side(name)?;
            set!(network, options, $fields);
            Ok(Box::new($network::new(scope, &network)?))
        }) as Build)),*]
    };
}

/// Residual networks, whose stem goes by the size of the images.
macro_rules! residual {
    ($($name:ident)*) => {
        [$((stringify!($name), (|name, scope, options| {
            options.check(name, &["large_stem"])?;
            let is_small = options.size.iter().all(|&size| size <= SMALL);
            let is_large = options.number("large_stem", if is_small { 0.0 } else { 1.0 }) != 0.0;
            let stem = if is_large { ResNetStem::Large } else { ResNetStem::Small };
            let network = ResNetOptions::$name().stem(stem).classes(options.classes).channels(options.channels);
            Ok(Box::new(ResNet::new(scope, &network)?))
        }) as Build)),*]
    };
}

/// Segmenters with an auxiliary classifier.
macro_rules! with_auxiliary {
    ($network:ident, $options:ident, $($name:ident)*) => {
        [$((stringify!($name), (|name, scope, options| {
            options.check(name, &["aux_loss", "dropout", "dropout_aux"])?;
            let mut network = $options::$name().classes(options.classes).channels(options.channels);
            network.aux_loss = options.number("aux_loss", 0.0) != 0.0;
            set!(network, options, [dropout dropout_aux]);
            Ok(Box::new($network::new(scope, &network)?))
        }) as Build)),*]
    };
}

/// The networks that are known by name.
const NETWORKS: &[&[(&str, Build)]] = &[
    &OWN,
    &residual!(
        resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2
        wide_resnet101_2 se_resnet18 se_resnet50 cbam_resnet18 cbam_resnet50
    ),
    &family!(CifarResNet, CifarResNetOptions, [], resnet20 resnet32 resnet44 resnet56 resnet110 preact_resnet20 preact_resnet56 preact_resnet110),
    &family!(Vgg, VggOptions, [dropout], vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn),
    &family!(AlexNet, AlexNetOptions, [dropout], alexnet alexnet_lrn),
    &family!(SqueezeNet, SqueezeNetOptions, [dropout], squeezenet1_0 squeezenet1_1),
    &family!(DenseNet, DenseNetOptions, [drop_rate], densenet121 densenet161 densenet169 densenet201),
    &family!(GoogLeNet, GoogLeNetOptions, [dropout dropout_aux], googlenet),
    &family!(InceptionV3, InceptionV3Options, [dropout], inception_v3),
    &family!(MobileNetV2, MobileNetV2Options, [dropout width_mult], mobilenet_v2),
    &family!(MobileNetV3, MobileNetV3Options, [dropout width_mult], mobilenet_v3_small mobilenet_v3_large),
    &family!(
        ShuffleNetV2, ShuffleNetV2Options, [], shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0
    ),
    &family!(MnasNet, MnasNetOptions, [dropout], mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3),
    &family!(
        EfficientNet, EfficientNetOptions, [dropout stochastic_depth],
        efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
        efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l
    ),
    &family!(
        RegNet, RegNetOptions, [],
        regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf
        regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf
    ),
    &family!(
        ConvNeXt, ConvNeXtOptions, [stochastic_depth], convnext_tiny convnext_small convnext_base convnext_large
    ),
    &sized_family!(
        VisionTransformer, VisionTransformerOptions, [dropout attention_dropout], vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14
    ),
    &family!(SwinTransformer, SwinTransformerOptions, [dropout attention_dropout stochastic_depth], swin_t swin_s swin_b),
    &sized_family!(MaxVit, MaxVitOptions, [dropout attention_dropout stochastic_depth], maxvit_t),
    &family!(VideoResNet, VideoResNetOptions, [], r3d_18 mc3_18 r2plus1d_18),
    &with_auxiliary!(Fcn, FcnOptions, fcn_resnet50 fcn_resnet101),
    &with_auxiliary!(
        DeepLabV3, DeepLabV3Options, deeplabv3_resnet50 deeplabv3_resnet101 deeplabv3_mobilenet_v3_large
    ),
    &family!(Lraspp, LrasppOptions, [], lraspp_mobilenet_v3_large),
    &family!(NetworkInNetwork, AllConvolutionalOptions, [dropout], network_in_network),
    &family!(AllConvolutional, AllConvolutionalOptions, [dropout], all_convolutional),
];

/// Networks whose options are not of torchvision's kind.
const OWN: [(&str, Build); 5] = [
    ("cifar_cnn", |name, scope, options| {
        options.check(name, &[])?;
        Ok(Box::new(CifarCnn::with_options(scope, options)?))
    }),
    ("lenet5", |name, scope, options| {
        options.check(name, &[])?;
        Ok(Box::new(LeNet5::with_options(scope, options)?))
    }),
    ("mobilenet_v1", |name, scope, options| {
        options.check(name, &["width"])?;
        let width = options.number("width", 1.0);
        Ok(Box::new(MobileNetV1::with_channels(scope, options.channels, options.classes, width)?))
    }),
    ("simple_cnn", |name, scope, options| {
        options.check(name, &["depth", "base_width", "dropout"])?;
        let plain = SimpleCnnOptions::default();
        let depth = options.count(name, "depth", plain.depth)?;
        let base_width = options.count(name, "base_width", plain.base_width)?;
        let plain = plain.depth(depth).base_width(base_width).dropout(options.number("dropout", 0.0));
        Ok(Box::new(SimpleCnn::new(scope, &plain.classes(options.classes).channels(options.channels))?))
    }),
    ("unet", |name, scope, options| {
        options.check(name, &["depth", "base_width", "resized", "batch_norm"])?;
        let small = UNetOptions::default();
        let depth = options.count(name, "depth", small.depth)?;
        if depth > MOST_LEVELS {
            return Err(Error::invalid(name, format!("the depth is at most {MOST_LEVELS}, not {depth}")));
        }
        let base_width = options.count(name, "base_width", small.base_width)?;
        let is_set = |name| options.number(name, 0.0) != 0.0;
        let upsampling = if is_set("resized") { UNetUpsampling::Resized } else { UNetUpsampling::Transposed };
        let small = small.depth(depth).base_width(base_width).upsampling(upsampling).batch_norm(is_set("batch_norm"));
        Ok(Box::new(UNet::new(scope, &small.classes(options.classes).channels(options.channels))?))
    }),
];

/// Names of the networks that [`by_name`] builds, in alphabetical order.
pub fn names() -> impl Iterator<Item = &'static str> {
    let mut names: Vec<&str> = NETWORKS.iter().copied().flatten().map(|(name, _)| *name).collect();
    names.sort_unstable();
    names.into_iter()
}

/// A network with new weights from the device's random stream.
///
/// | names | network | other options |
/// |---|---|---|
/// | `alexnet`, `alexnet_lrn` (with local response norms) | [`AlexNet`] | `dropout` |
/// | `all_convolutional`, `network_in_network` | [`AllConvolutional`], [`NetworkInNetwork`] | `dropout` |
/// | `cifar_cnn`, `lenet5` | [`CifarCnn`], [`LeNet5`] | |
/// | `convnext_tiny`, `_small`, `_base`, `_large` | [`ConvNeXt`] | `stochastic_depth` |
/// | `deeplabv3_resnet50`, `deeplabv3_resnet101`, `deeplabv3_mobilenet_v3_large` | [`DeepLabV3`] | `aux_loss`: 1 or 0; `dropout`, `dropout_aux` |
/// | `densenet121`, `161`, `169`, `201` | [`DenseNet`] | `drop_rate` |
/// | `efficientnet_b0` to `_b7`, `efficientnet_v2_s`, `_m`, `_l` | [`EfficientNet`] | `dropout`, `stochastic_depth` |
/// | `fcn_resnet50`, `fcn_resnet101` | [`Fcn`] | `aux_loss`: 1 or 0; `dropout`, `dropout_aux` |
/// | `googlenet`, `inception_v3` | [`GoogLeNet`], [`InceptionV3`] | `dropout`; `dropout_aux` of the former |
/// | `lraspp_mobilenet_v3_large` | [`Lraspp`] | |
/// | `maxvit_t` | [`MaxVit`], for square images | `dropout`, `attention_dropout`, `stochastic_depth` |
/// | `mnasnet0_5`, `0_75`, `1_0`, `1_3` | [`MnasNet`] | `dropout` |
/// | `mobilenet_v1` | [`MobileNetV1`] | `width` |
/// | `mobilenet_v2`, `mobilenet_v3_small`, `_large` | [`MobileNetV2`], [`MobileNetV3`] | `dropout`, `width_mult` |
/// | `r3d_18`, `mc3_18`, `r2plus1d_18` | [`VideoResNet`], for clips `[N, channels, T, H, W]` | |
/// | `regnet_x_400mf` to `_32gf`, `regnet_y_400mf` to `_128gf` | [`RegNet`] | |
/// | `resnet18`, `34`, `50`, `101`, `152`, `resnext50_32x4d`, `resnext101_32x8d`, `_64x4d`, `wide_resnet50_2`, `101_2`, `se_resnet18`, `50`, `cbam_resnet18`, `50` | [`ResNet`], with the small stem where images have at most 64 pixels a side | `large_stem`: 1 or 0 |
/// | `resnet20`, `32`, `44`, `56`, `110`, `preact_resnet20`, `56`, `110` | [`CifarResNet`] | |
/// | `shufflenet_v2_x0_5` to `_x2_0` | [`ShuffleNetV2`] | |
/// | `simple_cnn` | [`SimpleCnn`] | `depth`, `base_width`, `dropout` |
/// | `squeezenet1_0`, `1_1` | [`SqueezeNet`] | `dropout` |
/// | `swin_t`, `_s`, `_b` | [`SwinTransformer`] | `dropout`, `attention_dropout`, `stochastic_depth` |
/// | `unet` | [`UNet`] | `depth`, `base_width`; `resized`, `batch_norm`: 1 or 0 |
/// | `vgg11` to `vgg19`, also with `_bn` | [`Vgg`] | `dropout` |
/// | `vit_b_16`, `_b_32`, `_l_16`, `_l_32`, `_h_14` | [`VisionTransformer`], for square images | `dropout`, `attention_dropout` |
///
/// ```
/// use wgrad::models::{self, ModelOptions};
/// use wgrad::nn::{Module, Scope};
/// use wgrad::{Device, Tensor};
/// let device = Device::reference();
/// let options = ModelOptions::default().classes(7).channels(1).size(32).set("width", 0.25);
/// let model = models::by_name("mobilenet_v1", &Scope::new(&device), &options)?;
/// assert_eq!(model.forward(&Tensor::zeros(&device, &[2, 1, 32, 32])?)?.shape()[..], [2, 7]);
/// # Ok::<(), wgrad::Error>(())
/// ```
///
/// # Errors
/// [`Error::Invalid`] if there is no such network, it has no such option, or a number doesn't suit it; errors of the device.
pub fn by_name(name: &str, scope: &Scope, options: &ModelOptions) -> Result<Box<dyn Module>> {
    let Some((name, build)) = NETWORKS.iter().copied().flatten().find(|(known, _)| *known == name) else {
        let common = |known: &str| known.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        let longest = names().map(common).max().unwrap_or(0);
        let alike: Vec<&str> = names().filter(|known| longest > 0 && common(known) == longest).collect();
        let rule = match alike[..] {
            [] => "models::names() lists those there are".to_string(),
            _ => format!("there are {}, and those of models::names()", alike.join(", ")),
        };
        return Err(Error::invalid("by_name", format!("no network is called {name:?}; {rule}")));
    };
    build(name, scope, options)
}
