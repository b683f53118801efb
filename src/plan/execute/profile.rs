//! Runs a plan's dispatches while a profile is taken.

use crate::device::{Dispatch, Gpu, Uniform};
use crate::error::Result;
use crate::graph::{ProfileEvent, Profiler, Schedule};
use crate::plan::execute::print::calls;
use crate::plan::memory::assign::Plan;
use std::time::Instant;

/// Writes parameters, submits the plan's dispatches, one a step, and adds their times to the profile.
pub(in crate::plan) fn submit(
    plan: &Plan,
    schedule: &Schedule,
    gpu: &Gpu,
    params: Option<(&Uniform, &[u8])>,
    dispatches: &[Dispatch<'_>],
    profiler: &Profiler,
) -> Result<()> {
    if let Some((uniform, bytes)) = params {
        gpu.write_uniform(uniform, bytes)?;
    }
    let since = Instant::now();
    let spans = gpu.submit_timed(dispatches, since)?;
    let events = plan.steps.iter().zip(spans).map(|(step, span)| ProfileEvent {
        kernel: step.name,
        op: calls(plan, step),
        source: schedule.nodes[step.node].source,
        start: span.start,
        time: span.time,
        work: step.work,
    });
    profiler.add(since, events);
    Ok(())
}
