//! Shares of variance: R2, explained variance, correlation.

use super::{named, pair};
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::Metric;
use crate::metrics::sums::Sums;
use crate::options::options;

/// Moments of pairs (u, v), by output.
///
/// Sums of squares of numbers far from 0 cancel in their variance. So numbers are taken relative to the first one,
/// which makes equal ones exactly 0. Each batch adds squares around its own mean, and the square of that mean around
/// the first batch's (Chan et al. 1979).
#[derive(Default)]
struct Moments {
    sums: Sums,
    origin: Option<Origin>,
    items: u64,
}

/// The first pair, and the first batch's mean relative to it.
struct Origin {
    first: [Tensor; 2],
    mean: [Tensor; 2],
}

/// The moments of an output, each divided by the number of pairs.
struct Spread {
    variance_u: f64,
    variance_v: f64,
    covariance: f64,
    /// The mean of v squared.
    square_v: f64,
}

impl Moments {
    /// Adds pairs `[N]` or `[N, outputs]`.
    fn add(&mut self, op: &'static str, [u, v]: [&Tensor; 2]) -> Result<()> {
        let rows = |of: &Tensor| if of.rank() == 1 { of.unsqueeze(1) } else { Ok(of.clone()) };
        let [u, v] = [rows(u)?, rows(v)?];
        if u.rank() != 2 {
            return Err(Error::invalid(op, format!("preds {} must be [N] or [N, outputs]", u.shape())));
        }
        let items = u.shape()[0];
        if items == 0 {
            return Ok(());
        }
        if self.origin.is_none() {
            let first = [u.narrow(0, 0, 1)?.copy()?, v.narrow(0, 0, 1)?.copy()?];
            let mean = [u.sub(&first[0])?.mean_keepdim(0)?, v.sub(&first[1])?.mean_keepdim(0)?];
            self.origin = Some(Origin { first, mean });
        }
        let Some(Origin { first, mean }) = &self.origin else { return Ok(()) };
        if u.shape()[1] != first[0].shape()[1] {
            let rule = format!("{} outputs, after {}; reset it before others", u.shape()[1], first[0].shape()[1]);
            return Err(Error::invalid(op, rule));
        }
        let (du, dv) = (u.sub(&first[0])?, v.sub(&first[1])?);
        let (mu, mv) = (du.mean_keepdim(0)?, dv.mean_keepdim(0)?);
        let (du, dv) = (du.sub(&mu)?, dv.sub(&mv)?);
        let (mu, mv) = (mu.sub(&mean[0])?, mv.sub(&mean[1])?);
        let weighted = |of: Tensor| of.mul_scalar(items as f32);
        let sums = [
            du.square()?.sum_keepdim(0)?,
            dv.square()?.sum_keepdim(0)?,
            du.mul(&dv)?.sum_keepdim(0)?,
            weighted(mu.square()?)?,
            weighted(mv.square()?)?,
            weighted(mu.mul(&mv)?)?,
            weighted(mu)?,
            weighted(mv)?,
            v.square()?.sum_keepdim(0)?,
        ];
        self.sums.add(op, &Tensor::cat(&sums.each_ref(), 0)?)?;
        self.items += items as u64;
        Ok(())
    }

    /// The moments of each output; none where there are no pairs.
    fn read(&self) -> Result<Vec<Spread>> {
        let sums = self.sums.read()?.unwrap_or_default();
        let (outputs, n) = (sums.len() / 9, self.items as f64);
        let spread = |at: usize| {
            let [uu, vv, uv, muu, mvv, muv, mu, mv, square_v] =
                [0, 1, 2, 3, 4, 5, 6, 7, 8].map(|moment| sums[moment * outputs + at] / n);
            Spread {
                variance_u: (uu + muu - mu * mu).max(0.0),
                variance_v: (vv + mvv - mv * mv).max(0.0),
                covariance: uv + muv - mu * mv,
                square_v,
            }
        };
        Ok((0..outputs).map(spread).collect())
    }
}

