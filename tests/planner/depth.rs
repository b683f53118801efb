//! The cost of depth and of recordings that pile up: launches, memory and plans on the noop adapter, which computes nothing.

use crate::common;
use crate::common::chains::{Chain, Shape};
use crate::common::steps::software;
use wgrad::nn::{Module, Scope};
use wgrad::optim::{Optimizer, Sgd, SgdOptions};
use wgrad::{CrossEntropyOptions, Device, DeviceOptions, Disable, Parameter, Result, Stats, Tensor};

fn noop(memory_budget: Option<u64>) -> Device {
    let options = DeviceOptions::default().noop(software()).memory_budget(memory_budget);
    Device::with_options(&options).unwrap()
}

/// A chain in training on images of a size.
struct Training {
    device: Device,
    chain: Chain,
    sgd: Sgd,
    images: Tensor,
    labels: Tensor,
}

impl Training {
    fn new(device: Device, shape: Shape, depth: usize, size: usize) -> Result<Training> {
        let chain = Chain::new(&Scope::new(&device), shape, depth, size)?;
        let sgd = Sgd::new(chain.parameters(), SgdOptions::default())?;
        let images = Tensor::ones(&device, &[8, 16, size, size])?;
        let labels = Tensor::from_slice(&device, &[1i32; 8], &[8])?;
        device.sync()?;
        Ok(Training { device, chain, sgd, images, labels })
    }

    /// Adds the gradients of a batch, and reads the loss if asked to.
    fn accumulate(&self, is_read: bool) -> Result<()> {
        let loss = self.chain.forward(&self.images)?.cross_entropy(&self.labels, &CrossEntropyOptions::default())?;
        loss.backward()?;
        if is_read { loss.item::<f32>().map(drop) } else { Ok(()) }
    }

    /// The results of a step of `batches` batches, and the device's counters after it.
    fn step(&mut self, batches: usize, is_read: bool) -> Result<(u64, u64, Stats)> {
        self.device.reset_peak_stats();
        let before = self.device.stats();
        (0..batches).try_for_each(|_| self.accumulate(is_read))?;
        self.sgd.step()?;
        self.sgd.zero_grad();
        let after = self.device.stats();
        Ok((after.dispatches - before.dispatches, after.runs - before.runs, after))
    }
}

/// Launches and peak of a step of one batch.
fn of_step(device: Device, shape: Shape, depth: usize) -> (u64, u64) {
    let mut training = Training::new(device, shape, depth, 32).unwrap();
    training.step(1, false).unwrap();
    let (launches, runs, stats) = training.step(1, false).unwrap();
    assert_eq!(runs, 1);
    (launches, stats.bytes_live_peak)
}

#[test]
fn launches_and_memory_grow_with_depth_and_no_faster() {
    for shape in [Shape::Residual, Shape::Dense] {
        let [(few, least), (launches, bytes), (many, most)] =
            [8, 16, 32].map(|depth| of_step(noop(None), shape, depth));
        let [first, second] = [launches - few, many - launches];
        let shares = [second as f64 / first as f64, (most - bytes) as f64 / (bytes - least) as f64];
        assert!(shares[0] <= 2.0 * 1.02, "{shape:?}: {few}, {launches}, {many} launches");
        assert!(shares[1] <= 2.0 * 1.1, "{shape:?}: {least}, {bytes}, {most} bytes");
    }
}

#[test]
fn more_is_computed_again_where_memory_is_short() {
    let (launches, bytes) = of_step(noop(None), Shape::Residual, 16);
    let budget = bytes * 17 / 20;
    let (more, fewer) = of_step(noop(Some(budget)), Shape::Residual, 16);
    assert!(fewer <= budget + budget / 16, "{fewer} bytes with a budget of {budget}, {bytes} without");
    assert!(more > launches && more < 2 * launches, "{more} launches with a budget, {launches} without");
    // A sufficient budget changes nothing.
    assert_eq!(of_step(noop(Some(2 * bytes)), Shape::Residual, 16), (launches, bytes));
}

#[test]
fn a_deep_step_is_one_plan() {
    let mut training = Training::new(noop(None), Shape::PreActivation, 96, 4).unwrap();
    for _ in 0..2 {
        let (_, runs, _) = training.step(1, false).unwrap();
        assert_eq!(runs, 1);
    }
}

