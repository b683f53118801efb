//! Groups of parameters: each with its own numbers, all in one launch.

use crate::common::{Random, own_adapter};
use wgrad::optim::{
    AdamW, AdamWOptions, Hyper, Lamb, LambOptions, Lars, LarsOptions, Optimizer, ParamGroup, Sgd, SgdOptions,
    groups_by_name, layer_decay, no_decay_on_norms_and_biases,
};
use wgrad::{Device, Error, Parameter, Result, Tensor};

const SHAPES: [&[usize]; 5] = [&[1], &[130], &[3, 5], &[128], &[7, 1, 3]];

fn devices() -> impl Iterator<Item = Device> {
    [Some(Device::reference()), own_adapter()].into_iter().flatten()
}

fn parameters(device: &Device) -> Vec<Parameter> {
    let mut random = Random(3);
    let parameter = |(i, shape): (usize, &&[usize])| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| random.unit() as f32).collect();
        Parameter::new(format!("p{i}"), &Tensor::from_slice(device, &values, shape).unwrap())
    };
    SHAPES.iter().enumerate().map(parameter).collect()
}

fn backward(parameters: &[Parameter]) {
    let cube = |p: &Parameter| p.value().mul(&p.value())?.mul(&p.value())?.sum_all();
    let losses = parameters.iter().map(cube).collect::<Result<Vec<_>>>().unwrap();
    losses.iter().skip(1).fold(losses[0].clone(), |sum, loss| sum.add(loss).unwrap()).backward().unwrap();
}

fn bits(parameters: &[Parameter]) -> Vec<Vec<u32>> {
    let bits = |p: &Parameter| p.value().to_vec::<f32>().unwrap().iter().map(|v| v.to_bits()).collect();
    parameters.iter().map(bits).collect()
}

fn options(group: usize) -> AdamWOptions {
    let options = AdamWOptions::default();
    [options.lr(0.1), options.lr(0.02).weight_decay(0.5), options.lr(0.3).betas((0.5, 0.9)).eps(0.1)][group]
}

#[test]
fn groups_change_numbers_and_not_launches() {
    let Some(device) = own_adapter() else { return };
    let mut dispatches = Vec::new();
    for members in [&[&[0, 1, 2, 3, 4][..]][..], &[&[0, 3], &[1], &[2, 4]]] {
        let all = parameters(&device);
        let group = |(at, members): (usize, &&[usize])| {
            ParamGroup::new(members.iter().map(|&i| all[i].clone()).collect::<Vec<_>>(), options(at))
        };
        let mut adamw = AdamW::with_groups(members.iter().enumerate().map(group).collect()).unwrap();
        let mut settled = None;
        for step in 0..6 {
            backward(&all);
            device.flush().unwrap();
            let before = device.stats().dispatches;
            // Rates that become equal and different again.
            for group in 0..adamw.groups() {
                adamw.set_lr(group, if step == 3 { 0.1 } else { 0.01 * (group + step + 1) as f64 }).unwrap();
            }
            adamw.step().unwrap();
            adamw.zero_grad();
            dispatches.push(device.stats().dispatches - before);
            let stats = device.stats();
            let made = (stats.plans, stats.pipelines, stats.buffers, stats.bind_groups);
            if step > 1 {
                assert_eq!(*settled.get_or_insert(made), made, "step {step}");
            }
        }
    }
    assert_eq!(dispatches, [2; 12]);
}

#[test]
fn groups_are_what_optimizers_of_their_own_are() {
    for device in devices() {
        let (together, alone) = (parameters(&device), parameters(&device));
        let groups = |all: &[Parameter]| {
            let group = |(at, members): (usize, &[usize])| {
                ParamGroup::new(members.iter().map(|&i| all[i].clone()).collect::<Vec<_>>(), options(at))
            };
            [&[0, 3][..], &[1], &[2, 4]].into_iter().enumerate().map(group).collect::<Vec<_>>()
        };
        let mut one = AdamW::with_groups(groups(&together)).unwrap();
        let mut many: Vec<AdamW> =
            groups(&alone).into_iter().map(|group| AdamW::with_groups(vec![group]).unwrap()).collect();
        for _ in 0..4 {
            backward(&together);
            one.step().unwrap();
            one.zero_grad();
            backward(&alone);
            many.iter_mut().for_each(|optimizer| optimizer.step().unwrap());
            many.iter().for_each(|optimizer| optimizer.zero_grad());
            assert_eq!(bits(&together), bits(&alone), "{}", device.name());
        }
    }
}

