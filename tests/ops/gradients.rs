//! Gradients on the reference, in double precision, against central differences: first order for every differentiable case,
//! second order for every smooth one. Cotangents are random, never a plain sum. Besides, each input's gradient is the same if no
//! other has one, and linear in its cotangent.

use crate::common;
use crate::common::{Random, asked, inputs, tensor};
use std::hash::Hasher;
use wgrad::custom::{HostTensor, Layout, Op, Vjp, apply};
use wgrad::ops::case::Case;
use wgrad::{Device, Error, Result, Tensor, grad, ops};

/// Distance of the outer points of the stencil from the inner ones; a power of two, so that values in f32's precision move by
/// exactly the measured amount after rounding.
const STEP: f64 = 1.0 / 256.0;

/// The step of a case: smaller if elements that must keep their order are close together.
fn step(case: &Case) -> f64 {
    let ladder = |input: &wgrad::ops::case::Input| {
        let count = input.shape.iter().product::<usize>().max(1) as f64;
        if input.distinct { (input.domain.1 - input.domain.0) / count / 8.0 } else { STEP }
    };
    let most = case.inputs.iter().map(ladder).fold(STEP, f64::min);
    most.log2().floor().exp2()
}

/// Elements of an input that are differentiated one by one; the rest only along a random direction.
const MOST_ELEMENTS: usize = 12;

/// Allowed difference, relative to the largest gradient of the moved input, or to the terms that are added up along a direction,
/// whichever is more. The stencil of four points is off by `STEP^4 f^(5) / 30`, 7.8e-12 of the fifth derivative, which near a
/// pole at distance r is about `5! / r^5` of the first (reciprocal, log2, acos; r is at least 0.2): 3e-6 at the worst and 1.3e-7
/// as measured.
const TOLERANCE: f64 = 1.5e-7;

/// The contribution of rounding, relative to the terms of `f` and divided by the step: some units of 2^-53.
const ROUNDING: f64 = 1e-15;

/// Allowed difference of two ways to add up the same terms in double precision, relative to those.
const REORDERED: f64 = 1e-12;

/// The values of `f` at inputs, contracted with fixed random numbers: the sum, and that of the terms' magnitudes.
type Contracted<'a> = dyn Fn(&Device, &[Vec<f64>]) -> Result<[f64; 2]> + 'a;

fn leaves(case: &Case, device: &Device, data: &[Vec<f64>]) -> Vec<Tensor> {
    case.inputs
        .iter()
        .zip(data)
        .map(|(input, values)| {
            let leaf = tensor(device, input, values);
            if input.dtype.is_float() { leaf.requires_grad() } else { leaf }
        })
        .collect()
}

/// Random numbers of a tensor's shape.
fn like(device: &Device, t: &Tensor, random: &mut Random) -> Tensor {
    let values: Vec<f32> = (0..t.numel()).map(|_| (2.0 * random.unit() - 1.0) as f32).collect();
    Tensor::from_slice(device, &values, t.shape()).unwrap()
}

/// The sums of `a * b` and of `|a * b|` over all elements of all pairs, in f64.
fn dot(pairs: &[Tensor], others: &[Tensor]) -> Result<[f64; 2]> {
    let mut sums = [0.0; 2];
    for (a, b) in pairs.iter().zip(others) {
        for term in a.to_f64()?.iter().zip(b.to_f64()?).map(|(a, b)| a * b) {
            sums = [sums[0] + term, sums[1] + term.abs()];
        }
    }
    Ok(sums)
}

/// Outputs that have a gradient, and their cotangents.
fn outputs(case: &Case, device: &Device, leaves: &[Tensor], seed: u64) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let outputs: Vec<Tensor> = (case.run)(leaves)?.into_iter().filter(Tensor::is_tracked).collect();
    let mut random = Random(seed);
    let cotangents = outputs.iter().map(|o| like(device, o, &mut random)).collect();
    Ok((outputs, cotangents))
}

