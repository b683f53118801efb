//! The margin loss of capsule networks.

use super::{floats, same_shape};
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::graph::{Tensor, ascribe_to_caller};
use crate::ops::autocast;
use crate::ops::case::Case;
use crate::ops::losses::cross_entropy::Reduction;
use crate::options::options;

options! {
    /// Options of [`Tensor::capsule_margin_loss`].
    #[derive(Clone, Copy, Debug)]
    CapsuleMarginOptions {
        /// The length from which the capsule of a present class costs nothing.
        positive: f64 = 0.9,
        /// The length up to which the capsule of an absent class costs nothing.
        negative: f64 = 0.1,
        /// The weight of absent classes.
        down_weight: f64 = 0.5,
        /// Reduction of the losses of the samples.
        reduction: Reduction = Reduction::Mean,
    }
}

impl Tensor {
    /// The margin loss of the lengths `[N, C]` of capsules, one a class (Sabour, Frosst and Hinton, "Dynamic routing between
    /// capsules", 2017):
    /// `sum over classes c of t[c] max(0, positive - x[c])^2 + down_weight (1 - t[c]) max(0, x[c] - negative)^2`, with `t[c]` 1
    /// for present classes and 0 for absent ones; reduced.
    ///
    /// The target is the i32 label of each sample, `[N]`, or floats `t` of the shape of the lengths, where a sample has any
    /// number of classes.
    ///
    /// # Errors
    /// [`Error::Invalid`] for other shapes or no classes, [`Error::WrongDType`]. A label outside the classes is
    /// [`Error::IndexOutOfRange`] at the next synchronisation.
    ///
    /// ```
    /// # use wgrad::{CapsuleMarginOptions, Device, Tensor};
    /// # let device = Device::reference();
    /// let lengths = Tensor::from_slice(&device, &[0.5f32, 0.5, 0.0], &[1, 3])?;
    /// let label = Tensor::from_slice(&device, &[0], &[1])?;
    /// let options = CapsuleMarginOptions::default().positive(1.0).negative(0.0);
    /// assert_eq!(lengths.capsule_margin_loss(&label, &options)?.item::<f32>()?, 0.25 + 0.5 * 0.25);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    #[track_caller]
    pub fn capsule_margin_loss(&self, target: &Tensor, options: &CapsuleMarginOptions) -> Result<Tensor> {
        const OP: &str = "capsule_margin_loss";
        if let Some(cast) = autocast::enter(OP)? {
            return cast.of(self)?.capsule_margin_loss(&cast.of(target)?, options);
        }
        let _line = ascribe_to_caller();
        let &CapsuleMarginOptions { positive, negative, down_weight, reduction } = options;
        floats(OP, &[self])?;
        let &[samples, classes] = &self.shape()[..] else {
            return Err(Error::invalid(OP, format!("lengths {} must be [N, C]", self.shape())));
        };
        let present = if target.dtype() == DType::I32 {
            if target.shape()[..] != [samples] {
                let rule = format!("labels {} must be [{samples}], one a sample", target.shape());
                return Err(Error::invalid(OP, rule));
            }
            target.one_hot(Some(classes))?.to_dtype(self.dtype())?
        } else {
            floats(OP, &[target])?;
            same_shape(OP, "target", target, self)?;
            target.clone()
        };
        let short = (positive - self)?.relu()?.square()?;
        let long = ((self - negative)?.relu()?.square()? * down_weight)?;
        reduction.of(&((&present * short)? + ((1.0 - &present)? * long)?)?.sum(1)?)
    }
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (reduction, down_weight) in [(Reduction::Mean, 0.5), (Reduction::Sum, 1.0), (Reduction::None, 0.25)] {
        let options = CapsuleMarginOptions::default().down_weight(down_weight).reduction(reduction);
        let run = move |x: &[Tensor]| Ok(vec![x[0].capsule_margin_loss(&x[1], &options)?]);
        cases.push(Case::new("capsule_margin_loss", &[&[5, 3], &[5]], run).options(&options).integers(1, 0, 2));
        let likely = Case::new("capsule_margin_loss", &[&[4, 7], &[4, 7]], run).options(&options);
        cases.push(likely.domain(1, 0.0, 1.0));
    }
    for case in &mut cases {
        case.inputs[0].domain = (0.0, 1.0);
        case.inputs[0].kinks = &[0.1, 0.9];
    }
    cases
}
