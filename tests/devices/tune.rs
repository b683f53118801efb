//! Tuning: right and fast candidates win, wrong and broken ones never do, and winners are found again.

use crate::common::adapter;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::Duration;
use wgrad::custom::{Adapter, HostTensor, Io, Kernel, Kernels, Layout, Op, Operand, Word, apply, fold_groups};
use wgrad::{Device, DeviceOptions, Disable, Error, Noop, Result, Tensor, TuneOutcome, Tuning, grad};

/// Multiplies by two, repeatedly.
const DOUBLE: &str = "
const ROUNDS: u32 = 1u;
const FACTOR: f32 = 2.0;
struct Params {
    count: u32,
    offset: u32,
}
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
fn store_output(index: u32, value: f32) {
    output[index] = value;
}
@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let id = (group.x + group.y * groups.x) * 64u + lane;
    if id < params.count {
        var value = FACTOR * input[params.offset + id];
        // Arbitrarily slow, with the same result.
        for (var round = 1u; round < ROUNDS; round++) {
            value = select(value, -value, value == f32(round) + 1e6);
        }
        store_output(id, value);
    }
}
";

/// The variants of [`Double`].
#[derive(Clone, Copy, Debug, Hash)]
enum Way {
    /// Right, after this many rounds.
    Rounds(u32),
    /// Off by a thousandth.
    Wrong,
    /// Writes the first half alone.
    Half,
    /// Does not compile.
    Broken,
    /// Binds a buffer that does not exist.
    Unbound,
    /// Gives zeros.
    Zero,
}

#[derive(Clone, Debug, Hash)]
struct Double(&'static [Way]);

impl Double {
    fn way(way: Way, io: &Io) -> Kernels {
        let count = io.outputs[0].shape.numel();
        let (name, template, rounds, factor) = match way {
            Way::Rounds(rounds) => ("double", DOUBLE, rounds, "2.0"),
            Way::Wrong => ("double_wrong", DOUBLE, 1, "2.002"),
            Way::Half => ("double_half", DOUBLE, 1, "2.0"),
            Way::Broken => ("double_broken", "no shader at all", 1, "2.0"),
            Way::Unbound => ("double_unbound", DOUBLE, 1, "2.0"),
            Way::Zero => ("double_zero", DOUBLE, 1, "0.0"),
        };
        let kernel = Kernel::new(name, template)
            .constant("ROUNDS", format!("{rounds}u"))
            .constant("FACTOR", factor)
            .bind("input", Operand::Input(0))
            .words([Word::Value(if matches!(way, Way::Half) { count / 2 } else { count } as u32), Word::Offset(0)])
            .grid(fold_groups(count, 64));
        if matches!(way, Way::Unbound) { kernel } else { kernel.bind("output", Operand::Output(0)) }.into()
    }
}

impl Op for Double {
    fn name(&self) -> &'static str {
        "double"
    }
    fn structure(&self, mut state: &mut dyn Hasher) {
        self.hash(&mut state);
    }
    fn outputs(&self, inputs: &[Layout]) -> Result<Vec<Layout>> {
        Ok(vec![Layout::contiguous(inputs[0].shape, inputs[0].dtype)])
    }
    fn kernels(&self, io: &Io, _: &Adapter) -> Result<Kernels> {
        Ok(Double::way(self.0[0], io))
    }
    fn candidates(&self, io: &Io, _: &Adapter) -> Result<Vec<Kernels>> {
        Ok(self.0.iter().map(|&way| Double::way(way, io)).collect())
    }
    fn reference(&self, inputs: &[HostTensor]) -> Result<Vec<HostTensor>> {
        let values = inputs[0].values.iter().map(|v| 2.0 * v).collect();
        Ok(vec![HostTensor::new(inputs[0].shape, inputs[0].dtype, values)])
    }
}

/// A device of its own whose winners are kept in `folder`.
fn open(folder: &Path, disable: Disable) -> Option<Device> {
    let options = DeviceOptions::default().cache_folder(folder).disable(disable);
    adapter().map(|_| Device::with_options(&options).unwrap())
}

