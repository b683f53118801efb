//! Checkpoints: saved state is restored, and a resumed run goes on as if nothing had happened.

mod files;

use crate::common::own_adapter;
use safetensors::SafeTensors;
use std::path::Path;
use tempfile::TempDir;
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Dropout, Linear, Module, Relu, Scope, Sequential};
use wgrad::optim::{Adafactor, AdafactorOptions, Adam, AdamOptions, Guard, Hyper, Optimizer};
use wgrad::train::{Position, load, save};
use wgrad::weights::{self, LoadOptions, Report};
use wgrad::{CrossEntropyOptions, DType, Device, Error, Parameter, RandomState, Tensor};

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn model(device: &Device, hidden: usize) -> Sequential {
    let scope = Scope::new(device);
    Sequential::new(&scope)
        .make(|s| Linear::new(s, 6, hidden))
        .unwrap()
        .push(Relu)
        .make(|s| Linear::new(s, hidden, 3))
        .unwrap()
}

fn adam(model: &dyn Module) -> Adam {
    Adam::new(model.parameters(), AdamOptions::default().lr(0.02)).unwrap()
}

/// Steps on random data from the device's stream, so that the stream's state matters.
fn train(device: &Device, model: &dyn Module, optimizer: &mut dyn Optimizer, steps: usize) {
    for step in 0..steps {
        let x = Tensor::randn(device, &[10, 6]).unwrap();
        let labels: Vec<i32> = (0..10).map(|i| ((i + step) % 3) as i32).collect();
        let labels = Tensor::from_slice(device, &labels, &[10]).unwrap();
        let loss = model.forward(&x).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        optimizer.step().unwrap();
        optimizer.zero_grad();
    }
}

/// Every bit of the state: parameters, then buffers.
fn bits(model: &dyn Module, optimizer: &dyn Optimizer) -> Vec<u64> {
    let all = model.parameters().into_iter().chain(optimizer.buffers());
    all.flat_map(|p| p.value().to_f64().unwrap()).map(f64::to_bits).collect()
}

#[test]
fn a_resumed_run_is_bit_for_bit_the_uninterrupted_one() {
    resumed(|model, lr| Adam::new(model.parameters(), AdamOptions::default().lr(lr)).unwrap());
}

/// Buffers whose shapes are not their parameters'.
#[test]
fn factored_moments_resume_to_the_same_bits() {
    resumed(|model, lr| Adafactor::new(model.parameters(), AdafactorOptions::default().lr(lr)).unwrap());
}

/// Compares runs, one of which is interrupted, with the optimizer that `make` makes for a model and a rate.
fn resumed<O: Optimizer>(make: fn(&dyn Module, f64) -> O) {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run.safetensors");
        device.manual_seed(5);
        let first = model(&device, 8);
        let mut optimizer = make(&first, 0.02);
        train(&device, &first, &mut optimizer, 4);
        save(&path, &device, &first, &[("optimizer", &optimizer)], &Position { epoch: 4, batch: 3, seed: u64::MAX })
            .unwrap();
        let saved = bits(&first, &optimizer);
        train(&device, &first, &mut optimizer, 3);
        let (expected, stream) = (bits(&first, &optimizer), device.random_state());
        assert_ne!(saved, expected);

        device.manual_seed(99);
        let second = model(&device, 8);
        let mut optimizer = make(&second, 1e-3);
        train(&device, &second, &mut optimizer, 1);
        let at = load(&path, &device, &second, &mut [("optimizer", &mut optimizer)]).unwrap();
        assert_eq!(at, Position { epoch: 4, batch: 3, seed: u64::MAX });
        assert_eq!((optimizer.lr(0).unwrap(), optimizer.steps().unwrap()), (0.02, vec![4; 4]));
        assert_eq!(bits(&second, &optimizer), saved);
        train(&device, &second, &mut optimizer, 3);
        assert!(bits(&second, &optimizer) == expected, "on {}", device.name());
        assert_eq!(device.random_state(), stream);
    }
}

/// With running statistics, their mean over all batches, a count, and random numbers in each step.
fn normalized(device: &Device) -> Sequential {
    let scope = Scope::new(device);
    let cumulative = BatchNormLayerOptions::default().momentum(None);
    Sequential::new(&scope)
        .make(|s| Linear::new(s, 6, 8))
        .unwrap()
        .make(|s| BatchNorm1d::new(s, 8, &BatchNormLayerOptions::default()))
        .unwrap()
        .push(Relu)
        .push(Dropout::new(0.25))
        .make(|s| Linear::new(s, 8, 3))
        .unwrap()
        .make(|s| BatchNorm1d::new(s, 3, &cumulative))
        .unwrap()
}

