//! Times each dispatch: by timestamp queries, or by running dispatches one by one.

use crate::device::queue::cut_short;
use crate::device::{Dispatch, Gpu};
use crate::error::{Error, Result};
use crate::number::nearest;
use std::time::{Duration, Instant};

/// A start, counted from an instant of the caller's, and a duration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub start: Duration,
    pub time: Duration,
}

/// Dispatches timed in one submission: each takes two of the 4096 queries that a set may have.
const MOST_TIMED: usize = wgpu::QUERY_SET_MAX_QUERIES as usize / 2;

impl Gpu {
    /// Runs dispatches in order, waits for them and returns the times of each, counted from `since`.
    pub fn submit_timed(&self, dispatches: &[Dispatch<'_>], since: Instant) -> Result<Vec<Span>> {
        // Earlier submissions and writes must not count.
        self.status.check()?;
        self.guarded(|| {
            self.queue.submit([]);
            Ok(())
        })?;
        self.wait(None)?;
        self.spans(dispatches, since).map_err(cut_short)
    }

    fn spans(&self, dispatches: &[Dispatch<'_>], since: Instant) -> Result<Vec<Span>> {
        let mut spans = Vec::with_capacity(dispatches.len());
        let mut rest = dispatches;
        while !rest.is_empty() {
            let count =
                if self.adapter.has_timestamps { self.fitting(rest.iter().copied()).min(MOST_TIMED) } else { 1 };
            let (now, later) = rest.split_at(count);
            rest = later;
            let submitted = since.elapsed();
            if self.adapter.has_timestamps {
                let ticks = self.timestamps(now)?;
                let first = ticks.first().copied().unwrap_or_default();
                let period = f64::from(self.queue.get_timestamp_period());
                let after = |ticks: u64| Duration::from_nanos(nearest::<u64>(ticks as f64 * period));
                spans.extend(ticks.chunks_exact(2).map(|pair| Span {
                    start: submitted + after(pair[0].saturating_sub(first)),
                    time: after(pair[1].saturating_sub(pair[0])),
                }));
            } else {
                self.submit_pass(None, now.iter().copied())?;
                self.wait(None)?;
                spans.push(Span { start: submitted, time: since.elapsed() - submitted });
            }
        }
        Ok(spans)
    }

    /// Runs each dispatch in a separate pass: the ticks at which each began and ended, pair after pair.
    fn timestamps(&self, dispatches: &[Dispatch<'_>]) -> Result<Vec<u64>> {
        let count = 2 * nearest::<u32>(dispatches.len());
        let bytes = u64::from(count) * u64::from(wgpu::QUERY_SIZE);
        let staging = self.guarded(|| {
            let queries = self.device.create_query_set(&wgpu::QuerySetDescriptor {
                label: Some("profile"),
                ty: wgpu::QueryType::Timestamp,
                count,
            });
            let buffer = |usage| {
                let label = Some("timestamps");
                self.device.create_buffer(&wgpu::BufferDescriptor {
                    label,
                    size: bytes,
                    usage,
                    mapped_at_creation: false,
                })
            };
            let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
            let staging = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
            let mut encoder =
                self.device.create_command_encoder(&wgpu::CommandEncoderDescriptor { label: Some("profile") });
            for (dispatch, query) in dispatches.iter().zip((0..count).step_by(2)) {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
                    label: None,
                    timestamp_writes: Some(wgpu::ComputePassTimestampWrites {
                        query_set: &queries,
                        beginning_of_pass_write_index: Some(query),
                        end_of_pass_write_index: Some(query + 1),
                    }),
                });
                dispatch.encode(&mut pass, false)?;
            }
            encoder.resolve_query_set(&queries, 0..count, &resolved, 0);
            encoder.copy_buffer_to_buffer(&resolved, 0, &staging, 0, bytes);
            self.queue.submit([encoder.finish()]);
            // Waiting reports a failure.
            staging.slice(..).map_async(wgpu::MapMode::Read, drop);
            Ok(staging)
        })?;
        self.count_submit(dispatches.len());
        self.wait(None)?;
        let failed = |error: wgpu::MapRangeError| Error::Device { reason: error.to_string() };
        let ticks = bytemuck::pod_collect_to_vec(&staging.slice(..).get_mapped_range().map_err(failed)?);
        Ok(ticks)
    }
}
