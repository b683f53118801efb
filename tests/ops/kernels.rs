//! Every case of every operation on the adapter against the reference: forward and backward, the first run of a plan and a second
//! one, with poisoned buffers and guard bands behind them. `WGRAD_TEST_OP=FILTER` runs those that [`Case::matches`]; with
//! `WGRAD_TEST_BRIEF=1` none after the first failure.

use crate::common::{asked, differences, has_f16, poisoned};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use wgrad::ops::case::Case;
use wgrad::{Disable, ops};

/// Cases that share a device: compiling takes most of the time, and a software driver does that on one core for each.
const SHARING: usize = 32;

/// Runs all cases with the kernels that are chosen without some capabilities.
fn agree(disable: Disable) {
    let Some(device) = poisoned(disable) else { return };
    let cases = ops::cases();
    let has_f16 = has_f16(&device);
    let mut chosen = asked(&cases);
    let is_all = chosen.len() == cases.len();
    chosen.retain(|(_, case)| has_f16 || !case.needs_f16);
    let ends = std::env::var_os("WGRAD_TEST_BRIEF").is_some();
    let failed = AtomicBool::new(false);
    let of_part = |part: &[(usize, &Case)]| {
        let device = poisoned(disable).unwrap();
        let mut found = Vec::new();
        for &(number, case) in part.iter().take_while(|_| !(ends && failed.load(Relaxed))) {
            found.extend(differences(case, number, &device));
            failed.fetch_or(!found.is_empty(), Relaxed);
        }
        found
    };
    let failures: Vec<String> = chosen.par_chunks(SHARING).flat_map(of_part).collect();
    let ran = chosen.len();
    assert!(failures.is_empty(), "{} failures in {ran} cases:\n{}", failures.len(), failures.join("\n"));
    assert!(!is_all || ran > 300, "only {ran} cases");
}

#[test]
fn kernels_agree_with_the_reference() {
    agree(Disable::default());
}

#[test]
fn plain_kernels_agree_with_the_reference() {
    agree(Disable { subgroup: true, int64: true, ..Disable::default() });
}

#[test]
fn kernels_for_gpus_agree_with_the_reference() {
    agree(Disable { software: true, ..Disable::default() });
}
