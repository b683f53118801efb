//! A mean that adds up on the device.

use crate::error::Result;
use crate::graph::{Device, Parameter, Tensor, no_grad};
use crate::number::nearest;
use crate::state::{self, Numbers, State, is_count};

const OP: &str = "running_mean";

/// A weighted mean of scalars that adds up on the device: nothing waits until it is read.
///
/// ```
/// # use wgrad::{Device, Tensor, train::RunningMean};
/// # let device = Device::reference();
/// let mut mean = RunningMean::new(&device)?;
/// mean.add(&Tensor::scalar(&device, 1.0f32)?, 3)?;
/// mean.add(&Tensor::scalar(&device, 5.0f32)?, 1)?;
/// assert_eq!(mean.read()?, 2.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct RunningMean {
    sum: Parameter,
    weight: u64,
}

impl RunningMean {
    /// An empty mean.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn new(device: &Device) -> Result<RunningMean> {
        // Values from the host, not computed, so that the first addition has the same plan as all later ones.
        let sum = Parameter::buffer(OP, &Tensor::scalar(device, 0.0f32)?);
        device.flush()?;
        Ok(RunningMean { sum, weight: 0 })
    }

    /// Counts `value` as `weight` values.
    ///
    /// # Errors
    /// [`Error::Invalid`](crate::Error::Invalid) if `value` is not a scalar.
    pub fn add(&mut self, value: &Tensor, weight: usize) -> Result<()> {
        no_grad(|| self.sum.assign(&(self.sum.value() + value * weight as f64)?))?;
        self.weight += weight as u64;
        Ok(())
    }

    /// Forgets all values.
    ///
    /// # Errors
    /// Errors of the device.
    pub fn reset(&mut self) -> Result<()> {
        let zero = Tensor::scalar(&self.sum.holds().2, 0.0f32)?;
        self.sum.assign(&zero)?;
        self.weight = 0;
        Ok(())
    }

    /// Waits for the mean; NaN of nothing.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn read(&self) -> Result<f64> {
        Ok(f64::from(self.sum.value().item::<f32>()?) / self.weight as f64)
    }
}

impl State for RunningMean {
    fn kind(&self) -> &'static str {
        OP
    }
    fn tensors(&self) -> Vec<Parameter> {
        vec![self.sum.clone()]
    }
    fn numbers(&self) -> Result<Numbers> {
        Ok(Numbers::from([("weight".to_string(), vec![self.weight as f64])]))
    }
    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        state::number(OP, numbers, "weight", is_count).map(drop)
    }
    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        self.weight = nearest(state::number(OP, numbers, "weight", is_count)?);
        Ok(())
    }
}
