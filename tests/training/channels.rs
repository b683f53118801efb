//! Channels cut out of networks: the answers of a smaller network are those of the masked one, and its sizes are as computed by
//! hand.

use crate::common::from_names::{fill, tensor};
use wgrad::compress::channels::*;
use wgrad::compress::pruning::{ln_structured, mask_zeros, prunable, sparsity};
use wgrad::models::{self, *};
use wgrad::nn::{
    self, BatchNorm2d, BatchNormLayerOptions, Conv2d, GroupNorm, GroupNormOptions, Linear, Module, Scope, Sequential,
};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::weights::{self, LoadOptions, Metadata, SaveOptions};
use wgrad::{Conv2dOptions, ConvTranspose2dOptions, Device, Error, Result, Tensor, no_grad};

fn image(device: &Device, shape: &[usize]) -> Tensor {
    tensor(device, "image", shape)
}

/// The outputs, and those of auxiliary classifiers.
fn answers(net: &dyn Module, x: &Tensor) -> Vec<f64> {
    net.eval();
    let mut outputs = no_grad(|| net.auxiliary_outputs(x)).unwrap();
    outputs.push(no_grad(|| net.forward(x)).unwrap());
    outputs.iter().flat_map(|output| output.to_f64().unwrap()).collect()
}

fn close(got: &[f64], expected: &[f64], what: &str) {
    assert_eq!(got.len(), expected.len(), "{what}");
    let scale = expected.iter().fold(0.0f64, |most, value| most.max(value.abs()));
    let apart = got.iter().zip(expected).fold(0.0f64, |most, (a, b)| most.max((a - b).abs()));
    assert!(apart <= 1e-9 * scale, "{what}: {apart} of {scale}");
}

/// Masks half of the channels, then cuts them. The answers don't change by that, and differ from those before.
fn stays_the_same(name: &str, net: &dyn Module, shape: &[usize], options: &ChannelOptions) {
    let device = net.parameters()[0].value().device().clone();
    fill(net, &device);
    let x = image(&device, shape);
    let before = answers(net, &x);
    let channels = Channels::of(net, shape).unwrap();
    let chosen = channels.choose(options).unwrap();
    assert!(!chosen.is_empty(), "{name}");
    channels.mask(&chosen).unwrap();
    let masked = answers(net, &x);
    let summary = net.summary(shape).unwrap();
    let kept = summary.trained_parameters - summary.pruned_parameters;
    assert!(masked.iter().zip(&before).any(|(a, b)| (a - b).abs() > 1e-3 * b.abs()), "{name}: nothing was masked");
    channels.cut(&chosen).unwrap();
    close(&answers(net, &x), &masked, name);
    let cut = net.summary(shape).unwrap();
    assert!(
        cut.trained_parameters == kept && cut.pruned_parameters == 0,
        "{name}: {} of {kept}",
        cut.trained_parameters
    );
    assert!((cut.multiply_adds as f64) < 0.9 * summary.multiply_adds as f64, "{name}");
}

#[test]
fn a_smaller_network_answers_as_the_masked_one() {
    let device = &Device::reference();
    let half = ChannelOptions::default();
    let s = || Scope::new(device);
    stays_the_same("lenet5", &LeNet5::new(&s()).unwrap(), &[1, 1, 28, 28], &half);
    let resnet8 = CifarResNetOptions::resnet20().depth(8);
    stays_the_same("resnet8", &CifarResNet::new(&s(), &resnet8).unwrap(), &[1, 3, 8, 8], &half);
    stays_the_same("preact", &CifarResNet::new(&s(), &resnet8.pre_activation(true)).unwrap(), &[1, 3, 8, 8], &half);
    let mobilenet = MobileNetV2Options::default().width_mult(0.1).classes(10);
    stays_the_same("mobilenet_v2", &MobileNetV2::new(&s(), &mobilenet).unwrap(), &[1, 3, 32, 32], &half);
    let densenet =
        DenseNetOptions::densenet121().block_config([2, 2, 2, 2]).growth_rate(4).init_features(8).classes(10);
    stays_the_same("densenet", &DenseNet::new(&s(), &densenet).unwrap(), &[1, 3, 32, 32], &half);
    let global = ChannelOptions::default().global(true).importance(Importance::BatchNormScale).amount(0.3);
    stays_the_same("densenet by scale", &DenseNet::new(&s(), &densenet).unwrap(), &[1, 3, 32, 32], &global);
    stays_the_same("resnet8 by scale", &CifarResNet::new(&s(), &resnet8).unwrap(), &[1, 3, 8, 8], &global);
}

