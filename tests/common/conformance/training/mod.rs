//! Cases of training: optimizers and schedules.

mod optimizer;
mod options;
mod schedule;
mod wrap;

use super::attributes::Attributes;
use super::{Case, Refusal, Values};
use wgrad::Device;

/// The results, if it is a case of training.
pub(super) fn run(case: &Case, device: &Device) -> Option<Result<Vec<Values>, Refusal>> {
    let (room, name) = case.op.split_once('.')?;
    match room {
        "lr_scheduler" => Some(schedule::run(name, &case.attrs)),
        "optim" => Some(optimizer::run(name, case, device)),
        _ => None,
    }
}
