//! Means of errors.

use super::{EPSILON, named, pair};
use crate::error::{Error, Result};
use crate::graph::{Tensor, no_grad};
use crate::metrics::Metric;
use crate::metrics::sums::Sums;
use crate::options::options;

/// The terms' sums over all items, by output.
#[derive(Default)]
struct Terms {
    sums: Sums,
    items: u64,
}

impl Terms {
    /// Adds a batch, `[N, outputs]` or of any shape where there is one output; `terms` computes the numbers that are
    /// added up.
    fn add<const S: usize>(
        &mut self,
        op: &'static str,
        [preds, target]: [&Tensor; 2],
        outputs: usize,
        terms: impl Fn(&Tensor, &Tensor) -> Result<[Tensor; S]>,
    ) -> Result<()> {
        let shape = preds.shape();
        if outputs != 1 && (shape.len() != 2 || shape[1] != outputs) {
            return Err(Error::invalid(op, format!("preds {shape} must be [N, {outputs}], for {outputs} outputs")));
        }
        no_grad(|| {
            let rows = [-1, outputs.try_into().unwrap_or(isize::MAX)];
            let [preds, target] = pair(op, preds, target)?;
            let items = preds.numel() / outputs.max(1);
            if items == 0 {
                return Ok(());
            }
            let terms = terms(&preds.reshape(&rows)?, &target.reshape(&rows)?)?;
            let sums = terms.iter().map(|term| term.sum(0)).collect::<Result<Vec<_>>>()?;
            self.sums.add(op, &Tensor::stack(&sums.iter().collect::<Vec<_>>(), 0)?)?;
            self.items += items as u64;
            Ok(())
        })
    }

    /// The means of the first term, by output.
    fn means(&self, outputs: usize) -> Result<Vec<f64>> {
        let sums = self.sums.read()?.unwrap_or(vec![0.0; outputs]);
        Ok(sums.into_iter().map(|sum| sum / self.items as f64).collect())
    }
}

options! {
    /// Options of [`MeanSquaredError`].
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    #[non_exhaustive]
    MeanSquaredErrorOptions {
        /// False for the root of the mean.
        squared: bool = true,
        /// Columns of `[N, outputs]` that are counted apart; 1 for the mean of all elements.
        num_outputs: usize = 1,
    }
}

/// Mean squared error, `sum (preds - target)^2 / N`, or its root: of tensors of any shape, or of each column of `[N, outputs]`.
///
/// NaN before the first item. Computed as `mse` or `rmse`, or `mse/0`, `mse/1`, .. for several outputs.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::metrics::{MeanSquaredError, MeanSquaredErrorOptions, Metric};
/// # let device = Device::reference();
/// let mut rmse = MeanSquaredError::new(MeanSquaredErrorOptions::default().squared(false));
/// let preds = Tensor::from_slice(&device, &[2.5f32, 0.0, 2.0, 8.0], &[4])?;
/// let target = Tensor::from_slice(&device, &[3.0f32, -0.5, 2.0, 7.0], &[4])?;
/// rmse.update(&preds, &target)?;
/// assert_eq!(rmse.compute()?, [("rmse".to_string(), 0.375f64.sqrt())]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct MeanSquaredError {
    options: MeanSquaredErrorOptions,
    terms: Terms,
}

impl MeanSquaredError {
    /// An empty metric.
    pub fn new(options: MeanSquaredErrorOptions) -> MeanSquaredError {
        MeanSquaredError { options, terms: Terms::default() }
    }

    /// The value of each output.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn values(&self) -> Result<Vec<f64>> {
        let means = self.terms.means(self.options.num_outputs)?;
        Ok(if self.options.squared { means } else { means.into_iter().map(f64::sqrt).collect() })
    }
}

impl Metric for MeanSquaredError {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        let square = |preds: &Tensor, target: &Tensor| Ok([preds.sub(target)?.square()?]);
        self.terms.add("mean_squared_error", [preds, target], self.options.num_outputs, square)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(named(if self.options.squared { "mse" } else { "rmse" }, self.values()?))
    }

    fn reset(&mut self) -> Result<()> {
        self.terms = Terms::default();
        Ok(())
    }
}

