//! The largest batch that fits.

use super::snapshot::Snapshot;
use crate::error::{Error, Result};
use crate::graph::{Device, Tensor};
use crate::nn::Module;
use crate::optim::Optimizer;
use crate::options::options;

const OP: &str = "BatchSizeFinder";

/// Steps of a trial: the first one packs the parameters, and the second one is like all later ones.
const STEPS: usize = 2;

options! {
    /// Finds the largest batch whose steps fit into memory: doubles the size as long as they do, and then halves the
    /// gap until it is an eighth of the size. The model, the optimizer and the device's random stream are restored
    /// afterwards, to the bit.
    ///
    /// A step does not fit where the device runs out of memory, where a tensor is larger than the adapter takes, or
    /// where it needs more than `memory`. Not every driver says that its memory is full before it slows down: give
    /// `memory` where you know the limit. The earlier values are held meanwhile, so the result errs on the side of
    /// safety by the size of the weights and the optimizer's state.
    ///
    /// ```
    /// use wgrad::nn::{Linear, Module, Scope};
    /// use wgrad::optim::{Sgd, SgdOptions};
    /// use wgrad::train::BatchSizeFinder;
    /// use wgrad::{Device, Tensor};
    /// let device = Device::reference();
    /// let model = Linear::new(&Scope::new(&device), 4, 1)?;
    /// let mut sgd = Sgd::new(&model, SgdOptions::default())?;
    /// let size = BatchSizeFinder::default().largest(64).run(&device, &model, &mut sgd, |size| {
    ///     model.forward(&Tensor::zeros(&device, &[size, 4])?)?.square()?.mean_all()
    /// })?;
    /// assert_eq!(size, 64);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[derive(Clone, Copy, Debug, PartialEq)]
    BatchSizeFinder {
        /// The first size.
        smallest: usize = 8,
        /// The size past which there is no trial: no more than there are items.
        largest: usize = 4096,
        /// Bytes that a run may take on the device.
        memory: Option<u64> = None,
    }
}

impl BatchSizeFinder {
    /// Runs the trials. `loss` gives the loss of a batch of a size; the contents of the batch do not matter.
    ///
    /// # Errors
    /// [`Error::Invalid`] if an option is out of its range; if the smallest size does not fit, the error that
    /// says so; those of `loss` and of the steps that have nothing to do with memory.
    pub fn run(
        &self,
        device: &Device,
        model: &dyn Module,
        optimizer: &mut dyn Optimizer,
        mut loss: impl FnMut(usize) -> Result<Tensor>,
    ) -> Result<usize> {
        let BatchSizeFinder { smallest, largest, .. } = *self;
        if smallest == 0 || largest < smallest {
            return Err(Error::invalid(
                OP,
                format!("sizes go from {smallest} to {largest}; they must be at least 1 and rising"),
            ));
        }
        let before = Snapshot::new(device, model, &*optimizer)?;
        let mut fits = |size: usize| {
            let trial = self.trial(device, optimizer, || loss(size));
            // This replaces everything that a flush left half done when it ran out of memory.
            device.assume_restored();
            before.restore(optimizer)?;
            device.empty_cache();
            trial
        };
        let found = search(smallest, largest, &mut fits);
        device.reset_peak_stats();
        found
    }

    /// Steps with one size; returns the reason as an error where they don't fit.
    fn trial(
        &self,
        device: &Device,
        optimizer: &mut dyn Optimizer,
        mut loss: impl FnMut() -> Result<Tensor>,
    ) -> Result<Option<Error>> {
        let mut steps = || {
            for _ in 0..STEPS {
                device.empty_cache();
                device.reset_peak_stats();
                loss()?.backward()?;
                if optimizer.has_first_step() {
                    optimizer.first_step()?;
                    loss()?.backward()?;
                }
                optimizer.step()?;
                optimizer.zero_grad();
                device.sync()?;
            }
            Ok(())
        };
        match steps() {
            Err(error @ (Error::OutOfMemory { .. } | Error::TooLarge { .. } | Error::StateUnknown { .. })) => {
                Ok(Some(error))
            }
            Err(error) => Err(error),
            Ok(()) => {
                let taken = device.stats().bytes_peak;
                let over = self.memory.filter(|&memory| taken > memory);
                Ok(over.map(|memory| Error::OutOfMemory { reason: format!("{taken} bytes of {memory}") }))
            }
        }
    }
}

/// The largest size that fits, between two.
fn search(smallest: usize, largest: usize, fits: &mut impl FnMut(usize) -> Result<Option<Error>>) -> Result<usize> {
    if let Some(error) = fits(smallest)? {
        return Err(error);
    }
    let (mut good, mut bad) = (smallest, None);
    while bad.is_none() && good < largest {
        let next = good.saturating_mul(2).min(largest);
        match fits(next)? {
            None => good = next,
            Some(_) => bad = Some(next),
        }
    }
    while let Some(too_large) = bad.filter(|bad| bad - good > (good / 8).max(1)) {
        let middle = good + (too_large - good) / 2;
        match fits(middle)? {
            None => good = middle,
            Some(_) => bad = Some(middle),
        }
    }
    Ok(good)
}
