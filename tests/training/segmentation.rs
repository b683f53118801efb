//! torchvision's segmenters and the U-Net: the names and shapes of all variants, and logits, losses and gradients of a small one
//! of each family, compared with PyTorch's in float64 (`tests/golden/segmentation.py`).

use crate::common::from_names::names;
use crate::common::network_runs::{Networks, Run};
use serde_json::Value;
use wgrad::models::segmentation::{
    DeepLabV3, DeepLabV3Options, Fcn, FcnOptions, Lraspp, LrasppOptions, SegmentationOutputs, UNet, UNetOptions,
    UNetUpsampling,
};
use wgrad::models::{self, MobileNetV3Options, ModelOptions, ResNetOptions};
use wgrad::nn::{Module, Scope};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Noop, Result, Tensor};

const BATCH: usize = 4;
const CLASSES: usize = 3;
/// The step between the pixels whose logits are compared.
const STEP: usize = 6;

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/segmentation.json")).unwrap()
}

#[test]
fn names_and_shapes_are_torchvisions() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    for (variant, expected) in golden()["variants"].as_object().unwrap() {
        let options = ModelOptions::default().classes(21);
        let (name, options) = match variant.strip_suffix(" aux_loss") {
            Some(name) => (name, options.set("aux_loss", 1.0)),
            None => (variant.as_str(), options),
        };
        let net = models::by_name(name, &Scope::new(&device), &options).unwrap();
        assert_eq!(*expected, names(&*net), "{variant}");
    }
}

#[test]
fn the_auxiliary_classifier_runs_in_training() -> Result<()> {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    let options = ModelOptions::default().classes(5).channels(1).set("aux_loss", 1.0);
    for name in ["fcn_resnet50", "deeplabv3_mobilenet_v3_large"] {
        let net = models::by_name(name, &Scope::new(&device), &options)?;
        let images = Tensor::zeros(&device, &[2, 1, 64, 48])?;
        let maps = net.intermediates(&images, &["aux_classifier", ""])?;
        assert_eq!((&maps[0].shape()[..], &maps[1].shape()[..]), (&[2, 5, 8, 6][..], &[2, 5, 64, 48][..]), "{name}");
        net.eval();
        assert!(net.intermediates(&images, &["aux_classifier"]).is_err(), "{name}");
        assert_eq!(net.forward(&images)?.shape()[..], [2, 5, 64, 48], "{name}");
    }
    Ok(())
}

type Outputs = Box<dyn Fn(&Tensor) -> Result<SegmentationOutputs>>;

/// A network of the golden file, with nothing dropped, and its outputs.
fn build(name: &str, s: &Scope) -> Result<(std::sync::Arc<dyn Module>, Outputs)> {
    let narrow = MobileNetV3Options::mobilenet_v3_large().width_mult(0.25).dilated(true);
    let unet = UNetOptions::default().classes(CLASSES).depth(2).base_width(4);
    macro_rules! with_outputs {
        ($net:expr) => {{
            let net = std::sync::Arc::new($net);
            let same = net.clone();
            Ok((net, Box::new(move |images: &Tensor| same.outputs(images)) as Outputs))
        }};
    }
    macro_rules! plain {
        ($net:expr) => {{
            let net = std::sync::Arc::new($net);
            let same = net.clone();
            Ok((
                net,
                Box::new(move |images: &Tensor| Ok(SegmentationOutputs { out: same.forward(images)?, aux: None }))
                    as Outputs,
            ))
        }};
    }
    match name {
        "fcn" => {
            let resnet = ResNetOptions::resnet50().layers([1, 1, 2, 2]).width_per_group(8);
            let options = FcnOptions::default().backbone(resnet.replace_stride_with_dilation([false, true, true]));
            let options = options.classes(CLASSES).aux_loss(true).dropout(0.0).dropout_aux(0.0);
            with_outputs!(Fcn::new(s, &options)?)
        }
        "deeplabv3" => {
            let options = DeepLabV3Options::default().backbone(narrow).classes(CLASSES).aux_loss(true);
            with_outputs!(DeepLabV3::new(s, &options.dropout(0.0).dropout_aux(0.0))?)
        }
        "lraspp" => {
            let options = LrasppOptions::default().backbone(narrow).classes(CLASSES).inter_channels(16);
            plain!(Lraspp::new(s, &options)?)
        }
        "unet" => plain!(UNet::new(s, &unet)?),
        "unet_resized" => plain!(UNet::new(s, &unet.upsampling(UNetUpsampling::Resized).batch_norm(true))?),
        _ => unreachable!("{name}"),
    }
}

/// The sum of the outputs' cross entropies for classes that follow from a pixel's index.
fn loss(outputs: &[Tensor]) -> Result<Tensor> {
    let [rows, columns] = [2, 3].map(|dim| outputs[0].shape()[dim]);
    let places = (0..BATCH * rows * columns).map(|at| [at / columns / rows, at / columns % rows, at % columns]);
    let labels: Vec<i32> = places.map(|[n, y, x]| ((3 * n + 2 * y + x) % CLASSES) as i32).collect();
    let labels = Tensor::from_slice(outputs[0].device(), &labels, &[BATCH, rows, columns])?;
    let losses = outputs.iter().map(|y| y.cross_entropy(&labels, &CrossEntropyOptions::default()));
    losses.reduce(|a, b| a?.add(&b?)).unwrap()
}

fn difference(name: &str, case: &Value, mode: &str, device: &Device, bound: &dyn Fn(f64) -> f64) -> Option<String> {
    let side = case["side"].as_u64().unwrap() as usize;
    let (net, outputs) = build(name, &Scope::new(device)).unwrap();
    let run = Run { name, mode, shape: &[BATCH, 3, side, side], golden: &case[mode] };
    let sampled = |images: &Tensor| {
        let SegmentationOutputs { out, aux } = outputs(images)?;
        let sample = |y: Tensor| y.slice(2, 0, isize::MAX, STEP)?.slice(3, 0, isize::MAX, STEP);
        [Some(out), aux].into_iter().flatten().map(sample).collect()
    };
    run.difference(&*net, device, sampled, loss, bound)
}

/// Networks that represent the others.
const SAMPLE: [&str; 2] = ["lraspp", "unet_resized"];

fn networks(golden: &Value) -> Networks<'_> {
    Networks { golden, sample: &SAMPLE, rounded: &["deeplabv3", "lraspp"], difference }
}

#[test]
fn values_are_pytorchs_on_the_reference() {
    networks(&golden()).compare_on_the_reference();
}

#[test]
fn values_are_pytorchs_on_the_adapter() {
    networks(&golden()).compare_on_the_adapter();
}