#[test]
fn gradients_of_many_batches_take_the_memory_of_one() {
    let mut training = Training::new(noop(None), Shape::Plain, 4, 32).unwrap();
    let [one, many, read] = [(1, false), (48, false), (48, true)].map(|(batches, is_read)| {
        training.step(batches, is_read).unwrap();
        let (launches, runs, stats) = training.step(batches, is_read).unwrap();
        (launches, runs, stats.bytes_live_peak, stats.plans)
    });
    assert_eq!(one.1, 1);
    // The last batch is carried out with the step.
    assert_eq!(many.1, 48);
    let parameters: usize = training.chain.parameters().iter().map(|parameter| 4 * parameter.value().numel()).sum();
    // The gradients of the earlier batches, and that of one parameter.
    let most = one.2 + 2 * parameters as u64;
    assert!(many.2 <= most, "{} bytes for 48 batches, {} for one", many.2, one.2);
    assert!(many.2 <= read.2, "{} bytes, {} where each loss is read", many.2, read.2);
    assert!(many.0 <= 48 * one.0 + 48 && many.0 <= read.0, "{} launches, {} where each is read", many.0, read.0);
    // The first batch, those that add to it, the last one with the step.
    assert!(many.3 - one.3 <= 3, "{} plans", many.3 - one.3);
}

#[test]
fn any_number_of_gradients_may_be_there_before_the_step() {
    let device = noop(None);
    let ones = || Tensor::ones(&device, &[4]).unwrap();
    let parameters: Vec<Parameter> = (0..2000).map(|at| Parameter::new(format!("w{at}"), &ones())).collect();
    let mut sgd = Sgd::new(parameters.clone(), SgdOptions::default()).unwrap();
    for parameter in &parameters {
        let w = parameter.value();
        w.mul(&w).unwrap().sum_all().unwrap().backward().unwrap();
    }
    device.sync().unwrap();
    // Copied into their pack, a few a launch: more launches than the plan should have.
    sgd.step().unwrap();
    device.sync().unwrap();
}

#[test]
fn calls_that_nobody_reads_cost_no_buffer_each() {
    let device = noop(None);
    let x = Tensor::ones(&device, &[16]).unwrap().requires_grad();
    let mut y = x.clone();
    // Three calls each.
    let turns = if std::env::var_os("WGRAD_TEST_ALL").is_some() { 100_000 } else { 25_000 };
    for _ in 0..turns {
        y = y.add(&y.mul_scalar(0.002).unwrap()).unwrap();
    }
    device.flush().unwrap();
    let stats = device.stats();
    assert!(stats.buffers < 1000 && stats.runs > 1, "{stats:?}");
}

/// Values few of which are small enough to be kept for gradients alone, and values all of which are.
#[test]
fn gradients_read_what_flushes_left_of_the_history() {
    let Some(device) = common::poisoned(Disable::default()) else { return };
    for copies in [1, 3000] {
        let starts = [0.5f32, -1.0, 2.0];
        let x = Tensor::from_slice(&device, &starts.repeat(copies), &[3 * copies]).unwrap().requires_grad();
        let mut y = x.clone();
        for turn in 0..60 {
            // The sine's gradient reads its input.
            y = y.add(&y.sin().unwrap().mul_scalar(0.1).unwrap()).unwrap();
            if turn % 25 == 24 {
                device.flush().unwrap();
            }
        }
        device.flush().unwrap();
        y.sum_all().unwrap().backward().unwrap();
        let gradient = x.grad().unwrap().to_vec::<f32>().unwrap();
        for (start, got) in starts.repeat(copies).into_iter().zip(gradient) {
            let (mut y, mut exact) = (f64::from(start), 1.0);
            for _ in 0..60 {
                exact *= 1.0 + 0.1 * y.cos();
                y += 0.1 * y.sin();
            }
            // Sixty factors, each with a few roundings.
            assert!((f64::from(got) - exact).abs() <= 1e-4 * exact.abs(), "{got} instead of {exact}");
        }
    }
}

/// Launches and peak of a step whose forward pass is flushed after every `part` blocks, and separately from its gradient.
fn of_cut_step(shape: Shape, depth: usize, part: usize) -> (u64, u64) {
    let Training { device, chain, mut sgd, images, labels } = Training::new(noop(None), shape, depth, 32).unwrap();
    let mut launches = 0;
    for _ in 0..2 {
        device.sync().unwrap();
        device.reset_peak_stats();
        let before = device.stats().dispatches;
        let logits = chain.forward_in_parts(&images, part).unwrap();
        let loss = logits.cross_entropy(&labels, &CrossEntropyOptions::default()).unwrap();
        drop(logits);
        device.flush().unwrap();
        loss.backward().unwrap();
        drop(loss);
        sgd.step().unwrap();
        sgd.zero_grad();
        launches = device.stats().dispatches - before;
    }
    (launches, device.stats().bytes_live_peak)
}