#[test]
fn running_statistics_and_dropout_resume_to_the_same_bits() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run.safetensors");
        device.manual_seed(5);
        let first = normalized(&device);
        let mut optimizer = adam(&first);
        train(&device, &first, &mut optimizer, 4);
        save(&path, &device, &first, &[("optimizer", &optimizer)], &Position::default()).unwrap();
        let saved = bits(&first, &optimizer);
        train(&device, &first, &mut optimizer, 3);
        let expected = bits(&first, &optimizer);

        let bytes = std::fs::read(&path).unwrap();
        let file = SafeTensors::deserialize(&bytes).unwrap();
        let count = file.tensor("1.num_batches_tracked").unwrap();
        assert_eq!(
            (count.dtype(), count.shape(), count.data()),
            (safetensors::Dtype::I64, &[][..], &4i64.to_le_bytes()[..])
        );
        assert!(file.tensor("5.running_var").is_ok());
        assert!(!file.names().iter().any(|name| name.starts_with("optimizer.") && name.contains("running")));

        device.manual_seed(99);
        let second = normalized(&device);
        let mut optimizer = adam(&second);
        train(&device, &second, &mut optimizer, 1);
        load(&path, &device, &second, &mut [("optimizer", &mut optimizer)]).unwrap();
        assert!(bits(&second, &optimizer) == saved, "on {}", device.name());
        let count = second.parameters().into_iter().find(|p| p.name() == "5.num_batches_tracked").unwrap();
        assert_eq!((count.value().dtype(), count.value().item::<i32>().unwrap()), (DType::I32, 4));
        train(&device, &second, &mut optimizer, 3);
        assert!(bits(&second, &optimizer) == expected, "on {}", device.name());

        // For evaluation, the statistics matter.
        let third = normalized(&device);
        load_weights(&path, &third).unwrap();
        load_weights(&path, &second).unwrap();
        let x = Tensor::randn(&device, &[4, 6]).unwrap();
        let evaluated = |model: &Sequential| {
            model.eval();
            model.forward(&x).unwrap().to_f64().unwrap()
        };
        assert_eq!(evaluated(&second), evaluated(&third));
    }
}

#[test]
fn the_same_run_writes_the_same_file() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let model = model(&device, 4);
    let optimizer = adam(&model);
    let write = |name: &str| {
        let path = folder.path().join(name);
        save(&path, &device, &model, &[("optimizer", &optimizer)], &Position::default()).unwrap();
        std::fs::read(path).unwrap()
    };
    let bytes = write("a");
    assert_eq!(bytes, write("b"));
    let mut names: Vec<String> =
        SafeTensors::deserialize(&bytes).unwrap().names().iter().map(|n| n.to_string()).collect();
    names.sort();
    assert_eq!(names[..2], ["0.bias", "0.weight"]);
    assert!(names.contains(&"optimizer.exp_avg.2.weight".to_string()));
    // Nothing temporary is left behind.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn parameters_alone_need_no_optimizer() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run");
        let first = model(&device, 8);
        save(&path, &device, &first, &[("optimizer", &adam(&first))], &Position { epoch: 2, ..Position::default() })
            .unwrap();
        let second = model(&device, 8);
        load_weights(&path, &second).unwrap();
        assert_eq!(Position::read(&path).unwrap().unwrap().epoch, 2);
        for (a, b) in first.parameters().iter().zip(second.parameters()) {
            assert_eq!(a.value().to_f64().unwrap(), b.value().to_f64().unwrap());
        }
    }
}

fn load_weights(path: &Path, model: &dyn Module) -> wgrad::Result<Report> {
    weights::load(path, model, &LoadOptions::default())
}

fn only(parameters: Vec<Parameter>) -> Held {
    Held(parameters)
}

/// A model that holds parameters and computes nothing.
struct Held(Vec<Parameter>);

impl Module for Held {
    fn call(&self, input: &Tensor) -> wgrad::Result<Tensor> {
        Ok(input.clone())
    }
    fn own_parameters(&self) -> Vec<Parameter> {
        self.0.clone()
    }
}

