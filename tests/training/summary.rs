//! Observing forward passes: probes, tables of layers, receptive fields.

use crate::common::{adapter, own_adapter};
use serde_json::Value;
use wgrad::models::{LeNet5, MobileNetV1, ResNet, ResNetOptions};
use wgrad::nn::{
    self, AdaptiveAvgPool2d, AvgPool2d, BatchNorm2d, BatchNormLayerOptions, Branches, Conv1d, Conv2d, Conv3d,
    ConvTranspose2d, Dropout, Flatten, Lambda, Layer, LayerNorm, LayerNormOptions, Linear, MaxPool2d, Module,
    ModuleList, Probe, Relu, Residual, Scope, Sequential, Summary, Upsample,
};
use wgrad::{
    Conv1dOptions, Conv2dOptions, Conv3dOptions, ConvTranspose2dOptions, Device, DeviceOptions, Error,
    MaxPool2dOptions, Noop, Padding, Result, Tensor,
};

/// torchinfo counts a bias and the numbers of a norm among the multiply-adds of a layer; here they are left out.
fn of_products(row: &Value, batch: u64) -> u64 {
    let [all, bias] = ["mult_adds", "bias"].map(|key| row[key].as_u64().unwrap());
    let positions: u64 = row["output"].as_array().unwrap().iter().skip(2).map(|size| size.as_u64().unwrap()).product();
    match row["type"].as_str().unwrap() {
        "BatchNorm2d" => 0,
        _ => all - bias * batch * positions,
    }
}

#[test]
fn tables_are_torchinfos() {
    let golden: Value = serde_json::from_str(include_str!("../golden/summaries.json")).unwrap();
    let scope = || Scope::new(&Device::reference());
    let networks: [(&str, Box<dyn Module>); 3] = [
        ("LeNet5", Box::new(LeNet5::new(&scope()).unwrap())),
        ("MobileNetV1", Box::new(MobileNetV1::new(&scope(), 10, 0.25).unwrap())),
        ("ResNet18", Box::new(ResNet::new(&scope(), &ResNetOptions::resnet18().classes(1000)).unwrap())),
    ];
    for (name, net) in networks {
        let table = &golden[name];
        let number = |key: &str| usize::try_from(table[key].as_u64().unwrap()).unwrap();
        let sizes = |value: &Value| -> Vec<usize> {
            value.as_array().unwrap().iter().map(|size| usize::try_from(size.as_u64().unwrap()).unwrap()).collect()
        };
        let input = sizes(&table["input"]);
        net.freeze("conv1.*").ok();
        let summary = net.summary(&input).unwrap();
        let expected = table["rows"].as_array().unwrap();
        // Layers without parameters may be tensor calls here, and modules there. The others come in the same order.
        let mut at = 1;
        let mut products = 0;
        for row in expected.iter().skip(1) {
            let Some(got) = summary.rows.get(at).filter(|got| got.name == row["name"].as_str().unwrap()) else {
                assert_eq!(row["parameters"].as_u64(), Some(0), "{name} has no {row}");
                continue;
            };
            at += 1;
            assert_eq!(got.type_name, row["type"].as_str().unwrap().replace("ReLU", "Relu"), "{name} {}", got.name);
            assert_eq!(got.output[..], sizes(&row["output"]), "{name} {}", got.name);
            let parameters = got.trained_parameters + got.frozen_parameters;
            assert_eq!(Some(parameters as u64), row["parameters"].as_u64(), "{name} {}", got.name);
            assert_eq!(got.frozen_parameters > 0, got.name == "conv1" && name != "MobileNetV1");
            assert_eq!(got.multiply_adds, of_products(row, input[0] as u64), "{name} {}", got.name);
            products += got.multiply_adds;
        }
        assert_eq!((at, products), (summary.rows.len(), summary.multiply_adds), "{name}");
        assert_eq!(summary.trained_parameters + summary.frozen_parameters, number("parameters"));
        assert_eq!(summary.input_bytes, 4 * input.iter().product::<usize>());
        assert_eq!(summary.activation_bytes, number("activation_bytes"), "{name}");
        assert_eq!(summary.parameter_bytes, number("parameter_bytes"));
    }
}

