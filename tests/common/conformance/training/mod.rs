//! Cases of training: optimizers and schedules.

mod attributes;
mod schedule;

use super::{Case, Refusal, Values};
use attributes::Attributes;

/// What a case of training gives, where it is one.
pub(super) fn run(case: &Case) -> Option<Result<Vec<Values>, Refusal>> {
    let (room, name) = case.op.split_once('.')?;
    match room {
        "lr_scheduler" => Some(schedule::run(name, &case.attrs)),
        _ => None,
    }
}
