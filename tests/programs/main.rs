//! Random programs: 5 to 30 operations composed into a graph, forward and backward, on the adapter against the
//! reference. A program that fails is shrunk and printed as Rust.
//!
//! `WGRAD_TEST_PROGRAMS=N` runs N programs (2,000 by default), `WGRAD_TEST_SEED=S` others than the usual ones.

#[path = "../common/mod.rs"]
mod common;
mod program;
mod vocabulary;

use program::{Outcome, Program, Step};
use proptest::prelude::{Strategy, any};
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use std::sync::atomic::{AtomicUsize, Ordering};
use wgrad::Device;

/// Threads that share the programs; compiling their kernels takes most of the time.
const THREADS: usize = 2;

fn programs() -> impl Strategy<Value = Program> {
    let step = (any::<u16>(), any::<[u8; 3]>(), any::<[u8; 2]>());
    let steps = proptest::collection::vec(step.prop_map(|(row, picks, numbers)| Step { row, picks, numbers }), 5..=30);
    (proptest::collection::vec(any::<u8>(), 2..=4), steps, any::<u64>()).prop_map(|(leaves, steps, seed)| Program {
        leaves,
        steps,
        seed,
    })
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

/// The first value that differs by more than rounding explains. What rounding may do is measured: the reference runs
/// again with every intermediate value off by 16 epsilons, twice, and the device may be off by 8 times what that changes.
fn difference(got: &Outcome, exact: &Outcome, shaken: &[Outcome]) -> Option<String> {
    if got.names != exact.names {
        return Some(format!("results {:?}, not {:?}", got.names, exact.names));
    }
    for (at, name) in exact.names.iter().enumerate() {
        let exact = &exact.values[at];
        let change =
            |outcome: &Outcome| outcome.values[at].iter().zip(exact).map(|(s, e)| (s - e).abs()).fold(0.0, f64::max);
        let scale = exact.iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
        let rounding = shaken.iter().map(change).fold(0.0, f64::max);
        let allowed = 8.0 * rounding + 64.0 * f64::from(f32::EPSILON) * scale + 1e-7;
        let worst = got.values[at].iter().zip(exact).position(|(g, e)| (g - e).is_nan() || (g - e).abs() > allowed);
        if let Some(element) = worst {
            return Some(format!(
                "{name}[{element}]: expected {}, got {} (allowed {allowed:.1e})",
                exact[element], got.values[at][element]
            ));
        }
    }
    None
}

/// Whether rounding explains so much, a hundredth of a result, that the comparison says little.
fn is_vague(exact: &Outcome, shaken: &[Outcome]) -> bool {
    exact.values.iter().enumerate().any(|(at, exact)| {
        let scale = exact.iter().fold(1e-2f64, |scale, value| scale.max(value.abs()));
        shaken.iter().any(|s| s.values[at].iter().zip(exact).any(|(s, e)| (s - e).abs() > 1e-2 * scale))
    })
}

fn check(program: &Program, device: &Device, vague: &AtomicUsize) -> Result<(), TestCaseError> {
    let fail = |what: &str, error: wgrad::Error| TestCaseError::fail(format!("{what}: {error}"));
    let reference = Device::reference();
    let exact = program.run(&reference).map_err(|e| fail("on the reference", e))?;
    let shaken = [1, 2].map(|seed| {
        program.run_shaken(&reference, program.seed ^ seed).map_err(|e| fail("on the shaken reference", e))
    });
    let [first, second] = shaken;
    let shaken = [first?, second?];
    if is_vague(&exact, &shaken) {
        vague.fetch_add(1, Ordering::Relaxed);
    }
    let got = program.run(device).map_err(|e| fail("on the adapter", e))?;
    difference(&got, &exact, &shaken).map_or(Ok(()), |difference| Err(TestCaseError::fail(difference)))
}

#[test]
fn random_programs_agree_with_the_reference() {
    if common::adapter().is_none() {
        return;
    }
    let count = number("WGRAD_TEST_PROGRAMS", 2000) as u32;
    let seed = number("WGRAD_TEST_SEED", 0);
    let vague = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let runs = (0..THREADS).map(|thread| {
            let vague = &vague;
            scope.spawn(move || {
                // Devices of its own: one records for one thread at a time while it compiles. A fused program has
                // kernels that no other has, and compiling them takes most of the time: seven of eight run call by call, and
                // without eights, which take longer to compile.
                let apart = wgrad::Disable { fuse: true, inplace: true, int64: true, ..wgrad::Disable::default() };
                let fused = common::poisoned(wgrad::Disable::default());
                let (Some(fused), Some(apart)) = (fused, common::poisoned(apart)) else { return Ok(()) };
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
                TestRunner::new_with_rng(config, rng).run(&programs(), |program| {
                    check(&program, if program.seed % 8 == 0 { &fused } else { &apart }, vague)
                })
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
    assert!(vague * 10 <= count as usize, "{vague} of {count} programs are so sensitive that comparing says little");
}
