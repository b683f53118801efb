//! The maps of geometric transforms, from positions in the output to positions in the input, by torchvision's formulae.
//!
//! Places count elements from the upper left corner; the centre of the first is (1/2, 1/2). Sizes are height and width.

use crate::error::{Error, Result};
use crate::number::nearest;
use crate::ops::Projective;

/// Half of the width and of the height.
fn middle([height, width]: [usize; 2]) -> [f64; 2] {
    [0.5 * width as f64, 0.5 * height as f64]
}

/// Sine and cosine, exact at quarter turns.
fn sin_cos(degrees: f64) -> (f64, f64) {
    match degrees.rem_euclid(360.0) {
        0.0 => (0.0, 1.0),
        90.0 => (1.0, 0.0),
        180.0 => (0.0, -1.0),
        270.0 => (-1.0, 0.0),
        other => other.to_radians().sin_cos(),
    }
}

/// A rotation, a scale, shears and a translation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AffineNumbers {
    /// Clockwise, in degrees.
    pub angle: f64,
    /// To the right and down, in elements.
    pub translate: [f64; 2],
    /// The factor by which everything grows.
    pub scale: f64,
    /// Angles by which x leans along y and y along x, in degrees.
    pub shear: [f64; 2],
}

impl Default for AffineNumbers {
    fn default() -> AffineNumbers {
        AffineNumbers { angle: 0.0, translate: [0.0; 2], scale: 1.0, shear: [0.0; 2] }
    }
}

/// torchvision's inverse affine matrix, `C (R S Hy Hx)^-1 C^-1 T^-1`, about a centre counted from the image's middle.
fn about_middle(numbers: &AffineNumbers, [cx, cy]: [f64; 2]) -> Projective {
    let AffineNumbers { angle, translate: [tx, ty], scale, shear } = *numbers;
    let ((sin, cos), (lean_sin, lean_cos)) = (sin_cos(angle), sin_cos(angle - shear[1]));
    let (tan_x, cos_y) = (shear[0].to_radians().tan(), shear[1].to_radians().cos());
    let a = lean_cos / cos_y;
    let b = -(a * tan_x + sin);
    let c = lean_sin / cos_y;
    let d = cos - c * tan_x;
    let [m0, m1, m3, m4] = [d / scale, -b / scale, -c / scale, a / scale];
    let m2 = cx - m0 * (cx + tx) - m1 * (cy + ty);
    let m5 = cy - m3 * (cx + tx) - m4 * (cy + ty);
    Projective([m0, m1, m2, m3, m4, m5, 0.0, 0.0, 1.0])
}

/// The map of an affine transform between images of two sizes, both counted from their middles.
fn affine_to(numbers: &AffineNumbers, center: Option<[f64; 2]>, size: [usize; 2], out: [usize; 2]) -> Projective {
    let [x, y] = middle(size);
    let center = center.map_or([0.0; 2], |[cx, cy]| [cx - x, cy - y]);
    let from_middle = Projective::translation(middle(out).map(|half| -half));
    Projective::translation([x, y]).after(&about_middle(numbers, center)).after(&from_middle)
}

pub(super) fn affine(numbers: &AffineNumbers, center: Option<[f64; 2]>, size: [usize; 2]) -> Projective {
    affine_to(numbers, center, size, size)
}

/// The map of an anticlockwise rotation and the size of its output, which holds all corners with `expand`.
pub(super) fn rotation(
    angle: f64,
    center: Option<[f64; 2]>,
    expand: bool,
    size: [usize; 2],
) -> (Projective, [usize; 2]) {
    let numbers = AffineNumbers { angle: -angle, ..AffineNumbers::default() };
    let out = if expand { expanded(&numbers, center, size) } else { size };
    (affine_to(&numbers, center, size, out), out)
}

/// Height and width that hold the corners of a rotated image.
fn expanded(numbers: &AffineNumbers, center: Option<[f64; 2]>, size: [usize; 2]) -> [usize; 2] {
    // A quarter turn about the middle only swaps the sides.
    if center.is_none() && numbers.angle.rem_euclid(180.0) == 90.0 {
        return [size[1], size[0]];
    }
    let half = middle(size);
    let center = center.map_or([0.0; 2], |[cx, cy]| [cx - half[0], cy - half[1]]);
    let Projective(m) = about_middle(numbers, center);
    let corners = [[-1.0, -1.0], [-1.0, 1.0], [1.0, 1.0], [1.0, -1.0]];
    let extent = |d: usize| {
        let place = |[x, y]: [f64; 2]| m[3 * d] * x * half[0] + m[3 * d + 1] * y * half[1] + m[3 * d + 2] + half[d];
        // Rounding errors above a whole number count for nothing.
        let cut = |x: f64| (x * 1e4).trunc() * 1e-4;
        let (low, high) = corners.map(place).into_iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(x), h.max(x)));
        nearest::<usize>(cut(high).ceil() - cut(low).floor())
    };
    [extent(1), extent(0)]
}

/// Four corners, `[x, y]` each.
pub type Corners = [[f64; 2]; 4];

/// The map that takes `end` to `start`, so that the image's corners at `start` move to `end`.
pub(super) fn perspective(start: &Corners, end: &Corners) -> Result<Projective> {
    let mut rows: Vec<[f64; 9]> = Vec::with_capacity(8);
    for (&[x, y], &[to_x, to_y]) in end.iter().zip(start) {
        rows.push([x, y, 1.0, 0.0, 0.0, 0.0, -to_x * x, -to_x * y, to_x]);
        rows.push([0.0, 0.0, 0.0, x, y, 1.0, -to_y * x, -to_y * y, to_y]);
    }
    // Gaussian elimination with the largest pivots.
    for column in 0..8 {
        let largest = (column..8)
            .fold(column, |best, row| if rows[row][column].abs() > rows[best][column].abs() { row } else { best });
        rows.swap(column, largest);
        let pivot = rows[column];
        if pivot[column].abs() < 1e-9 {
            return Err(Error::invalid(
                "perspective",
                format!("three of the corners {start:?} or {end:?} are in a line"),
            ));
        }
        for row in (0..8).filter(|&row| row != column) {
            let factor = rows[row][column] / pivot[column];
            rows[row].iter_mut().zip(pivot).for_each(|(value, of_pivot)| *value -= factor * of_pivot);
        }
    }
    let mut matrix = [1.0; 9];
    for (at, row) in rows.iter().enumerate() {
        matrix[at] = row[8] / row[at];
    }
    Ok(Projective(matrix))
}