/// The average of the scores of several outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MultiOutput {
    /// None: one score an output.
    RawValues,
    /// Their mean.
    #[default]
    UniformAverage,
    /// Their mean, weighted by the variances of the targets; the plain mean where no target varies.
    VarianceWeighted,
}

impl MultiOutput {
    fn of(self, scores: Vec<f64>, variances: &[f64]) -> Vec<f64> {
        let total: f64 = variances.iter().sum();
        let weighted =
            |weights: &mut dyn Iterator<Item = f64>| vec![scores.iter().zip(weights).map(|(s, w)| s * w).sum()];
        match self {
            _ if scores.is_empty() => vec![f64::NAN],
            MultiOutput::RawValues => scores,
            MultiOutput::VarianceWeighted if total != 0.0 => weighted(&mut variances.iter().map(|v| v / total)),
            _ => weighted(&mut std::iter::repeat(1.0 / scores.len() as f64)),
        }
    }
}

/// The explained fraction of the variance. Without variance, 1 if nothing is left and 0 otherwise.
fn explained(left: f64, variance: f64) -> f64 {
    match (left == 0.0, variance == 0.0) {
        (true, true) => 1.0,
        (false, true) => 0.0,
        _ => 1.0 - left / variance,
    }
}

options! {
    /// Options of [`R2Score`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    R2ScoreOptions {
        /// Independent regressors k, for the adjusted score `1 - (1 - R2) (N - 1) / (N - k - 1)`; the plain score for 0, and
        /// where there are no more than k + 1 items.
        adjusted: usize = 0,
        /// The average over outputs.
        multioutput: MultiOutput = MultiOutput::UniformAverage,
    }
}

/// Coefficient of determination, `R2 = 1 - sum (target - preds)^2 / sum (target - mean)^2`, of `[N]` or `[N, outputs]`.
///
/// For an output whose targets are all equal the score is 1 where the predictions are right and 0 elsewhere, as in
/// scikit-learn; torchmetrics takes sums of squares below 1e-4 for 0, which changes the score of small numbers. NaN for
/// fewer than two items. Computed as `r2`, or `r2/0`, `r2/1`, .. for raw values.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::metrics::{Metric, R2Score, R2ScoreOptions};
/// # let device = Device::reference();
/// let mut r2 = R2Score::new(R2ScoreOptions::default());
/// let preds = Tensor::from_slice(&device, &[2.5f32, 0.0, 2.0, 8.0], &[4])?;
/// let target = Tensor::from_slice(&device, &[3.0f32, -0.5, 2.0, 7.0], &[4])?;
/// r2.update(&preds, &target)?;
/// assert!((r2.values()?[0] - 0.948608).abs() < 1e-6);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct R2Score {
    options: R2ScoreOptions,
    moments: Moments,
}

impl R2Score {
    /// An empty metric.
    pub fn new(options: R2ScoreOptions) -> R2Score {
        R2Score { options, moments: Moments::default() }
    }

    /// The score, or one for each output.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn values(&self) -> Result<Vec<f64>> {
        let (outputs, n) = (self.moments.read()?, self.moments.items as f64);
        if self.moments.items < 2 {
            return Ok(vec![f64::NAN; outputs.len().max(1)]);
        }
        let scores = outputs.iter().map(|of| explained(of.square_v, of.variance_u)).collect();
        let scores = self.options.multioutput.of(scores, &outputs.iter().map(|of| of.variance_u).collect::<Vec<_>>());
        let freedom = n - self.options.adjusted as f64 - 1.0;
        let is_adjusted = self.options.adjusted > 0 && freedom > 0.0;
        let adjust = |score: f64| if is_adjusted { 1.0 - (1.0 - score) * (n - 1.0) / freedom } else { score };
        Ok(scores.into_iter().map(adjust).collect())
    }
}

