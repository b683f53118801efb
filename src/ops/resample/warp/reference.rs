//! The warp in double precision, from the words for the device.

use super::{Beyond, Direction, Filter, Projective, Sampling, Warp};
use crate::dtype::DType;
use crate::error::Result;
use crate::host_tensor::HostTensor;
use crate::number::nearest;
use crate::shape::Shape;
use std::ops::Range;

/// The words of one image.
struct Words<'a>(&'a [f64]);

impl Words<'_> {
    fn at<const N: usize>(&self, first: usize) -> [f64; N] {
        std::array::from_fn(|at| self.0[first + at])
    }

    /// Maps a position by the matrix at `first`; far outside if it has no image.
    fn project(&self, first: usize, place: [f64; 2]) -> [f64; 2] {
        Projective(self.at(first)).apply(place).unwrap_or([-1e6; 2]).map(|x| x.clamp(-1e6, 1e6))
    }
}

/// The elements along a dimension that a position reads.
struct Taps {
    filter: Filter,
    place: f64,
    width: f64,
    range: Range<i64>,
}

impl Taps {
    fn new(sampling: &Sampling, place: f64, width: f64, size: usize) -> Taps {
        let filter = sampling.filter;
        let reach = width * filter.reach();
        let range = match filter {
            Filter::Nearest => {
                let odd = (size / 2 % 2) as f64;
                let even = || (place - 0.5 + odd).round_ties_even() - odd;
                let is_later = sampling.beyond == Beyond::Ignore;
                let at = nearest::<i64>(if is_later { (place + 1e-4).floor() } else { even() });
                at..at + 1
            }
            _ => nearest((place - reach + 0.5).floor())..nearest((place + reach + 0.5).floor()),
        };
        Taps { filter, place, width, range }
    }

    fn weight(&self, i: i64) -> f64 {
        let (x, a) = (((i as f64 + 0.5 - self.place) / self.width).abs(), f64::from(self.filter.cubic()));
        match self.filter {
            Filter::Nearest => f64::from(u8::from(self.range.contains(&i))),
            Filter::Linear => (1.0 - x).max(0.0),
            _ if x < 1.0 => ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0,
            _ if x < 2.0 => ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a,
            _ => 0.0,
        }
    }

    /// The taps between two positions.
    fn within(&self, low: f64, high: f64) -> Range<i64> {
        self.range.start.max(nearest(low))..self.range.end.min(nearest(high))
    }

    fn weight_within(&self, low: f64, high: f64) -> f64 {
        self.within(low, high).map(|i| self.weight(i)).sum()
    }
}

pub(super) fn warp(op: &Warp, inputs: &[HostTensor]) -> Result<HostTensor> {
    let (input, maps) = (&inputs[0], &inputs[1]);
    let [count, channels] = [input.shape[0], input.shape[1]];
    let ([height, width], [out_height, out_width]) = (op.source, op.sampling.size);
    let [made_height, made_width] = op.out();
    let is_back = op.direction == Direction::Transposed;
    let mut values = vec![0.0; count * channels * made_height * made_width];
    let origin = [width / 2, height / 2].map(|at| at as i64);
    for n in 0..count {
        let words = Words(&maps.values[n * maps.shape[1]..][..maps.shape[1]]);
        let [drawn_width, drawn_height] = words.at(0);
        for (c, v, u) in (0..channels)
            .flat_map(|c| (0..out_height).flat_map(move |v| (0..out_width).map(move |u| (c, v, u))))
            .filter(|&(_, v, u)| (v as f64) < drawn_height && (u as f64) < drawn_width)
        {
            let at = [u as f64 + 0.5 - 0.5 * drawn_width, v as f64 + 0.5 - 0.5 * drawn_height];
            let out = ((n * channels + c) * out_height + v) * out_width + u;
            let plane = (n * channels + c) * height;
            let sampled = Sampled::new(op, &words, inputs.get(2), n, c, channels, at);
            let mut sum = 0.0;
            let [x0, y0, x1, y1] = words.at(11);
            let [left, _, right, _] = words.at(15);
            for j in sampled.down.within(y0, y1) {
                let mut line = 0.0;
                for i in sampled.across.within(x0, x1) {
                    let place = (plane + nearest::<usize>(j + origin[1])) * width + nearest::<usize>(i + origin[0]);
                    if is_back {
                        let weight = sampled.down.weight(j) * sampled.across.weight(i);
                        values[place] += input.values[out] * weight * sampled.slope;
                    } else {
                        line += sampled.across.weight(i) * input.values[place];
                    }
                }
                if op.bytes {
                    let total = sampled.across.weight_within(left, right);
                    line = (line / total).round_ties_even().clamp(0.0, 255.0) * total;
                }
                sum += sampled.down.weight(j) * line;
            }
            if !is_back {
                let rest = if op.direction == Direction::Forward { sampled.rest } else { 0.0 };
                values[out] = sum * sampled.slope + rest;
            }
        }
    }
    Ok(HostTensor::new(Shape::new(&[count, channels, made_height, made_width])?, DType::F32, values))
}

