//! Random programs: 4 to 16 operations composed into a graph of f32 or f16, over data and constants, forward and backward, on
//! the adapter against the reference. A program that fails is shrunk and printed as Rust.
//!
//! `WGRAD_TEST_PROGRAMS=N` runs N programs (150 by default), `WGRAD_TEST_SEED=S` others than the usual ones.

#[path = "../common/mod.rs"]
mod common;
mod program;
mod vocabulary;

use common::modules;
use program::{Outcome, Program, Shake, Step};
use proptest::prelude::{Strategy, any};
use proptest::strategy::ValueTree;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use rayon::prelude::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use wgrad::{DType, Device};

/// Threads that share the programs; compiling their kernels takes most of the time.
const THREADS: usize = 2;

fn programs() -> impl Strategy<Value = Program> {
    let step = (any::<u16>(), any::<[u8; 3]>(), any::<[u8; 2]>());
    let steps = proptest::collection::vec(step.prop_map(|(row, picks, numbers)| Step { row, picks, numbers }), 4..=16);
    (proptest::collection::vec(any::<u8>(), 2..=4), steps, any::<u64>()).prop_map(|(leaves, steps, seed)| Program {
        leaves,
        steps,
        seed,
    })
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// The first value that differs by more than rounding explains. The effect of rounding is measured: `shaken` are results with
/// every value off by a little, and the device may be off by 8 times that difference. All is relative to the largest number of a
/// result, and NaN and infinities must agree on both sides.
fn difference(got: &Outcome, exact: &Outcome, shaken: &[Outcome], roundings: f64) -> Option<String> {
    if got.names != exact.names {
        return Some(format!("results {:?}, not {:?}", got.names, exact.names));
    }
    for (at, name) in exact.names.iter().enumerate() {
        let (got, exact) = (&got.values[at], &exact.values[at]);
        let kind = |x: f64| {
            if x.is_finite() {
                0.0
            } else if x.is_nan() {
                2.0
            } else {
                x.signum()
            }
        };
        let changes = |element: usize, others: &[f64]| kind(others[element]) != kind(exact[element]);
        let change = |outcome: &Outcome| {
            let pairs = outcome.values[at].iter().zip(exact).map(|(s, e)| (s - e).abs());
            pairs.filter(|change| change.is_finite()).fold(0.0, f64::max)
        };
        let scale = exact.iter().filter(|value| value.is_finite()).fold(0.0f64, |scale, value| scale.max(value.abs()));
        let rounding = shaken.iter().map(change).fold(0.0, f64::max);
        let allowed = 8.0 * rounding + 4.0 * roundings * scale;
        let is_wrong = |&element: &usize| match kind(got[element]) == kind(exact[element]) {
            true => (got[element] - exact[element]).abs() > allowed,
            false => !shaken.iter().any(|outcome| changes(element, &outcome.values[at])),
        };
        if let Some(element) = (0..exact.len()).find(is_wrong) {
            let (got, exact) = (got[element], exact[element]);
            return Some(format!("{name}[{element}]: expected {exact}, got {got} (allowed {allowed:.1e})"));
        }
    }
    None
}

/// True if rounding explains so much of a result that the comparison means little: thirty roundings of its type.
fn is_vague(exact: &Outcome, shaken: &[Outcome], roundings: f64) -> bool {
    exact.values.iter().enumerate().any(|(at, exact)| {
        let scale = exact.iter().filter(|value| value.is_finite()).fold(0.0f64, |scale, value| scale.max(value.abs()));
        let most = 30.0 * roundings * scale;
        shaken.iter().any(|s| s.values[at].iter().zip(exact).any(|(s, e)| (s - e).abs() > most))
    })
}

/// Runs with values off by a little. If these don't explain a difference, others may: values that were equal, or zero, and no
/// longer are, decide a branch, and among many such runs some take each branch.
const SHAKEN: usize = 2;
const APART: usize = 24;

fn check(program: &Program, device: &Device, vague: &AtomicUsize) -> Result<(), TestCaseError> {
    let fail = |what: &str, error: wgrad::Error| TestCaseError::fail(format!("{what}: {error}"));
    let reference = Device::reference();
    let exact = program.run(&reference, None).map_err(|e| fail("on the reference", e))?;
    let shake = |runs: usize, apart: bool| {
        let shakes = (0..runs as u64).map(|run| Shake { seed: (program.seed ^ run).wrapping_mul(run + 1), apart });
        let shaken = shakes.map(|shake| program.run(&reference, Some(shake)));
        shaken.collect::<Result<Vec<_>, _>>().map_err(|e| fail("on the shaken reference", e))
    };
    let roundings = program::roundings(program.dtype());
    let mut shaken = shake(SHAKEN, false)?;
    let got = program.run(device, None).map_err(|e| fail("on the adapter", e))?;
    if difference(&got, &exact, &shaken, roundings).is_some() {
        shaken.extend(shake(APART, true)?);
    }
    if is_vague(&exact, &shaken, roundings) {
        vague.fetch_add(1, Ordering::Relaxed);
    }
    difference(&got, &exact, &shaken, roundings).map_or(Ok(()), |difference| Err(TestCaseError::fail(difference)))
}

#[test]
fn rows_take_both_types() {
    for row in 0..vocabulary::ROWS.len() as u16 {
        for seed in [0, 1] {
            // All shapes, none of them constant.
            let steps = vec![Step { row, picks: [0; 3], numbers: [3, 5] }];
            let program = Program { leaves: (0..6).collect(), steps, seed };
            program.run(&wgrad::Device::reference(), None).unwrap_or_else(|e| panic!("{e}\n{program:?}"));
        }
    }
}

#[test]
fn random_programs_agree_with_the_reference() {
    if common::adapter().is_none() {
        return;
    }
    let count = number("WGRAD_TEST_PROGRAMS", 150) as u32;
    let seed = number("WGRAD_TEST_SEED", 0);
    let vague = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let runs = (0..THREADS).map(|thread| {
            let vague = &vague;
            scope.spawn(move || {
                // Separate devices: a device records for one thread at a time while it compiles. Loads of eight take long to
                // compile, so half of the programs use loads of four, and some run call by call.
                let int64 = wgrad::Disable { int64: true, ..wgrad::Disable::default() };
                let apart = wgrad::Disable { fuse: true, inplace: true, ..int64 };
                let devices = [wgrad::Disable::default(), int64, apart].map(common::poisoned);
                let [Some(eights), Some(fours), Some(apart)] = devices else { return Ok(()) };
                let has_f16 = common::has_f16(&fours);
                let mut bytes = [0; 32];
                bytes[..8].copy_from_slice(&seed.to_le_bytes());
                bytes[8] = thread as u8;
                let config = Config {
                    cases: count.div_ceil(THREADS as u32),
                    failure_persistence: None,
                    max_shrink_iters: 2000,
                    ..Config::default()
                };
                let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
                let run = TestRunner::new_with_rng(config, rng).run(&programs(), |program| {
                    let device = match (program.seed >> 8) % 8 {
                        0 => &apart,
                        1..4 => &eights,
                        _ => &fours,
                    };
                    if has_f16 || program.dtype() == DType::F32 { check(&program, device, vague) } else { Ok(()) }
                });
                let in_eights = || eights.shader_sources().iter().any(|(_, text)| text.contains("vec4<u64>"));
                assert!(
                    eights.adapter().is_none_or(|adapter| !adapter.profile.u64_pairs) || in_eights(),
                    "no program ran in eights"
                );
                run
            })
        });
        for run in runs.collect::<Vec<_>>() {
            match run.join() {
                Ok(Ok(())) => {}
                Ok(Err(TestError::Fail(reason, program))) => panic!("{reason}\n{program:?}"),
                Ok(Err(TestError::Abort(reason))) => panic!("aborted: {reason}"),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    let vague = vague.into_inner();
    // Seven of the usual 150 are, and up to eight with other seeds.
    assert!(
        vague <= (count as usize * 6).div_ceil(100),
        "{vague} of {count} programs are so sensitive that comparing says little"
    );
}

/// Programs are fused in unforeseen ways, and each kind of adapter gets separate kernels for them.
#[test]
fn modules_of_random_programs_translate_for_every_kind_of_adapter() {
    let all = std::env::var_os("WGRAD_TEST_ALL").is_some();
    let count = if all { 400 } else { 48 };
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]));
    let programs: Vec<Program> = (0..count).map(|_| programs().new_tree(&mut runner).unwrap().current()).collect();
    let seen = modules::Seen::default();
    let modules = modules::kinds().into_par_iter().map(|kind| {
        let device = kind.open();
        let mut modules = 0;
        for (at, program) in programs.iter().enumerate() {
            if kind.noop.f16 || program.dtype() == DType::F32 {
                let run = program.run(&device, None);
                assert!(run.is_ok(), "{} for {}: {program:?}", run.err().unwrap(), kind.name);
            }
            // Before the device drops modules that were not used for long.
            if at % 16 == 15 || at + 1 == count {
                modules += seen.translate(kind.name, "random programs", &device);
            }
        }
        modules
    });
    let modules: usize = modules.sum();
    assert!(modules > 3 * count, "only {modules} modules");
}
