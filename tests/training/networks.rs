//! torchvision's networks: the names and shapes of all variants, and logits, losses and gradients of one of each family,
//! compared with PyTorch's in float64 (`tests/golden/networks.py`).

use crate::common::from_names::names;
use crate::common::network_runs::{Networks, Run, classes_of};
use serde_json::Value;
use wgrad::models::*;
use wgrad::nn::{Module, Scope};
use wgrad::{Device, DeviceOptions, Noop, Result, Tensor};

type Build = fn(&Scope, usize) -> Result<Box<dyn Module>>;

/// Networks by torchvision's names.
macro_rules! networks {
    ($($network:ident, $options:ident: $($name:ident)*;)*) => {
        &[$($((stringify!($name), |scope, classes| {
            Ok(Box::new($network::new(scope, &$options::$name().classes(classes))?))
        })),*),*]
    };
}

const VARIANTS: &[(&str, Build)] = networks! {
    ResNet, ResNetOptions:
        resnet18 resnet34 resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2
        wide_resnet101_2;
    Vgg, VggOptions: vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn;
    AlexNet, AlexNetOptions: alexnet;
    GoogLeNet, GoogLeNetOptions: googlenet;
    InceptionV3, InceptionV3Options: inception_v3;
    MobileNetV2, MobileNetV2Options: mobilenet_v2;
    SqueezeNet, SqueezeNetOptions: squeezenet1_0 squeezenet1_1;
    DenseNet, DenseNetOptions: densenet121 densenet161 densenet169 densenet201;
    MobileNetV3, MobileNetV3Options: mobilenet_v3_small mobilenet_v3_large;
    ShuffleNetV2, ShuffleNetV2Options: shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 shufflenet_v2_x2_0;
    MnasNet, MnasNetOptions: mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3;
    EfficientNet, EfficientNetOptions:
        efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_b5 efficientnet_b6
        efficientnet_b7 efficientnet_v2_s efficientnet_v2_m efficientnet_v2_l;
    RegNet, RegNetOptions:
        regnet_y_400mf regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf regnet_y_16gf regnet_y_32gf regnet_y_128gf
        regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_x_16gf regnet_x_32gf;
    ConvNeXt, ConvNeXtOptions: convnext_tiny convnext_small convnext_base convnext_large;
    VisionTransformer, VisionTransformerOptions: vit_b_16 vit_b_32 vit_l_16 vit_l_32 vit_h_14;
    SwinTransformer, SwinTransformerOptions: swin_t swin_s swin_b;
    MaxVit, MaxVitOptions: maxvit_t;
};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/networks.json")).unwrap()
}

#[test]
fn names_and_shapes_are_torchvisions() {
    let golden = golden();
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    for (name, build) in VARIANTS {
        let expected = &golden["variants"][*name];
        let net = build(&Scope::new(&device), 1000).unwrap();
        assert_eq!(*expected, names(&*net), "{name}");
    }
    assert_eq!(golden["variants"].as_object().unwrap().len(), VARIANTS.len());
}

/// A network of the golden file, with all dropout left out, and its outputs in torchvision's order.
trait Golden: Module {
    fn outputs_in_order(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.forward(images)?])
    }
}

struct Plain(Box<dyn Module>);

struct WithHeads(GoogLeNet);

macro_rules! delegates {
    ($($type:ident)*) => {$(
        impl Module for $type {
            fn call(&self, input: &Tensor) -> Result<Tensor> {
                self.0.call(input)
            }
            fn children(&self) -> wgrad::nn::Children<'_> {
                self.0.children()
            }
            fn own_parameters(&self) -> Vec<wgrad::Parameter> {
                self.0.own_parameters()
            }
        }
    )*};
}

delegates!(Plain WithHeads);

impl Golden for Plain {}

impl Golden for WithHeads {
    fn outputs_in_order(&self, images: &Tensor) -> Result<Vec<Tensor>> {
        let outputs = self.0.outputs(images)?;
        Ok([Some(outputs.logits), outputs.aux2, outputs.aux1].into_iter().flatten().collect())
    }
}

fn plain(module: impl Module + 'static) -> Result<Box<dyn Golden>> {
    Ok(Box::new(Plain(Box::new(module))))
}