/// The ingredients of an output: the weighted sum of its taps, times `slope`, plus `rest`.
struct Sampled {
    across: Taps,
    down: Taps,
    slope: f64,
    rest: f64,
}

impl Sampled {
    fn new(
        op: &Warp,
        words: &Words,
        field: Option<&HostTensor>,
        n: usize,
        c: usize,
        channels: usize,
        at: [f64; 2],
    ) -> Sampled {
        let fills = 21 + c;
        let outer = 21 + 2 * channels + 9;
        let behind = field.map_or(at, |field| displaced(field, n, words.project(outer, at)));
        let place = words.project(2, behind);
        let [across, down] = [0, 1].map(|d| Taps::new(&op.sampling, place[d], words.0[19 + d], op.source[1 - d]));
        let weight = |[x0, y0, x1, y1]: [f64; 4]| across.weight_within(x0, x1) * down.weight_within(y0, y1);
        let (total, read, drawn) = (weight([-2e6, -2e6, 2e6, 2e6]), weight(words.at(11)), weight(words.at(15)));
        let (inner, fill) = (words.0[fills], words.0[fills + channels]);
        let (mut slope, mut rest) = match op.sampling.beyond {
            Beyond::Ignore if drawn == 0.0 => (0.0, 0.0),
            Beyond::Ignore => (1.0 / drawn, inner * (drawn - read) / drawn),
            Beyond::Fill => (1.0 / total, (inner * (drawn - read) + fill * (total - drawn)) / total),
            Beyond::Twice => {
                let visible = drawn / total;
                (visible / total, (inner * (drawn - read) / total - fill) * visible + fill)
            }
        };
        for k in 0..op.clips {
            let clip = outer + 9 + k * (12 + channels);
            let from = if words.0[clip + 11] != 0.0 { behind } else { at };
            let (place, size) = (words.project(clip, from), words.at::<2>(clip + 9));
            let share = |d: usize| match op.sampling.filter {
                Filter::Nearest => f64::from(u8::from(place[d] >= 0.0 && place[d] < size[d])),
                _ => (place[d] + 0.5).clamp(0.0, 1.0) * (size[d] - place[d] + 0.5).clamp(0.0, 1.0),
            };
            let share = share(0) * share(1);
            slope *= share;
            rest = rest * share + words.0[clip + 12 + c] * (1.0 - share);
        }
        Sampled { across, down, slope, rest }
    }
}

/// A position in the field's frame and the displacement there, interpolated between elements.
fn displaced(field: &HostTensor, n: usize, place: [f64; 2]) -> [f64; 2] {
    let size = [field.shape[2], field.shape[1]];
    let within = [0, 1].map(|d| (place[d] - 0.5).clamp(0.0, size[d] as f64 - 1.0));
    let low = within.map(nearest::<usize>);
    let part = within.map(f64::fract);
    let high = [0, 1].map(|d| (low[d] + 1).min(size[d] - 1));
    std::array::from_fn(|d| {
        let row = |y: usize| field.at(&[n, y, low[0], d]) * (1.0 - part[0]) + field.at(&[n, y, high[0], d]) * part[0];
        place[d] + row(low[1]) * (1.0 - part[1]) + row(high[1]) * part[1]
    })
}