fn gradients(outputs: &[Tensor], leaves: &[&Tensor], cotangents: &[Tensor]) -> Result<Vec<Tensor>> {
    let outputs: Vec<&Tensor> = outputs.iter().collect();
    grad(&outputs, leaves, &cotangents.iter().collect::<Vec<_>>())?
        .into_iter()
        .zip(leaves)
        .map(|(gradient, leaf)| gradient.map_or_else(|| leaf.zeros_like(), Ok))
        .collect()
}

/// `sum over outputs of cotangent * output`.
fn first_order(case: &Case, seed: u64) -> impl Fn(&Device, &[Vec<f64>]) -> Result<[f64; 2]> {
    move |device, data| {
        let (outputs, cotangents) = outputs(case, device, &leaves(case, device, data), seed)?;
        dot(&outputs, &cotangents)
    }
}

/// `sum over inputs of cotangent * gradient`, the gradients being those of [`first_order`].
fn second_order(case: &Case, seed: u64) -> impl Fn(&Device, &[Vec<f64>]) -> Result<[f64; 2]> {
    move |device, data| {
        let (gradients, cotangents) = first_gradients(case, device, &leaves(case, device, data), seed)?;
        dot(&gradients, &cotangents)
    }
}

/// The first gradients, tracked, and random cotangents for them.
fn first_gradients(case: &Case, device: &Device, leaves: &[Tensor], seed: u64) -> Result<(Vec<Tensor>, Vec<Tensor>)> {
    let (outputs, cotangents) = outputs(case, device, leaves, seed)?;
    let wanted: Vec<&Tensor> = leaves.iter().filter(|t| t.is_tracked()).collect();
    let gradients = gradients(&outputs, &wanted, &cotangents)?;
    let mut random = Random(seed ^ 0x5EC0);
    let cotangents = gradients.iter().map(|g| like(device, g, &mut random)).collect();
    Ok((gradients, cotangents))
}

/// Compares the derivative of the gradients by their cotangents, along others, with the gradients for those: a gradient is linear
/// in its cotangent, whether or not it jumps. For linear operations, only this asks for the derivative of their gradient.
fn disagreement_by_cotangent(case: &Case, device: &Device, leaves: &[Tensor], seed: u64) -> Result<Option<String>> {
    let (outputs, cotangents) = outputs(case, device, leaves, seed)?;
    let cotangents: Vec<Tensor> = cotangents.iter().map(Tensor::requires_grad).collect();
    let wanted: Vec<&Tensor> = leaves.iter().filter(|t| t.is_tracked()).collect();
    let mut random = Random(seed ^ 0xC0);
    let others: Vec<Tensor> = outputs.iter().map(|o| like(device, o, &mut random)).collect();
    let tracked: Vec<bool> = gradients(&outputs, &wanted, &cotangents)?.iter().map(Tensor::is_tracked).collect();
    let of = |cotangents: &[Tensor]| -> Result<Vec<Tensor>> {
        let all = gradients(&outputs, &wanted, cotangents)?.into_iter().zip(&tracked);
        Ok(all.filter_map(|(gradient, &tracked)| tracked.then_some(gradient)).collect())
    };
    let (here, there) = (of(&cotangents)?, of(&others)?);
    let fixed: Vec<Tensor> = here.iter().map(|g| like(device, g, &mut random)).collect();
    let slopes = gradients(&here, &cotangents.iter().collect::<Vec<_>>(), &fixed)?;
    let ([expected, terms], [got, _]) = (dot(&there, &fixed)?, dot(&slopes, &others)?);
    let allowed = REORDERED * terms;
    let is_same = (got - expected).abs() <= allowed || (got.is_nan() && expected.is_nan());
    Ok((!is_same).then(|| format!("gradient {expected}, derivative by the cotangent {got} (allowed {allowed:.1e})")))
}

