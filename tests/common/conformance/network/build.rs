//! Networks by torchvision's constructors and their arguments.

use super::arguments::{Arguments, count, number, set, several};
use super::{Inputs, Refusal, detectors};
use serde_json::{Map, Value};
use wgrad::models::segmentation::{DeepLabV3, DeepLabV3Options, Fcn, FcnOptions};
use wgrad::models::{
    self, GoogLeNet, GoogLeNetOptions, InceptionV3, InceptionV3Options, ModelOptions, ResNet, ResNetOptions,
};
use wgrad::nn::{Module, Scope};
use wgrad::{Result, Tensor};

/// A network, and its outputs in training or evaluation in torchvision's order: a tuple's, or a dictionary's by its keys.
pub trait Network {
    fn module(&self) -> &dyn Module;

    fn outputs(&self, inputs: &Inputs, is_training: bool) -> Result<Vec<Tensor>>;
}

impl Network for Box<dyn Module> {
    fn module(&self) -> &dyn Module {
        &**self
    }
    fn outputs(&self, inputs: &Inputs, _: bool) -> Result<Vec<Tensor>> {
        Ok(vec![self.forward(inputs.batch()?)?])
    }
}

/// Classifiers with auxiliary heads, which torchvision runs in training.
macro_rules! with_auxiliary_heads {
    ($($network:ident: $($head:ident)*;)*) => {$(
        impl Network for $network {
            fn module(&self) -> &dyn Module {
                self
            }
            fn outputs(&self, inputs: &Inputs, is_training: bool) -> Result<Vec<Tensor>> {
                let input = inputs.batch()?;
                if !is_training {
                    return Ok(vec![self.forward(input)?]);
                }
                let outputs = self.outputs(input)?;
                Ok([Some(outputs.logits), $(outputs.$head),*].into_iter().flatten().collect())
            }
        }
    )*};
}

with_auxiliary_heads! {
    GoogLeNet: aux2 aux1;
    InceptionV3: aux;
}

/// Segmenters, whose dictionaries have `out` and perhaps `aux`, in evaluation too.
macro_rules! segmenters {
    ($($network:ident)*) => {$(
        impl Network for $network {
            fn module(&self) -> &dyn Module {
                self
            }
            fn outputs(&self, inputs: &Inputs, _: bool) -> Result<Vec<Tensor>> {
                let outputs = self.outputs(inputs.batch()?)?;
                Ok([Some(outputs.out), outputs.aux].into_iter().flatten().collect())
            }
        }
    )*};
}

segmenters! { DeepLabV3 Fcn }

/// The options of torchvision's residual networks.
fn resnet(name: &str) -> Option<ResNetOptions> {
    macro_rules! named {
        ($($name:ident)*) => {
            match name {
                $(stringify!($name) => Some(ResNetOptions::$name()),)*
                _ => None,
            }
        };
    }
    named!(
        resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2
        wide_resnet101_2
    )
}

/// A network by its name, with the device's random weights, and true if it is trained. The norms of a detector's backbone are
/// `frozen`, or else train.
pub fn build(
    name: &str,
    scope: &Scope,
    attrs: &Map<String, Value>,
    frozen: bool,
) -> std::result::Result<(Box<dyn Network>, bool), Refusal> {
    let mut arguments = Arguments::new(attrs);
    let is_training = arguments.take("mode", |mode| match mode.as_str()? {
        "train" => Some(true),
        "eval" => Some(false),
        _ => None,
    })?;
    let net: Box<dyn Network> = match name {
        "googlenet" => {
            let mut options = GoogLeNetOptions::default();
            set!(options, arguments; "num_classes" classes count, "aux_logits" aux_logits Value::as_bool,
                "transform_input" transform_input Value::as_bool, "dropout" dropout number,
                "dropout_aux" dropout_aux number);
            Box::new(GoogLeNet::new(scope, &options)?)
        }
        "inception_v3" => {
            let mut options = InceptionV3Options::default();
            set!(options, arguments; "num_classes" classes count, "aux_logits" aux_logits Value::as_bool,
                "transform_input" transform_input Value::as_bool, "dropout" dropout number);
            Box::new(InceptionV3::new(scope, &options)?)
        }
        "fcn_resnet50" | "fcn_resnet101" => {
            let mut options =
                if name == "fcn_resnet50" { FcnOptions::fcn_resnet50() } else { FcnOptions::fcn_resnet101() };
            set!(options, arguments; "num_classes" classes count, "aux_loss" aux_loss Value::as_bool,
                "dropout" dropout number, "dropout_aux" dropout_aux number);
            Box::new(Fcn::new(scope, &options)?)
        }
        "deeplabv3_resnet50" | "deeplabv3_resnet101" | "deeplabv3_mobilenet_v3_large" => {
            let mut options = match name {
                "deeplabv3_resnet50" => DeepLabV3Options::deeplabv3_resnet50(),
                "deeplabv3_resnet101" => DeepLabV3Options::deeplabv3_resnet101(),
                _ => DeepLabV3Options::deeplabv3_mobilenet_v3_large(),
            };
            set!(options, arguments; "num_classes" classes count, "aux_loss" aux_loss Value::as_bool,
                "dropout" dropout number, "dropout_aux" dropout_aux number);
            Box::new(DeepLabV3::new(scope, &options)?)
        }
        _ => match (resnet(name), detectors::build(name, scope, frozen, &mut arguments)?) {
            (Some(mut options), _) => {
                set!(options, arguments; "num_classes" classes count, "groups" groups count,
                    "width_per_group" width_per_group count,
                    "replace_stride_with_dilation" replace_stride_with_dilation several);
                let net: Box<dyn Module> = Box::new(ResNet::new(scope, &options)?);
                Box::new(net)
            }
            (None, Some(detector)) => Box::new(detector),
            (None, None) => Box::new(by_name(name, scope, &mut arguments)?),
        },
    };
    arguments.end()?;
    Ok((net, is_training.unwrap_or(true)))
}

/// A network of the registry. The size of the images is not an argument of most constructors, and so not taken from the input.
fn by_name(name: &str, scope: &Scope, arguments: &mut Arguments<'_>) -> std::result::Result<Box<dyn Module>, Refusal> {
    let mut options = ModelOptions::default();
    set!(options, arguments; "num_classes" classes count);
    let side = |value: &Value| match value.as_array() {
        Some(sides) => Some([count(sides.first()?)?, count(sides.get(1)?)?]),
        None => Some([count(value)?; 2]),
    };
    set!(options, arguments; "image_size" size side, "input_size" size side);
    for (key, value) in std::mem::take(&mut arguments.0) {
        let known = if key == "stochastic_depth_prob" { "stochastic_depth" } else { key };
        let number = value.as_f64().ok_or_else(|| Refusal::Unsupported(format!("attribute {key}")))?;
        options = options.set(known, number);
    }
    // A network or an option that wgrad lacks.
    models::by_name(name, scope, &options).map_err(|error| Refusal::Unsupported(error.to_string()))
}
