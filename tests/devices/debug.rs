//! Debug modes: the first call that goes wrong is named, with its line; correct calls pass.

use crate::common::{Outcome, adapter, alone, asked, has_f16, results};
use std::hash::Hasher;
use std::process::Output;
use wgrad::custom::{Adapter, Class, Formula, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, Word, apply};
use wgrad::ops::case::Case;
use wgrad::{
    BatchNormOptions, DType, Debug, Device, DeviceOptions, Error, Graph, Parameter, Result, Tensor, grad, ops,
};

/// The adapter under test with checks.
fn checked(debug: Debug) -> Option<Device> {
    adapter().map(|_| Device::with_options(&DeviceOptions::default().debug(debug)).unwrap())
}

const NAN: Debug = Debug { nan: true, diff: false };
const DIFF: Debug = Debug { nan: false, diff: true };
const BOTH: Debug = Debug { nan: true, diff: true };

#[track_caller]
fn tensor(device: &Device, values: &[f32]) -> Tensor {
    Tensor::from_slice(device, values, &[values.len()]).unwrap()
}

/// The fields of `NotFinite`: operation, element, value, true if the caller passed it in, line.
fn not_finite(error: Error) -> (&'static str, Vec<usize>, f64, bool, u32) {
    match error {
        Error::NotFinite { op, element, value, leaf, recorded_at, output: 0, .. } => {
            assert!(recorded_at.file().ends_with("tests/devices/debug.rs"), "{recorded_at}");
            (op, element, value, leaf, recorded_at.line())
        }
        error => panic!("{error}"),
    }
}

#[test]
fn the_first_result_that_is_not_finite_is_named() {
    for debug in [NAN, BOTH] {
        let Some(device) = checked(debug) else { return };
        let x = tensor(&device, &[1.0, 2.0, -1.0, -3.0]).reshape(&[2, 2]).unwrap();
        // Amid calls that fuse, behind a view, and with others after it that are not finite either.
        let y = x.add_scalar(0.5).unwrap().mul_scalar(2.0).unwrap().t().unwrap();
        let line = line!() + 1;
        let z = y.log().unwrap();
        let w = z.exp().unwrap().mul(&x).unwrap().sum_all().unwrap();
        let error = w.item::<f32>().unwrap_err();
        let text = error.to_string();
        for part in ["log", "[0, 1]", "[2, 2]", "NaN", "tests/devices/debug.rs", "finite"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        let (op, element, value, leaf, at) = not_finite(error);
        // 2 (x + 0.5), transposed, is [[3, -1], [5, -5]].
        assert_eq!((op, element, leaf, at), ("log", vec![0, 1], false, line));
        assert!(value.is_nan());

        // 0 / 0, and a value that is too large for the type.
        let zero = tensor(&device, &[1.0, 0.0]);
        let (op, element, value, ..) = not_finite(zero.div(&zero).unwrap().to_vec::<f32>().unwrap_err());
        assert!((op, &element[..]) == ("div", &[1]) && value.is_nan());
        let large = tensor(&device, &[1e20, 2.0]);
        let (op, element, value, ..) = not_finite(large.square().unwrap().to_vec::<f32>().unwrap_err());
        assert_eq!((op, &element[..], value), ("square", &[0][..], f64::INFINITY));
    }
}

#[test]
fn operators_are_recorded_where_they_stand() {
    let Some(device) = checked(NAN) else { return };
    let zero = tensor(&device, &[0.0]);
    let finite = || Ok(zero.clone());
    let (results, line) = ([&zero / &zero, &zero / 0.0, 1.0 / &zero, finite() / &zero, &zero / finite()], line!());
    for result in results {
        let (op, .., at) = not_finite(result.unwrap().to_vec::<f32>().unwrap_err());
        assert_eq!((op, at), ("div", line));
    }
}

#[test]
fn what_is_handed_in_is_not_blamed_on_an_operation() {
    let Some(device) = checked(NAN) else { return };
    let line = line!() + 1;
    let bad = tensor(&device, &[1.0, 2.0, f32::NAN]);
    let error = bad.exp().unwrap().to_vec::<f32>().unwrap_err();
    let (op, element, value, leaf, at) = not_finite(error);
    assert_eq!((op, element, leaf, at), ("input", vec![2], true, line));
    assert!(value.is_nan());
    // The element is not read.
    assert_eq!(bad.narrow(0, 0, 2).unwrap().neg().unwrap().to_vec::<f32>().unwrap(), [-1.0, -2.0]);
    // Infinities that the caller intends: as values, and as a number.
    let mask = tensor(&device, &[0.0, f32::NEG_INFINITY, 0.0]);
    let scores = tensor(&device, &[1.0, 2.0, 1.0]);
    assert_eq!(scores.add(&mask).unwrap().softmax(0).unwrap().to_vec::<f32>().unwrap(), [0.5, 0.0, 0.5]);
    let hidden = Tensor::from_slice(&device, &[false, true, false], &[3]).unwrap();
    let masked = scores.masked_fill(&hidden, f64::NEG_INFINITY).unwrap();
    assert_eq!(masked.softmax(0).unwrap().to_vec::<f32>().unwrap(), [0.5, 0.0, 0.5]);
}

#[test]
fn gradients_are_named_with_the_line_of_their_forward_call() {
    let Some(device) = checked(NAN) else { return };
    let x = tensor(&device, &[4.0, 0.0]).requires_grad();
    let line = line!() + 1;
    let root = x.sqrt().unwrap();
    root.sum_all().unwrap().backward().unwrap();
    let error = x.grad().unwrap().to_vec::<f32>().unwrap_err();
    let (.., leaf, at) = not_finite(error);
    assert!(!leaf && at == line, "recorded at {at}, not {line}");
    // The device goes on.
    assert_eq!(root.to_vec::<f32>().unwrap(), [2.0, 0.0]);
}

const HALVES: &str = r"
struct Params {
    count: u32,
    offset: u32,
    factor: f32,
    last: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@group(0) @binding(3) var<storage, read_write> whole: array<i32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x < params.count) {
        let value = input[params.offset + id.x];
        output[id.x] = value * params.factor;
        whole[id.x] = i32(floor(value)) + select(0, 1, id.x == params.last);
    }
}
";

