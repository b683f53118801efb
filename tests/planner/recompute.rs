//! `checkpoint`: values computed again for the backward pass have the same bits, and the memory is as promised.

use crate::common;
use crate::common::steps::{gpu, software};
use wgrad::nn::{self, BatchNorm2d, BatchNormLayerOptions, Conv2d, Dropout, Module, Scope};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{
    BackwardOptions, Conv2dOptions, Device, DeviceOptions, Disable, Error, Noop, Parameter, Result, Tensor, checkpoint,
    grad, no_grad,
};

const CHANNELS: usize = 8;

/// `relu(norm(conv(x)))`, with dropout behind it.
struct Block {
    conv: Conv2d,
    norm: BatchNorm2d,
    dropout: Dropout,
}

impl Block {
    fn new(scope: &Scope, p: f64) -> Result<Block> {
        let options = Conv2dOptions::default().padding(1);
        Ok(Block {
            conv: Conv2d::without_bias(&scope.at("conv"), CHANNELS, CHANNELS, [3, 3], &options)?,
            norm: BatchNorm2d::new(&scope.at("norm"), CHANNELS, &BatchNormLayerOptions::default())?,
            dropout: Dropout::new(p),
        })
    }
}

impl Module for Block {
    fn call(&self, x: &Tensor) -> Result<Tensor> {
        self.dropout.forward(&self.norm.forward(&self.conv.forward(x)?)?.relu()?)
    }
    fn children(&self) -> nn::Children<'_> {
        nn::children![self; conv, norm, dropout]
    }
}

fn blocks(device: &Device, count: usize, p: f64) -> Vec<Block> {
    let scope = Scope::new(device);
    (0..count).map(|at| Block::new(&scope.at(at), p).unwrap()).collect()
}

fn through(blocks: &[Block], x: &Tensor) -> Result<Tensor> {
    blocks.iter().try_fold(x.clone(), |x, block| block.forward(&x))
}

/// The devices to compare bits on.
fn devices() -> Vec<Device> {
    [Some(Device::reference()), common::poisoned(Disable::default())].into_iter().flatten().collect()
}

/// A way to run a chain.
#[derive(Clone, Copy, Debug, PartialEq)]
enum How {
    Kept,
    Segments,
    /// Segments of segments.
    Nested,
    /// Segments, with a flush after the forward pass.
    Cut,
    /// Segments, each of which flushes inside.
    CutWithin,
}

fn chain(blocks: &[Block], x: &Tensor, segment: usize, how: How) -> Result<Tensor> {
    if how == How::Kept {
        return through(blocks, x);
    }
    let y = blocks.chunks(segment).try_fold(x.clone(), |x, segment| {
        checkpoint(
            |x: &Tensor| match how {
                How::Nested => segment
                    .chunks(segment.len().div_ceil(4))
                    .try_fold(x.clone(), |x, part| checkpoint(|x| through(part, x), &x)),
                How::CutWithin => {
                    let x = segment[0].forward(x)?;
                    x.device().flush()?;
                    through(&segment[1..], &x)
                }
                _ => through(segment, x),
            },
            &x,
        )
    })?;
    if how == How::Cut {
        y.device().flush()?;
    }
    Ok(y)
}

/// Everything that two steps leave: losses, values (running statistics among them), the state of the random stream.
fn train(device: &Device, how: How) -> (Vec<Vec<u64>>, u64) {
    device.manual_seed(3);
    let blocks = blocks(device, 6, 0.25);
    let parameters: Vec<Parameter> = blocks.iter().flat_map(Module::parameters).collect();
    let mut sgd = Sgd::new(parameters.clone(), SgdOptions::default().lr(0.1).momentum(0.9)).unwrap();
    let x = Tensor::randn(device, &[4, CHANNELS, 7, 5]).unwrap();
    let mut values = Vec::new();
    for _ in 0..2 {
        let loss = chain(&blocks, &x, 2, how).unwrap().square().unwrap().mean_all().unwrap();
        loss.backward().unwrap();
        sgd.step().unwrap();
        sgd.zero_grad();
        values.push(loss);
    }
    values.extend(parameters.iter().map(Parameter::value));
    let bits = |value: &Tensor| value.to_f64().unwrap().into_iter().map(f64::to_bits).collect();
    (values.iter().map(bits).collect(), device.random_state().counter)
}