#[test]
fn integers_are_exact() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run");
        let held = |i: [i32; 4], u: [u32; 3], b: bool| {
            only(vec![
                Parameter::new("w", &Tensor::ones(&device, &[1]).unwrap()),
                Parameter::buffer("i", &Tensor::from_slice(&device, &i, &[4]).unwrap()),
                Parameter::buffer("u", &Tensor::from_slice(&device, &u, &[3]).unwrap()),
                Parameter::buffer("b", &Tensor::from_slice(&device, &[b, !b], &[2]).unwrap()),
            ])
        };
        let first = held([i32::MIN, i32::MAX, -16_777_217, 16_777_217], [16_777_217, u32::MAX, 0], true);
        save(&path, &device, &first, &[("optimizer", &adam(&first))], &Position::default()).unwrap();
        let second = held([0; 4], [0; 3], false);
        load_weights(&path, &second).unwrap();
        for (a, b) in first.0.iter().zip(&second.0) {
            assert_eq!(
                (a.value().dtype(), a.value().to_f64().unwrap()),
                (b.value().dtype(), b.value().to_f64().unwrap())
            );
        }
        // Values outside a type's range are refused: 4294967295 is not an i32.
        let narrow = only(vec![Parameter::buffer("u", &Tensor::from_slice(&device, &[1i32; 3], &[3]).unwrap())]);
        let error = weights::load(&path, &narrow, &LoadOptions::default().partial(true)).unwrap_err().to_string();
        assert!(error.contains("u holds 4294967295, which is no i32"), "{error}");
        assert_eq!(narrow.0[0].value().to_vec::<i32>().unwrap(), [1; 3]);
    }
}

#[test]
fn a_checkpoint_that_could_not_be_loaded_is_not_written() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    let model = model(&device, 4);
    let optimizer = adam(&model);
    save(&path, &device, &model, &[("optimizer", &optimizer)], &Position { epoch: 7, ..Position::default() }).unwrap();
    let good = std::fs::read(&path).unwrap();

    /// A foreign optimizer, whose rate is NaN.
    struct Lost(Adam);
    impl Optimizer for Lost {
        fn name(&self) -> &'static str {
            "adam"
        }
        fn step_with(&mut self, guard: Option<&mut Guard>) -> wgrad::Result<()> {
            self.0.step_with(guard)
        }
        fn parameters(&self) -> Vec<Parameter> {
            self.0.parameters()
        }
        fn buffers(&self) -> Vec<Parameter> {
            self.0.buffers()
        }
        fn steps(&self) -> wgrad::Result<Vec<u64>> {
            self.0.steps()
        }
        fn set_steps(&mut self, steps: &[u64]) -> wgrad::Result<()> {
            self.0.set_steps(steps)
        }
        fn groups(&self) -> usize {
            self.0.groups()
        }
        fn hyper(&self, _: Hyper, _: usize) -> wgrad::Result<Option<f64>> {
            Ok(Some(f64::NAN))
        }
        fn set_hyper(&mut self, hyper: Hyper, group: usize, value: f64) -> wgrad::Result<()> {
            self.0.set_hyper(hyper, group, value)
        }
    }
    let error = save(&path, &device, &model, &[("optimizer", &Lost(adam(&model)))], &Position::default()).unwrap_err();
    assert!(error.to_string().contains("no valid \"state\""), "{error}");

    let parameter = |name: &str| Parameter::new(name, &Tensor::ones(&device, &[2]).unwrap());
    for (names, text) in [
        (&["w", "optimizer.exp_avg.w"][..], "two entries called optimizer.exp_avg.w"),
        (&["__metadata__"], "two entries called __metadata__"),
    ] {
        let model = only(names.iter().map(|name| parameter(name)).collect());
        let optimizer = adam(&only(vec![model.0[0].clone()]));
        let error = save(&path, &device, &model, &[("optimizer", &optimizer)], &Position::default()).unwrap_err();
        assert!(matches!(error, Error::Invalid { op: "save", .. }) && error.to_string().contains(text), "{error}");
    }
    let two = only(vec![parameter("w"), parameter("w")]);
    assert!(matches!(
        save(&path, &device, &two, &[("optimizer", &optimizer)], &Position::default()),
        Err(Error::Invalid { .. })
    ));
    assert!(matches!(load_weights(&path, &two), Err(Error::Invalid { .. })));
    assert!(std::fs::read(&path).unwrap() == good);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_shared_layer_is_one() {
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("run");
        let tied = || {
            let scope = Scope::new(&device);
            let layer = Linear::new(&scope.at("l"), 4, 4).unwrap();
            (Sequential::new(&scope).push(layer.clone()).push(Relu).push(layer.clone()), layer)
        };
        let (first, layer) = tied();
        assert_eq!(first.parameters().len(), 2);
        let mut optimizer = adam(&first);
        first.forward(&Tensor::ones(&device, &[2, 4]).unwrap()).unwrap().sum_all().unwrap().backward().unwrap();
        optimizer.step().unwrap();
        save(&path, &device, &first, &[("optimizer", &optimizer)], &Position::default()).unwrap();
        let (second, other) = tied();
        load(&path, &device, &second, &mut [("optimizer", &mut adam(&second))]).unwrap();
        assert_eq!(layer.weight.value().to_f64().unwrap(), other.weight.value().to_f64().unwrap());
        assert_eq!(SafeTensors::deserialize(&std::fs::read(&path).unwrap()).unwrap().len(), 6);
    }
}

