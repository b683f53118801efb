//! Recording, planning and replaying: the cost of a step from the second one on.

use crate::common;
use crate::common::{Random, adapter};
use wgrad::models::{CifarCnn, LeNet5, MobileNetV1, ResNet, ResNetOptions};
use wgrad::nn::{
    BatchNorm2d, BatchNormLayerOptions, Conv2d, Dropout, Dropout2d, Flatten, Linear, Module, Relu, Scope, Sequential,
};
use wgrad::optim::{Adam, AdamOptions, Optimizer};
use wgrad::{
    Conv2dOptions, CrossEntropyOptions, Device, DeviceOptions, Error, Graph, MaxPool2dOptions, Noop, Parameter, Result,
    Stats, Tensor, no_grad,
};

fn noop() -> Device {
    Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap()
}

pub(super) fn random(device: &Device, shape: &[usize], seed: u64) -> Tensor {
    let mut random = Random(seed);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| (random.unit() - 0.5) as f32).collect();
    Tensor::from_slice(device, &values, shape).unwrap()
}

/// A small network with a hand-written optimizer: SGD with momentum.
struct Net {
    device: Device,
    weights: Vec<Parameter>,
    momenta: Vec<Parameter>,
}

impl Net {
    fn new(device: &Device) -> Net {
        let shapes: [(&str, &[usize]); 5] = [
            ("conv.weight", &[4, 1, 3, 3]),
            ("conv.bias", &[4]),
            ("linear.weight", &[10, 64]),
            ("linear.bias", &[10]),
            ("scale", &[10]),
        ];
        let mut weights = Vec::new();
        let mut momenta = Vec::new();
        for (i, (name, shape)) in shapes.into_iter().enumerate() {
            let value = random(device, shape, i as u64);
            momenta.push(Parameter::buffer(format!("{name}.momentum"), &value.zeros_like().unwrap()));
            weights.push(Parameter::new(name, &value));
        }
        Net { device: device.clone(), weights, momenta }
    }

    fn loss(&self, images: &Tensor, labels: &Tensor) -> Result<Tensor> {
        let w: Vec<Tensor> = self.weights.iter().map(Parameter::value).collect();
        let options = Conv2dOptions::default().padding(wgrad::Padding::Explicit([1, 1]));
        let x = images.conv2d(&w[0], Some(&w[1]), &options)?.relu()?;
        let x = x.max_pool2d([2, 2], &MaxPool2dOptions::default())?.flatten(1, -1)?;
        let x = x.linear(&w[2], Some(&w[3]))?.mul(&w[4])?;
        x.cross_entropy(labels, &CrossEntropyOptions::default())
    }

    /// One step, with a learning rate that changes from step to step.
    fn step(&self, batch: usize, step: u64) -> Result<Tensor> {
        let images = random(&self.device, &[batch, 1, 8, 8], 1000 + step);
        let labels: Vec<i32> = (0..batch).map(|i| ((i as u64 * 7 + step) % 10) as i32).collect();
        let labels = Tensor::from_slice(&self.device, &labels, &[batch])?;
        let loss = self.loss(&images, &labels)?;
        loss.backward()?;
        let rate = 0.01 / (1.0 + step as f32);
        no_grad(|| -> Result<()> {
            for (weight, momentum) in self.weights.iter().zip(&self.momenta) {
                let gradient = weight.grad().ok_or(Error::NoGradient { op: "step" })?;
                momentum.assign(&momentum.value().mul_scalar(0.9)?.add(&gradient)?)?;
                weight.assign(&weight.value().sub(&momentum.value().mul_scalar(rate)?)?)?;
                weight.zero_grad();
            }
            Ok(())
        })?;
        self.device.flush()?;
        Ok(loss)
    }
}

/// The counters that must not grow.
fn made(stats: &Stats) -> [u64; 5] {
    [stats.buffers, stats.pipelines, stats.bind_groups, stats.plans, stats.bytes_peak]
}