#[test]
fn training_has_the_same_bits() {
    for device in devices() {
        let kept = train(&device, How::Kept);
        for how in [How::Segments, How::Nested, How::Cut, How::CutWithin] {
            assert!(train(&device, how) == kept, "{how:?} on {device:?}");
        }
    }
}

/// Peak and launches of a step of 64 blocks.
fn cost(device: &Device, [batch, size]: [usize; 2], segment: usize, how: How) -> (u64, u64) {
    let blocks = blocks(device, 64, 0.0);
    let parameters: Vec<Parameter> = blocks.iter().flat_map(Module::parameters).collect();
    let mut sgd = Sgd::new(parameters, SgdOptions::default().lr(0.1).momentum(0.9)).unwrap();
    let x = Tensor::randn(device, &[batch, CHANNELS, size, size]).unwrap();
    device.sync().unwrap();
    device.reset_peak_stats();
    let before = device.stats().dispatches;
    let loss = chain(&blocks, &x, segment, how).unwrap().square().unwrap().mean_all().unwrap();
    loss.backward().unwrap();
    sgd.step().unwrap();
    device.sync().unwrap();
    let stats = device.stats();
    (stats.bytes_live_peak, stats.dispatches - before)
}

/// Kept are 64 values, one a block. In eight segments eight of them are kept, and then eight of the current segment; in four
/// segments of four parts, four of each.
#[test]
fn a_deep_chain_takes_a_quarter_of_the_memory() {
    let noop = |noop: Noop| {
        let device = Device::with_options(&DeviceOptions::default().noop(noop)).unwrap();
        (device, [64, 32], &[(How::Nested, 16, 0.2), (How::Segments, 8, 0.28), (How::Cut, 8, 0.29)][..])
    };
    let adapter = common::own_adapter().map(|device| (device, [4, 32], &[(How::Nested, 16, 0.25)][..]));
    for (device, sizes, bounds) in [noop(software()), noop(gpu())].into_iter().chain(adapter) {
        let (kept, launches) = cost(&device, sizes, 64, How::Kept);
        for &(how, segment, most) in bounds {
            let (bytes, more) = cost(&device, sizes, segment, how);
            let share = bytes as f64 / kept as f64;
            assert!(share <= most, "{how:?} on {device:?}: {bytes} bytes are {share:.3} of {kept}");
            // One more forward pass, or two if nested, minus the calls that the other one no longer needs (1.805 counted).
            let most = if how == How::Nested { 1.81 } else { 1.5 };
            assert!(
                more as f64 <= most * launches as f64,
                "{how:?} on {device:?}: {more} launches, {launches} if kept"
            );
        }
    }
}

/// `[sin(x w) x + s, x]` and `(s + 1)^2`, without a gradient by one factor `x`: values read from outside, and a result that is an
/// input.
fn mixed(x: &Tensor, w: &Tensor, s: &Tensor, is_again: bool) -> Result<([Tensor; 2], Tensor)> {
    let body = |x: &Tensor| Ok(([x.mul(w)?.sin()?.mul(&x.detach())?.add(s)?, x.clone()], s.add_scalar(1.0)?.square()?));
    if is_again { checkpoint(body, x) } else { body(x) }
}