/// Networks by name for images of a size, which take the reference seconds each.
fn of_full_size(size: usize, names: &[&str]) {
    if std::env::var_os("WGRAD_TEST_ALL").is_none() {
        return;
    }
    for name in names {
        let options = ModelOptions::default().classes(10).channels(3).size([size; 2]);
        let has_auxiliary = name.starts_with("deeplab") || name.starts_with("fcn");
        let options = if has_auxiliary { options.set("aux_loss", 1.0) } else { options };
        let net = models::by_name(name, &Scope::new(&Device::reference()), &options).unwrap();
        stays_the_same(name, &net, &options.images(1), &ChannelOptions::default());
    }
}

// Together a network of each of torchvision's families of classifiers and of segmenters.
#[test]
fn residual_networks_of_full_size_answer_as_the_masked_ones() {
    of_full_size(32, &["cbam_resnet18", "preact_resnet20", "regnet_x_400mf", "regnet_y_400mf", "resnet18", "resnet20"]);
    of_full_size(32, &["resnext50_32x4d", "se_resnet18", "wide_resnet50_2"]);
    of_full_size(64, &["fcn_resnet50"]);
}

#[test]
fn mobile_networks_of_full_size_answer_as_the_masked_ones() {
    of_full_size(32, &["efficientnet_b0", "efficientnet_v2_s", "mnasnet0_5", "mobilenet_v1", "mobilenet_v2"]);
    of_full_size(32, &["mobilenet_v3_small", "shufflenet_v2_x1_0"]);
    of_full_size(64, &["deeplabv3_mobilenet_v3_large", "lraspp_mobilenet_v3_large", "squeezenet1_1"]);
}

#[test]
fn plain_and_branching_networks_of_full_size_answer_as_the_masked_ones() {
    of_full_size(32, &["cifar_cnn", "densenet121", "googlenet", "unet", "vgg11_bn"]);
    of_full_size(64, &["alexnet"]);
    of_full_size(299, &["inception_v3"]);
}

#[test]
fn networks_with_attention_of_full_size_answer_as_the_masked_ones() {
    of_full_size(32, &["convnext_tiny"]);
    of_full_size(64, &["swin_t", "vit_b_32"]);
    of_full_size(224, &["maxvit_t"]);
}

/// Everything that can be between two layers: groups, depthwise with a multiplier, transposed products, channels that a norm, a
/// softmax or a reshape reads together, gates, and concatenations of parts of different widths.
struct Odd {
    stem: Conv2d,
    depthwise: Conv2d,
    grouped: Conv2d,
    norm: BatchNorm2d,
    gate: Linear,
    group_norm: GroupNorm,
    wide: Conv2d,
    narrow: Conv2d,
    fc: Linear,
    head: Linear,
}

impl Odd {
    fn new(s: &Scope) -> Odd {
        let (same, pointwise) = (Conv2dOptions::default().padding(1), Conv2dOptions::default());
        Odd {
            stem: Conv2d::new(&s.at("stem"), 2, 6, 3, &same).unwrap(),
            depthwise: Conv2d::new(&s.at("depthwise"), 6, 12, 3, &same.groups(6)).unwrap(),
            grouped: Conv2d::without_bias(&s.at("grouped"), 12, 8, 3, &same.groups(2)).unwrap(),
            norm: BatchNorm2d::new(&s.at("norm"), 8, &BatchNormLayerOptions::default()).unwrap(),
            gate: Linear::new(&s.at("gate"), 8, 8).unwrap(),
            group_norm: GroupNorm::new(&s.at("group_norm"), 2, 6, &GroupNormOptions::default()).unwrap(),
            wide: Conv2d::new(&s.at("wide"), 14, 6, 1, &pointwise).unwrap(),
            narrow: Conv2d::new(&s.at("narrow"), 14, 4, 1, &pointwise).unwrap(),
            fc: Linear::new(&s.at("fc"), 4 * 9 + 6 * 9, 7).unwrap(),
            head: Linear::new(&s.at("head"), 7, 3).unwrap(),
        }
    }
}