#[test]
fn a_pass_that_is_cut_takes_little_more_than_a_whole_one() {
    // Compared with the blocks of a part. Values that the caller holds at the cut are stored, which is much of a shallow U.
    let chains = [Shape::Plain, Shape::Residual, Shape::PreActivation, Shape::Dense].map(|shape| (shape, 8, 3));
    for (shape, depth, part) in chains.into_iter().chain([(Shape::U, 16, 5)]) {
        let (launches, bytes) = of_step(noop(None), shape, depth);
        // One cut between the pass and its gradient, and also cuts within the pass.
        for part in [usize::MAX, part] {
            let (more, most) = of_cut_step(shape, depth, part);
            let shares = [more as f64 / launches as f64, most as f64 / bytes as f64];
            assert!(shares[0] <= 1.1, "{shape:?}, {part} blocks a part: {more} launches, {launches} of a whole pass");
            assert!(shares[1] <= 1.2, "{shape:?}, {part} blocks a part: {most} bytes, {bytes} of a whole pass");
        }
    }
}

/// Bytes of recordings that are cut after so many calls, the deep chains below into five and eight parts.
const BUDGETS: [usize; 2] = [700 << 10, 1500 << 10];

/// On images of different sizes, which take different kernels.
#[test]
fn a_long_recording_that_is_cut_takes_little_more_than_a_whole_one() {
    let step = |budget: Option<usize>, (shape, size)| {
        let options = DeviceOptions::default().noop(software()).recording_budget(budget);
        let mut training = Training::new(Device::with_options(&options).unwrap(), shape, 64, size).unwrap();
        training.step(1, false).unwrap();
        let (launches, runs, stats) = training.step(1, false).unwrap();
        (launches, stats.bytes_live_peak, runs)
    };
    for shape in [(Shape::Plain, 16), (Shape::Residual, 16), (Shape::PreActivation, 8), (Shape::Dense, 32)] {
        let (launches, bytes, runs) = step(None, shape);
        assert_eq!(runs, 1);
        for budget in BUDGETS {
            let (more, most, runs) = step(Some(budget), shape);
            let shares = [more as f64 / launches as f64, most as f64 / bytes as f64];
            let of = format!("{shape:?}, a budget of {budget} bytes, {runs} plans");
            assert!(runs > 4, "{of}");
            assert!(shares[0] <= 1.1, "{of}: {more} launches, {launches} of a whole step");
            assert!(shares[1] <= 1.2, "{of}: {most} bytes, {bytes} of a whole step");
        }
    }
}

/// All parameters after two steps of a deep chain on the adapter.
fn trained(budget: Option<usize>) -> Vec<Vec<f64>> {
    let device = Device::with_options(&DeviceOptions::default().recording_budget(budget)).unwrap();
    device.manual_seed(3);
    let mut training = Training::new(device.clone(), Shape::Residual, 64, 4).unwrap();
    training.images = Tensor::randn(&device, &[8, 16, 4, 4]).unwrap();
    let runs: Vec<u64> = (0..2).map(|_| training.step(1, false).unwrap().1).collect();
    assert_eq!(runs.iter().all(|&runs| runs > 4), budget.is_some(), "{runs:?} plans with {budget:?}");
    training.chain.parameters().iter().map(|parameter| parameter.value().to_f64().unwrap()).collect()
}

#[test]
fn a_long_recording_that_is_cut_has_the_same_bits() {
    if common::adapter().is_none() {
        return;
    }
    let whole = trained(None);
    assert!(whole.iter().flatten().all(|value| value.is_finite()));
    assert!(trained(Some(BUDGETS[0])) == whole, "other bits with a budget of {} bytes", BUDGETS[0]);
}

#[test]
fn inputs_that_wait_for_their_work_are_bounded() {
    const BYTES: u64 = 8 << 20;
    let device = noop(None);
    let values = vec![1f32; usize::try_from(BYTES / 4).unwrap()];
    let means: Vec<Tensor> =
        (0..24).map(|_| Tensor::from_slice(&device, &values, &[values.len()]).unwrap().mean_all().unwrap()).collect();
    device.flush().unwrap();
    let peak = device.stats().bytes_live_peak;
    assert!(peak <= (64 << 20) + 2 * BYTES, "{peak} bytes for {} means", means.len());
}