/// First and second derivatives of a sum that takes in every result, by `x`, `w` and `s`.
fn derivatives(device: &Device, is_again: bool) -> Vec<Vec<f32>> {
    let leaf = |values: &[f32; 2]| Tensor::from_slice(device, values, &[2]).unwrap().requires_grad();
    let (x, w) = (leaf(&[0.5, -1.0]), leaf(&[2.0, 0.25]));
    // With a history of its own.
    let s = w.exp().unwrap();
    let ([first, same], last) = mixed(&x, &w, &s, is_again).unwrap();
    assert!(same.shape() == x.shape());
    let sum = first.mul(&last).unwrap().add(&same.square().unwrap()).unwrap().sum_all().unwrap();
    let one = Tensor::ones(device, &[]).unwrap();
    let inputs = [&x, &w, &s, &first];
    let firsts: Vec<Tensor> = grad(&[&sum], &inputs, &[&one]).unwrap().into_iter().flatten().collect();
    assert_eq!(firsts.len(), inputs.len());
    let squares = firsts[0].square().unwrap().sum_all().unwrap();
    let seconds = grad(&[&squares], &inputs[..3], &[&one]).unwrap();
    let all: Vec<Tensor> = firsts.into_iter().chain(seconds.into_iter().flatten()).collect();
    assert_eq!(all.len(), 7);
    sum.backward_with(BackwardOptions::default().retain_graph(true)).unwrap();
    sum.backward().unwrap();
    assert!(matches!(sum.backward(), Err(Error::GraphReleased { .. })));
    all.into_iter().chain([x.grad().unwrap(), w.grad().unwrap()]).map(|value| value.to_vec().unwrap()).collect()
}

#[test]
fn derivatives_of_all_that_is_read_are_those_of_the_plain_calls() {
    for device in devices() {
        assert_eq!(derivatives(&device, true), derivatives(&device, false), "on {device:?}");
    }
}

#[test]
fn results_of_one_pass_are_computed_again_together() {
    let device = Device::reference();
    let calls = |is_again: bool| {
        let x = Tensor::full(&device, &[3], 0.5f32).unwrap().requires_grad();
        let body = |x: &Tensor| {
            let shared = x.exp()?.sin()?.exp()?;
            Ok(vec![shared.sin()?, shared.cos()?, shared.exp()?])
        };
        let results = if is_again { checkpoint(body, &x) } else { body(&x) }.unwrap();
        let sums: Vec<Tensor> = results.iter().map(|result| result.sum_all().unwrap()).collect();
        device.sync().unwrap();
        let before = device.stats().dispatches;
        sums[0].add(&sums[1]).unwrap().add(&sums[2]).unwrap().backward().unwrap();
        x.grad().unwrap().to_vec::<f32>().unwrap();
        device.stats().dispatches - before
    };
    // The three calls that they share; the gradients read those of the results that they need.
    let more = calls(true) - calls(false);
    assert!((3..=5).contains(&more), "{more} calls");
}

#[test]
fn nothing_is_kept_where_no_gradient_is_asked_for() {
    let device = Device::reference();
    let x = Tensor::ones(&device, &[2]).unwrap();
    assert!(!checkpoint(|x| x.exp(), &x).unwrap().is_tracked());
    let tracked = x.requires_grad();
    assert!(!no_grad(|| checkpoint(|x| x.exp(), &tracked)).unwrap().is_tracked());
    let error = checkpoint(|x| x.reshape(&[3]), &tracked).unwrap_err();
    assert!(matches!(error, Error::Invalid { op: "reshape", .. }), "{error}");
}

/// A value that leaves the body another way keeps its own history.
#[test]
fn a_value_that_escapes_has_its_gradient() {
    let device = Device::reference();
    let x = Tensor::full(&device, &[1], 3.0f32).unwrap().requires_grad();
    let mut escaped = None;
    let y = checkpoint(
        |x: &Tensor| {
            let square = x.square()?;
            escaped = Some(square.clone());
            square.mul_scalar(2.0)
        },
        &x,
    )
    .unwrap();
    device.flush().unwrap();
    y.add(&escaped.unwrap()).unwrap().backward().unwrap();
    assert_eq!(x.grad().unwrap().item::<f32>().unwrap(), 18.0);
}