impl Module for Odd {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        let stem = self.stem.forward(x)?.sigmoid()?;
        let x = self.norm.forward(&self.grouped.forward(&self.depthwise.forward(&stem)?.relu()?)?)?;
        // A gate as in squeeze-and-excitation, and a sum of both.
        let gate = self.gate.forward(&x.mean([2, 3])?)?.sigmoid()?;
        let x = x.mul(&gate.reshape(&[gate.shape()[0] as isize, -1, 1, 1])?)?.add(&x)?;
        let x = Tensor::cat(&[&x, &stem], 1)?.avg_pool2d(2, &Default::default())?;
        let wide = self.group_norm.forward(&self.wide.forward(&x)?)?;
        let parts = [self.narrow.forward(&x)?.softmax(2)?.flatten(1, -1)?, wide.permute([0, 1, 3, 2])?.flatten(1, -1)?];
        self.head.forward(&self.fc.forward(&Tensor::cat(&[&parts[0], &parts[1]], 1)?)?.tanh()?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; stem, depthwise, grouped, norm, gate, group_norm, wide, narrow, fc, head]
    }
}

#[test]
fn whatever_reads_a_channel_is_cut_along() {
    let device = Device::reference();
    let net = Odd::new(&Scope::new(&device));
    let shape = [2, 2, 6, 6];
    stays_the_same("odd", &net, &shape, &ChannelOptions::default());
    let sizes = |layer: &Conv2d| layer.weight.value().shape().to_vec();
    // Channels of the stem are cut in pairs, since both groups of the grouped one lose the same number: two of three pairs.
    assert_eq!(sizes(&net.stem), [2, 2, 3, 3]);
    assert_eq!((sizes(&net.depthwise), net.depthwise.grouped().unwrap().groups()), (vec![4, 1, 3, 3], 2));
    assert_eq!((sizes(&net.grouped), net.grouped.grouped().unwrap().groups()), (vec![4, 2, 3, 3], 2));
    assert_eq!(sizes(&net.narrow), [2, 4 + 2, 1, 1]);
    // A norm over groups of channels leaves them all.
    assert_eq!(sizes(&net.wide), [6, 4 + 2, 1, 1]);
    assert_eq!(net.gate.weight.value().shape()[..], [4, 4]);
    assert_eq!(net.fc.weight.value().shape()[..], [3, 2 * 9 + 6 * 9]);
}

#[test]
fn the_sizes_are_those_that_follow_by_hand() {
    let device = Device::reference();
    let net = CifarResNet::new(&Scope::new(&device), &CifarResNetOptions::resnet20()).unwrap();
    // Only channels within blocks: the sums of blocks keep theirs.
    let options =
        ChannelOptions::default().amount(0.75).except(["conv1.weight".to_string(), "*.conv2.weight".to_string()]);
    let channels = Channels::of(&net, &[1, 3, 32, 32]).unwrap();
    let stream = channels.groups().iter().filter(|group| group.filters.contains(&"conv1.weight".to_string()));
    assert_eq!(stream.map(Group::len).sum::<usize>(), 16);
    let chosen = channels.choose(&options).unwrap();
    assert_eq!(chosen.len(), 3 * (12 + 24 + 48));
    channels.cut(&chosen).unwrap();
    let summary = net.summary(&[1, 3, 32, 32]).unwrap();
    let of = |inputs: u64, inner: u64, outputs: u64| 9 * (inputs * inner + inner * outputs);
    let (first, second, third) =
        (3 * of(16, 4, 16), of(16, 8, 32) + 2 * of(32, 8, 32), of(32, 16, 64) + 2 * of(64, 16, 64));
    assert_eq!(summary.multiply_adds, 1024 * (27 * 16 + first) + 256 * second + 64 * third + 640);
    let norms = 2 * (16 + 3 * (4 + 16) + 3 * (8 + 32) + 3 * (16 + 64));
    let weights = 27 * 16 + first + second + third + norms + 650;
    assert_eq!(summary.trained_parameters as u64, weights);
    assert_eq!(summary.parameter_bytes as u64, 4 * weights);
}

