//! A network's errors on corrupted images, by corruption and severity.

use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::robust::{Classifier, Corruption, Goal, Severity};
use std::fmt;

/// The shares of wrong answers on images as they are, and on corrupted ones.
///
/// [`fmt::Display`] prints a table with a row for each corruption and a column for each severity.
#[derive(Clone, Debug, PartialEq)]
pub struct CorruptionErrors {
    /// On images as they are.
    pub clean: f64,
    /// By corruption, at severities 1 to 5.
    pub rows: Vec<(Corruption, [f64; 5])>,
    /// Images.
    pub images: usize,
}

/// Counts a network's wrong answers on images under all corruptions at all severities: 76 forward passes a batch. `batches` are
/// images `[N, C, H, W]` between 0 and 1 with labels, i32 `[N]`; `severity` is [`Severity::imagenet`] or [`Severity::cifar`]. The
/// device is read once, at the end. Put the network into evaluation mode first.
///
/// # Errors
/// Those of the batches, the network and [`Corruption::apply`]; [`Error::Invalid`] without images, and for labels that are not
/// i32 `[N]`.
///
/// ```
/// use wgrad::robust::{Classifier, Severity, corruption_errors};
/// use wgrad::{Device, Tensor, nn::{Flatten, Linear, Module, Scope, Sequential}};
///
/// let device = Device::reference();
/// let net = Sequential::new(&Scope::new(&device)).push(Flatten).make(|s| Linear::new(s, 144, 10))?;
/// net.eval();
/// let images = Tensor::uniform(&device, &[2, 1, 12, 12], 0.0, 1.0)?;
/// let labels = Tensor::from_slice(&device, &[3, 5], &[2])?;
/// let errors = corruption_errors(&Classifier::new(&net), [Ok((images, labels))], Severity::cifar)?;
/// println!("{errors}");
/// assert_eq!(errors.mean_corruption_error(&errors)?, 100.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub fn corruption_errors(
    net: &Classifier<'_>,
    batches: impl IntoIterator<Item = Result<(Tensor, Tensor)>>,
    severity: impl Fn(usize) -> Result<Severity>,
) -> Result<CorruptionErrors> {
    const OP: &str = "corruption_errors";
    let levels: Vec<Severity> = Severity::LEVELS.map(severity).collect::<Result<_>>()?;
    let mut wrong: Option<Tensor> = None;
    let mut count = 0;
    for batch in batches {
        let (images, labels) = batch?;
        let goal = Goal::untargeted(&labels);
        let errors = |images: &Tensor| {
            let errors = net.reaches(images, &goal)?.sum_all();
            images.device().flush()?;
            errors
        };
        let counts = no_grad(|| {
            let mut counts = vec![errors(&images)?];
            for corruption in Corruption::ALL {
                for &level in &levels {
                    counts.push(errors(&corruption.apply(&images, level)?)?);
                }
            }
            Tensor::stack(&counts.iter().collect::<Vec<_>>(), 0)
        })?;
        wrong = Some(match wrong {
            Some(wrong) => (wrong + counts)?,
            None => counts,
        });
        count += images.shape()[0];
    }
    let Some(wrong) = wrong.filter(|_| count > 0) else { return Err(Error::invalid(OP, "there are no images")) };
    let shares: Vec<f64> = wrong.to_f64()?.into_iter().map(|wrong| wrong / count as f64).collect();
    let row = |(corruption, shares): (Corruption, &[f64])| (corruption, std::array::from_fn(|at| shares[at]));
    let rows = Corruption::ALL.into_iter().zip(shares[1..].chunks(5)).map(row).collect();
    Ok(CorruptionErrors { clean: shares[0], rows, images: count })
}

impl CorruptionErrors {
    /// The mean over all corruptions and severities, between 0 and 1: the measure of CIFAR-C.
    pub fn mean(&self) -> f64 {
        let all = self.rows.iter().flat_map(|(_, row)| row);
        all.sum::<f64>() / (5 * self.rows.len()) as f64
    }

    /// The mCE in percent: the mean over corruptions of `sum of errors / sum of the baseline's errors`, over the severities. The
    /// paper's baseline is AlexNet.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a baseline of other corruptions, or one without errors where they are divided by.
    pub fn mean_corruption_error(&self, baseline: &CorruptionErrors) -> Result<f64> {
        self.relative_to(baseline, |_, row| row.iter().sum())
    }

    /// The relative mCE in percent: of the errors in excess of those on clean images, so that high clean errors don't make a
    /// network look robust.
    ///
    /// # Errors
    /// As [`mean_corruption_error`](CorruptionErrors::mean_corruption_error).
    pub fn relative_mean_corruption_error(&self, baseline: &CorruptionErrors) -> Result<f64> {
        self.relative_to(baseline, |errors, row| row.iter().map(|error| error - errors.clean).sum())
    }

    fn relative_to(
        &self,
        baseline: &CorruptionErrors,
        sum: impl Fn(&CorruptionErrors, &[f64; 5]) -> f64,
    ) -> Result<f64> {
        const OP: &str = "mean_corruption_error";
        let mut total = 0.0;
        for (at, (corruption, row)) in self.rows.iter().enumerate() {
            let Some((_, other)) = baseline.rows.get(at).filter(|(other, _)| other == corruption) else {
                return Err(Error::invalid(OP, format!("the baseline has no errors under {corruption}")));
            };
            let divisor = sum(baseline, other);
            if divisor == 0.0 {
                return Err(Error::invalid(OP, format!("the baseline makes no more errors under {corruption}")));
            }
            total += sum(self, row) / divisor;
        }
        Ok(100.0 * total / self.rows.len() as f64)
    }
}

impl fmt::Display for CorruptionErrors {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:<20}", "error in percent")?;
        for level in Severity::LEVELS {
            write!(f, "{level:>7}")?;
        }
        writeln!(f, "{:>8}", "mean")?;
        writeln!(f, "{:<20}{:>43.1}", "clean", 100.0 * self.clean)?;
        for (corruption, row) in &self.rows {
            write!(f, "{corruption:<20}")?;
            for error in row {
                write!(f, "{:>7.1}", 100.0 * error)?;
            }
            writeln!(f, "{:>8.1}", 20.0 * row.iter().sum::<f64>())?;
        }
        write!(f, "{:<20}{:>43.1}", "all", 100.0 * self.mean())
    }
}