/// Everything that a layer may change or draw, and a value from the host.
fn restless(scope: &Scope) -> Result<Sequential> {
    Sequential::new(scope)
        .make(|s| Conv2d::new(s, 3, 4, [3, 3], &Conv2dOptions::default()))?
        .make(|s| BatchNorm2d::new(s, 4, &BatchNormLayerOptions::default()))?
        .push(Dropout::new(0.5))
        .push(Lambda::new(|x: &Tensor| x.add(&Tensor::randn(x.device(), x.shape())?)))
        .push(Lambda::new(|x: &Tensor| x.mul(&Tensor::from_slice(x.device(), &[2.0f32], &[1])?)))
        .push(Flatten)
        .make(|s| Linear::new(s, 16, 2))
}

#[test]
fn a_summary_computes_and_changes_nothing() {
    let noop =
        Device::with_options(&DeviceOptions { noop: Some(Noop::default()), ..DeviceOptions::default() }).unwrap();
    for device in [Some(Device::reference()), Some(noop.clone()), own_adapter()].into_iter().flatten() {
        device.manual_seed(5);
        let net = restless(&Scope::new(&device)).unwrap();
        device.flush().unwrap();
        let (random, stats) = (device.random_state(), device.stats());
        for _ in 0..3 {
            assert_eq!(net.summary(&[1, 3, 4, 4]).unwrap().rows.len(), 8);
        }
        assert_eq!(device.random_state(), random);
        device.flush().unwrap();
        assert_eq!(device.stats(), stats, "nothing ran, nothing was allocated");
        if device == noop {
            continue;
        }
        // The same number of batches counted as were run, and the same dropout as without a summary.
        let x = Tensor::ones(&device, &[2, 3, 4, 4]).unwrap();
        let values = |net: &Sequential| net.forward(&x).unwrap().to_f64().unwrap();
        let before = values(&net);
        net.summary(&[1, 3, 4, 4]).unwrap();
        device.set_random_state(random);
        assert_eq!(values(&net), before);
        let state = net.state_dict().unwrap();
        assert_eq!(state["1.num_batches_tracked"].to_f64().unwrap(), [2.0]);
    }
    let scope = Scope::new(&Device::reference());
    let reads = Sequential::new(&scope).make(|s| Linear::new(s, 2, 2)).unwrap();
    let reads = reads.push(Lambda::new(|x: &Tensor| x.mul_scalar(x.sum_all()?.item::<f32>()?)));
    assert!(reads.summary(&[1, 2]).unwrap_err().to_string().contains("a value is read"));
    let bare = Sequential::new(&scope).push(Relu);
    assert!(bare.summary(&[1, 2]).unwrap_err().to_string().contains("Summary::new"));
    assert_eq!(Summary::new(&bare, &Tensor::ones(scope.device(), &[1, 2]).unwrap()).unwrap().rows.len(), 2);
    // After an error the thread is as before.
    assert!(reads.forward(&Tensor::ones(scope.device(), &[1, 2]).unwrap()).unwrap().to_f64().is_ok());
}

/// Layers without memory, one of which runs twice; a list that its owner runs; a box; a layer that `children()` omits.
struct Odd {
    first: Relu,
    second: Relu,
    list: ModuleList,
    boxed: Box<dyn Module>,
    inner: Sequential,
}

impl Module for Odd {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let x = self.second.forward(&self.first.forward(input)?)?;
        let x = self.list.get(1)?.forward(&self.list.get(0)?.forward(&x)?)?;
        let x = self.boxed.forward(&self.boxed.forward(&x)?)?;
        nn::Tanh.forward(&self.inner.get(1)?.forward(&x)?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; first, second, list, boxed, inner]
    }
}

/// A module at the same address as its only field.
struct Around {
    odd: Odd,
}

impl Module for Around {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.odd.forward(input)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; odd]
    }
}

fn around(scope: &Scope) -> Around {
    let linear = |s: &Scope| Linear::new(s, 2, 2);
    let scope = scope.at("odd");
    let odd = Odd {
        first: Relu,
        second: Relu,
        list: ModuleList::new(&scope.at("list")).make(linear).unwrap().make(linear).unwrap(),
        boxed: Box::new(linear(&scope.at("boxed")).unwrap()),
        inner: Sequential::new(&scope.at("inner")).make(linear).unwrap().make(linear).unwrap(),
    };
    Around { odd }
}