/// Mean absolute error, `sum |preds - target| / N`: of tensors of any shape, or of each column of `[N, outputs]`.
///
/// NaN before the first item. Computed as `mae`, or `mae/0`, `mae/1`, .. for several outputs.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::metrics::{MeanAbsoluteError, Metric};
/// # let device = Device::reference();
/// let mut mae = MeanAbsoluteError::new(2);
/// let preds = Tensor::from_slice(&device, &[1.0f32, 2.0, 3.0, 4.0], &[2, 2])?;
/// let target = Tensor::from_slice(&device, &[1.0f32, 3.0, 3.0, 8.0], &[2, 2])?;
/// mae.update(&preds, &target)?;
/// assert_eq!(mae.values()?, [0.0, 2.5]);
/// # Ok::<(), wgrad::Error>(())
/// ```
pub struct MeanAbsoluteError {
    num_outputs: usize,
    terms: Terms,
}

impl Default for MeanAbsoluteError {
    fn default() -> MeanAbsoluteError {
        MeanAbsoluteError::new(1)
    }
}

impl MeanAbsoluteError {
    /// An empty metric; `num_outputs` is 1 for the mean of all elements, or else the number of columns of
    /// `[N, outputs]`.
    pub fn new(num_outputs: usize) -> MeanAbsoluteError {
        MeanAbsoluteError { num_outputs, terms: Terms::default() }
    }

    /// The value of each output.
    ///
    /// # Errors
    /// Any error of the device since the last synchronisation.
    pub fn values(&self) -> Result<Vec<f64>> {
        self.terms.means(self.num_outputs)
    }
}

impl Metric for MeanAbsoluteError {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        let distance = |preds: &Tensor, target: &Tensor| Ok([preds.sub(target)?.abs()?]);
        self.terms.add("mean_absolute_error", [preds, target], self.num_outputs, distance)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        Ok(named("mae", self.values()?))
    }

    fn reset(&mut self) -> Result<()> {
        self.terms = Terms::default();
        Ok(())
    }
}

