//! The elements along a dimension that each element is made of, and their weights: the rules of the interpolation modes.
//!
//! Positions and weights are computed on the host, so that they are the same on every adapter: those of the nearest modes in f32,
//! since rounding decides which element is taken; the others in f64, and rounded once.

use super::interpolate::InterpolateMode;
use crate::number::nearest;

/// A sparse matrix along a dimension: row `m` takes `weights[t]` of element `places[t]`, `t` from `ends[m]` to
/// `ends[m + 1]`.
#[derive(Debug, PartialEq)]
pub(crate) struct Taps {
    /// Number of elements that rows read from.
    pub sources: usize,
    pub ends: Vec<i32>,
    pub places: Vec<i32>,
    pub weights: Vec<f32>,
}

impl Taps {
    fn new(sources: usize, rows: usize) -> Taps {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Taps { sources, ends, places: Vec::with_capacity(rows), weights: Vec::with_capacity(rows) }
    }

    fn push(&mut self, place: usize, weight: f64) {
        self.places.push(nearest(place));
        self.weights.push(nearest(weight));
    }

    fn end_row(&mut self) {
        self.ends.push(nearest(self.places.len()));
    }

    pub fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    /// The taps of row `row`.
    pub fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let taps = nearest::<usize>(self.ends[row])..nearest::<usize>(self.ends[row + 1]);
        taps.map(|tap| (nearest::<usize>(self.places[tap]), self.weights[tap]))
    }

    /// True if every row is the element of the same index.
    pub fn is_identity(&self) -> bool {
        self.sources == self.rows()
            && self.places.len() == self.rows()
            && (0..self.rows()).all(|row| self.row(row).eq([(row, 1.0)]))
    }

    /// The adjoint: the rows that read each element. The rows stay in order.
    pub fn transposed(&self) -> Taps {
        let mut next = vec![0i32; self.sources + 1];
        self.places.iter().for_each(|&place| next[nearest::<usize>(place) + 1] += 1);
        for place in 0..self.sources {
            next[place + 1] += next[place];
        }
        let ends = next.clone();
        let mut transposed =
            Taps { sources: self.rows(), ends, places: vec![0; self.places.len()], weights: self.weights.clone() };
        for row in 0..self.rows() {
            for (place, weight) in self.row(row) {
                let at = nearest::<usize>(next[place]);
                (transposed.places[at], transposed.weights[at]) = (nearest::<i32>(row), weight);
                next[place] += 1;
            }
        }
        transposed
    }
}

/// One dimension of an interpolation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rule {
    pub mode: InterpolateMode,
    pub input: usize,
    pub output: usize,
    pub align_corners: bool,
    /// The caller's factor; without it, the ratio of the sizes.
    pub scale_factor: Option<f64>,
    pub antialias: bool,
}

impl Rule {
    /// Steps in the input for one in the output.
    fn step(&self) -> f64 {
        match self.scale_factor {
            _ if self.align_corners && self.output > 1 => (self.input - 1) as f64 / (self.output - 1) as f64,
            _ if self.align_corners => 0.0,
            Some(scale) if scale > 0.0 => 1.0 / scale,
            _ => self.input as f64 / self.output as f64,
        }
    }

    /// The position in the input of element `at` of the output, by the centres of the elements or by the corners'.
    fn position(&self, at: usize) -> f64 {
        let step = self.step();
        if self.align_corners { step * at as f64 } else { step * (at as f64 + 0.5) - 0.5 }
    }

    pub fn taps(&self) -> Taps {
        let mut taps = Taps::new(self.input, self.output);
        for at in 0..self.output {
            match self.mode {
                InterpolateMode::Nearest => self.nearest(at, 0.0, &mut taps),
                InterpolateMode::NearestExact => self.nearest(at, 0.5, &mut taps),
                InterpolateMode::Area => self.area(at, &mut taps),
                InterpolateMode::Lanczos => self.filtered(at, 3.0, lanczos, &mut taps),
                InterpolateMode::Bicubic if self.antialias => {
                    self.filtered(at, 2.0, |x| cubic(x, -0.5), &mut taps);
                }
                InterpolateMode::Bicubic => self.cubic(at, &mut taps),
                _ if self.antialias => self.filtered(at, 1.0, |x| (1.0 - x.abs()).max(0.0), &mut taps),
                _ => self.linear(at, &mut taps),
            }
            taps.end_row();
        }
        taps
    }

    fn nearest(&self, at: usize, centre: f32, taps: &mut Taps) {
        taps.push(nearest::<usize>((at as f32 + centre) * nearest::<f32>(self.step())).min(self.input - 1), 1.0);
    }

    fn area(&self, at: usize, taps: &mut Taps) {
        let (first, end) = (at * self.input / self.output, ((at + 1) * self.input).div_ceil(self.output));
        (first..end).for_each(|place| taps.push(place, 1.0 / (end - first) as f64));
    }

    /// The two neighbours; past an edge the same one twice, so that infinities spread as in PyTorch.
    fn linear(&self, at: usize, taps: &mut Taps) {
        let same = self.input == self.output;
        let position = if same { at as f64 } else { self.position(at).max(0.0) };
        let place = if same { at } else { nearest::<usize>(position).min(self.input - 1) };
        let part = if same { 0.0 } else { (position - place as f64).clamp(0.0, 1.0) };
        taps.push(place, 1.0 - part);
        taps.push(if same { place } else { (place + 1).min(self.input - 1) }, part);
    }

    fn cubic(&self, at: usize, taps: &mut Taps) {
        let position = self.position(at);
        let last = self.input as isize - 1;
        let place = nearest::<isize>(position.floor()).min(last);
        let part = (position - place as f64).clamp(0.0, 1.0);
        for tap in -1..=2 {
            taps.push(nearest::<usize>((place + tap).clamp(0, last)), cubic(part - tap as f64, -0.75));
        }
    }

    /// All elements that a filter reaches, which widens as the output shrinks; the weights add up to 1.
    fn filtered(&self, at: usize, reach: f64, filter: impl Fn(f64) -> f64, taps: &mut Taps) {
        let step = self.step();
        let support = reach * step.max(1.0);
        let centre = step * (at as f64 + 0.5);
        let first = nearest::<usize>(centre - support + 0.5);
        let end = nearest::<usize>(centre + support + 0.5).min(self.input);
        let most = 2 * nearest::<usize>(support.ceil()) + 1;
        let places = first..end.min(first.saturating_add(most));
        let weight = |place: usize| filter((place as f64 - centre + 0.5) / step.max(1.0));
        let total: f64 = places.clone().map(weight).sum();
        for place in places {
            let weight = weight(place);
            if weight != 0.0 {
                taps.push(place, if total == 0.0 { weight } else { weight / total });
            }
        }
    }
}

/// Keys' cubic convolution at distance `x`.
fn cubic(x: f64, a: f64) -> f64 {
    let x = x.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a
    } else {
        0.0
    }
}

/// `sinc(x) sinc(x / 3)` within 3.
fn lanczos(x: f64) -> f64 {
    let sinc = |x: f64| if x == 0.0 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
    if (-3.0..3.0).contains(&x) { sinc(x) * sinc(x / 3.0) } else { 0.0 }
}