/// Compares each input's gradient, if no other input has one, with that among the others'; a zero one is present all the same.
fn disagreement_alone(case: &Case, device: &Device, leaves: &[Tensor], seed: u64) -> Result<Option<String>> {
    let floats: Vec<usize> = (0..leaves.len()).filter(|&i| leaves[i].is_tracked()).collect();
    let of = |tracked: &[usize]| -> Result<Vec<Option<Vec<f64>>>> {
        let leaf = |(i, leaf): (usize, &Tensor)| {
            if tracked.contains(&i) { leaf.detach().requires_grad() } else { leaf.detach() }
        };
        let leaves: Vec<Tensor> = leaves.iter().enumerate().map(leaf).collect();
        let (outputs, cotangents) = outputs(case, device, &leaves, seed)?;
        let wanted: Vec<&Tensor> = tracked.iter().map(|&i| &leaves[i]).collect();
        let gradients = grad(&outputs.iter().collect::<Vec<_>>(), &wanted, &cotangents.iter().collect::<Vec<_>>())?;
        gradients.into_iter().map(|g| g.map(|g| g.to_f64()).transpose()).collect()
    };
    if floats.len() < 2 {
        return Ok(None);
    }
    let is_same = |alone: &Option<Vec<f64>>, joint: &Option<Vec<f64>>| match (alone, joint) {
        (Some(alone), Some(joint)) => {
            let allowed = REORDERED * joint.iter().fold(0.0, |most: f64, v| most.max(v.abs()));
            alone.iter().zip(joint).all(|(a, b)| (a - b).abs() <= allowed || (a.is_nan() && b.is_nan()))
        }
        (alone, joint) => alone.is_none() && joint.is_none(),
    };
    for (&input, joint) in floats.iter().zip(of(&floats)?) {
        if !is_same(&of(&[input])?[0], &joint) {
            return Ok(Some(format!("input {input}")));
        }
    }
    Ok(None)
}

/// The slope of `f` along a direction, by a stencil of four points, and the possible contribution of rounding.
fn slope(f: &Contracted, device: &Device, data: &[Vec<f64>], direction: &[Vec<f64>], step: f64) -> Result<[f64; 2]> {
    let at = |distance: f64| {
        let moved: Vec<Vec<f64>> = data
            .iter()
            .zip(direction)
            .map(|(values, direction)| values.iter().zip(direction).map(|(v, d)| v + distance * d).collect())
            .collect();
        f(device, &moved)
    };
    let [above, below, far_above, far_below] = [at(step)?, at(-step)?, at(2.0 * step)?, at(-2.0 * step)?];
    let (near, far) = (above[0] - below[0], far_above[0] - far_below[0]);
    Ok([(8.0 * near - far) / (12.0 * step), ROUNDING * above[1].max(below[1]) / step])
}

/// Compares gradients with slopes: along single elements of each input, and along one random direction.
fn disagreement(
    case: &Case,
    device: &Device,
    data: &[Vec<f64>],
    f: &Contracted,
    gradients: &[Vec<f64>],
    random: &mut Random,
) -> Result<Option<String>> {
    let zeros: Vec<Vec<f64>> = data.iter().map(|values| vec![0.0; values.len()]).collect();
    let differentiable: Vec<usize> = (0..data.len()).filter(|&i| case.inputs[i].dtype.is_float()).collect();
    let mut directions: Vec<(String, Vec<Vec<f64>>)> = Vec::new();
    for &input in &differentiable {
        let count = data[input].len();
        let all = count <= MOST_ELEMENTS;
        for k in 0..count.min(MOST_ELEMENTS) {
            let element = if all { k } else { (random.unit() * count as f64) as usize };
            let mut direction = zeros.clone();
            direction[input][element] = 1.0;
            directions.push((format!("input {input} element {element}"), direction));
        }
    }
    // Numbers of few bits, so that moving along them stays exact; short enough not to leave the domain.
    let mut direction = zeros.clone();
    for &input in &differentiable {
        for element in &mut direction[input] {
            *element = ((random.unit() * 9.0).floor() - 4.0) / 8.0;
        }
    }
    directions.push(("a random direction".to_string(), direction));
    for (what, direction) in directions {
        let [expected, rounding] = slope(f, device, data, &direction, step(case))?;
        let (mut got, mut terms, mut largest) = (0.0, 0.0, 0.0f64);
        for (&input, gradient) in differentiable.iter().zip(gradients) {
            for (g, d) in gradient.iter().zip(&direction[input]) {
                got += g * d;
                terms += (g * d).abs();
            }
            if direction[input].iter().any(|&d| d != 0.0) {
                largest = gradient.iter().fold(largest, |largest, g| largest.max(g.abs()));
            }
        }
        let allowed = TOLERANCE * largest.max(terms) + rounding;
        if (got - expected).abs() > allowed || got.is_nan() != expected.is_nan() {
            return Ok(Some(format!("along {what}: slope {expected}, gradient {got} (allowed {allowed:.1e})")));
        }
    }
    Ok(None)
}

