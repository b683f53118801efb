//! Sums over an epoch that add up on the device and lose nothing.

use crate::error::{Error, Result};
use crate::graph::{Parameter, Tensor, no_grad};

/// Sums that a position takes before their total moves up to the next.
const BLOCK: u64 = 32;
const PLACES: usize = 4;

/// Sums over batches, of f32 on the device.
///
/// A single running sum of 10^6 terms loses each term's lower digits to its own size. So the sums of 32 batches add up in a first
/// level, those of 32 such blocks in a second, and so on; the last level takes all the rest. An addition is rounded by the size
/// of its block. The sums that batches add are themselves computed in blocks. Compensated sums would need arithmetic that GPU
/// compilers are free to simplify away.
#[derive(Default)]
pub(super) struct Sums {
    places: Option<[Parameter; PLACES]>,
    batches: u64,
}

impl Sums {
    /// Adds a batch's sums, as many each time.
    pub fn add(&mut self, op: &'static str, batch: &Tensor) -> Result<()> {
        let places = match &self.places {
            Some(places) => places,
            None => {
                // Values from the host, not computed, so that the first addition has the same plan as all later ones.
                let zeros = Tensor::zeros(batch.device(), batch.shape())?;
                self.places.insert([(); PLACES].map(|()| Parameter::buffer("sums", &zeros)))
            }
        };
        let (known, _, _) = places[0].holds();
        if known != *batch.shape() {
            let rule =
                format!("{} sums a batch, after batches of {known}; reset it before other outputs", batch.shape());
            return Err(Error::invalid(op, rule));
        }
        no_grad(|| {
            places[0].assign(&places[0].value().add(batch)?)?;
            self.batches += 1;
            let mut size = BLOCK;
            for neighbours in places.windows(2) {
                if self.batches.is_multiple_of(size) {
                    let [below, above] = [&neighbours[0], &neighbours[1]];
                    above.assign(&above.value().add(&below.value())?)?;
                    below.assign(&below.value().zeros_like()?)?;
                }
                size *= BLOCK;
            }
            Ok(())
        })
    }

    /// The sums, in double precision, in one readback; `None` if nothing was added.
    pub fn read(&self) -> Result<Option<Vec<f64>>> {
        let Some(places) = &self.places else { return Ok(None) };
        let values = places.each_ref().map(Parameter::value);
        let all = no_grad(|| Tensor::stack(&values.each_ref(), 0))?.to_f64()?;
        let count = all.len() / PLACES;
        Ok(Some((0..count).map(|at| all[at..].iter().step_by(count).sum()).collect()))
    }
}