#[test]
fn weights_of_other_programs_are_read() {
    use half::{bf16, f16};
    use safetensors::Dtype;
    use safetensors::tensor::TensorView;
    let numbers = [0.5f32, -2.0, 3.0, 1.0];
    let bytes: Vec<(Dtype, Vec<u8>)> = vec![
        (Dtype::F64, numbers.iter().flat_map(|&v| f64::from(v).to_le_bytes()).collect()),
        (Dtype::F32, numbers.iter().flat_map(|v| v.to_le_bytes()).collect()),
        (Dtype::F16, numbers.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes()).collect()),
        (Dtype::BF16, numbers.iter().flat_map(|&v| bf16::from_f32(v).to_le_bytes()).collect()),
    ];
    for device in devices() {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("model.safetensors");
        for (dtype, bytes) in &bytes {
            let count = 7i64.to_le_bytes();
            let entries = [
                ("w", TensorView::new(*dtype, vec![2, 2], bytes).unwrap()),
                ("num_batches_tracked", TensorView::new(Dtype::I64, vec![], &count).unwrap()),
                ("not.of.this.model", TensorView::new(Dtype::U8, vec![2], &[1, 2]).unwrap()),
            ];
            std::fs::write(&path, safetensors::serialize(entries, None).unwrap()).unwrap();
            let model = only(vec![
                Parameter::new("w", &Tensor::zeros(&device, &[2, 2]).unwrap()),
                Parameter::buffer("num_batches_tracked", &Tensor::scalar(&device, 0i32).unwrap()),
            ]);
            let report = weights::load(&path, &model, &LoadOptions::default().partial(true)).unwrap();
            assert_eq!(report.keys.unexpected, ["not.of.this.model"]);
            assert_eq!(Position::read(&path).unwrap(), None);
            assert_eq!(model.0[0].value().to_vec::<f32>().unwrap(), numbers, "{dtype:?}");
            assert_eq!(model.0[1].value().item::<i32>().unwrap(), 7);
        }
        let half = only(vec![Parameter::new("w", &Tensor::zeros(&device, &[2, 2]).unwrap())]);
        let complex = [("w", TensorView::new(Dtype::F8_E4M3, vec![2, 2], &[0; 4]).unwrap())];
        std::fs::write(&path, safetensors::serialize(complex, None).unwrap()).unwrap();
        let error = load_weights(&path, &half).unwrap_err().to_string();
        assert!(error.contains("F8_E4M3, which is not read"), "{error}");
    }
}

#[test]
fn any_state_of_a_crafted_file_is_taken_or_refused() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run");
    let model = model(&device, 4);
    let mut optimizer = adam(&model);
    device.set_random_state(RandomState { seed: u64::MAX, counter: u64::MAX });
    optimizer.set_steps(&[u64::MAX; 4]).unwrap();
    save(&path, &device, &model, &[("optimizer", &optimizer)], &Position { epoch: u64::MAX, ..Position::default() })
        .unwrap();
    load(&path, &device, &model, &mut [("optimizer", &mut optimizer)]).unwrap();
    train(&device, &model, &mut optimizer, 2);
    assert_eq!(Tensor::rand(&device, &[9]).unwrap().to_vec::<f32>().unwrap().len(), 9);
}