/// The fault of a case's gradients, if they have one.
fn check(case: &Case, number: usize, device: &Device) -> Result<Option<String>> {
    // A grid that f32 holds with precision left for an eighth of a step: moving is exact.
    let grid = (8.0 / step(case)).max(4096.0);
    let data: Vec<Vec<f64>> = inputs(case, number)
        .into_iter()
        .zip(&case.inputs)
        .map(|(values, input)| {
            let snap = |v: f64| if input.dtype.is_float() { (v * grid).round() / grid } else { v };
            values.into_iter().map(snap).collect()
        })
        .collect();
    let mut random = Random(number as u64 ^ 0xD1FF);
    let seed = number as u64 + 77;
    let tracked = leaves(case, device, &data);
    let (first, cotangents) = first_gradients(case, device, &tracked, seed)?;
    let values = first.iter().map(Tensor::to_f64).collect::<Result<Vec<_>>>()?;
    if let Some(wrong) = disagreement(case, device, &data, &first_order(case, seed), &values, &mut random)? {
        return Ok(Some(format!("first order, {wrong}")));
    }
    if let Some(wrong) = disagreement_alone(case, device, &tracked, seed)? {
        return Ok(Some(format!("alone, {wrong}")));
    }
    match disagreement_by_cotangent(case, device, &tracked, seed) {
        // The case is a gradient of the highest order that exists.
        Err(Error::NotDifferentiable { .. }) if !case.smooth => {}
        wrong => {
            if let Some(wrong) = wrong? {
                return Ok(Some(format!("by the cotangent, {wrong}")));
            }
        }
    }
    if !case.smooth {
        return Ok(None);
    }
    let wanted: Vec<&Tensor> = tracked.iter().filter(|t| t.is_tracked()).collect();
    let values = gradients(&first, &wanted, &cotangents)?.iter().map(Tensor::to_f64).collect::<Result<Vec<_>>>()?;
    let wrong = disagreement(case, device, &data, &second_order(case, seed), &values, &mut random)?;
    Ok(wrong.map(|wrong| format!("second order, {wrong}")))
}

#[test]
fn gradients_agree_with_differences() {
    let device = Device::reference();
    let mut failures = Vec::new();
    let mut checked = 0;
    let cases = ops::cases();
    let chosen = asked(&cases);
    for &(number, case) in chosen.iter().filter(|(_, case)| case.differences) {
        checked += 1;
        match check(case, number, &device) {
            Ok(None) => {}
            Ok(Some(wrong)) => failures.push(format!("{}: {wrong}", case.name())),
            Err(error) => failures.push(format!("{}: {error}", case.name())),
        }
    }
    assert!(chosen.len() < cases.len() || checked > 100, "only {checked} differentiable cases");
    assert!(failures.is_empty(), "{} of {checked} cases failed:\n{}", failures.len(), failures.join("\n"));
}

/// `x^2 y`, with a gradient that is right or has one of the planted bugs.
#[derive(Clone, Copy, Debug)]
enum Planted {
    Right,
    /// Off by a factor.
    Factor,
    /// One of two terms that add up is lost.
    DroppedAdjoint,
    /// Right, but cut off from the graph: its own gradient is zero.
    Detached,
    /// The gradient of the other operand.
    Swapped,
}

