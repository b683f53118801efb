//! Encodes dispatches into one pass, submits them, and keeps only a few submissions in flight.

use crate::device::{Bindings, Gpu, Pipeline};
use crate::error::{Error, Result};
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Submissions that may be under way before a flush waits for the oldest.
const MOST_IN_FLIGHT: usize = 4;

/// Dispatches after which a submission is closed, so that the device starts on a long plan while the rest of it is
/// encoded.
const DISPATCHES_PER_SUBMIT: usize = 128;

/// Operations after which a submission is closed, so that it stays well under a driver's watchdog: about a
/// tenth of a second on the slowest adapters of each kind.
const WORK_PER_SUBMIT: u64 = 1 << 36;
const WORK_PER_SUBMIT_CPU: u64 = 1 << 30;

/// One kernel to run.
#[derive(Clone, Copy)]
pub(crate) struct Dispatch<'a> {
    pub pipeline: &'a Pipeline,
    pub bindings: &'a Bindings,
    pub groups: [u32; 3],
    pub work: u64,
}

impl Dispatch<'_> {
    /// Appends it to a pass, in which its pipeline may be set already.
    pub(super) fn encode(&self, pass: &mut wgpu::ComputePass, is_set: bool) -> Result<()> {
        if !is_set {
            pass.set_pipeline(self.pipeline.raw()?);
        }
        pass.set_bind_group(0, self.bindings.group(), &[]);
        let [x, y, z] = self.groups;
        pass.dispatch_workgroups(x, y, z);
        Ok(())
    }
}

/// The parameter words of a plan's kernels, written once a run.
pub(crate) struct Uniform {
    pub(super) raw: wgpu::Buffer,
}

#[derive(Default)]
pub(super) struct InFlight {
    oldest_first: Mutex<VecDeque<wgpu::SubmissionIndex>>,
    dispatches: AtomicU64,
    submits: AtomicU64,
}

impl InFlight {
    pub fn counters(&self) -> (u64, u64) {
        (self.dispatches.load(Ordering::Relaxed), self.submits.load(Ordering::Relaxed))
    }
}

impl Gpu {
    /// A buffer for `bytes` of parameters.
    pub fn uniform(&self, bytes: usize) -> Result<Uniform> {
        let raw = self.guarded(|| {
            Ok(self.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some("params"),
                size: bytes.max(256) as u64,
                usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                mapped_at_creation: false,
            }))
        })?;
        Ok(Uniform { raw })
    }

    /// Writes parameters before the next submission.
    pub fn write_uniform(&self, uniform: &Uniform, bytes: &[u8]) -> Result<()> {
        self.write(&uniform.raw, 0, bytes)
    }

    /// Writes parameters and runs dispatches in order, in as few submissions as the watchdog allows.
    ///
    /// # Errors
    /// [`Error::StateUnknown`] if some of it was submitted and the rest can't be; after any other error nothing was.
    pub fn submit<'a>(
        &self,
        mut params: Option<(&Uniform, &[u8])>,
        mut dispatches: impl Iterator<Item = Dispatch<'a>> + Clone,
    ) -> Result<()> {
        self.status.check()?;
        let mut is_first = true;
        loop {
            let count = self.fitting(dispatches.clone());
            if count == 0 {
                return Ok(());
            }
            let submitted = self.submit_pass(params.take(), dispatches.by_ref().take(count));
            submitted.map_err(|error| if is_first { error } else { cut_short(error) })?;
            is_first = false;
        }
    }

    /// Number of these dispatches that fit into one submission.
    pub(super) fn fitting<'a>(&self, dispatches: impl Iterator<Item = Dispatch<'a>>) -> usize {
        let limit = if self.adapter.is_cpu { WORK_PER_SUBMIT_CPU } else { WORK_PER_SUBMIT };
        let mut work = 0;
        let fits = |dispatch: &Dispatch| {
            let fits = work < limit;
            work += dispatch.work;
            fits
        };
        dispatches.take(DISPATCHES_PER_SUBMIT).take_while(fits).count()
    }

    /// Submits dispatches in one pass; after an error they are not carried out.
    pub(super) fn submit_pass<'a>(
        &self,
        params: Option<(&Uniform, &[u8])>,
        dispatches: impl Iterator<Item = Dispatch<'a>>,
    ) -> Result<()> {
        let mut count = 0;
        // Errors from elsewhere are for the next call: this one is submitted.
        let index = self.scoped(|| {
            if let Some((uniform, bytes)) = params {
                self.queue.write_buffer(&uniform.raw, 0, bytes);
            }
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("flush") });
            {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                let mut current: Option<&Pipeline> = None;
                for dispatch in dispatches {
                    let is_set = current.is_some_and(|current| std::ptr::eq(current, dispatch.pipeline));
                    dispatch.encode(&mut pass, is_set)?;
                    current = Some(dispatch.pipeline);
                    count += 1;
                }
            }
            Ok(self.queue.submit([encoder.finish()]))
        })?;
        self.count_submit(count);
        self.in_flight.oldest_first.lock().push_back(index);
        Ok(())
    }

    /// Waits until only a few submissions are under way. An error here does not concern the last submission, and is returned by
    /// the next call.
    pub fn throttle(&self) {
        let oldest = {
            let mut queue = self.in_flight.oldest_first.lock();
            let excess = queue.len().saturating_sub(MOST_IN_FLIGHT);
            queue.drain(..excess).next_back()
        };
        if let Some(Err(error)) = oldest.map(|index| self.wait(Some(index))) {
            self.status.report(error);
        }
    }

    pub(super) fn count_submit(&self, dispatches: usize) {
        self.in_flight.dispatches.fetch_add(dispatches as u64, Ordering::Relaxed);
        self.in_flight.submits.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits for a submission, or for all of them.
    pub(super) fn wait(&self, submission_index: Option<wgpu::SubmissionIndex>) -> Result<()> {
        wait(&self.device, submission_index, self.timeout)?;
        self.status.check()
    }
}

/// The error of a flush that was submitted in part, because of another error.
pub(super) fn cut_short(error: Error) -> Error {
    match error {
        Error::DeviceLost { .. } => error,
        other => Error::StateUnknown { reason: other.to_string() },
    }
}

pub(super) fn wait(
    device: &wgpu::Device,
    submission_index: Option<wgpu::SubmissionIndex>,
    timeout: Duration,
) -> Result<()> {
    match device.poll(wgpu::PollType::Wait { submission_index, timeout: Some(timeout) }) {
        Ok(_) => Ok(()),
        Err(wgpu::PollError::Timeout) => Err(Error::Timeout { waited: timeout }),
        Err(error) => Err(Error::Device { reason: error.to_string() }),
    }
}
