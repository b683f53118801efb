//! Bounds and tests of shares, and the quantile of the normal distribution, in f64.

/// Bisections, after which an interval within 0 to 1 is two neighbouring numbers.
const HALVINGS: usize = 200;

/// The lower one of two neighbouring numbers that `is_below` tells apart; it is true at `low`, and false from some point on.
fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if middle <= low || middle >= high {
            break;
        }
        if is_below(middle) { low = middle } else { high = middle }
    }
    low
}

/// `ln (n choose k)`.
fn ln_choose(trials: u64, successes: u64) -> f64 {
    let of = successes.min(trials - successes);
    (1..=of).map(|at| ((trials - of + at) as f64 / at as f64).ln()).sum()
}

/// The probability of at least `successes` of `trials` at `share`, which is at most `successes / trials`; `ln_choose` is that of
/// both. From the first on, terms only fall.
fn tail(successes: u64, trials: u64, share: f64, ln_choose: f64) -> f64 {
    let (of, rest) = (successes as f64, (trials - successes) as f64);
    let mut term = (ln_choose + of * share.ln() + rest * (-share).ln_1p()).exp();
    let odds = share / (1.0 - share);
    let mut sum = term;
    for at in successes..trials {
        term *= (trials - at) as f64 / (at + 1) as f64 * odds;
        sum += term;
        if term <= sum * f64::EPSILON / 16.0 {
            break;
        }
    }
    sum
}

/// The share below which `successes` of `trials` or more have a probability of less than `alpha`: the lower bound of Clopper and
/// Pearson ("The Use of Confidence or Fiducial Limits", 1934), which holds with probability `1 - alpha`. 0 where there was no
/// success.
///
/// ```
/// use wgrad::robust::clopper_pearson_lower;
/// // All of 1000: alpha^(1 / 1000).
/// assert!((clopper_pearson_lower(1000, 1000, 0.001) - 0.001f64.powf(0.001)).abs() < 1e-12);
/// ```
pub fn clopper_pearson_lower(successes: u64, trials: u64, alpha: f64) -> f64 {
    let successes = successes.min(trials);
    if successes == 0 {
        return 0.0;
    }
    let ln_choose = ln_choose(trials, successes);
    bisect(0.0, successes as f64 / trials as f64, |share| tail(successes, trials, share, ln_choose) < alpha)
}

/// The probability of a split of `trials` as uneven as this, or more so, where both sides are equally likely.
pub(super) fn two_sided(successes: u64, trials: u64) -> f64 {
    let larger = successes.max(trials - successes);
    (2.0 * tail(larger, trials, 0.5, ln_choose(trials, larger))).min(1.0)
}

/// The number below which a normal number lies with this probability, at least a half.
pub(super) fn normal_quantile(probability: f64) -> f64 {
    let above = 2.0 * (1.0 - probability);
    // Above 40 the probability is less than any positive number.
    bisect(0.0, 40.0, |at| libm::erfc(at * std::f64::consts::FRAC_1_SQRT_2) > above)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// scipy's and statsmodels' numbers (`tests/golden/robust_smoothing.py`).
    fn golden<T: serde::de::DeserializeOwned>(name: &str) -> Vec<T> {
        let golden: Value =
            serde_json::from_str(include_str!("../../../tests/golden/robust_smoothing.json")).unwrap_or_default();
        serde_json::from_value(golden[name].clone()).unwrap_or_default()
    }

    fn assert_close(got: f64, expected: f64, of: impl std::fmt::Debug) {
        assert!((got - expected).abs() <= 1e-10 * expected.abs(), "{of:?}: {got} {expected}");
    }

    #[test]
    fn bounds_and_radii_are_those_of_statsmodels() {
        let (bounds, radii) = (golden::<f64>("bounds"), golden::<f64>("radii"));
        let cases = golden::<(u64, u64, f64)>("cases");
        assert!(cases.len() == 11 && bounds.len() == 11 && radii.len() == 11);
        for ((case, bound), radius) in cases.into_iter().zip(bounds).zip(radii) {
            let (successes, trials, alpha) = case;
            assert_close(clopper_pearson_lower(successes, trials, alpha), bound, case);
            if bound > 0.5 {
                // The quantile's slope at a half turns an error of the bound into 2.5 times as much.
                let got = 0.25 * normal_quantile(bound);
                assert!((got - radius).abs() <= 1e-12, "{case:?}: {got} {radius}");
            }
        }
    }

    #[test]
    fn tests_of_two_classes_are_those_of_scipy() {
        let (splits, tests) = (golden::<(u64, u64)>("splits"), golden::<f64>("tests"));
        assert!(splits.len() == 8 && tests.len() == 8);
        for (split, expected) in splits.into_iter().zip(tests) {
            // The logarithms of a term add up to as much as 69,000, whose rounding is a relative error of the term.
            let got = two_sided(split.0, split.0 + split.1);
            assert!((got - expected).abs() <= 1e-9 * expected, "{split:?}: {got} {expected}");
        }
    }
}
