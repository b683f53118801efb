//! Measures an adapter's peak.

use crate::device::{Bindings, Dispatch, Gpu};
use crate::error::Result;
use crate::shader::Kernel;
use std::time::{Duration, Instant};

const WORKGROUP: usize = 64;

/// Operations of one round of one invocation.
const ROUND: u64 = 128;

/// Rounds are doubled until they take this long, if loops may be as long: the clock's resolution and the cost of starting are
/// small then.
const LONG_ENOUGH: Duration = Duration::from_millis(10);

impl Gpu {
    /// Floating-point operations a second of f32 multiply-adds that depend on nothing in memory, the best of a few tries;
    /// measured once. `None` on wgpu's noop adapter, which computes nothing.
    pub fn peak_flops(&self) -> Result<Option<f64>> {
        if let Some(&peak) = self.peak.get() {
            return Ok(peak);
        }
        let peak = if self.computes() { Some(self.measure_peak()?) } else { None };
        Ok(*self.peak.get_or_init(|| peak))
    }

    fn measure_peak(&self) -> Result<f64> {
        // Enough invocations to fill any adapter of the kind.
        let groups: u32 = if self.adapter.is_cpu { 256 } else { 16_384 };
        let invocations = groups as usize * WORKGROUP;
        let output = self.take(4 * invocations)?;
        let uniform = self.uniform(16)?;
        let kernel = Kernel::new("peak", wgsl!("device/peak")).constant("WORKGROUP", WORKGROUP);
        let pipeline = self.pipeline(&kernel)?;
        self.compile([&pipeline])?;
        let mut bindings = Bindings::default();
        self.bind(&mut bindings, &pipeline, (&uniform, 0), &[Some(output)])?;
        let (mut rounds, mut best, mut tries) = (16u32, 0.0f64, 0);
        while tries < 3 {
            let words = [rounds, 0.999f32.to_bits(), 0.001f32.to_bits(), 0];
            self.write_uniform(&uniform, bytemuck::cast_slice(&words))?;
            let work = u64::from(rounds) * ROUND * invocations as u64;
            let dispatch = Dispatch { bindings: &bindings, pipeline: &pipeline, groups: [groups, 1, 1], work };
            let spans = self.submit_timed(&[dispatch], Instant::now())?;
            let time = spans[0].time;
            best = best.max(work as f64 / time.as_secs_f64().max(1e-9));
            if time < LONG_ENOUGH && 2 * rounds as usize <= self.adapter.profile.longest_loop {
                rounds *= 2;
            } else {
                tries += 1;
            }
        }
        Ok(best)
    }
}