impl Op for Planted {
    fn name(&self) -> &'static str {
        "planted"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        state.write_u8(*self as u8);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let values = inputs[0].values.iter().zip(&inputs[1].values).map(|(x, y)| x * x * y).collect();
        Ok(vec![HostTensor::new(inputs[0].shape, inputs[0].dtype, values)])
    }
    fn vjp(&self, context: &Vjp) -> Result<Vec<Option<Tensor>>> {
        let (x, y, g) = (context.input(0), context.input(1), context.cotangent()?);
        let half = g.mul(x)?.mul(y)?;
        let to_x = match self {
            Planted::Right | Planted::Swapped => half.add(&half)?,
            Planted::Factor => half.mul_scalar(2.002)?,
            Planted::DroppedAdjoint => half,
            Planted::Detached => half.add(&half)?.detach(),
        };
        let to_y = g.mul(&x.square()?)?;
        Ok(if matches!(self, Planted::Swapped) { vec![Some(to_y), Some(to_x)] } else { vec![Some(to_x), Some(to_y)] })
    }
}

/// A case of the planted operation, made from a case of the library with the same inputs.
fn planted(op: Planted) -> Case {
    let mut case = ops::cases().into_iter().find(|c| c.op == "mul" && c.smooth).unwrap();
    let shape = case.inputs[0].shape.clone();
    case.inputs.iter_mut().for_each(|input| input.shape.clone_from(&shape));
    case.run = Box::new(move |x| apply(op, &[&x[0], &x[1]]));
    case
}

#[test]
fn planted_bugs_are_caught() {
    let device = Device::reference();
    let verdict = |op| check(&planted(op), 3, &device).unwrap();
    assert_eq!(verdict(Planted::Right), None);
    for bug in [Planted::Factor, Planted::DroppedAdjoint, Planted::Swapped] {
        let seen = verdict(bug).unwrap_or_else(|| panic!("{bug:?} went unseen"));
        assert!(seen.starts_with("first order"), "{bug:?}: {seen}");
    }
    let seen = verdict(Planted::Detached).expect("a detached gradient went unseen");
    assert!(seen.starts_with("second order"), "{seen}");
}

/// PyTorch's gradients of `x^y`, where differences meet a pole or an edge of the domain.
#[test]
fn powers_of_zero_have_pytorchs_gradients() {
    for device in [Some(Device::reference()), common::adapter()].into_iter().flatten() {
        let leaf = |values: &[f32]| Tensor::from_slice(&device, values, &[5]).unwrap().requires_grad();
        let (x, y) = (leaf(&[0.0, 0.0, 0.0, 2.0, 0.0]), leaf(&[0.0, 1.0, 2.0, 0.0, -1.0]));
        x.pow(&y).unwrap().sum_all().unwrap().backward().unwrap();
        assert_eq!(x.grad().unwrap().to_vec::<f32>().unwrap(), [0.0, 1.0, 0.0, 0.0, f32::NEG_INFINITY]);
        let of_exponent = y.grad().unwrap().to_vec::<f32>().unwrap();
        assert!((of_exponent[3] - 2f32.ln()).abs() < 1e-6, "{of_exponent:?}");
        assert_eq!((&of_exponent[..3], of_exponent[4]), (&[0.0; 3][..], f32::NEG_INFINITY));
    }
}

/// Rounding to 16 bits has steps and no slope, so differences can't check it: the gradient passes through, as in PyTorch.
#[test]
fn casts_between_floats_pass_gradients_on() {
    let adapter = common::adapter().filter(common::has_f16);
    for device in [Some(Device::reference()), adapter].into_iter().flatten() {
        let x = Tensor::from_slice(&device, &[0.1f32, -2.3, 700.0], &[3]).unwrap().requires_grad();
        let y = x.to_dtype(wgrad::DType::F16).unwrap().mul_scalar(2.0).unwrap().to_dtype(wgrad::DType::F32).unwrap();
        let cotangent = Tensor::from_slice(&device, &[1.0f32, 0.5, -0.25], &[3]).unwrap();
        let gradient = grad(&[&y], &[&x], &[&cotangent]).unwrap().remove(0).unwrap();
        assert_eq!(gradient.to_vec::<f32>().unwrap(), [2.0, 1.0, -0.5]);
    }
}