/// `x / 2` and `floor(x)` of a contiguous vector, or wrong values nearby.
#[derive(Clone, Copy, Debug)]
struct Halves {
    factor: f32,
    /// The element whose `floor` is one too large.
    wrong: u32,
}

impl Op for Halves {
    fn name(&self) -> &'static str {
        "halves"
    }
    fn structure(&self, state: &mut dyn Hasher) {
        state.write_u32(self.factor.to_bits());
        state.write_u32(self.wrong);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        let shape = inputs[0].shape;
        Ok(vec![Layout::contiguous(shape, DType::F32), Layout::contiguous(shape, DType::I32)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        let count = io.inputs[0].shape.numel();
        Ok(Kernel::new("halves", HALVES)
            .bind("input", Operand::Input(0))
            .bind("output", Operand::Output(0))
            .bind("whole", Operand::Output(1))
            .values(&[count])
            .words([Word::Offset(0), Word::Value(self.factor.to_bits()), Word::Value(self.wrong)])
            .grid([count.div_ceil(64) as u32, 1, 1])
            .into())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let of = |dtype, formula: fn(f64) -> f64| {
            HostTensor::new(inputs[0].shape, dtype, inputs[0].values.iter().map(|&v| formula(v)).collect())
        };
        Ok(vec![of(DType::F32, |v| v / 2.0), of(DType::I32, f64::floor)])
    }
}

#[test]
fn a_kernel_that_differs_from_its_reference_is_named() {
    let Some(device) = checked(DIFF) else { return };
    let values: Vec<f32> = (0..90).map(|i| 0.37 * i as f32 - 11.0).collect();
    let x = tensor(&device, &values);
    let run = |op: Halves| -> Result<f32> {
        // Fused calls before, other kernels after.
        let outputs = apply(op, &[&x.add_scalar(0.25)?.tanh()?.mul_scalar(3.0)?])?;
        outputs[0].add(&outputs[1].to_dtype(DType::F32)?)?.sum_all()?.item::<f32>()
    };
    let line = line!() - 3;
    run(Halves { factor: 0.5, wrong: u32::MAX }).unwrap();
    // A relative error of 1e-4 in one output, and a single wrong element in the other.
    for (op, wrong, at) in
        [(Halves { factor: 0.50005, wrong: u32::MAX }, 0, None), (Halves { factor: 0.5, wrong: 30 }, 1, Some(vec![30]))]
    {
        match run(op).expect_err(&format!("{op:?}")) {
            Error::Differs { op, calls, inputs, output, shape, element, value, expected, recorded_at, .. } => {
                assert_eq!((op, calls, output), ("halves", vec!["halves"], wrong));
                assert_eq!((&inputs[0][..], &shape[..]), (&[90][..], &[90][..]));
                assert!(at.is_none_or(|at| at == element), "{element:?}");
                assert!(value != expected && (value - expected).abs() <= 1.0, "{value} {expected}");
                assert_eq!((recorded_at.file(), recorded_at.line()), (file!(), line));
            }
            error => panic!("{error}"),
        }
    }
}

/// A pointwise operation whose second use in one kernel gives a different result: right by itself, wrong when it is fused with
/// itself.
#[derive(Clone, Copy, Debug)]
struct CountsUses;

static COUNTS_USES: Formula = Formula::new("counts_uses", "counted({0})").library(&["var<private> uses: u32 = 0u;
fn counted(x: vec4<f32>) -> vec4<f32> {
    uses += 1u;
    return select(x, 2.0 * x, uses > 1u);
}"]);

impl Op for CountsUses {
    fn name(&self) -> &'static str {
        "counts_uses"
    }
    fn structure(&self, _: &mut dyn Hasher) {}
    fn class(&self) -> Class<'_> {
        Class::Pointwise(&COUNTS_USES)
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, DType::F32)])
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        Ok(vec![inputs[0].clone()])
    }
}