#[test]
fn a_probe_sees_every_layer_by_its_name_and_may_replace_outputs() {
    let device = Device::reference();
    let net = around(&Scope::new(&device));
    let x = Tensor::ones(&device, &[1, 2]).unwrap();
    let mut seen = Vec::new();
    let mut probe = |layer: &Layer, input: &Tensor, output: &Tensor| {
        assert_eq!(input.shape(), output.shape());
        // A pass inside the probe is not observed.
        layer.module.eval();
        seen.push(format!("{} {} {}", layer.depth, layer.name, layer.module.type_name()));
        net.forward(&x)?;
        Ok(None)
    };
    let output = net.forward_with(&x, &mut probe).unwrap();
    assert_eq!(output.to_f64().unwrap(), net.forward(&x).unwrap().to_f64().unwrap());
    let expected = [
        "2 odd.first Relu",
        "2 odd.second Relu",
        "2 odd.list.0 Linear",
        "2 odd.list.1 Linear",
        "2 odd.boxed Linear",
        "2 odd.boxed Linear",
        "2 odd.inner.1 Linear",
        "2 odd.(Tanh) Tanh",
        "1 odd Odd",
        "0  Around",
    ];
    assert_eq!(seen, expected);

    let zeros = |layer: &Layer, _: &Tensor, output: &Tensor| {
        if layer.name == "odd.inner.1" { output.zeros_like().map(Some) } else { Ok(None) }
    };
    assert_eq!(net.forward_with(&x, &mut { zeros }).unwrap().to_f64().unwrap(), [0.0, 0.0]);

    // An error of a layer or of a probe ends the pass, and leaves no probe behind.
    struct Stop;
    impl Probe for Stop {
        fn enter(&mut self, layer: &Layer<'_>, _: &Tensor) -> Result<()> {
            assert_ne!(layer.name, "odd.list.1", "the pass went on");
            if layer.name == "odd.list.0" {
                return Err(Error::NotDifferentiable { op: "stop" });
            }
            Ok(())
        }
        fn leave(&mut self, _: &Layer<'_>, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
            Ok(None)
        }
    }
    assert!(matches!(net.forward_with(&x, &mut Stop), Err(Error::NotDifferentiable { op: "stop" })));
    assert!(net.forward_with(&Tensor::ones(&device, &[1, 3]).unwrap(), &mut Stop).is_err());
    assert!(net.forward(&x).is_ok());
}

fn conv(s: &Scope, channels: usize, kernel: usize, stride: usize, padding: usize) -> Result<Conv2d> {
    let padding = Padding::Explicit([padding; 2]);
    let options = Conv2dOptions { stride: [stride; 2], padding, ..Conv2dOptions::default() };
    Conv2d::new(s, channels, channels, [kernel; 2], &options)
}

fn pool(kernel: usize, stride: usize, padding: usize) -> MaxPool2d {
    let options = MaxPool2dOptions { stride: Some([stride; 2]), padding: [padding; 2], ..MaxPool2dOptions::default() };
    MaxPool2d { kernel_size: [kernel; 2], options }
}

/// The convolutions of VGG-16, with one channel.
fn vgg(scope: &Scope) -> Result<Sequential> {
    let mut net = Sequential::new(scope);
    for convolutions in [2, 2, 3, 3, 3] {
        for _ in 0..convolutions {
            net = net.make(|s| conv(s, 1, 3, 1, 1))?.push(Relu);
        }
        net = net.push(pool(2, 2, 0));
    }
    Ok(net)
}

/// ResNet-50 as in TensorFlow's slim: the last unit of a block has its stride.
fn resnet50(scope: &Scope) -> Result<Sequential> {
    let mut net = Sequential::new(scope).make(|s| conv(s, 1, 7, 2, 3))?.push(pool(3, 2, 1));
    for (units, last) in [(3, 2), (4, 2), (6, 2), (3, 1)] {
        for unit in 1..=units {
            let stride = if unit == units { last } else { 1 };
            let body = |s: &Scope| {
                Sequential::new(s)
                    .make(|s| conv(s, 1, 1, 1, 0))?
                    .make(|s| conv(s, 1, 3, stride, 1))?
                    .make(|s| conv(s, 1, 1, 1, 0))
            };
            net = net.make(|s| Residual::new(s, body)?.shortcut(|s| conv(s, 1, 1, stride, 0)))?;
        }
    }
    Ok(net)
}