fn replays(device: &Device, steps: u64) {
    let net = Net::new(device);
    // Two steps of each batch size; the loss is read at some and not at others, as a training loop does.
    let batch = |step: u64| if step % 10 == 9 { 5 } else { 16 };
    let read = |step: u64| step % 10 >= 8;
    for step in 0..20 {
        let loss = net.step(batch(step), step).unwrap();
        if read(step) {
            loss.item::<f32>().unwrap();
        }
    }
    device.sync().unwrap();
    let after = made(&device.stats());
    for step in 20..steps {
        let loss = net.step(batch(step), step).unwrap();
        if read(step) {
            loss.item::<f32>().unwrap();
        }
        drop(loss);
        let now = made(&device.stats());
        assert_eq!(now, after, "step {step}: buffers, pipelines, bind groups, plans, peak bytes");
    }
    device.sync().unwrap();
}

#[test]
fn two_thousand_steps_make_nothing_new() {
    replays(&noop(), 2000);
}

#[test]
fn steps_on_the_adapter_make_nothing_new() {
    if let Some(device) = adapter() {
        // A device of its own, so that other tests' work does not count.
        drop(device);
        replays(&Device::open().unwrap(), 120);
    }
}

/// Batch normalization, once with the mean over all batches, and dropout: state and numbers that differ in each step.
fn regularized(device: &Device) -> Sequential {
    let scope = Scope::new(device);
    let cumulative = BatchNormLayerOptions::default().momentum(None);
    Sequential::new(&scope)
        .make(|s| Conv2d::without_bias(s, 1, 4, [3, 3], &Conv2dOptions::default()))
        .unwrap()
        .make(|s| BatchNorm2d::new(s, 4, &BatchNormLayerOptions::default()))
        .unwrap()
        .push(Relu)
        .push(Dropout2d::new(0.25))
        .make(|s| BatchNorm2d::new(s, 4, &cumulative))
        .unwrap()
        .push(Flatten)
        .push(Dropout::new(0.5))
        .make(|s| Linear::new(s, 144, 10))
        .unwrap()
}

#[test]
fn dropout_and_running_statistics_make_no_new_plans() {
    for device in [Some(noop()), adapter().map(|_| Device::open().unwrap())].into_iter().flatten() {
        let model = regularized(&device);
        let mut optimizer = Adam::new(model.parameters(), AdamOptions::default()).unwrap();
        let mut step = |step: u64| {
            model.train(true);
            let images = random(&device, &[6, 1, 8, 8], step);
            let labels = Tensor::from_slice(&device, &[3i32, 1, 4, 1, 5, 9], &[6]).unwrap();
            let logits = model.forward(&images).unwrap();
            let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
            loss.backward().unwrap();
            optimizer.step().unwrap();
            optimizer.zero_grad();
            // Evaluation between the steps, which has a separate plan.
            if step % 2 == 1 {
                model.eval();
                no_grad(|| model.forward(&images).unwrap().to_vec::<f32>()).unwrap();
            }
        };
        (0..6).for_each(&mut step);
        device.sync().unwrap();
        let before = made(&device.stats());
        for index in 6..26 {
            step(index);
            assert_eq!(
                made(&device.stats()),
                before,
                "step {index}: buffers, pipelines, bind groups, plans, peak bytes"
            );
        }
    }
}

#[test]
fn the_second_step_makes_nothing() {
    let device = noop();
    let net = Net::new(&device);
    let mut seen = Vec::new();
    for step in 0..5 {
        drop(net.step(16, step).unwrap());
        let stats = device.stats();
        seen.push([stats.buffers, stats.pipelines, stats.bind_groups]);
    }
    assert_eq!(seen[2..], [seen[1], seen[1], seen[1]], "after each step: {seen:?}");
}

#[test]
fn a_shorter_batch_compiles_nothing() {
    let gpu = Noop { software: false, subgroup_size: 32, ..Noop::default() };
    let gpu = Device::with_options(&DeviceOptions::default().noop(gpu)).unwrap();
    for device in [noop(), gpu] {
        let net = Net::new(&device);
        for step in 0..3 {
            drop(net.step(16, step).unwrap());
        }
        let before = device.stats();
        drop(net.step(5, 3).unwrap());
        let after = device.stats();
        assert_eq!(after.pipelines, before.pipelines);
        assert_eq!(after.plans, before.plans + 1);
    }
}