#[test]
fn a_wrong_fusion_is_told_from_a_wrong_call() {
    let Some(device) = checked(DIFF) else { return };
    let x = tensor(&device, &[1.0, 2.0, 3.0]);
    let use_one = |x: &Tensor| apply(CountsUses, &[x]).map(|mut outputs| outputs.remove(0));
    let once = use_one(&x).unwrap().mul_scalar(3.0).unwrap();
    assert_eq!(once.to_vec::<f32>().unwrap(), [3.0, 6.0, 9.0]);
    let twice = use_one(&use_one(&x).unwrap().exp().unwrap()).unwrap();
    match twice.to_vec::<f32>().unwrap_err() {
        Error::Differs { calls, .. } => assert_eq!(calls, ["counts_uses", "exp", "counts_uses"]),
        error => panic!("{error}"),
    }
    // Call by call, nothing is wrong.
    let Some(device) = checked(BOTH) else { return };
    let x = tensor(&device, &[1.0, 2.0]);
    assert_eq!(use_one(&use_one(&x).unwrap()).unwrap().to_vec::<f32>().unwrap(), [1.0, 2.0]);
}

/// Every fourth case of each operation, or with `WGRAD_TEST_ALL=1` every one, or those of `WGRAD_TEST_OP`.
fn chosen<'a>(cases: &'a [Case], device: &Device) -> Vec<(usize, &'a Case)> {
    let has_f16 = has_f16(device);
    let mut chosen = asked(cases);
    let is_all = chosen.len() == cases.len();
    let takes_all = !is_all || std::env::var("WGRAD_TEST_ALL").is_ok();
    chosen.retain(|(number, case)| (takes_all || number % 1000 % 4 == 1) && (has_f16 || !case.needs_f16));
    assert!(!is_all || chosen.len() > 100, "only {} cases", chosen.len());
    chosen
}