impl Metric for R2Score {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let [preds, target] = pair("r2_score", preds, target)?;
            self.moments.add("r2_score", [&target, &target.sub(&preds)?])
        })
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(named("r2", self.values()?))
    }

    fn reset(&mut self) -> Result<()> {
        self.moments = Moments::default();
        Ok(())
    }
}

/// Explained variance, `1 - Var(target - preds) / Var(target)`, of `[N]` or `[N, outputs]`: R2 of predictions without their bias.
///
/// For an output whose targets are all equal the score is 1 where the errors are equal too and 0 elsewhere. NaN before
/// the first item. Computed as `explained_variance`, or `explained_variance/0`, .. for raw values.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::metrics::{ExplainedVariance, Metric, MultiOutput};
/// # let device = Device::reference();
/// let mut variance = ExplainedVariance::new(MultiOutput::RawValues);
/// let preds = Tensor::from_slice(&device, &[0.0f32, 2.0, -1.0, 2.0, 8.0, -5.0], &[3, 2])?;
/// let target = Tensor::from_slice(&device, &[0.5f32, 1.0, -1.0, 1.0, 7.0, -6.0], &[3, 2])?;
/// variance.update(&preds, &target)?;
/// assert!((variance.values()?[0] - 0.967742).abs() < 1e-6);
/// assert_eq!(variance.values()?[1], 1.0);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct ExplainedVariance {
    multioutput: MultiOutput,
    moments: Moments,
}

impl ExplainedVariance {
    /// An empty metric.
    pub fn new(multioutput: MultiOutput) -> ExplainedVariance {
        ExplainedVariance { multioutput, moments: Moments::default() }
    }

    /// The value, or one for each output.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn values(&self) -> Result<Vec<f64>> {
        let outputs = self.moments.read()?;
        let scores = outputs.iter().map(|of| explained(of.variance_v, of.variance_u)).collect();
        Ok(self.multioutput.of(scores, &outputs.iter().map(|of| of.variance_u).collect::<Vec<_>>()))
    }
}

impl Metric for ExplainedVariance {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let [preds, target] = pair("explained_variance", preds, target)?;
            self.moments.add("explained_variance", [&target, &target.sub(&preds)?])
        })
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(named("explained_variance", self.values()?))
    }

    fn reset(&mut self) -> Result<()> {
        self.moments = Moments::default();
        Ok(())
    }
}

/// Pearson's correlation coefficient, `Cov(preds, target) / sqrt(Var(preds) Var(target))`, of `[N]` or each column of
/// `[N, outputs]`.
///
/// NaN where predictions or targets don't vary, and of fewer than two items. Computed as `pearson`, or `pearson/0`, .. for
/// several outputs.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::metrics::{Metric, PearsonCorrCoef};
/// # let device = Device::reference();
/// let mut pearson = PearsonCorrCoef::default();
/// let preds = Tensor::from_slice(&device, &[2.5f32, 0.0, 2.0, 8.0], &[4])?;
/// let target = Tensor::from_slice(&device, &[3.0f32, -0.5, 2.0, 7.0], &[4])?;
/// pearson.update(&preds, &target)?;
/// assert!((pearson.values()?[0] - 0.9849).abs() < 1e-4);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct PearsonCorrCoef {
    moments: Moments,
}

impl PearsonCorrCoef {
    /// The coefficient of each output.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn values(&self) -> Result<Vec<f64>> {
        let correlation = |of: Spread| (of.covariance / (of.variance_u * of.variance_v).sqrt()).clamp(-1.0, 1.0);
        let values: Vec<f64> = self.moments.read()?.into_iter().map(correlation).collect();
        Ok(if values.is_empty() { vec![f64::NAN] } else { values })
    }
}

impl Metric for PearsonCorrCoef {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        no_grad(|| {
            let [preds, target] = pair("pearson_corrcoef", preds, target)?;
            self.moments.add("pearson_corrcoef", [&preds, &target])
        })
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(named("pearson", self.values()?))
    }

    fn reset(&mut self) -> Result<()> {
        self.moments = Moments::default();
        Ok(())
    }
}