#[test]
fn a_shorter_batch_of_a_deeper_network_compiles_nothing() {
    let gpu = Noop { software: false, subgroup_size: 32, ..Noop::default() };
    for noop in [Noop { software: true, ..Noop::default() }, gpu] {
        let options = DeviceOptions::default().noop(noop.clone());
        let device = Device::with_options(&options).unwrap();
        let network = CifarCnn::new(&Scope::new(&device)).unwrap();
        let mut adam = Adam::new(network.parameters(), AdamOptions::default()).unwrap();
        let mut step = |batch: usize| {
            let labels = Tensor::from_slice(&device, &vec![1i32; batch], &[batch]).unwrap();
            let logits = network.forward(&Tensor::ones(&device, &[batch, 3, 32, 32]).unwrap()).unwrap();
            logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap().backward().unwrap();
            adam.step().unwrap();
            adam.zero_grad();
            device.stats().pipelines
        };
        let before = [step(64), step(64), step(64)][2];
        assert_eq!(step(40), before, "{noop:?}");
    }
}

#[test]
fn what_computes_the_same_is_one_pipeline_wherever_it_stands() {
    let device = noop();
    let (x, other) = (random(&device, &[8, 40], 1), random(&device, &[3], 2));
    let compute = || x.exp()?.mul(&x)?.softmax(-1)?.add_scalar(1.0);
    let first = compute().unwrap();
    device.flush().unwrap();
    let before = device.stats().pipelines;
    // Another call stands before it.
    let sine = other.sin().unwrap();
    let second = compute().unwrap();
    device.flush().unwrap();
    assert_eq!(device.stats().pipelines, before + 1);
    drop((first, sine, second));
}

#[test]
fn numbers_are_data() {
    let device = noop();
    let x = random(&device, &[100], 1);
    let mut plans = Vec::new();
    for k in 0..5 {
        drop(x.mul_scalar(k as f32 + 0.5).unwrap().add_scalar(k as f32).unwrap().to_vec::<f32>().unwrap());
        drop(Tensor::rand(&device, &[100]).unwrap().to_vec::<f32>().unwrap());
        plans.push(device.stats().plans);
    }
    // Uploading x is not part of a plan.
    assert_eq!(plans, [2; 5]);
}

#[test]
fn work_does_not_pile_up() {
    let device = noop();
    let mut x = random(&device, &[64], 1);
    for _ in 0..20_000 {
        x = x.add_scalar(1.0).unwrap().detach();
    }
    assert!(device.stats().runs >= 4, "nothing ran before anybody asked");
    x.to_vec::<f32>().unwrap();
    assert!(device.stats().bytes_peak < 1 << 20, "{:?}", device.stats());
}

#[test]
fn training_is_the_same_on_adapter_and_reference() {
    let Some(device) = adapter() else { return };
    let (net, reference) = (Net::new(&device), Net::new(&Device::reference()));
    for step in 0..5 {
        let got = net.step(6, step).unwrap().item::<f32>().unwrap();
        let expected = reference.step(6, step).unwrap().item::<f32>().unwrap();
        approx::assert_relative_eq!(got, expected, max_relative = 1e-4);
    }
    for (a, b) in net.weights.iter().zip(&reference.weights) {
        let (a, b) = (a.value().to_f64().unwrap(), b.value().to_f64().unwrap());
        for (a, b) in a.iter().zip(&b) {
            approx::assert_abs_diff_eq!(a, b, epsilon = 1e-5);
        }
    }
}

#[test]
fn the_same_program_gives_the_same_bits() {
    let Some(device) = adapter() else { return };
    let run = || {
        let net = Net::new(&device);
        for step in 0..4 {
            net.step(6, step).unwrap();
        }
        net.weights.iter().flat_map(|w| w.value().to_vec::<f32>().unwrap()).map(f32::to_bits).collect::<Vec<_>>()
    };
    assert_eq!(run(), run());
}