/// True if a case's results, or intermediate values, are not finite: a mean of nothing, or the loss of an impossible alignment,
/// which `zero_infinity` removes.
fn is_infinite_somewhere(case: &Case, results: &[Outcome]) -> bool {
    results.iter().any(|outcome| outcome.values.iter().any(|value| !value.is_finite()))
        || case.inputs.iter().any(|input| input.shape.contains(&0))
        || case.op == "ctc_loss"
}

/// The operations' cases, forward and backward, pass every check, unless their results really are not finite; and
/// checking changes no value.
fn pass(debug: Debug) {
    let Some(device) = checked(debug) else { return };
    let cases = ops::cases();
    let mut alarms = Vec::new();
    for (number, case) in chosen(&cases, &device) {
        let name = case.name();
        let expected = results(case, number, &Device::reference()).unwrap();
        let got = match results(case, number, &device) {
            Ok(got) => got,
            Err(Error::NotFinite { .. }) if is_infinite_somewhere(case, &expected) => continue,
            Err(error) => {
                alarms.push(format!("{name}: {error}"));
                continue;
            }
        };
        let pairs = got.iter().zip(&expected);
        let wrong = pairs.filter_map(|(got, expected)| got.difference(expected, case.tolerance));
        alarms.extend(wrong.map(|wrong| format!("{name}: {wrong}")));
    }
    assert!(alarms.is_empty(), "{} alarms:\n{}", alarms.len(), alarms.join("\n"));
}

#[test]
fn looking_for_nan_raises_no_false_alarm() {
    pass(NAN);
}

#[test]
fn comparing_kernels_raises_no_false_alarm() {
    pass(DIFF);
}

#[test]
fn comparing_calls_raises_no_false_alarm() {
    pass(BOTH);
}

/// Training with checks: values that persist from step to step, and memory that does not pile up.
#[test]
fn checked_training_goes_on() {
    let Some(device) = checked(BOTH) else { return };
    let weight = Parameter::new("w", &tensor(&device, &[0.5, -0.25, 1.0]));
    let mut buffers = Vec::new();
    for step in 0..6 {
        let x = tensor(&device, &[1.0, step as f32, -1.0]);
        let loss = weight.value().mul(&x).unwrap().tanh().unwrap().square().unwrap().sum_all().unwrap();
        let gradient = grad(&[&loss], &[&weight.value()], &[&Tensor::ones(&device, &[]).unwrap()]).unwrap().remove(0);
        weight.assign(&weight.value().sub(&gradient.unwrap().mul_scalar(0.1).unwrap()).unwrap()).unwrap();
        device.flush().unwrap();
        assert!(loss.item::<f32>().unwrap().is_finite());
        drop(loss);
        buffers.push(device.stats().buffers);
    }
    assert_eq!(buffers[3], buffers[5], "{buffers:?}");
}

/// Batch norm between other layers, with a call of the caller's, and a loss that is not read before the flush.
fn normalized(device: &Device, planted: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let values: Vec<f32> = (0..1152).map(|i| (i * 7919 % 1009) as f32 / 500.0 - 1.0).collect();
    let x = Tensor::from_slice(device, &values, &[8, 4, 6, 6])?.requires_grad();
    let mean = Parameter::buffer("mean", &Tensor::zeros(device, &[4])?);
    let var = Parameter::buffer("var", &Tensor::ones(device, &[4])?);
    let options = BatchNormOptions::default().training(true);
    let y = x.batch_norm(Some(&mean), Some(&var), None, None, &options)?;
    let z = y.add(&x.batch_norm(None, None, None, None, &options)?.relu()?.mean_keepdim([2, 3])?)?;
    let more = planted(&y.detach().flatten(0, -1)?)?.mean_all()?;
    z.square()?.mean_all()?.add(&more)?.backward()?;
    device.flush()?;
    let more = more.reshape(&[1])?;
    Tensor::cat(
        &[&x.grad().unwrap().flatten(0, -1)?, &y.detach().flatten(0, -1)?, &mean.value(), &var.value(), &more],
        0,
    )
}