fn double(device: &Device, count: usize, ways: &'static [Way]) -> Result<Vec<f32>> {
    let values: Vec<f32> = (0..count).map(|i| i as f32).collect();
    let x = Tensor::from_slice(device, &values, &[count])?;
    apply(Double(ways), &[&x])?.remove(0).to_vec::<f32>()
}

/// The stems of all modules compiled so far.
fn stems(device: &Device) -> Vec<String> {
    device.shader_sources().into_iter().map(|(name, _)| name).collect()
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

const SLOW_FIRST: &[Way] = &[Way::Rounds(300), Way::Rounds(1)];
const COUNT: usize = 50_000;

/// Tunes without a time limit: other tests run meanwhile.
fn tune<T>(device: &Device, body: impl FnOnce() -> Result<T>) -> Result<(T, Tuning)> {
    device.tune_within(Duration::from_secs(600), body)
}

fn outcome(tuning: &Tuning, call: usize, candidate: usize) -> &TuneOutcome {
    &tuning.calls()[call].candidates[candidate].outcome
}

fn time(tuning: &Tuning, call: usize, candidate: usize) -> Duration {
    match outcome(tuning, call, candidate) {
        TuneOutcome::Time(time) => *time,
        other => panic!("{other}\n{tuning}"),
    }
}

#[test]
fn the_fastest_wins_and_is_found_again() {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = open(folder.path(), Disable::default()) else { return };
    let expected: Vec<f32> = (0..COUNT).map(|i| 2.0 * i as f32).collect();
    assert_eq!(double(&device, COUNT, SLOW_FIRST).unwrap(), expected);
    let (values, tuning) = tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
    assert_eq!(values, expected);
    let [call] = tuning.calls() else { panic!("{tuning}") };
    assert!(call.op == "double" && call.winner == 1 && call.is_decided, "{tuning}");
    assert!(time(&tuning, 0, 1) < time(&tuning, 0, 0), "{tuning}");
    for part in ["double [50000] f32", "> double ROUNDS=1 ", "  double ROUNDS=300 ", "1 calls tuned"] {
        assert!(tuning.to_string().contains(part), "{part:?} is not in\n{tuning}");
    }

    // Known now: nothing is tuned, also for a shorter batch, but for a longer one.
    let again = |count: usize| tune(&device, || double(&device, count, SLOW_FIRST)).unwrap().1;
    for count in [COUNT, COUNT - 3] {
        let tuning = again(count);
        assert!(tuning.calls().is_empty() && tuning.known() == 1, "{tuning}");
    }
    assert_eq!(again(COUNT + 5).calls().len(), 1);

    // Another device takes the winner at once, and does not even compile the cost model's choice.
    let second = open(folder.path(), Disable::default()).unwrap();
    assert_eq!(double(&second, COUNT, SLOW_FIRST).unwrap(), expected);
    assert_eq!(double(&second, COUNT / 2, SLOW_FIRST).unwrap(), expected[..COUNT / 2]);
    let sources = second.shader_sources();
    assert!(sources.len() == 1 && sources[0].1.contains("ROUNDS: u32 = 1u"), "{sources:?}");
    // Unless told not to, or where another fast path is switched off.
    for disable in [Disable { tuned: true, ..Disable::default() }, Disable { fuse: true, ..Disable::default() }] {
        let third = open(folder.path(), disable).unwrap();
        assert_eq!(double(&third, COUNT, SLOW_FIRST).unwrap(), expected);
        assert!(third.shader_sources()[0].1.contains("ROUNDS: u32 = 300u"));
        if disable.tuned {
            let (_, tuning) = tune(&third, || double(&third, COUNT + 8, SLOW_FIRST)).unwrap();
            assert!(tuning.calls().is_empty() && !tuning.notes().is_empty(), "{tuning}");
        }
    }
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn plans_made_before_take_the_winner() {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = open(folder.path(), Disable::default()) else { return };
    double(&device, COUNT, SLOW_FIRST).unwrap();
    double(&device, COUNT, SLOW_FIRST).unwrap();
    assert_eq!(device.stats().plans, 1);
    tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
    let plans = device.stats().plans;
    double(&device, COUNT, SLOW_FIRST).unwrap();
    assert_eq!((plans, device.stats().plans), (2, 2), "made anew while tuning, and kept");
}

#[test]
fn wrong_and_broken_candidates_never_win() {
    const ALL: &[Way] =
        &[Way::Rounds(300), Way::Wrong, Way::Broken, Way::Half, Way::Unbound, Way::Rounds(100), Way::Rounds(400)];
    const FIRST: &[Way] = &[Way::Wrong, Way::Rounds(1), Way::Rounds(2)];
    // The last is the plain kernel.
    const NONE: [&[Way]; 2] = [&[Way::Rounds(3), Way::Wrong, Way::Broken], &[Way::Rounds(3), Way::Zero, Way::Zero]];
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = open(folder.path(), Disable::default()) else { return };
    let expected: Vec<f32> = (0..COUNT).map(|i| 2.0 * i as f32).collect();
    let (values, tuning) = tune(&device, || double(&device, COUNT, ALL)).unwrap();
    assert_eq!(values, expected);
    let rejected = |tuning: &Tuning, at: usize, why: &str| match outcome(tuning, 0, at) {
        TuneOutcome::Rejected(reason) => assert!(reason.contains(why), "{reason:?}, not {why:?}\n{tuning}"),
        other => panic!("{other}\n{tuning}"),
    };
    rejected(&tuning, 1, "off by 2.0e-3");
    rejected(&tuning, 2, "double_broken");
    rejected(&tuning, 3, "off by NaN");
    rejected(&tuning, 4, "has no operand");
    assert_eq!(tuning.calls()[0].winner, 5, "{tuning}");
    assert!(tuning.to_string().contains("rejected: "));

    // A wrong first choice is replaced.
    let (values, tuning) = tune(&device, || double(&device, COUNT, FIRST)).unwrap();
    assert_eq!(values, expected);
    rejected(&tuning, 0, "off by");
    assert!(tuning.calls()[0].winner > 0, "{tuning}");

    // Nothing to compare with: everything stays as it is, and is not remembered.
    for none in NONE {
        let (values, tuning) = tune(&device, || double(&device, COUNT, none)).unwrap();
        assert_eq!(values, expected);
        rejected(&tuning, 0, "nothing to compare with");
        assert!(tuning.calls()[0].winner == 0 && !tuning.calls()[0].is_decided, "{tuning}");
        assert_eq!(tune(&device, || double(&device, COUNT, none)).unwrap().1.calls().len(), 1);
    }
}

#[test]
fn time_is_bounded() {
    const MANY: &[Way] = &[
        Way::Rounds(500),
        Way::Rounds(501),
        Way::Rounds(502),
        Way::Rounds(503),
        Way::Rounds(504),
        Way::Rounds(505),
        Way::Rounds(506),
        Way::Rounds(507),
    ];
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = open(folder.path(), Disable::default()) else { return };
    let (_, tuning) = device.tune_within(Duration::ZERO, || double(&device, COUNT, SLOW_FIRST)).unwrap();
    let [call] = tuning.calls() else { panic!("{tuning}") };
    assert!(call.winner == 0 && !call.is_decided, "{tuning}");
    assert!(call.candidates.iter().all(|candidate| candidate.outcome == TuneOutcome::NotReached), "{tuning}");
    assert!(tuning.to_string().contains("undecided") && tuning.to_string().contains("not reached"));
    assert!(tuning.time() < Duration::from_millis(100), "{tuning}");
    // In the middle of a call too: no run begins after the end.
    let within =
        |limit: u64| device.tune_within(Duration::from_millis(limit), || double(&device, COUNT, MANY)).unwrap().1;
    let (short, whole) = (within(5), within(600_000));
    let reached = |tuning: &Tuning| {
        let candidates = tuning.calls()[0].candidates.iter();
        candidates.filter(|candidate| candidate.outcome != TuneOutcome::NotReached).count()
    };
    assert!(reached(&short) < MANY.len() && reached(&whole) == MANY.len(), "{short}\n{whole}");
    assert!(short.time() < whole.time() / 2, "{short}\n{whole}");
    // Calls that were not reached are tuned by the next call.
    let (_, tuning) = tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
    assert!(tuning.calls()[0].is_decided, "{tuning}");
}

#[test]
fn files_of_others_and_broken_ones_do_no_harm() {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = open(folder.path(), Disable::default()) else { return };
    tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
    let [path] = &files(folder.path())[..] else { panic!() };
    let good = std::fs::read_to_string(path).unwrap();
    let value: serde_json::Value = serde_json::from_str(&good).unwrap();
    assert_eq!(value["machine"]["wgrad"], env!("CARGO_PKG_VERSION"));
    assert_eq!(value["machine"]["adapter"], device.name());
    let version = format!("\"{}\"", env!("CARGO_PKG_VERSION"));
    let changed = |from: &str, to: &str| {
        assert!(good.contains(from), "{from:?} is not in {good}");
        good.replace(from, to)
    };
    let texts = [
        changed(&version, "\"0.0.1\""),
        changed(device.name(), "another adapter"),
        changed("\"best\"", "\"worst\""),
        good[..good.len() / 2].to_string(),
        "[1, 2]".to_string(),
        String::new(),
    ];
    for text in texts {
        std::fs::write(path, &text).unwrap();
        let device = open(folder.path(), Disable::default()).unwrap();
        double(&device, COUNT, SLOW_FIRST).unwrap();
        assert!(device.shader_sources()[0].1.contains("ROUNDS: u32 = 300u"), "used\n{text}");
        let (_, tuning) = tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
        assert_eq!(tuning.calls().len(), 1, "{tuning}");
        assert_eq!(std::fs::read_to_string(path).unwrap(), good, "not written anew");
    }
    // A winner that is not a candidate any more is tuned anew, and so is one if the cost model prefers another.
    for (from, to) in
        [("\"best\": \"double ROUNDS=1\"", "\"best\": \"gone\""), ("\"first\": \"double", "\"first\": \"other")]
    {
        std::fs::write(path, changed(from, to)).unwrap();
        let device = open(folder.path(), Disable::default()).unwrap();
        double(&device, COUNT, SLOW_FIRST).unwrap();
        assert!(device.shader_sources()[0].1.contains("ROUNDS: u32 = 300u"));
        tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), good);
    }
    // A folder that can't be made is a note.
    let device = open(&path.join("below a file"), Disable::default()).unwrap();
    let (_, tuning) = tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap();
    assert!(
        tuning.calls()[0].is_decided && tuning.notes().iter().any(|note| note.contains("below a file")),
        "{tuning}"
    );
    // Each of two devices keeps the other's winners.
    let (a, b) = (open(folder.path(), Disable::default()).unwrap(), open(folder.path(), Disable::default()).unwrap());
    const OTHER: &[Way] = &[Way::Rounds(5), Way::Rounds(6)];
    const THIRD: &[Way] = &[Way::Rounds(7), Way::Rounds(8)];
    tune(&a, || double(&a, COUNT, OTHER)).unwrap();
    tune(&b, || double(&b, COUNT, THIRD)).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    assert_eq!(value["winners"].as_array().unwrap().len(), 3);
}