/// The first convolution's filters are those of `torch.nn.utils.prune.ln_structured`, which `pruning` is compared with.
#[test]
fn filters_are_chosen_by_their_norms() {
    let device = Device::reference();
    for n in [1.0, 2.0, f64::INFINITY] {
        let [net, other] = [(); 2].map(|()| LeNet5::new(&Scope::new(&device)).unwrap());
        fill(&net, &device);
        fill(&other, &device);
        let options = ChannelOptions::default().importance(Importance::Norm(n));
        let channels = Channels::of(&net, &[1, 1, 28, 28]).unwrap();
        channels.mask(&channels.choose(&options).unwrap()).unwrap();
        let weight = |net: &LeNet5| net.named_parameters().remove(0).1;
        ln_structured(&weight(&other), 0.5, n, 0).unwrap();
        assert_eq!(weight(&net).value().to_f64().unwrap(), weight(&other).value().to_f64().unwrap());
    }
}

#[test]
fn files_build_the_smaller_network() {
    let (device, folder) = (Device::reference(), tempfile::tempdir().unwrap());
    let path = folder.path().join("small.safetensors");
    let options = ModelOptions::default().classes(4).channels(3).size(32).set("width_mult", 0.1);
    let net = models::by_name("mobilenet_v2", &Scope::new(&device), &options).unwrap();
    fill(&net, &device);
    let x = image(&device, &[1, 3, 32, 32]);
    let cut = |net: &dyn Module| {
        let channels = Channels::of(net, &[1, 3, 32, 32]).unwrap();
        let chosen = channels.choose(&ChannelOptions::default().amount(0.4)).unwrap();
        channels.cut(&chosen).unwrap();
    };
    let about = SaveOptions::default().metadata(Metadata::new("mobilenet_v2", options.clone()));
    cut(&net);
    weights::save(&path, &net, &about).unwrap();
    let (again, _) = weights::open(&path, &device).unwrap();
    close(&answers(&again, &x), &answers(&net, &x), "opened");
    // Cut once more, and loaded into a network of full size.
    cut(&again);
    weights::save(&path, &again, &about).unwrap();
    let third = models::by_name("mobilenet_v2", &Scope::new(&device), &options).unwrap();
    weights::load(&path, &third, &LoadOptions::default()).unwrap();
    close(&answers(&third, &x), &answers(&again, &x), "loaded");
    // A smaller network does not grow.
    let smaller = models::by_name("mobilenet_v2", &Scope::new(&device), &options.set("width_mult", 0.01)).unwrap();
    assert!(matches!(weights::load(&path, &smaller, &LoadOptions::default()), Err(Error::UnfitWeights { .. })));
    assert!(weights::save(folder.path().join("small.npz"), &again, &SaveOptions::default()).is_err());
}

#[test]
fn a_smaller_network_trains_on() {
    let device = Device::reference();
    device.manual_seed(1);
    let net = LeNet5::new(&Scope::new(&device)).unwrap();
    let x = image(&device, &[4, 1, 28, 28]);
    let loss = || net.forward(&x).unwrap().square().unwrap().mean_all().unwrap();
    let sgd = || Sgd::new(&net, SgdOptions::default().lr(0.05).momentum(0.9)).unwrap();
    let mut before = sgd();
    loss().backward().unwrap();
    before.step().unwrap();
    // Masked weights stay masked where they are not cut.
    mask_zeros(&prunable(&net)).unwrap();
    ln_structured(&prunable(&net)[3], 0.5, 1.0, 1).unwrap();
    let channels = Channels::of(&net, &[1, 1, 28, 28]).unwrap();
    let chosen = channels.choose(&ChannelOptions::default().amount(0.25)).unwrap();
    channels.cut(&chosen).unwrap();
    let share = sparsity(&prunable(&net)).unwrap();
    assert!(share > 0.05, "{share}");
    assert!(net.parameters().iter().all(|p| p.grad().is_none()));
    // The old optimizer's buffers have the old shapes.
    loss().backward().unwrap();
    let error = before.step().unwrap_err().to_string();
    assert!(error.contains("make it anew"), "{error}");
    let mut after = sgd();
    let first = loss().item::<f32>().unwrap();
    for _ in 0..5 {
        after.zero_grad();
        loss().backward().unwrap();
        after.step().unwrap();
    }
    assert!(loss().item::<f32>().unwrap() < first);
    assert_eq!(sparsity(&prunable(&net)).unwrap(), share);
}