#[test]
fn a_group_can_be_added_while_training() {
    for device in devices() {
        let (all, alone) = (parameters(&device), parameters(&device));
        let mut adamw = AdamW::new(all[..2].to_vec(), options(0)).unwrap();
        let mut first = AdamW::new(alone[..2].to_vec(), options(0)).unwrap();
        let mut second = AdamW::new(alone[2..].to_vec(), options(1)).unwrap();
        for step in 0..4 {
            if step == 2 {
                adamw.add_group(ParamGroup::new(all[2..].to_vec(), options(1))).unwrap();
                assert_eq!(adamw.steps().unwrap(), [2, 2, 0, 0, 0]);
            }
            backward(&all);
            adamw.step().unwrap();
            all.iter().for_each(Parameter::zero_grad);
            backward(&alone);
            first.step().unwrap();
            if step >= 2 {
                second.step().unwrap();
            }
            alone.iter().for_each(Parameter::zero_grad);
        }
        assert_eq!(bits(&all), bits(&alone), "{}", device.name());
        let names: Vec<String> = adamw.parameters().iter().map(|p| p.name().to_string()).collect();
        assert_eq!(names, ["p0", "p1", "p2", "p3", "p4"]);
    }
}

#[test]
fn helpers_split_by_names_dimensions_and_layers() {
    let device = Device::reference();
    let names = |groups: &[ParamGroup<SgdOptions>]| -> Vec<Vec<String>> {
        groups.iter().map(|group| group.parameters.iter().map(|p| p.name().to_string()).collect()).collect()
    };
    let parameter = |name: &str, shape: &[usize]| Parameter::new(name, &Tensor::ones(&device, shape).unwrap());
    let all = vec![
        parameter("conv.weight", &[2, 1, 3, 3]),
        parameter("conv.bias", &[2]),
        parameter("bn.weight", &[2]),
        parameter("fc.weight", &[2, 2]),
        Parameter::buffer("bn.running_mean", &Tensor::ones(&device, &[2]).unwrap()),
    ];
    let sgd = SgdOptions::default().lr(1.0).weight_decay(0.1);
    let groups = groups_by_name(all.clone(), sgd, &[("*.bias", sgd.lr(2.0)), ("conv.*", sgd.lr(3.0))]).unwrap();
    assert_eq!(names(&groups), [vec!["conv.bias"], vec!["conv.weight"], vec!["bn.weight", "fc.weight"]]);
    assert_eq!(groups.iter().map(|group| group.options.lr).collect::<Vec<_>>(), [2.0, 3.0, 1.0]);
    let groups = no_decay_on_norms_and_biases(groups).unwrap();
    assert_eq!(names(&groups), [vec!["conv.bias"], vec!["conv.weight"], vec!["fc.weight"], vec!["bn.weight"]]);
    assert_eq!(groups.iter().map(|group| group.options.weight_decay).collect::<Vec<_>>(), [0.0, 0.1, 0.1, 0.0]);
    let groups = layer_decay(all.clone(), sgd, 0.5, &["conv.*", "bn.*", "fc.*"]).unwrap();
    assert_eq!(names(&groups), [vec!["conv.weight", "conv.bias"], vec!["bn.weight"], vec!["fc.weight"]]);
    assert_eq!(groups.iter().map(|group| group.options.lr).collect::<Vec<_>>(), [0.25, 0.5, 1.0]);
    for (error, text) in [
        (groups_by_name(all.clone(), sgd, &[("conv*", sgd), ("conv.bias", sgd)]).err(), "\"conv.bias\" matches no"),
        (layer_decay(all.clone(), sgd, 0.5, &["conv.*", "fc.*"]).err(), "bn.weight belongs to none"),
        (layer_decay(all.clone(), sgd, f64::NAN, &["*"]).err(), "decay is NaN"),
    ] {
        let error = error.expect("an error").to_string();
        assert!(error.contains(text), "{error}");
    }
}

