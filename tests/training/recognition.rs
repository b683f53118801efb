//! The network for text, compared with PyTorch's in float64 (`tests/golden/recognition.py`), and decoders of its answers,
//! compared with all possible paths.

use crate::common::Random;
use crate::common::from_names::names;
use crate::common::network_runs::{Networks, Run};
use serde_json::Value;
use std::collections::BTreeMap;
use wgrad::models::recognition::{Crnn, CrnnOptions, CtcBeamSearch, ctc_greedy_decode};
use wgrad::nn::{Module, Scope};
use wgrad::{CtcLossOptions, Device, DeviceOptions, Error, Noop, Tensor};

fn golden() -> Value {
    serde_json::from_str(include_str!("../golden/recognition.json")).unwrap()
}

#[test]
fn names_and_shapes_are_those_of_published_weights() {
    let device = Device::with_options(&DeviceOptions::default().noop(Noop::default())).unwrap();
    let net = Crnn::new(&Scope::new(&device), &CrnnOptions::default()).unwrap();
    assert_eq!(names(&net), golden()["variants"]["crnn"]);
    let lines = Tensor::zeros(&device, &[2, 1, 32, 100]).unwrap();
    assert_eq!(net.forward(&lines).unwrap().shape()[..], [26, 2, 37]);
    let high = Tensor::zeros(&device, &[2, 1, 48, 100]).unwrap();
    let error = net.forward(&high).unwrap_err();
    assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains("[2, 1, 48, 100]"), "{error}");
}

fn difference(name: &str, case: &Value, mode: &str, device: &Device, bound: &dyn Fn(f64) -> f64) -> Option<String> {
    let shape: Vec<usize> = serde_json::from_value(case["shape"].clone()).unwrap();
    let options = CrnnOptions::default().classes(5).channels(3).hidden(6).base_width(4);
    let net = Crnn::new(&Scope::new(device), &options).unwrap();
    let run = Run { name, mode, shape: &shape, golden: &case[mode] };
    let outputs = |lines: &Tensor| Ok(vec![net.forward(lines)?]);
    let loss = |outputs: &[Tensor]| {
        let labels = Tensor::from_slice(device, &[1, 2, 2, 3, 4, 1], &[2, 3])?;
        let columns = [outputs[0].shape()[0]; 2];
        outputs[0].log_softmax(2)?.ctc_loss(&labels, &columns, &[3, 1], &CtcLossOptions::default())
    };
    run.difference(&net, device, outputs, loss, bound)
}

fn networks(golden: &Value) -> Networks<'_> {
    Networks { golden, sample: &["crnn"], rounded: &[], difference }
}

#[test]
fn values_are_pytorchs_on_the_reference() {
    networks(&golden()).compare_on_the_reference();
}

#[test]
fn values_are_pytorchs_on_the_adapter() {
    networks(&golden()).compare_on_the_adapter();
}

/// Log probabilities `[T, N, C]`, as if from a softmax.
fn log_probs(device: &Device, random: &mut Random, shape: [usize; 3]) -> Tensor {
    let logits: Vec<f64> = (0..shape.iter().product()).map(|_| 4.0 * random.unit() - 2.0).collect();
    Tensor::from_f64(device, &logits, &shape).unwrap().log_softmax(2).unwrap()
}

/// The text of a path.
fn said(path: &[usize], blank: usize) -> Vec<i32> {
    let mut labels: Vec<i32> = Vec::new();
    for (at, &class) in path.iter().enumerate() {
        if class != blank && (at == 0 || path[at - 1] != class) {
            labels.push(class as i32);
        }
    }
    labels
}

/// The probability of each text over all its paths in some columns; and the text of the likeliest path.
fn all_paths(columns: &[Vec<f64>], blank: usize) -> (BTreeMap<Vec<i32>, f64>, Vec<i32>) {
    let classes = columns[0].len();
    let (mut sums, mut best) = (BTreeMap::new(), (0.0, Vec::new()));
    for number in 0..classes.pow(columns.len() as u32) {
        let path: Vec<usize> = (0..columns.len()).map(|at| number / classes.pow(at as u32) % classes).collect();
        let probability: f64 = path.iter().zip(columns).map(|(&class, column)| column[class].exp()).product();
        *sums.entry(said(&path, blank)).or_default() += probability;
        if probability > best.0 {
            best = (probability, said(&path, blank));
        }
    }
    (sums, best.1)
}

