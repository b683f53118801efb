//! Projective maps of the plane.

/// A 3 x 3 matrix, row by row: `(x, y)` goes to `((a x + b y + c) / w, (d x + e y + f) / w)` with `w = g x + h y + i`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Projective(pub [f64; 9]);

impl Projective {
    pub const IDENTITY: Projective = Projective([1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);

    /// `(x, y)` to `(scale x + shift)`, with a number for each dimension.
    pub fn scaling(scale: [f64; 2], shift: [f64; 2]) -> Projective {
        Projective([scale[0], 0.0, shift[0], 0.0, scale[1], shift[1], 0.0, 0.0, 1.0])
    }

    pub fn translation(shift: [f64; 2]) -> Projective {
        Projective::scaling([1.0, 1.0], shift)
    }

    /// First `inner`, then this.
    pub fn after(&self, inner: &Projective) -> Projective {
        let entry = |row: usize, column: usize| (0..3).map(|k| self.0[3 * row + k] * inner.0[3 * k + column]).sum();
        let mut product = [0.0; 9];
        for (at, value) in product.iter_mut().enumerate() {
            *value = entry(at / 3, at % 3);
        }
        Projective(product)
    }

    /// The inverse map, up to a factor without effect; not finite if there is none.
    pub fn inverse(&self) -> Projective {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let adjugate = [
            e * i - f * h,
            c * h - b * i,
            b * f - c * e,
            f * g - d * i,
            a * i - c * g,
            c * d - a * f,
            d * h - e * g,
            b * g - a * h,
            a * e - b * d,
        ];
        let determinant = a * adjugate[0] + b * adjugate[3] + c * adjugate[6];
        Projective(adjugate.map(|value| value / determinant))
    }

    /// Maps a position; `None` for one behind the horizon.
    pub fn apply(&self, [x, y]: [f64; 2]) -> Option<[f64; 2]> {
        let [a, b, c, d, e, f, g, h, i] = self.0;
        let w = g * x + h * y + i;
        (w >= 1e-6).then(|| [(a * x + b * y + c) / w, (d * x + e * y + f) / w])
    }

    /// The number of target elements in x and in y that one source element spans at a position.
    pub fn spans(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [a, b, _, d, e, _, g, h, i] = self.0;
        let (w, [to_x, to_y]) = (g * x + h * y + i, self.apply([x, y]).unwrap_or([0.0; 2]));
        [(a - g * to_x).hypot(b - h * to_x) / w, (d - g * to_y).hypot(e - h * to_y) / w]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inverse_leads_back() {
        let map = Projective([0.9, -0.2, 3.0, 0.1, 1.1, -2.0, 0.001, -0.002, 1.0]);
        let there = map.apply([5.0, 7.0]).unwrap();
        let back = map.inverse().apply(there).unwrap();
        assert!((back[0] - 5.0).abs() < 1e-9 && (back[1] - 7.0).abs() < 1e-9, "{back:?}");
        let spans = Projective::scaling([2.0, 0.5], [1.0, 1.0]).spans([3.0, 3.0]);
        assert_eq!(spans, [2.0, 0.5]);
        let both = map.inverse().after(&map).apply([1.0, 2.0]).unwrap();
        assert!((both[0] - 1.0).abs() < 1e-9 && (both[1] - 2.0).abs() < 1e-9, "{both:?}");
    }
}
