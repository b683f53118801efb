//! The best weights of a run.

use crate::run_folder::BEST;
use std::cell::RefCell;
use std::rc::Rc;
use wgrad::train::{Callback, Numbers, Run, State};
use wgrad::weights::{self, Metadata, SaveOptions};
use wgrad::{Error, Result};

/// The validation that was best so far.
pub struct Measured {
    /// Counted from 1.
    pub epoch: f64,
    pub accuracy: f64,
    pub loss: f64,
}

/// Shared with whoever tells of it in the end.
pub type BestSoFar = Rc<RefCell<Option<Measured>>>;

/// Writes the weights of each validation that has a higher accuracy than all before, or the same and a lower loss.
pub struct Best {
    about: Metadata,
    so_far: BestSoFar,
}

impl Best {
    pub fn new(about: Metadata) -> (Best, BestSoFar) {
        let so_far = BestSoFar::default();
        (Best { about, so_far: so_far.clone() }, so_far)
    }
}

impl Callback for Best {
    fn on_validation_end(&mut self, run: &mut Run) -> Result<()> {
        let (Some(accuracy), Some(loss)) = (run.scalar("val/accuracy"), run.scalar("val/loss")) else { return Ok(()) };
        let is_better = |best: &Measured| (accuracy, -loss) > (best.accuracy, -best.loss);
        if !self.so_far.borrow().as_ref().is_none_or(is_better) {
            return Ok(());
        }
        *self.so_far.borrow_mut() = Some(Measured { epoch: run.epoch as f64 + 1.0, accuracy, loss });
        match run.folder {
            Some(folder) => {
                weights::save(folder.join(BEST), run.model, &SaveOptions::default().metadata(self.about.clone()))
            }
            None => Ok(()),
        }
    }

    fn state(&mut self) -> Option<&mut dyn State> {
        Some(self)
    }
}

impl Best {
    fn state_numbers(numbers: &Numbers) -> Result<Option<Measured>> {
        match numbers.get("best").map(Vec::as_slice) {
            Some([]) => Ok(None),
            Some(&[epoch, accuracy, loss]) => Ok(Some(Measured { epoch, accuracy, loss })),
            _ => Err(Error::invalid("best", "the best validation is missing, or not three numbers")),
        }
    }
}

impl State for Best {
    fn kind(&self) -> &'static str {
        "best"
    }

    fn numbers(&self) -> Result<Numbers> {
        let best = self.so_far.borrow().as_ref().map(|best| vec![best.epoch, best.accuracy, best.loss]);
        Ok(Numbers::from([("best".to_string(), best.unwrap_or_default())]))
    }

    fn check_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        Best::state_numbers(numbers).map(drop)
    }

    fn set_numbers(&mut self, numbers: &Numbers) -> Result<()> {
        *self.so_far.borrow_mut() = Best::state_numbers(numbers)?;
        Ok(())
    }
}