#[test]
fn a_norm_and_its_gradient_raise_no_alarm() {
    let Some(device) = adapter() else { return };
    let right =
        |y: &Tensor| apply(Halves { factor: 0.5, wrong: u32::MAX }, &[y]).map(|mut halves| halves.swap_remove(0));
    let expected = normalized(&device, right).unwrap().to_vec::<f32>().unwrap();
    for debug in [NAN, DIFF, BOTH] {
        let device = checked(debug).unwrap();
        let got = normalized(&device, right).unwrap().to_vec::<f32>().unwrap();
        let far = got.iter().zip(&expected).position(|(got, expected)| (got - expected).abs() > 1e-5);
        assert!(far.is_none(), "{debug:?}: element {far:?} has another value");
    }
}

#[test]
fn what_goes_wrong_behind_a_norm_is_named() {
    for debug in [DIFF, BOTH] {
        let Some(device) = checked(debug) else { return };
        let wrong =
            |y: &Tensor| apply(Halves { factor: 0.501, wrong: u32::MAX }, &[y]).map(|mut all| all.swap_remove(0));
        match normalized(&device, wrong).unwrap_err() {
            Error::Differs { op, .. } => assert_eq!(op, "halves"),
            error => panic!("{error}"),
        }
    }
    for debug in [NAN, BOTH] {
        let device = checked(debug).unwrap();
        // The logarithm of about half the elements, which are negative.
        let (op, _, value, leaf, _) = not_finite(normalized(&device, |y| y.log()).unwrap_err());
        assert!(op == "log" && value.is_nan() && !leaf, "{op} {value}");
    }
}

/// Runs one test of this file again with an environment.
fn child(test: &str, variables: &[(&str, &str)]) -> Output {
    alone(module_path!(), test).env("WGRAD_TEST_CHILD", "1").envs(variables.iter().copied()).output().unwrap()
}

#[test]
fn logarithm_of_a_negative_number() {
    // Does nothing unless another test starts it with an environment, to inspect its output.
    if std::env::var_os("WGRAD_TEST_CHILD").is_none() {
        return;
    }
    for device in adapter().into_iter().chain([Device::reference()]) {
        let error = tensor(&device, &[-1.0]).log().unwrap().to_vec::<f32>().unwrap_err();
        println!("said: {error}");
    }
}

#[test]
fn the_environment_asks_for_checks_and_plans() {
    let output = child("logarithm_of_a_negative_number", &[("WGRAD_DEBUG", "nan"), ("WGRAD_LOG", "plan")]);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let devices = 1 + usize::from(adapter().is_some());
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out.matches("said: log: element [0] of output 0, [1], is NaN").count(), devices, "{out}");
    if adapter().is_some() {
        for part in ["wgrad: plan 0: 1 dispatches", "pointwise for log", "slot0: "] {
            assert!(err.contains(part), "{part} is not in\n{err}");
        }
    }
    // Without the environment there is no error, which the test expects, and nothing is printed.
    let output = child("logarithm_of_a_negative_number", &[]);
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !err.contains("wgrad: plan"), "{err}");
}

#[test]
fn notes_and_slots_are_in_the_printed_plan() {
    let noop = DeviceOptions::default().noop(wgrad::Noop::default());
    let device = Device::with_options(&noop).unwrap();
    let x = tensor(&device, &[1.0, 2.0, 3.0]);
    let (text, _) = Graph::of(&[&x.exp().unwrap().softmax(0).unwrap()]).unwrap().plan().unwrap();
    assert!(text.contains("slot0: 12 bytes"), "{text}");
}