#[test]
fn wrong_groups_are_errors() {
    let device = Device::reference();
    let all = parameters(&device);
    let group = |members: &[usize]| {
        ParamGroup::new(members.iter().map(|&i| all[i].clone()).collect::<Vec<_>>(), SgdOptions::default())
    };
    let bad = |error: Option<Error>, text: &str| {
        let error = error.expect("an error").to_string();
        assert!(error.contains(text), "{error}");
    };
    bad(Sgd::with_groups(Vec::new()).err(), "no groups");
    bad(Sgd::with_groups(vec![group(&[0]), group(&[])]).err(), "group 1 has no trained parameters");
    bad(Sgd::with_groups(vec![group(&[0, 1]), group(&[2, 1])]).err(), "p1 is in two groups");
    let mut sgd = Sgd::with_groups(vec![group(&[0, 1])]).unwrap();
    bad(sgd.add_group(group(&[2, 0])).err(), "p0 is in two groups");
    assert_eq!((sgd.groups(), sgd.parameters().len()), (1, 2));
    bad(sgd.set_lr(1, 0.1).err(), "group 1 of 1");
    bad(sgd.set_lr(0, f64::NAN).err(), "lr is NaN");
    bad(sgd.set_momentum(0, 0.9).err(), "can't become");
    bad(sgd.set_hyper(Hyper::WeightDecay, 0, -1.0).err(), "weight_decay is -1");
    assert_eq!((sgd.lr(0).unwrap(), sgd.momentum(0).unwrap()), (1e-3, Some(0.0)));
    let mut sgd = Sgd::new(all.clone(), SgdOptions::default().momentum(0.9)).unwrap();
    sgd.set_momentum(0, 0.0).unwrap();
    sgd.set_momentum(0, 0.5).unwrap();
    bad(sgd.set_options(0, SgdOptions::default().momentum(0.9).nesterov(true)).err(), "can't become");
}

/// Norms are those of each parameter, though they are computed over whole packs.
#[test]
fn norms_of_parameters_in_one_pack_are_their_own() {
    let lamb = LambOptions::default().lr(0.05).max_grad_norm(None);
    let lars = LarsOptions::default().lr(0.5).weight_decay(0.1).trust_coeff(0.1).momentum(0.9);
    for device in devices() {
        let make = |parameters: Vec<Parameter>, is_lamb: bool| -> Box<dyn Optimizer> {
            if is_lamb {
                Box::new(Lamb::new(parameters, lamb).unwrap())
            } else {
                Box::new(Lars::new(parameters, lars).unwrap())
            }
        };
        for is_lamb in [true, false] {
            let (together, alone) = (parameters(&device), parameters(&device));
            let mut one = make(together.clone(), is_lamb);
            let mut many: Vec<_> = alone.iter().map(|parameter| make(vec![parameter.clone()], is_lamb)).collect();
            for _ in 0..3 {
                backward(&together);
                one.step().unwrap();
                one.zero_grad();
                backward(&alone);
                many.iter_mut().for_each(|optimizer| optimizer.step().unwrap());
                many.iter().for_each(|optimizer| optimizer.zero_grad());
            }
            assert_eq!(bits(&together), bits(&alone), "{}", device.name());
        }
    }
}

#[test]
fn a_parameter_moves_by_a_gradient_in_one_optimizer_only() {
    for device in devices() {
        let all = parameters(&device);
        let sgd = |parameters: &[Parameter]| Sgd::new(parameters.to_vec(), SgdOptions::default().lr(0.1)).unwrap();
        let (mut first, mut second) = (sgd(&all[..2]), sgd(&all[1..]));
        backward(&all);
        first.step().unwrap();
        let before = bits(&all);
        let error = second.step().unwrap_err().to_string();
        assert!(error.contains("p1 has been changed by another optimizer"), "{error}");
        assert_eq!(bits(&all), before);
        // One optimizer may do so; and another one by another gradient.
        first.step().unwrap();
        first.zero_grad();
        second.step().unwrap();
        backward(&all);
        second.step().unwrap();
        assert_eq!(second.steps().unwrap(), [1, 2, 2, 2]);
    }
}