#[test]
fn decoders_find_what_all_paths_together_say() {
    let (device, mut random) = (Device::reference(), Random(7));
    let mut differ = 0;
    for (shape, blank, lengths) in [
        ([1, 2, 3], 0, None),
        ([5, 12, 3], 0, None),
        ([5, 6, 3], 2, Some(vec![5, 4, 3, 2, 1, 5])),
        ([4, 6, 4], 1, None),
        ([6, 3, 2], 0, Some(vec![6, 1, 5])),
    ] {
        let scores = log_probs(&device, &mut random, shape);
        let values = scores.to_f64().unwrap();
        let [time, batch, classes] = shape;
        let everything = CtcBeamSearch::default().blank(blank).beam_width(10_000).best(10_000);
        let exact = everything.decode(&scores, lengths.as_deref()).unwrap();
        let usual = CtcBeamSearch::default().blank(blank).decode(&scores, lengths.as_deref()).unwrap();
        let narrow = CtcBeamSearch::default().blank(blank).beam_width(2).best(2);
        let narrow = narrow.decode(&scores, lengths.as_deref()).unwrap();
        let greedy = ctc_greedy_decode(&scores, lengths.as_deref(), blank).unwrap();
        for sample in 0..batch {
            let length = lengths.as_ref().map_or(time, |lengths| lengths[sample]);
            let column = |at: usize| values[(at * batch + sample) * classes..][..classes].to_vec();
            let (sums, path) = all_paths(&(0..length).map(column).collect::<Vec<_>>(), blank);
            assert_eq!(greedy[sample], path);
            assert_eq!(exact[sample].len(), sums.len());
            for (found, next) in exact[sample].iter().zip(exact[sample].iter().skip(1)) {
                assert!(found.log_probability >= next.log_probability);
            }
            for found in &exact[sample] {
                let (got, expected) = (found.log_probability.exp(), sums[&found.labels]);
                assert!((got - expected).abs() < 1e-12 * expected, "{:?}: {got}, not {expected}", found.labels);
            }
            // 25 prefixes are enough here, and two are followed without counting anything twice.
            assert_eq!(usual[sample].len(), 1);
            assert_eq!(usual[sample][0].labels, exact[sample][0].labels);
            for found in &narrow[sample] {
                assert!(found.log_probability.exp() < sums[&found.labels] * (1.0 + 1e-12), "{:?}", found.labels);
            }
            differ += usize::from(exact[sample][0].labels != path);
        }
    }
    // Sometimes the likeliest labels are not those of the likeliest path.
    assert!(differ > 2, "{differ}");
}

#[test]
fn an_impossible_class_is_never_said() {
    let device = Device::reference();
    let never = f64::NEG_INFINITY;
    let scores =
        Tensor::from_f64(&device, &[never, 0.0, never, 0.0, never, never, never, never, 0.0], &[3, 1, 3]).unwrap();
    let all = CtcBeamSearch::default().best(10).decode(&scores, None).unwrap();
    assert_eq!(all[0].len(), 1);
    assert_eq!((&all[0][0].labels[..], all[0][0].log_probability), (&[1, 2][..], 0.0));
    // Without columns the text is empty.
    let none = CtcBeamSearch::default().decode(&scores, Some(&[0])).unwrap();
    assert_eq!((none[0][0].labels.len(), none[0][0].log_probability), (0, 0.0));
    assert!(ctc_greedy_decode(&scores, Some(&[0]), 0).unwrap()[0].is_empty());
}

#[test]
fn decoders_refuse_what_they_cannot_read() {
    let device = Device::reference();
    let scores = Tensor::zeros(&device, &[4, 2, 3]).unwrap();
    let search = CtcBeamSearch::default();
    for (error, text) in [
        (ctc_greedy_decode(&scores.flatten(0, 1).unwrap(), None, 0).err(), "scores are [T, N, C]; these are [8, 3]"),
        (ctc_greedy_decode(&scores, None, 3).err(), "blank is 3; it must be one of the 3 classes"),
        (ctc_greedy_decode(&scores, Some(&[4]), 0).err(), "lengths [4] must be one for each of the 2 samples"),
        (
            search.decode(&scores, Some(&[4, 5])).err(),
            "lengths [4, 5] must be one for each of the 2 samples, at most 4",
        ),
        (search.blank(7).decode(&scores, None).err(), "blank is 7"),
        (search.beam_width(0).decode(&scores, None).err(), "beam_width 0 and best 1 must be above 0"),
    ] {
        let error = error.unwrap();
        assert!(matches!(error, Error::Invalid { .. }) && error.to_string().contains(text), "{error}");
    }
}
