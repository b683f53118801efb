//! The singular value decomposition, by one-sided Jacobi rotations.

/// Turns of rotations through all pairs of columns at most; ten are more than enough for matrices of thousands of columns.
const MOST_SWEEPS: usize = 60;

/// `A = U diag(s) V^T`, of a matrix `[rows, columns]` in row-major order, with singular values that fall.
#[derive(Clone, Debug)]
pub(super) struct Svd {
    /// `min(rows, columns)` of them.
    pub values: Vec<f64>,
    /// For each singular value a column of `U`, of `rows` numbers.
    pub left: Vec<Vec<f64>>,
    /// For each singular value a column of `V`, of `columns` numbers.
    pub right: Vec<Vec<f64>>,
}

impl Svd {
    /// Columns are rotated in pairs until all are orthogonal (Hestenes, 1958): then their lengths are the singular values. Small
    /// singular values are as accurate as large ones (Demmel and Veselić, 1992).
    pub fn new(matrix: &[f64], rows: usize, columns: usize) -> Svd {
        if rows < columns {
            let transposed: Vec<f64> =
                (0..columns).flat_map(|column| (0..rows).map(move |row| matrix[row * columns + column])).collect();
            let Svd { values, left, right } = Svd::new(&transposed, columns, rows);
            return Svd { values, left: right, right: left };
        }
        let mut work: Vec<Vec<f64>> =
            (0..columns).map(|column| (0..rows).map(|row| matrix[row * columns + column]).collect()).collect();
        let unit = |at: usize| (0..columns).map(|row| f64::from(u8::from(row == at))).collect();
        let mut right: Vec<Vec<f64>> = (0..columns).map(unit).collect();
        for _ in 0..MOST_SWEEPS {
            let mut is_done = true;
            for p in 0..columns {
                for q in p + 1..columns {
                    if let Some((cos, sin)) = rotation(&work[p], &work[q]) {
                        is_done = false;
                        rotate(&mut work, p, q, cos, sin);
                        rotate(&mut right, p, q, cos, sin);
                    }
                }
            }
            if is_done {
                break;
            }
        }
        let lengths: Vec<f64> = work.iter().map(|column| dot(column, column).sqrt()).collect();
        let mut order: Vec<usize> = (0..columns).collect();
        order.sort_by(|&a, &b| lengths[b].total_cmp(&lengths[a]));
        let unit = |&at: &usize| {
            let length = lengths[at];
            work[at].iter().map(|value| if length > 0.0 { value / length } else { 0.0 }).collect()
        };
        Svd {
            values: order.iter().map(|&at| lengths[at]).collect(),
            left: order.iter().map(unit).collect(),
            right: order.iter().map(|&at| right[at].clone()).collect(),
        }
    }

    /// The smallest number of singular values with this fraction of the sum of all squares.
    pub fn rank_of_energy(&self, energy: f64) -> usize {
        let total: f64 = self.values.iter().map(|value| value * value).sum();
        let mut sum = 0.0;
        let reaches = |value: &f64| {
            sum += value * value;
            sum >= energy * total
        };
        self.values.iter().position(reaches).map_or(self.values.len(), |at| at + 1)
    }
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// Cosine and sine of the rotation that makes two columns orthogonal; `None` if they are.
fn rotation(one: &[f64], other: &[f64]) -> Option<(f64, f64)> {
    let (alpha, beta, gamma) = (dot(one, one), dot(other, other), dot(one, other));
    if gamma.abs() <= f64::EPSILON * (alpha * beta).sqrt() {
        return None;
    }
    let zeta = (beta - alpha) / (2.0 * gamma);
    let tangent = zeta.signum() / (zeta.abs() + (1.0 + zeta * zeta).sqrt());
    let cos = 1.0 / (1.0 + tangent * tangent).sqrt();
    Some((cos, cos * tangent))
}

fn rotate(columns: &mut [Vec<f64>], p: usize, q: usize, cos: f64, sin: f64) {
    let (before, behind) = columns.split_at_mut(q);
    for (one, other) in before[p].iter_mut().zip(&mut behind[0]) {
        (*one, *other) = (cos * *one - sin * *other, sin * *one + cos * *other);
    }
}