fn build(name: &str, s: &Scope, classes: usize) -> Result<Box<dyn Golden>> {
    match name {
        "resnet18" => plain(ResNet::new(s, &ResNetOptions::resnet18().classes(classes))?),
        "resnet50" => plain(ResNet::new(s, &ResNetOptions::resnet50().classes(classes))?),
        "resnext50_32x4d" => plain(ResNet::new(s, &ResNetOptions::resnext50_32x4d().classes(classes))?),
        "vgg11_bn" => plain(Vgg::new(s, &VggOptions::vgg11_bn().dropout(0.0).classes(classes))?),
        "alexnet" => plain(AlexNet::new(s, &AlexNetOptions::alexnet().dropout(0.0).classes(classes))?),
        "squeezenet1_0" | "squeezenet1_1" => {
            let version = if name == "squeezenet1_0" { SqueezeNetVersion::V1_0 } else { SqueezeNetVersion::V1_1 };
            plain(SqueezeNet::new(s, &SqueezeNetOptions::default().version(version).dropout(0.0).classes(classes))?)
        }
        "densenet121" => plain(DenseNet::new(s, &DenseNetOptions::densenet121().classes(classes))?),
        "googlenet" => {
            let options = GoogLeNetOptions::default().dropout(0.0).dropout_aux(0.0).classes(classes);
            Ok(Box::new(WithHeads(GoogLeNet::new(s, &options)?)))
        }
        "inception_v3" => {
            let options = InceptionV3Options::default().aux_logits(false).dropout(0.0).classes(classes);
            plain(InceptionV3::new(s, &options)?)
        }
        "mobilenet_v2" => plain(MobileNetV2::new(s, &MobileNetV2Options::default().dropout(0.0).classes(classes))?),
        "mobilenet_v3_small" | "mobilenet_v3_large" => {
            let size = if name == "mobilenet_v3_small" { MobileNetV3Size::Small } else { MobileNetV3Size::Large };
            plain(MobileNetV3::new(s, &MobileNetV3Options::default().size(size).dropout(0.0).classes(classes))?)
        }
        "shufflenet_v2_x0_5" => {
            plain(ShuffleNetV2::new(s, &ShuffleNetV2Options::shufflenet_v2_x0_5().classes(classes))?)
        }
        "mnasnet0_5" => plain(MnasNet::new(s, &MnasNetOptions::mnasnet0_5().dropout(0.0).classes(classes))?),
        "efficientnet_b0" | "efficientnet_v2_s" => {
            let options = if name == "efficientnet_b0" {
                EfficientNetOptions::efficientnet_b0()
            } else {
                EfficientNetOptions::efficientnet_v2_s()
            };
            plain(EfficientNet::new(s, &options.stochastic_depth(0.0).dropout(0.0).classes(classes))?)
        }
        "regnet_y_400mf" => plain(RegNet::new(s, &RegNetOptions::regnet_y_400mf().classes(classes))?),
        "regnet_x_400mf" => plain(RegNet::new(s, &RegNetOptions::regnet_x_400mf().classes(classes))?),
        "convnext" => {
            let options = ConvNeXtOptions::default().widths([8, 16, 24, 32]).depths([1, 1, 2, 1]);
            plain(ConvNeXt::new(s, &options.stochastic_depth(0.0).classes(classes))?)
        }
        "vit" => {
            let options = VisionTransformerOptions::default().image_size(32).patch_size(8).layers(3).heads(3);
            plain(VisionTransformer::new(s, &options.hidden_dim(24).mlp_dim(40).classes(classes))?)
        }
        "swin" => {
            let options = SwinTransformerOptions::default().embed_dim(12).depths([2, 2, 2, 1]).heads([1, 2, 3, 4]);
            plain(SwinTransformer::new(s, &options.window_size(3).stochastic_depth(0.0).classes(classes))?)
        }
        "maxvit" => {
            let options = MaxVitOptions::default().image_size(64).stem(8).partition_size(2).widths([8, 16, 16, 16]);
            plain(MaxVit::new(s, &options.depths([1, 1, 2, 1]).head_dim(4).stochastic_depth(0.0).classes(classes))?)
        }
        _ => unreachable!("{name}"),
    }
}

/// The number of classes of every case.
const CLASSES: usize = 7;

fn difference(name: &str, case: &Value, mode: &str, device: &Device, bound: &dyn Fn(f64) -> f64) -> Option<String> {
    let (side, batch) = (case["side"].as_u64().unwrap() as usize, case["batch"].as_u64().unwrap() as usize);
    let net = build(name, &Scope::new(device), CLASSES).unwrap();
    let run = Run { name, mode, shape: &[batch, 3, side, side], golden: &case[mode] };
    let outputs = |images: &Tensor| match mode {
        "train" => net.outputs_in_order(images),
        _ => Ok(vec![net.forward(images)?]),
    };
    run.difference(&*net, device, outputs, |outputs| classes_of(outputs, batch, CLASSES), bound)
}

/// Networks that represent the others.
const SAMPLE: [&str; 8] =
    ["convnext", "googlenet", "maxvit", "mobilenet_v3_small", "regnet_y_400mf", "shufflenet_v2_x0_5", "swin", "vit"];

fn networks(golden: &Value) -> Networks<'_> {
    Networks { golden, sample: &SAMPLE, rounded: &["mobilenet_v3_large", "mobilenet_v3_small"], difference }
}

#[test]
fn values_are_pytorchs_on_the_reference() {
    networks(&golden()).compare_on_the_reference();
}

#[test]
fn values_are_pytorchs_on_the_adapter() {
    networks(&golden()).compare_on_the_adapter();
}