#[test]
fn graph_and_plan_print() {
    let device = noop();
    let x = random(&device, &[2, 3], 1);
    let y = x.exp().unwrap().add_scalar(1.0).unwrap().softmax(1).unwrap();
    let graph = Graph::of(&[&y]).unwrap();
    assert!(!graph.is_empty() && graph.len() >= 3);
    let text = graph.to_string();
    for part in ["input [2, 3] f32", "exp", "add", "softmax", "kept", "plans.rs:"] {
        assert!(text.to_lowercase().contains(part), "{part} is not in\n{text}");
    }
    let dot = graph.dot();
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}') && dot.contains("->"), "{dot}");
    let (plan, dot) = graph.plan().unwrap();
    // Softmax takes the calls before it into its loads.
    assert!(plan.starts_with("1 dispatches"), "{plan}");
    assert!(plan.contains("rows for exp+add+softmax"), "{plan}");
    assert!(dot.starts_with("digraph") && dot.contains("->"), "{dot}");
    y.to_vec::<f32>().unwrap();
    assert!(Graph::of(&[&y]).unwrap().is_empty());
}

#[test]
fn what_nobody_needs_is_not_computed() {
    let device = noop();
    let x = random(&device, &[8], 1);
    drop(x.exp().unwrap());
    let y = x.sin().unwrap();
    y.to_vec::<f32>().unwrap();
    assert_eq!(device.stats().dispatches, 1);
    // The same call twice is one.
    let square = || x.unsqueeze(0).unwrap().matmul(&x.unsqueeze(1).unwrap()).unwrap();
    let z = square().add(&square().exp().unwrap()).unwrap();
    let (plan, _) = Graph::of(&[&z]).unwrap().plan().unwrap();
    assert_eq!(plan.matches(" for matmul").count(), 1, "{plan}");
}

#[test]
fn where_a_view_begins_is_data_unless_it_is_the_start() {
    let device = noop();
    let plans_for = |start| {
        let x = random(&device, &[24], 1).exp().unwrap();
        device.flush().unwrap();
        let before = device.stats().plans;
        let y = x.narrow(0, start, 8).unwrap();
        drop(x);
        // In the memory of `x` if the view begins with it, otherwise in its own memory.
        y.neg().unwrap().device().flush().unwrap();
        device.stats().plans - before
    };
    assert_eq!([0, 8, 16, 0].map(plans_for), [1, 1, 0, 0]);
}

#[test]
fn the_planned_peak_is_the_peak() {
    let devices = [Some(noop()), common::own_adapter()];
    for device in devices.into_iter().flatten() {
        let net = Net::new(&device);
        for step in 0..6 {
            device.reset_peak_stats();
            drop(net.step(if step == 4 { 7 } else { 32 }, step).unwrap());
            let stats = device.stats();
            assert_eq!(stats.bytes_live_peak, stats.bytes_planned, "step {step} on {}", device.name());
        }
    }
}

#[test]
fn the_first_step_is_planned_as_all_others() {
    let device = noop();
    let scope = Scope::new(&device);
    let networks: [(Box<dyn Module>, [usize; 4]); 3] = [
        (Box::new(LeNet5::new(&scope).unwrap()), [4, 1, 28, 28]),
        (Box::new(MobileNetV1::new(&scope, 10, 0.25).unwrap()), [4, 3, 32, 32]),
        (Box::new(ResNet::new(&scope, &ResNetOptions::resnet18_cifar().classes(10)).unwrap()), [2, 3, 32, 32]),
    ];
    for (network, images) in networks {
        let mut adam = Adam::new(network.parameters(), AdamOptions::default()).unwrap();
        let mut step = |images: &Tensor| {
            let batch = images.shape()[0];
            let labels = Tensor::from_slice(&device, &vec![1i32; batch], &[batch]).unwrap();
            let logits = network.forward(images).unwrap();
            logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap().backward().unwrap();
            adam.step().unwrap();
            adam.zero_grad();
            made(&device.stats())
        };
        // New images, the same ones once more, and others.
        let batch = random(&device, &images, 0);
        let (first, second) = (step(&batch), step(&batch));
        drop(batch);
        let third = step(&random(&device, &images, 1));
        assert_eq!([second, third], [first; 2], "buffers, pipelines, bind groups, plans, peak bytes");
    }
}
