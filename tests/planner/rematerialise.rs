//! Values computed again instead of kept: each call once, and no long chains of them, counted in the notes of plans.

use crate::common::chains::{Chain, SHAPES};
use crate::common::steps::{gpu, software};
use std::collections::{BTreeMap, BTreeSet};
use wgrad::models::{self, ModelOptions};
use wgrad::nn::{Module, Scope};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Graph, Noop, Result, Tensor};

/// Values computed again one from the other, as `docs/ARCHITECTURE.md` says.
const LONGEST_CHAIN: usize = 3;

/// Names of small networks of each kind; the suite without sampling takes them all.
const SAMPLE: [&str; 5] = ["resnet18", "densenet121", "mobilenet_v3_small", "googlenet", "convnext_tiny"];

/// The plan of a step up to the gradients.
fn plan(noop: Noop, make: impl Fn(&Scope) -> Result<Box<dyn Module>>, input: [usize; 4]) -> Result<String> {
    let device = Device::with_options(&DeviceOptions::default().noop(noop))?;
    let network = make(&Scope::new(&device))?;
    let images = Tensor::ones(&device, &input)?;
    device.sync()?;
    let logits = network.forward(&images)?;
    // A segmenter has a class for each pixel.
    let shape = [&logits.shape()[..1], &logits.shape()[2..]].concat();
    let labels = Tensor::from_slice(&device, &vec![1i32; shape.iter().product()], &shape)?;
    let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default())?;
    drop(logits);
    loss.backward()?;
    let gradients: Vec<Tensor> = network.parameters().iter().filter_map(wgrad::Parameter::grad).collect();
    Ok(Graph::of(&gradients.iter().collect::<Vec<_>>())?.plan()?.0)
}

/// The numbers in the list that begins behind `word`.
fn list(line: &str, word: &str) -> Vec<usize> {
    let (_, rest) = line.split_once(word).unwrap();
    let inside = rest.trim_start_matches('[').split(']').next().unwrap();
    inside.split(", ").filter(|number| !number.is_empty()).map(|number| number.parse().unwrap()).collect()
}

/// Holds the notes of a plan against the bounds, and counts the values computed again.
fn check(name: &str, plan: &str) -> usize {
    let mut calls = BTreeSet::new();
    let mut from: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for line in plan.lines().filter(|line| line.contains(" bytes computed again before ")) {
        let value = line.split(':').nth(1).and_then(|text| text.split(' ').next_back()).unwrap().parse().unwrap();
        for call in list(line, ", by ") {
            assert!(calls.insert(call), "{name}: call {call} is computed again twice");
        }
        assert!(calls.contains(&value) && from.insert(value, list(line, " from ")).is_none(), "{name}: {line}");
    }
    fn depth(value: usize, from: &BTreeMap<usize, Vec<usize>>) -> usize {
        from.get(&value).map_or(0, |read| 1 + read.iter().map(|&read| depth(read, from)).max().unwrap_or(0))
    }
    let longest = from.keys().map(|&value| depth(value, &from)).max().unwrap_or(0);
    assert!(longest <= LONGEST_CHAIN, "{name}: {longest} values computed again one from the other");
    from.len()
}

#[test]
fn no_call_is_computed_again_twice_and_chains_are_short() {
    let is_asked = |name: &&str| SAMPLE.contains(name) || std::env::var_os("WGRAD_TEST_ALL").is_some();
    for noop in [software(), gpu()] {
        let mut again = 0;
        for name in models::names().filter(is_asked) {
            let channels = if name == "lenet5" { 1 } else { 3 };
            let options = ModelOptions::default().classes(10).channels(channels).size(64);
            let make = |scope: &Scope| models::by_name(name, scope, &options);
            // Some take larger images, or are no classifiers.
            let Ok(plan) = plan(noop.clone(), make, [8, channels, 64, 64]) else {
                assert!(!SAMPLE.contains(&name), "{name} has no plan");
                continue;
            };
            again += check(name, &plan);
        }
        for shape in SHAPES {
            let make = |scope: &Scope| Ok(Box::new(Chain::new(scope, shape, 32, 16)?) as Box<dyn Module>);
            again += check(shape.name(), &plan(noop.clone(), make, [8, 16, 16, 16]).unwrap());
        }
        assert!(again > 50, "{again} values are computed again on {noop:?}");
    }
}