#[test]
fn a_tuned_network_computes_the_same_but_for_rounding() {
    // The kernels for GPUs, of which there are several for each call.
    let folder = tempfile::tempdir().unwrap();
    let disable = Disable { software: true, ..Disable::default() };
    let Some(device) = open(folder.path(), disable) else { return };
    let values = |count: usize| -> Vec<f32> { (0..count).map(|i| ((i * 7919) % 1999) as f32 / 1000.0 - 1.0).collect() };
    let image = Tensor::from_slice(&device, &values(4 * 16 * 8 * 8), &[4, 16, 8, 8]).unwrap();
    let weight = Tensor::from_slice(&device, &values(16 * 16 * 9), &[16, 16, 3, 3]).unwrap().requires_grad();
    let matrix = Tensor::from_slice(&device, &values(576 * 10), &[576, 10]).unwrap();
    let step = || -> Result<[Vec<f32>; 2]> {
        let features = image.conv2d(&weight, None, &Default::default())?.relu()?.flatten(1, -1)?;
        let loss = features.matmul(&matrix)?.square()?.mean_all()?;
        let gradient = grad(&[&loss], &[&weight], &[&Tensor::ones(&device, &[])?])?.remove(0);
        Ok([vec![loss.item::<f32>()?], gradient.ok_or(Error::NoGradient { op: "test" })?.to_vec::<f32>()?])
    };
    let plain = step().unwrap();
    let (_, tuning) = tune(&device, step).unwrap();
    assert!(
        tuning.calls().iter().filter(|call| call.op.starts_with("conv2d") && call.is_decided).count() >= 2,
        "{tuning}"
    );
    assert!(tuning.calls().iter().any(|call| call.op == "matmul" && call.is_decided), "{tuning}");
    for call in tuning.calls() {
        let rejected = |outcome: &TuneOutcome| matches!(outcome, TuneOutcome::Rejected(_));
        assert!(!call.candidates.iter().any(|candidate| rejected(&candidate.outcome)), "{tuning}");
    }
    let tuned = step().unwrap();
    assert_eq!(tuned, step().unwrap(), "the same bits each time");
    for (tuned, plain) in tuned.iter().zip(&plain) {
        let largest = plain.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        for (tuned, plain) in tuned.iter().zip(plain) {
            // Sums of 144, 576 and 144 terms one after the other.
            assert!((tuned - plain).abs() <= 864.0 * f32::EPSILON * largest, "{tuned}, not {plain}\n{tuning}");
        }
    }
    // Another device takes these winners.
    let second = open(folder.path(), disable).unwrap();
    let x = Tensor::from_slice(&second, &values(4 * 576), &[4, 576]).unwrap();
    let w = Tensor::from_slice(&second, &values(576 * 10), &[576, 10]).unwrap();
    let (_, known) = tune(&second, || x.matmul(&w)?.to_vec::<f32>()).unwrap();
    assert_eq!((known.calls().len(), known.known()), (0, 1), "{known}");
}

