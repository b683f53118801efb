//! Counts that add up on the device without end.

use crate::dtype::DType;
use crate::error::Result;
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::shape::{Layout, Shape};

/// The base of the upper half: a lower half, which stays below it, and as much again fit into an i32.
const BASE: i32 = 1 << 30;

/// Whole numbers that add up on the device in 61 bits, since those of a long epoch of pixels are more than 2^31, and
/// f32 counts to 2^24. Each is two i32: `lower` stays below 2^30, and `upper` counts its carries.
pub(super) struct Counter {
    lower: Parameter,
    upper: Parameter,
}

impl Counter {
    /// The number of counts of a shape, if the device can hold them.
    pub fn check(device: &Device, shape: &[usize]) -> Result<usize> {
        let layout = Layout::contiguous(Shape::new(shape)?, DType::I32);
        device.check_size("metric", &layout)?;
        Ok(layout.shape.numel())
    }

    /// Counts of zero.
    pub fn new(device: &Device, shape: &[usize]) -> Result<Counter> {
        let count = Counter::check(device, shape)?;
        let zeros = || Tensor::from_slice(device, &vec![0i32; count], shape);
        // Values from the host, not computed, so that the first addition has the same plan as all later ones.
        let lower = Parameter::buffer("lower", &zeros()?);
        let upper = Parameter::buffer("upper", &zeros()?);
        device.flush()?;
        Ok(Counter { lower, upper })
    }

    /// Adds i32 counts of the counter's shape, none below 0 or above 2^30.
    pub fn add(&self, counts: &Tensor) -> Result<()> {
        no_grad(|| {
            let lower = (self.lower.value() + counts)?;
            let carry = lower.ge_scalar(BASE as f64)?.to_dtype(DType::I32)?;
            self.lower.assign(&(lower - &carry * BASE as f64)?)?;
            self.upper.assign(&(self.upper.value() + carry)?)
        })
    }

    /// Waits for the counts.
    pub fn read(&self) -> Result<Vec<u64>> {
        let halves = no_grad(|| Tensor::stack(&[&self.lower.value(), &self.upper.value()], 0))?.to_vec::<i32>()?;
        let (lower, upper) = halves.split_at(halves.len() / 2);
        let join = |(&lower, &upper): (&i32, &i32)| {
            (u64::from(upper.cast_unsigned()) << 30) + u64::from(lower.cast_unsigned())
        };
        Ok(lower.iter().zip(upper).map(join).collect())
    }

    /// Sets the counts to zero.
    pub fn reset(&self) -> Result<()> {
        for half in [&self.lower, &self.upper] {
            let value = half.value();
            half.assign(&Tensor::from_slice(value.device(), &vec![0i32; value.numel()], value.shape())?)?;
        }
        self.lower.value().device().flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Past 2^31 and 2^32, through every carry, and one at a time where f32 would stay at 2^24.
    #[test]
    fn counts_do_not_overflow_or_get_lost() {
        let devices = [Ok(Device::reference()), Device::open()];
        for device in devices.into_iter().flatten() {
            let counter = Counter::new(&device, &[3]).unwrap();
            let steps = [(1i32 << 30, 1i32, 0i32), ((1 << 30) - 1, 1 << 24, 1)];
            let mut expected = [0u64; 3];
            for step in 0..20 {
                let (a, b, c) = steps[step % 2];
                counter.add(&Tensor::from_slice(&device, &[a, b, c], &[3]).unwrap()).unwrap();
                for (sum, value) in expected.iter_mut().zip([a, b, c]) {
                    *sum += u64::from(value.cast_unsigned());
                }
            }
            assert!(expected[0] > 1 << 34);
            assert_eq!(counter.read().unwrap(), expected, "{}", device.name());
            counter.reset().unwrap();
            assert_eq!(counter.read().unwrap(), [0; 3]);
        }
    }
}
