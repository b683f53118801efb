//! Gauss-Legendre quadrature between 0 and 1.

/// The positions and weights of the rule of `count` points, by falling position: zeros of the Legendre polynomial, found by
/// Newton's method.
pub(super) fn gauss_legendre(count: usize) -> Vec<(f64, f64)> {
    let point = |index: usize| {
        let mut x = (std::f64::consts::PI * (index as f64 + 0.75) / (count as f64 + 0.5)).cos();
        let mut slope = 1.0;
        for _ in 0..100 {
            let (value, derivative) = legendre(count, x);
            slope = derivative;
            let step = value / derivative;
            x -= step;
            if step.abs() < 1e-15 {
                break;
            }
        }
        ((1.0 + x) / 2.0, 1.0 / ((1.0 - x * x) * slope * slope))
    };
    (0..count).map(point).collect()
}

/// The Legendre polynomial of a degree and its derivative, by the recurrence of three terms.
fn legendre(degree: usize, x: f64) -> (f64, f64) {
    let (mut before, mut value) = (1.0, x);
    for n in 2..=degree {
        let n = n as f64;
        (before, value) = (value, ((2.0 * n - 1.0) * x * value - (n - 1.0) * before) / n);
    }
    (value, degree as f64 * (x * value - before) / (x * x - 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule of `n` points is exact for polynomials of degree `2 n - 1`.
    #[test]
    fn polynomials_are_integrated_exactly() {
        for count in 1..=50 {
            let points = gauss_legendre(count);
            for degree in 0..2 * count {
                let sum: f64 = points.iter().map(|(place, weight)| weight * place.powi(degree as i32)).sum();
                assert!((sum * (degree + 1) as f64 - 1.0).abs() < 1e-12, "{count} points, degree {degree}: {sum}");
            }
        }
    }
}
