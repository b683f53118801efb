//! Outputs of layers within a network, by name.

use std::collections::HashSet;
use wgrad::models::{self, Backbone, ModelOptions, ResNet, ResNetOptions};
use wgrad::nn::{
    self, GruCell, Layer, Linear, Lstm, LstmCell, Module, Nonlinearity, Relu, Rnn, RnnOptions, Scope, Sequential,
};
use wgrad::{Device, DeviceOptions, Error, Noop, Result, Tensor, no_grad};

#[test]
fn outputs_are_those_of_the_layers() -> Result<()> {
    let device = Device::reference();
    let net = Sequential::new(&Scope::new(&device))
        .make(|s| Linear::new(s, 4, 3))?
        .push(Relu)
        .make_named("head", |s| Linear::new(s, 3, 2))?;
    let input = Tensor::randn(&device, &[5, 4])?;
    let outputs = net.intermediates(&input, &["head", "0", ""])?;
    let first = net.get(0)?.forward(&input)?;
    let last = net.get(2)?.forward(&first.relu()?)?;
    for (output, expected) in outputs.iter().zip([&last, &first, &last]) {
        assert_eq!(output.to_f64()?, expected.to_f64()?);
    }
    let error = net.intermediates(&input, &["fc"]).unwrap_err();
    assert!(
        matches!(error, Error::Invalid { .. }) && error.to_string().contains(r#""fc" runs; these do: , 0, 1, head"#)
    );

    let net = ResNet::new(&Scope::new(&device), &ResNetOptions::resnet18_cifar())?;
    net.eval();
    let images = Tensor::randn(&device, &[1, 3, 9, 9])?;
    let deep = &net.intermediates(&images, &["layer4"])?[0];
    assert_eq!(deep.to_f64()?, net.features(&images)?.to_f64()?);
    Ok(())
}

/// A layer that runs twice.
struct Twice {
    fc: Linear,
}

impl Module for Twice {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.fc.forward(&self.fc.forward(input)?)?.relu()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; fc]
    }
}

#[test]
fn a_repeated_layer_gives_its_last_output_and_gradients_reach_it() -> Result<()> {
    let device = Device::reference();
    let net = Twice { fc: Linear::new(&Scope::new(&device).at("fc"), 3, 3)? };
    let input = Tensor::randn(&device, &[2, 3])?;
    let output = &net.intermediates(&input, &["fc"])?[0];
    assert_eq!(output.relu()?.to_f64()?, net.forward(&input)?.to_f64()?);
    output.square()?.sum_all()?.backward()?;
    assert!(net.fc.weight.grad().is_some());
    Ok(())
}

/// Networks that run their layers in several ways.
const SAMPLE: [&str; 5] = ["googlenet", "mobilenet_v3_small", "preact_resnet20", "shufflenet_v2_x0_5", "unet"];

/// One network of each family.
const FAMILIES: [&str; 22] = [
    "alexnet",
    "all_convolutional",
    "cbam_resnet18",
    "cifar_cnn",
    "convnext_tiny",
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "inception_v3",
    "lenet5",
    "lraspp_mobilenet_v3_large",
    "maxvit_t",
    "mnasnet0_5",
    "mobilenet_v3_small",
    "preact_resnet20",
    "regnet_y_400mf",
    "shufflenet_v2_x0_5",
    "simple_cnn",
    "squeezenet1_1",
    "swin_t",
    "unet",
    "vit_b_32",
];

/// Layers that run with a state: an encoder hands its own to a decoder, whose last one a cell goes on from.
struct Translator {
    encoder: Lstm,
    decoder: Lstm,
    cell: LstmCell,
    gate: GruCell,
    plain: Rnn,
}

