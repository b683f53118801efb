//! Products of bytes as products of f32, which are whole numbers and exact as long as no sum reaches 2^24: for adapters that have
//! no instruction for bytes, and fast kernels for f32.

use super::packed::QuantizedTensor;
use crate::dtype::DType;
use crate::error::Result;
use crate::graph::Tensor;
use crate::number::nearest;
use crate::ops::conv::{Geometry, channels_of_groups, convolve_whole};
use crate::ops::matmul;

/// The least magnitude beyond which f32 lacks whole numbers.
const LIMIT: f64 = 16_777_216.0;

/// The largest magnitudes of a level above its zero point, and of a weight.
const LEVEL: f64 = 255.0;
const BYTE: f64 = 128.0;

/// The first of some channels, and the one past the last.
type Part = [usize; 2];

/// A weight whose sums are added up in f32, some channels at a time, and those in i32.
#[derive(Clone, Debug)]
pub(super) struct Whole {
    /// f32 `[out, in, ..]`.
    weight: Tensor,
    /// Input channels of a group that are added up in f32.
    parts: Vec<Part>,
}

impl Whole {
    /// The weight, if its device has no instruction for bytes, and not too many taps.
    #[track_caller]
    pub fn of(weight: &QuantizedTensor) -> Result<Option<Whole>> {
        let has_instruction = weight.device().adapter().is_some_and(|adapter| adapter.profile.packed_dot);
        let Some(&channels) = weight.shape().get(1).filter(|_| !has_instruction) else { return Ok(None) };
        let taps: usize = weight.shape()[2..].iter().product();
        let parts = parts(&vec![BYTE * taps as f64; channels], channels);
        parts.map(|parts| Ok(Whole { weight: weight.levels()?.contiguous()?, parts })).transpose()
    }

    /// The same in as few parts as the weight's bytes allow.
    pub fn measured(self) -> Result<Whole> {
        let dims: Vec<isize> = (2..self.weight.rank()).map(nearest).collect();
        let magnitudes = self.weight.abs()?;
        let magnitudes = if dims.is_empty() { magnitudes } else { magnitudes.sum(dims)? };
        let parts = parts(&magnitudes.to_f64()?, self.weight.shape()[1]);
        Ok(Whole { parts: parts.unwrap_or(self.parts), weight: self.weight })
    }

    /// The convolution of levels above their zero point, f32, or i32 if it has several parts.
    #[track_caller]
    pub fn convolve(&self, geometry: Geometry, image: &Tensor) -> Result<Tensor> {
        let channels = geometry.in_per_group;
        self.added(|[start, end]| {
            if end - start == channels {
                return convolve_whole(geometry, image, &self.weight);
            }
            let image = channels_of_groups(image, 1, channels, start..end)?;
            let weight = channels_of_groups(&self.weight, 1, channels, start..end)?;
            convolve_whole(Geometry { in_per_group: end - start, ..geometry }, &image, &weight)
        })
    }

    /// The product of `[N, in]` and the weight `[out, in]`, as [`convolve`](Whole::convolve).
    #[track_caller]
    pub fn multiply(&self, rows: &Tensor) -> Result<Tensor> {
        self.added(|[start, end]| {
            let columns = |x: &Tensor| x.narrow(1, start, end - start);
            matmul::product(&columns(rows)?, &columns(&self.weight)?.t()?)
        })
    }

    #[track_caller]
    fn added(&self, sum: impl Fn(Part) -> Result<Tensor>) -> Result<Tensor> {
        let [first, others @ ..] = &self.parts[..] else { return sum([0, 0]) };
        let first = sum(*first)?;
        if others.is_empty() {
            return Ok(first);
        }
        others.iter().try_fold(first.to_dtype(DType::I32)?, |total, part| total.add(&sum(*part)?.to_dtype(DType::I32)?))
    }
}

/// Consecutive channels whose sums can't reach the limit, as many at a time as possible: `magnitudes` has a row of `channels`
/// sums of magnitudes for each output. `None` if those of one channel can.
fn parts(magnitudes: &[f64], channels: usize) -> Option<Vec<Part>> {
    let outputs = magnitudes.len() / channels.max(1);
    let mut sums = vec![0.0; outputs];
    let mut parts: Vec<Part> = vec![[0, 0]];
    for channel in 0..channels {
        let added = |output: usize| LEVEL * magnitudes[output * channels + channel];
        if (0..outputs).any(|output| added(output) >= LIMIT) {
            return None;
        }
        if (0..outputs).any(|output| sums[output] + added(output) >= LIMIT) {
            sums.fill(0.0);
            parts.push([channel, channel]);
        }
        (0..outputs).for_each(|output| sums[output] += added(output));
        parts.last_mut()?[1] = channel + 1;
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_taken_apart_before_they_grow_too_large() {
        // 65,793 times 255 is 2^24 - 1.
        assert_eq!(parts(&[65_793.0], 1), Some(vec![[0, 1]]));
        assert_eq!(parts(&[65_794.0], 1), None);
        assert_eq!(parts(&[65_792.0, 1.0, 1.0], 3), Some(vec![[0, 2], [2, 3]]));
        // Of two outputs either may be the one that grows.
        assert_eq!(parts(&[60_000.0, 5_000.0, 0.0, 0.0, 1.0, 65_793.0], 3), Some(vec![[0, 2], [2, 3]]));
        assert_eq!(parts(&[], 0), Some(vec![[0, 0]]));
    }
}