/// A network whose map in the middle another classifier reads in training.
struct Tapped {
    body: Conv2d,
    tap: Linear,
    head: Conv2d,
}

impl Module for Tapped {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.head.forward(&self.body.forward(x)?.relu()?)?.mean([2, 3])
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; body, tap, head]
    }
    fn auxiliary_outputs(&self, x: &Tensor) -> Result<Vec<Tensor>> {
        Ok(vec![self.tap.forward(&self.body.forward(x)?.relu()?.flatten(1, -1)?)?])
    }
}

#[test]
fn classifiers_that_training_alone_reads_are_cut_along() {
    let device = Device::reference();
    let (s, plain) = (Scope::new(&device), Conv2dOptions::default());
    let net = Tapped {
        body: Conv2d::new(&s.at("body"), 1, 8, 3, &plain).unwrap(),
        tap: Linear::new(&s.at("tap"), 8 * 9, 3).unwrap(),
        head: Conv2d::new(&s.at("head"), 8, 3, 1, &plain).unwrap(),
    };
    stays_the_same("tapped", &net, &[2, 1, 5, 5], &ChannelOptions::default());
    assert_eq!(net.tap.weight.value().shape()[..], [3, 4 * 9]);
}

/// A layer that training alone would read.
struct WithAuxiliary {
    body: Linear,
    head: Linear,
}

impl Module for WithAuxiliary {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.body.forward(x)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; body, head]
    }
}

#[test]
fn what_cannot_be_told_is_refused() {
    let device = Device::reference();
    let s = || Scope::new(&device);
    let refused = |outcome: Result<()>, words: &str| match outcome {
        Err(Error::Invalid { rule, .. }) => assert!(rule.contains(words), "{rule}"),
        other => panic!("{other:?}"),
    };
    let net =
        WithAuxiliary { body: Linear::new(&s(), 3, 4).unwrap(), head: Linear::new(&s().at("head"), 4, 2).unwrap() };
    refused(Channels::of(&net, &[1, 3]).map(drop), "head.weight is read in no pass");
    let net = LeNet5::new(&s()).unwrap();
    let channels = Channels::of(&net, &[1, 1, 28, 28]).unwrap();
    refused(channels.choose(&ChannelOptions::default().amount(1.1)).map(drop), "from 0 to 1");
    refused(channels.choose(&ChannelOptions::default().keep(0)).map(drop), "keep is 0");
    refused(Slimming::new(&net, 1e-4).map(drop), "no batch norm");
    // All but one channel of each layer.
    let all = channels.choose(&ChannelOptions::default().amount(1.0)).unwrap();
    assert_eq!(all.len(), 5 + 15 + 119 + 83);
    // A transposed convolution in groups is not supported: its channels are kept, and so are those that it reads.
    let net = Sequential::new(&s()).make(|s| Conv2d::new(s, 1, 4, 3, &Conv2dOptions::default())).unwrap();
    let in_groups = ConvTranspose2dOptions::default().groups(2);
    let net = net.make(|s| nn::ConvTranspose2d::new(s, 4, 4, 2, &in_groups)).unwrap();
    let net = net.make(|s| Conv2d::new(s, 4, 2, 1, &Conv2dOptions::default())).unwrap();
    assert!(Channels::of(&net, &[1, 1, 6, 6]).unwrap().groups().is_empty());
}