impl Module for Translator {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let (output, (hidden, cell)) = self.encoder.run(input, None)?;
        let (output, _) = self.decoder.run(&output, Some((&hidden, &cell)))?;
        let last = output.narrow(0, 4, 1)?.squeeze(0)?;
        let (hidden, _) = self.cell.run(&last, Some((&hidden.squeeze(0)?, &cell.squeeze(0)?)))?;
        let hidden = self.gate.run(&last, Some(&hidden))?;
        Ok(self.plain.run(&output, Some(&hidden.unsqueeze(0)?))?.0)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; encoder, decoder, cell, gate, plain]
    }
}

#[test]
fn layers_that_run_with_a_state_are_seen() -> Result<()> {
    let device = Device::reference();
    let (scope, options) = (Scope::new(&device), RnnOptions::default());
    let net = Translator {
        encoder: Lstm::new(&scope.at("encoder"), 3, 4, &options)?,
        decoder: Lstm::new(&scope.at("decoder"), 4, 4, &options)?,
        cell: LstmCell::new(&scope.at("cell"), 4, 4, true)?,
        gate: GruCell::new(&scope.at("gate"), 4, 4, true)?,
        plain: Rnn::new(&scope.at("plain"), 4, 4, Nonlinearity::Tanh, &options)?,
    };
    let input = Tensor::randn(&device, &[5, 2, 3])?;
    let mut seen = Vec::new();
    let mut note = |layer: &Layer<'_>, _: &Tensor, output: &Tensor| {
        seen.push(format!("{} {}", layer.name, output.shape()));
        Ok(None)
    };
    net.forward_with(&input, &mut note)?;
    assert_eq!(
        seen,
        ["encoder [5, 2, 4]", "decoder [5, 2, 4]", "cell [2, 4]", "gate [2, 4]", "plain [5, 2, 4]", " [5, 2, 4]"]
    );

    // A probe replaces their outputs, and an error within one is the pass's.
    let mut blind = |layer: &Layer<'_>, _: &Tensor, output: &Tensor| {
        Ok(if layer.name == "plain" { Some(output.zeros_like()?) } else { None })
    };
    assert!(net.forward_with(&input, &mut blind)?.to_f64()?.iter().all(|&value| value == 0.0));
    let narrow = Tensor::randn(&device, &[5, 2, 2])?;
    let mut ignore = |_: &Layer<'_>, _: &Tensor, _: &Tensor| Ok(None);
    assert_eq!(
        net.forward_with(&narrow, &mut ignore).unwrap_err().to_string(),
        net.forward(&narrow).unwrap_err().to_string()
    );
    Ok(())
}

#[test]
fn every_layer_with_parameters_can_be_asked_for() -> Result<()> {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default()))?;
    let options = ModelOptions::default().classes(3);
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    for &name in if all { &FAMILIES[..] } else { &SAMPLE } {
        let side = match name {
            "lenet5" => 28,
            "cifar_cnn" | "preact_resnet20" => 32,
            _ => 224,
        };
        let channels = if name == "lenet5" { 1 } else { 3 };
        let model = models::by_name(name, &Scope::new(&device), &options.clone().size(side).channels(channels))?;
        let mut ran = HashSet::new();
        let images = Tensor::zeros(&device, &[2, channels, side, side])?;
        let mut note = |layer: &Layer<'_>, _: &Tensor, _: &Tensor| {
            ran.insert(layer.name.to_string());
            Ok(None)
        };
        no_grad(|| model.forward_with(&images, &mut note))?;
        let modules = model.named_modules();
        let with_parameters = modules.iter().filter(|(_, module)| !module.own_parameters().is_empty());
        // Only `outputs` runs auxiliary heads, and attention reads the weights of `out_proj` directly, as PyTorch's does.
        let runs = |name: &str| !name.to_lowercase().starts_with("aux") && !name.ends_with("self_attention.out_proj");
        let with_parameters = with_parameters.filter(|(name, _)| runs(name));
        let missed: Vec<&str> = with_parameters.map(|(name, _)| &**name).filter(|name| !ran.contains(*name)).collect();
        assert!(missed.is_empty(), "{name}: {missed:?}");
    }
    Ok(())
}
