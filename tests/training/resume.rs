//! Interrupted runs end in the bits of an uninterrupted one, with all the state that a run may have: two optimizers, groups, one
//! of which is added while training, wrappers, schedules by steps and by epochs, random numbers, and a position in an epoch.

use crate::common::{Random, own_adapter};
use std::path::Path;
use tempfile::TempDir;
use wgrad::nn::{BatchNorm1d, BatchNormLayerOptions, Dropout, Linear, Module, Scope};
use wgrad::optim::lr_scheduler::{
    ChainedScheduler, CosineAnnealingLr, ExponentialLr, LinearWarmup, LrScheduler, OneCycleLr, Plateau,
    ReduceLrOnPlateau, SequentialLr,
};
use wgrad::optim::{
    AdamW, AdamWOptions, Averaged, Averaging, Lookahead, LookaheadOptions, Optimizer, ParamGroup, Sgd, SgdOptions,
};
use wgrad::train::{self, Position, State};
use wgrad::{CrossEntropyOptions, Device, Tensor};

const STEPS: u64 = 24;
const BATCHES: u64 = 7;
/// The step at which the last layer joins the training.
const JOINS: u64 = 5;

struct Net {
    body: Linear,
    norm: BatchNorm1d,
    dropout: Dropout,
    head: Linear,
    last: Linear,
}

impl Module for Net {
    fn call(&self, input: &Tensor) -> wgrad::Result<Tensor> {
        let hidden = self.dropout.forward(&self.norm.forward(&self.body.forward(input)?)?.relu()?)?;
        self.last.forward(&self.head.forward(&hidden)?.relu()?)
    }
    fn children(&self) -> wgrad::nn::Children<'_> {
        wgrad::nn::children![self; body, norm, dropout, head, last]
    }
}

struct Run {
    device: Device,
    net: Net,
    body: Averaged<Lookahead<AdamW>>,
    head: Sgd,
    of_body: LrScheduler,
    of_head: LrScheduler,
    by_loss: ReduceLrOnPlateau,
    at: Position,
    taken: u64,
}

impl Run {
    fn new(device: &Device, seed: u64) -> Run {
        device.manual_seed(seed);
        let scope = Scope::new(device);
        let net = Net {
            body: Linear::new(&scope.at("body"), 5, 8).unwrap(),
            norm: BatchNorm1d::new(&scope.at("norm"), 8, &BatchNormLayerOptions::default()).unwrap(),
            dropout: Dropout::new(0.3),
            head: Linear::new(&scope.at("head"), 8, 4).unwrap(),
            last: Linear::new(&scope.at("last"), 4, 3).unwrap(),
        };
        let options = AdamWOptions::default().lr(0.02);
        let norm = ParamGroup::new(&net.norm, options.weight_decay(0.0).lr(0.01));
        let adamw = AdamW::with_groups(vec![ParamGroup::new(&net.body, options), norm]).unwrap();
        let lookahead = Lookahead::new(adamw, LookaheadOptions::default().k(4)).unwrap();
        let mut body = Averaged::new(lookahead, Averaging::Ema { decay: 0.9 }).unwrap();
        let mut head = Sgd::new(net.head.parameters(), SgdOptions::default().lr(0.1).momentum(0.9)).unwrap();
        let warmup = LinearWarmup::new(3, CosineAnnealingLr::new(12)).warmup_lr_init(1e-3);
        let of_body = LrScheduler::new(&mut body, SequentialLr::new(warmup).then(9, ExponentialLr::new(0.9))).unwrap();
        let cycle = OneCycleLr::new(0.2, 40).pct_start(0.4);
        let of_head = LrScheduler::new(&mut head, ChainedScheduler::new().then(cycle)).unwrap();
        let by_loss = ReduceLrOnPlateau::new(Plateau::Min).patience(0).factor(0.7);
        let at = Position { seed: 11, ..Position::default() };
        Run { device: device.clone(), net, body, head, of_body, of_head, by_loss, at, taken: 0 }
    }

    fn join(&mut self) {
        let last = ParamGroup::new(&self.net.last, AdamWOptions::default().lr(0.005));
        self.body.inner_mut().inner_mut().add_group(last).unwrap();
    }

    fn step(&mut self) {
        if self.taken == JOINS {
            self.join();
        }
        let mut random = Random(self.at.seed + 100 * self.at.epoch + self.at.batch);
        let values: Vec<f32> = (0..30).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
        let x = Tensor::from_slice(&self.device, &values, &[6, 5]).unwrap();
        let labels = Tensor::from_slice(&self.device, &[0, 1, 2, 1, 0, 2], &[6]).unwrap();
        let loss = self.net.forward(&x).unwrap().cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        loss.backward().unwrap();
        self.body.step().unwrap();
        self.head.step().unwrap();
        self.net.parameters().iter().for_each(|parameter| parameter.zero_grad());
        self.of_body.step(&mut self.body).unwrap();
        self.of_head.step(&mut self.head).unwrap();
        self.taken += 1;
        self.at.batch += 1;
        if self.at.batch == BATCHES {
            self.at = Position { epoch: self.at.epoch + 1, batch: 0, ..self.at };
            self.by_loss.step(&mut self.head, f64::from(loss.item::<f32>().unwrap())).unwrap();
        }
    }