/// The table of Araujo et al.; the paddings of the others there are TensorFlow's "same", which are not symmetric.
#[test]
fn receptive_fields_are_those_of_the_paper() {
    let scope = || Scope::new(&Device::reference());
    let alexnet = Sequential::new(&scope())
        .make(|s| conv(s, 1, 11, 4, 0))
        .unwrap()
        .push(pool(3, 2, 0))
        .make(|s| conv(s, 1, 5, 1, 2))
        .unwrap()
        .push(pool(3, 2, 0))
        .make(|s| conv(s, 1, 3, 1, 1))
        .unwrap()
        .make(|s| conv(s, 1, 3, 1, 1))
        .unwrap()
        .make(|s| conv(s, 1, 3, 1, 1))
        .unwrap()
        .push(pool(3, 2, 0));
    let field = nn::receptive_field(&alexnet, &[1, 1, 224, 224]).unwrap();
    assert_eq!(
        (&field.size[..], &field.stride[..], &field.padding[..]),
        (&[195; 2][..], &[32.0; 2][..], &[64.0; 2][..])
    );
    let field = nn::receptive_field(&vgg(&scope()).unwrap(), &[1, 1, 224, 224]).unwrap();
    assert_eq!(
        (&field.size[..], &field.stride[..], &field.padding[..]),
        (&[212; 2][..], &[32.0; 2][..], &[90.0; 2][..])
    );
    let field = nn::receptive_field(&resnet50(&scope()).unwrap(), &[1, 1, 224, 224]).unwrap();
    assert_eq!((&field.size[..], &field.stride[..]), (&[483; 2][..], &[32.0; 2][..]));

    let mobilenet = MobileNetV1::new(&scope(), 10, 0.25).unwrap().summary(&[1, 3, 224, 224]).unwrap();
    let of = |summary: &Summary, name: &str| {
        summary.rows.iter().find(|row| row.name == name).unwrap().receptive_field.clone().unwrap()
    };
    assert_eq!((of(&mobilenet, "features").size, of(&mobilenet, "features").stride), (vec![315; 2], vec![32.0; 2]));
    // The mean of 7 x 7 positions, 32 apart, sees that much more; so does every layer after it.
    assert_eq!(of(&mobilenet, "classifier").size, [315 + 6 * 32; 2]);
    let resnet =
        ResNet::new(&scope(), &ResNetOptions::resnet18().classes(10)).unwrap().summary(&[1, 3, 224, 224]).unwrap();
    assert_eq!(of(&resnet, "layer4").size, [435; 2]);
}