/// Means of a formula over all elements.
macro_rules! means {
    ($($(#[$about:meta])* $name:ident, $op:literal, $label:literal = $formula:expr;)*) => {$(
        $(#[$about])*
        #[derive(Default)]
        pub struct $name {
            terms: Terms,
        }

        impl Metric for $name {
            fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
                let formula: fn(&Tensor, &Tensor) -> Result<Tensor> = $formula;
                self.terms.add($op, [preds, target], 1, |preds, target| Ok([formula(preds, target)?]))
            }

            fn compute(&self) -> Result<Vec<(String, f64)>> {
                Ok(named($label, self.terms.means(1)?))
            }

            fn reset(&mut self) -> Result<()> {
                self.terms = Terms::default();
                Ok(())
            }
        }
    )*};
}

means! {
    /// Mean absolute percentage error, `sum |preds - target| / max(|target|, 1.17e-6) / N`, of tensors of any shape. A fraction,
    /// not a percentage: 0.1 means 10 %.
    ///
    /// NaN before the first item. Computed as `mape`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// use wgrad::metrics::{MeanAbsolutePercentageError, Metric};
    /// # let device = Device::reference();
    /// let mut mape = MeanAbsolutePercentageError::default();
    /// let preds = Tensor::from_slice(&device, &[1.0f32, 15.0], &[2])?;
    /// let target = Tensor::from_slice(&device, &[2.0f32, 10.0], &[2])?;
    /// mape.update(&preds, &target)?;
    /// assert_eq!(mape.compute()?, [("mape".to_string(), 0.5)]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    MeanAbsolutePercentageError, "mean_absolute_percentage_error", "mape" =
        |preds, target| preds.sub(target)?.abs()?.div(&target.abs()?.clamp(Some(EPSILON), None)?);

    /// Symmetric mean absolute percentage error, `sum 2 |preds - target| / max(|preds| + |target|, 1.17e-6) / N`, of tensors of
    /// any shape.
    ///
    /// NaN before the first item. Computed as `smape`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// use wgrad::metrics::{Metric, SymmetricMeanAbsolutePercentageError};
    /// # let device = Device::reference();
    /// let mut smape = SymmetricMeanAbsolutePercentageError::default();
    /// let preds = Tensor::from_slice(&device, &[1.0f32, 0.0], &[2])?;
    /// let target = Tensor::from_slice(&device, &[3.0f32, 0.0], &[2])?;
    /// smape.update(&preds, &target)?;
    /// assert_eq!(smape.compute()?, [("smape".to_string(), 0.5)]);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    SymmetricMeanAbsolutePercentageError, "symmetric_mean_absolute_percentage_error", "smape" = |preds, target| {
        let size = preds.abs()?.add(&target.abs()?)?.clamp(Some(EPSILON), None)?;
        preds.sub(target)?.abs()?.mul_scalar(2.0)?.div(&size)
    };

    /// Mean squared logarithmic error, `sum (ln(1 + preds) - ln(1 + target))^2 / N`, of tensors of any shape.
    ///
    /// NaN before the first item, and for numbers below -1. Computed as `msle`.
    ///
    /// ```
    /// # use wgrad::{Device, Tensor};
    /// use wgrad::metrics::{MeanSquaredLogError, Metric};
    /// # let device = Device::reference();
    /// let mut msle = MeanSquaredLogError::default();
    /// let preds = Tensor::from_slice(&device, &[0.0f32, 3.0], &[2])?;
    /// let target = Tensor::from_slice(&device, &[0.0f32, 1.0], &[2])?;
    /// msle.update(&preds, &target)?;
    /// assert!((msle.compute()?[0].1 - 2.0f64.ln().powi(2) / 2.0).abs() < 1e-12);
    /// # Ok::<(), wgrad::Error>(())
    /// ```
    MeanSquaredLogError, "mean_squared_log_error", "msle" =
        |preds, target| preds.log1p()?.sub(&target.log1p()?)?.square();
}

/// Weighted mean absolute percentage error, `sum |preds - target| / max(sum |target|, 1.17e-6)`, of tensors of any shape.
///
/// NaN before the first item. Computed as `wmape`.
///
/// ```
/// # use wgrad::{Device, Tensor};
/// use wgrad::metrics::{Metric, WeightedMeanAbsolutePercentageError};
/// # let device = Device::reference();
/// let mut wmape = WeightedMeanAbsolutePercentageError::default();
/// let preds = Tensor::from_slice(&device, &[1.0f32, 5.0], &[2])?;
/// let target = Tensor::from_slice(&device, &[3.0f32, 5.0], &[2])?;
/// wmape.update(&preds, &target)?;
/// assert_eq!(wmape.compute()?, [("wmape".to_string(), 0.25)]);
/// # Ok::<(), wgrad::Error>(())
/// ```
#[derive(Default)]
pub struct WeightedMeanAbsolutePercentageError {
    terms: Terms,
}

impl Metric for WeightedMeanAbsolutePercentageError {
    fn update(&mut self, preds: &Tensor, target: &Tensor) -> Result<()> {
        let terms = |preds: &Tensor, target: &Tensor| Ok([preds.sub(target)?.abs()?, target.abs()?]);
        self.terms.add("weighted_mean_absolute_percentage_error", [preds, target], 1, terms)
    }

    fn compute(&self) -> Result<Vec<(String, f64)>> {
        let value = match self.terms.sums.read()?.as_deref() {
            Some(&[distance, size]) => distance / size.max(EPSILON),
            _ => f64::NAN,
        };
        Ok(named("wmape", vec![value]))
    }

    fn reset(&mut self) -> Result<()> {
        self.terms = Terms::default();
        Ok(())
    }
}