#[test]
fn options_tune_what_is_planned_first() {
    let folder = tempfile::tempdir().unwrap();
    if adapter().is_none() {
        return;
    }
    let options = DeviceOptions::default().tune(true).cache_folder(folder.path());
    let device = Device::with_options(&options).unwrap();
    double(&device, COUNT, SLOW_FIRST).unwrap();
    assert_eq!(stems(&device), ["double", "double"]);
    assert_eq!(files(folder.path()).len(), 1);
}

#[test]
fn adapters_without_anything_to_time_say_so() {
    let folder = tempfile::tempdir().unwrap();
    for software in [false, true] {
        let options = DeviceOptions::default().noop(Noop { software, ..Noop::default() }).cache_folder(folder.path());
        let device = Device::with_options(&options).unwrap();
        let a = Tensor::ones(&device, &[64, 64]).unwrap().contiguous().unwrap();
        let (_, tuning) = tune(&device, || a.matmul(&a)?.to_vec::<f32>()).unwrap();
        assert!(tuning.calls().is_empty() && tuning.notes().len() == 1, "{tuning}");
    }
    let (value, tuning) = Device::reference().tune(|| Ok(7)).unwrap();
    assert!(value == 7 && tuning.calls().is_empty() && tuning.to_string().contains("reference"));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn tunings_do_not_nest_and_end_with_their_body() {
    let folder = tempfile::tempdir().unwrap();
    let Some(device) = open(folder.path(), Disable::default()) else { return };
    let (inner, _) = tune(&device, || Ok(tune(&device, || Ok(())).map(drop))).unwrap();
    assert!(matches!(inner.unwrap_err(), Error::Invalid { op: "tune", .. }));
    assert!(tune(&device, || -> Result<()> { Err(Error::NoGradient { op: "test" }) }).is_err());
    let panics = || tune(&device, || -> Result<()> { panic!("on purpose") }).map(drop);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(panics)).is_err());
    // Ended: nothing is tuned.
    double(&device, COUNT, SLOW_FIRST).unwrap();
    assert!(files(folder.path()).is_empty());
    assert_eq!(tune(&device, || double(&device, COUNT, SLOW_FIRST)).unwrap().1.calls().len(), 1);
}
