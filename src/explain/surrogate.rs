//! Linear models that approximate a network near an input.

use crate::error::{Error, Result};

/// A linear model with an intercept, fitted to samples with weights `w`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Surrogate {
    /// The least `sum w (y - x b - c)^2`.
    LeastSquares,
    /// With this much times `sum b^2`: scikit-learn's `Ridge(alpha)`.
    Ridge(f64),
    /// The least `sum w (y - x b - c)^2 / (2 sum w)`, with this much times `sum |b|`: scikit-learn's `Lasso(alpha)`, which leaves
    /// features out.
    Lasso(f64),
}

const OP: &str = "surrogate";

/// Sweeps of the lasso at most, and the change of a coefficient, of the largest one, at which it ends.
const SWEEPS: usize = 100_000;
const SETTLED: f64 = 1e-14;

impl Surrogate {
    /// The coefficients `b` of the features of `rows`.
    pub(super) fn fit(self, rows: &[&[f64]], targets: &[f64], weights: &[f64]) -> Result<Vec<f64>> {
        let total: f64 = weights.iter().sum();
        if !(total > 0.0 && total.is_finite()) {
            let rule = "no perturbed input is similar to the input: widen the kernel";
            return Err(Error::invalid(OP, rule));
        }
        let count = rows.first().map_or(0, |row| row.len());
        let mean =
            |of: &dyn Fn(usize) -> f64| weights.iter().enumerate().map(|(at, w)| w * of(at)).sum::<f64>() / total;
        let middle = mean(&|at| targets[at]);
        let middles: Vec<f64> = (0..count).map(|feature| mean(&|at| rows[at][feature])).collect();
        let mut gram = vec![vec![0.0; count]; count];
        let mut moments = vec![0.0; count];
        for ((row, target), weight) in rows.iter().zip(targets).zip(weights) {
            let row: Vec<f64> = row.iter().zip(&middles).map(|(value, middle)| value - middle).collect();
            for (feature, value) in row.iter().enumerate() {
                let share = weight / total * value;
                moments[feature] += share * (target - middle);
                gram[feature].iter_mut().zip(&row).for_each(|(sum, other)| *sum += share * other);
            }
        }
        match self {
            Surrogate::LeastSquares => solve(gram, moments),
            Surrogate::Ridge(alpha) => {
                (0..count).for_each(|feature| gram[feature][feature] += alpha / total);
                solve(gram, moments)
            }
            Surrogate::Lasso(alpha) => Ok(lasso(&gram, &moments, alpha)),
        }
    }
}

/// The solution of a symmetric positive definite system, by Cholesky's factors.
fn solve(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Result<Vec<f64>> {
    let count = right.len();
    for row in 0..count {
        for column in 0..=row {
            let inner: f64 = (0..column).map(|at| matrix[row][at] * matrix[column][at]).sum();
            let rest = matrix[row][column] - inner;
            if row == column && rest <= 1e-13 * matrix[row][row].abs() {
                let rule = format!("the samples do not determine {count} coefficients: take more of them, or Ridge");
                return Err(Error::invalid(OP, rule));
            }
            matrix[row][column] = if row == column { rest.sqrt() } else { rest / matrix[column][column] };
        }
    }
    for row in 0..count {
        let inner: f64 = (0..row).map(|at| matrix[row][at] * right[at]).sum();
        right[row] = (right[row] - inner) / matrix[row][row];
    }
    for row in (0..count).rev() {
        let inner: f64 = (row + 1..count).map(|at| matrix[at][row] * right[at]).sum();
        right[row] = (right[row] - inner) / matrix[row][row];
    }
    Ok(right)
}

/// Minimizes `b G b / 2 - m b + alpha sum |b|` by one coefficient after the other.
fn lasso(gram: &[Vec<f64>], moments: &[f64], alpha: f64) -> Vec<f64> {
    let mut coefficients = vec![0.0; moments.len()];
    for _ in 0..SWEEPS {
        let (mut change, mut largest) = (0.0f64, 0.0f64);
        for feature in 0..moments.len() {
            let own = gram[feature][feature];
            if own <= 0.0 {
                continue;
            }
            let explained: f64 = gram[feature].iter().zip(&coefficients).map(|(g, b)| g * b).sum();
            let rest: f64 = moments[feature] - explained + own * coefficients[feature];
            let next = rest.signum() * (rest.abs() - alpha).max(0.0) / own;
            change = change.max((next - coefficients[feature]).abs());
            largest = largest.max(next.abs());
            coefficients[feature] = next;
        }
        if change <= SETTLED * largest {
            break;
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_function_is_found_whatever_the_weights() {
        let rows = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0], [0.0, 0.0], [2.0, 5.0]];
        let targets = rows.map(|[a, b]| 3.0 * a - 2.0 * b + 7.0);
        let rows: Vec<&[f64]> = rows.iter().map(|row| &row[..]).collect();
        for surrogate in [Surrogate::LeastSquares, Surrogate::Ridge(0.0), Surrogate::Lasso(0.0)] {
            let found = surrogate.fit(&rows, &targets, &[1.0, 0.5, 2.0, 0.1, 0.3]).unwrap();
            assert!((found[0] - 3.0).abs() < 1e-9 && (found[1] + 2.0).abs() < 1e-9, "{surrogate:?} {found:?}");
        }
    }

    #[test]
    fn what_is_not_determined_is_refused() {
        let rows: Vec<&[f64]> = vec![&[0.0, 0.0], &[1.0, 1.0], &[2.0, 2.0]];
        let error = Surrogate::LeastSquares.fit(&rows, &[0.0, 1.0, 2.0], &[1.0; 3]).unwrap_err();
        assert!(error.to_string().contains("do not determine 2 coefficients"), "{error}");
        let error = Surrogate::LeastSquares.fit(&rows, &[0.0, 1.0, 2.0], &[0.0; 3]).unwrap_err();
        assert!(error.to_string().contains("widen the kernel"), "{error}");
    }
}