    fn save(&self, path: &Path) {
        let parts: [(&str, &dyn State); 5] = [
            ("body", &self.body),
            ("head", &self.head),
            ("of_body", &self.of_body),
            ("of_head", &self.of_head),
            ("by_loss", &self.by_loss),
        ];
        train::save(path, &self.device, &self.net, &parts, &self.at).unwrap();
    }

    fn load(&mut self, path: &Path) -> wgrad::Result<()> {
        let mut parts: [(&str, &mut dyn State); 5] = [
            ("body", &mut self.body),
            ("head", &mut self.head),
            ("of_body", &mut self.of_body),
            ("of_head", &mut self.of_head),
            ("by_loss", &mut self.by_loss),
        ];
        self.at = train::load(path, &self.device, &self.net, &mut parts)?;
        self.taken = BATCHES * self.at.epoch + self.at.batch;
        Ok(())
    }

    fn bits(&self) -> Vec<u64> {
        let tensors = [self.net.parameters(), self.body.buffers(), self.head.buffers()].concat();
        let numbers = [self.body.numbers(), self.head.numbers()].map(Result::unwrap);
        let numbers = numbers.iter().flat_map(|numbers| numbers.values().flatten().copied());
        let random = self.device.random_state();
        let all = tensors.iter().flat_map(|tensor| tensor.value().to_f64().unwrap()).chain(numbers);
        all.map(f64::to_bits).chain([random.seed, random.counter, self.at.epoch, self.at.batch]).collect()
    }
}

fn ends_alike(device: &Device, cuts: usize) {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.safetensors");
    let mut whole = Run::new(device, 3);
    (0..STEPS).for_each(|_| whole.step());
    let expected = whole.bits();
    let mut random = Random(17);
    for _ in 0..cuts {
        let cut = (random.unit() * STEPS as f64) as u64;
        let mut first = Run::new(device, 3);
        (0..cut).for_each(|_| first.step());
        first.save(&path);
        drop(first);
        let mut second = Run::new(device, 99);
        if cut > JOINS {
            second.join();
        }
        second.load(&path).unwrap();
        assert_eq!(second.taken, cut);
        (cut..STEPS).for_each(|_| second.step());
        assert!(second.bits() == expected, "cut at step {cut} on {}", device.name());
    }
}

#[test]
fn runs_cut_anywhere_end_in_the_same_bits() {
    ends_alike(&Device::reference(), 10);
}

#[test]
fn runs_cut_on_the_adapter_end_in_the_same_bits() {
    if let Some(device) = own_adapter() {
        ends_alike(&device, 2);
    }
}

#[test]
fn parts_that_do_not_fit_change_nothing() {
    let device = Device::reference();
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("run.safetensors");
    let mut first = Run::new(&device, 3);
    (0..JOINS + 2).for_each(|_| first.step());
    first.save(&path);

    let mut second = Run::new(&device, 4);
    let before = second.bits();
    let mut refused = |load: &mut dyn FnMut(&mut Run) -> wgrad::Result<()>, text: &str| {
        let message = load(&mut second).unwrap_err().to_string();
        assert!(message.contains(text), "{text:?} in {message:?}");
        assert!(second.bits() == before, "{text}");
    };
    // A group has joined since.
    refused(&mut |run| run.load(&path), "body: adamw: 3 groups of parameters, not 2: add those that were added");
    let some = |run: &mut Run| train::load(&path, &run.device, &run.net, &mut [("body", &mut run.body)]).map(drop);
    refused(&mut { some }, "by_loss, ReduceLrOnPlateau, belongs to nothing here: load it too");
    let other = |run: &mut Run| {
        let mut parts: [(&str, &mut dyn State); 2] = [("body", &mut run.head), ("head", &mut run.body)];
        train::load(&path, &run.device, &run.net, &mut parts).map(drop)
    };
    refused(&mut { other }, "body was written as adamw, not sgd");
    let unknown = |run: &mut Run| train::load(&path, &run.device, &run.net, &mut [("scaler", &mut run.body)]).map(drop);
    refused(&mut { unknown }, "there is no scaler in it");

    // The host's last check refuses before anything has moved: a rate that the last part does not take.
    let mut numbers = second.head.numbers().unwrap();
    numbers.insert("lr".into(), vec![-1.0]);
    assert!(second.head.check_numbers(&numbers).is_err());
    assert!(second.head.set_numbers(&numbers).is_err());
    numbers.insert("lr".into(), vec![0.5, 0.5]);
    let message = second.head.set_numbers(&numbers).unwrap_err().to_string();
    assert!(message.contains("2 groups of parameters, not 1"), "{message}");
    assert!(second.bits() == before);
}