#[test]
fn receptive_fields_go_through_layers_of_all_kinds() {
    let device = Device::reference();
    let scope = || Scope::new(&device);
    let field = |net: Result<Sequential>, input: &[usize]| nn::receptive_field(&net.unwrap(), input).unwrap();
    let start = || Sequential::new(&scope()).make(|s| conv(s, 2, 3, 1, 1));
    let image = [1, 2, 16, 24];

    let dilated = Conv2dOptions { dilation: [2, 3], stride: [2, 1], ..Conv2dOptions::default() };
    let dilated = start().and_then(|net| net.make(|s| Conv2d::new(s, 2, 2, [3, 3], &dilated)));
    assert_eq!(field(dilated, &image).size, [3 + 4, 3 + 6]);
    // The wider branch counts, and the identity around a block doesn't.
    let branches = |s: &Scope| Branches::new(s).make(|s| conv(s, 2, 1, 1, 0))?.make(|s| conv(s, 2, 5, 1, 2));
    assert_eq!(field(start().and_then(|net| net.make(branches)), &image).size, [7, 7]);
    // A window of 4 with stride 2 covers two positions of a transposed convolution's input; outputs are half a step apart.
    let twice = ConvTranspose2dOptions { stride: [2, 2], padding: [1, 1], ..ConvTranspose2dOptions::default() };
    let up = field(start().and_then(|net| net.make(|s| ConvTranspose2d::new(s, 2, 2, [4, 4], &twice))), &image);
    assert_eq!((up.size, up.stride), (vec![4, 4], vec![0.5, 0.5]));
    assert_eq!(field(start().map(|net| net.push(Upsample::nearest_2d(2.0))), &image).size, [3, 3]);
    assert_eq!(field(start().map(|net| net.push(Upsample::bilinear_2d(2.0))), &image).size, [4, 4]);
    let pooled = field(start().map(|net| net.push(AvgPool2d::new([2, 4]))), &image);
    assert_eq!((pooled.size, pooled.stride), (vec![4, 6], vec![2.0, 4.0]));
    assert_eq!(field(start().map(|net| net.push(AdaptiveAvgPool2d::new([4, 4]))), &image).size, [6, 8]);
    // Channels last and back, with a norm and a linear layer there: positions stay separate.
    let last = start().and_then(|net| {
        net.push(Lambda::new(|x: &Tensor| x.permute([0, 2, 3, 1])))
            .make(|s| LayerNorm::new(s, &[2], &LayerNormOptions::default()))?
            .make(|s| Linear::new(s, 2, 2))?
            .push(Lambda::new(|x: &Tensor| x.permute([0, 3, 1, 2])))
            .make(|s| conv(s, 2, 3, 1, 1))
    });
    assert_eq!(field(last, &image).size, [5, 5]);
    // Flattened, the channels of all positions are one vector.
    assert_eq!(field(start().map(|net| net.push(Flatten)), &image).size, [3 + 15, 3 + 23]);
    // A sequence and a volume.
    let line = Conv1dOptions { dilation: [4], ..Conv1dOptions::default() };
    let line = Sequential::new(&scope()).make(|s| Conv1d::new(s, 2, 2, [3], &line));
    assert_eq!(field(line, &[1, 2, 20]).size, [9]);
    let volume = Sequential::new(&scope()).make(|s| Conv3d::new(s, 2, 2, [2, 3, 5], &Conv3dOptions::default()));
    assert_eq!(field(volume, &[1, 2, 8, 8, 8]).size, [2, 3, 5]);
    assert!(
        nn::receptive_field(&vgg(&scope()).unwrap().push(Lambda::new(|x: &Tensor| x.zeros_like())), &[1, 1, 32, 32])
            .unwrap_err()
            .to_string()
            .contains("sees no position")
    );
}

#[test]
fn a_table_looks_like_torchinfos() {
    let device = adapter().unwrap_or_else(Device::reference);
    let body = |s: &Scope| Sequential::new(s).make(|s| conv(s, 2, 3, 1, 1));
    let layer = |s: &Scope| Residual::new(s, body);
    let net = Sequential::new(&Scope::new(&device)).make_named("block", layer).unwrap().push(Flatten);
    let net = net.make_named("fc", |s| Linear::new(s, 2 * 16, 1000)).unwrap();
    net.freeze("block.*").unwrap();
    let expected = "\
====================================================================================================
Layer (type (name):depth-idx)      Output Shape      Param #      Mult-Adds      Receptive field
====================================================================================================
Sequential                         [1, 1000]         --           --             6 x 6
├─Residual (block): 1-1            [1, 2, 4, 4]      --           --             3 x 3
│    └─Sequential (body): 2-1      [1, 2, 4, 4]      --           --             3 x 3
│    │    └─Conv2d (0): 3-1        [1, 2, 4, 4]      (38)         576            3 x 3
├─Flatten (1): 1-2                 [1, 32]           --           --             6 x 6
└─Linear (fc): 1-3                 [1, 1000]         33,000       32,000         6 x 6
====================================================================================================
Total params: 33,038
Trainable params: 33,000
Non-trainable params: 38
Total mult-adds: 32,576
====================================================================================================
Input size (MB): 0.00
Forward/backward pass size (MB): 0.01
Params size (MB): 0.13
Estimated Total Size (MB): 0.14
====================================================================================================";
    let got = net.summary(&[1, 2, 4, 4]).unwrap().to_string();
    let words = |text: &str| -> Vec<Vec<String>> {
        text.lines()
            .map(|line| {
                line.trim_matches('=').split("  ").map(|w| w.trim().to_string()).filter(|w| !w.is_empty()).collect()
            })
            .collect()
    };
    assert_eq!(words(&got), words(expected), "{got}");
}
