//! Chooses the size of each general kernel's register tile.

use super::{Geometry, Pass};
use std::ops::RangeInclusive;

/// The kind of adapter that a kernel is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// CPU cores with subgroups of 8 lanes or more, which load an eighth of the shared operand each.
    Shuffle,
    /// CPU cores without.
    Plain,
    /// A GPU, with the plain kernels.
    Gpu,
}

/// The part of a result that one invocation holds in registers, and the rows that it adds in one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiles {
    pub channels: usize,
    pub x: usize,
    pub step: usize,
}

/// Columns of the widest tile.
const WIDEST: usize = 16;

/// With more unrolled multiply-adds than this in a loop's body, compiling takes longer than it saves: about 0.6 ms each.
const MOST_MULTIPLY_ADDS: usize = 420;

/// More sums in registers than this spill, and compiling them takes seconds (3x3, stride 2, 64 channels, input gradient: 16 x 16
/// compiled in 1.6 s, 16 x 8 in 0.3 s, for 11 and 13 ms).
const MOST_ACCUMULATORS: usize = 160;

/// Nor may a kernel have more columns, a strip see more of a row, or the text of an input's gradient hold more pairs of positions
/// and taps, few of which meet with a stride: beyond that, taps are taken in blocks (`blocks`), which are as fast from some 24
/// columns on.
const MOST_COLUMNS: usize = 24;
const LONGEST_SEGMENT: usize = 64;
const MOST_PAIRS: usize = 3000;

/// The width that tiles of a pass divide.
pub(super) fn width(pass: Pass, geometry: &Geometry) -> usize {
    if pass == Pass::BackwardData { geometry.input[1] } else { geometry.output[1] }
}

/// The widths that share a tile with this one if widths keep changing: up to a power of two, and all that are wider than any
/// tile. The tile takes up to 1.7 times the time of one for the width alone, and 1.15 times in the mean (by the prediction below,
/// with 3 to 512 channels).
pub(super) fn widths_like(width: usize) -> RangeInclusive<usize> {
    let up_to = width.next_power_of_two();
    if up_to > WIDEST { WIDEST + 1..=4 * WIDEST } else { up_to / 2 + 1..=up_to }
}

/// The tile with the lowest predicted time over all tiles that a kernel of this shape can take in these widths, if one can be
/// unrolled.
///
/// The prediction was fitted to llvmpipe, where one step of one subgroup takes about
/// `7.5 loads + 0.5 multiply-adds + 0.8 accumulators + 20` nanoseconds (6 of 7 checked shapes within 20 %): a load is a loop over
/// the lanes, and every accumulator is blended with the execution mask. A shuffle takes some 0.4, so that of two tiles with the
/// same number of loads the wider is faster (LeNet's second layer: 8 x 10 takes 1.2 ms, 16 x 5 takes 1.6). The parts of tiles
/// past the edges cost as much as the rest. A GPU hides loads by its many invocations and wants more of those, so its tiles are
/// smaller. The batch size plays no part: it must not change the shader. Nor does the tile change the order of sums, and so no
/// bit of the results.
pub(super) fn choose(pass: Pass, geometry: &Geometry, widths: RangeInclusive<usize>, target: Target) -> Option<Tiles> {
    let g = geometry;
    let (kernel, stride) = (g.kernel[1], g.stride[1]);
    let (channels, rows) = match pass {
        Pass::Forward => (g.out_per_group, g.in_per_group * g.kernel[0]),
        Pass::BackwardData => (g.in_per_group, g.out_per_group),
        Pass::BackwardFilter => (g.out_per_group, 1),
    };
    // A strip of the input's gradient begins at a multiple of the stride.
    let unit = if pass == Pass::BackwardData { stride } else { 1 };
    let (most_multiply_adds, most_accumulators) =
        if target == Target::Gpu { (200, 32) } else { (MOST_MULTIPLY_ADDS, MOST_ACCUMULATORS) };
    let mut best: Option<(f64, Tiles)> = None;
    if kernel > MOST_COLUMNS {
        return None;
    }
    // Wider strips have more edges to mask than polaris10 has scalar registers.
    let widest = if target == Target::Gpu { 7 } else { WIDEST };
    for x in (1..=(widest / unit).max(1)).map(|strips| strips * unit).filter(|&x| x < widths.end() + unit) {
        for channels_held in [1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 32].into_iter().filter(|&held| held <= channels) {
            // Rows of one tap are short: several a step.
            for step in [1, 2, 4].into_iter().filter(|&step| step == 1 || kernel == 1 && rows.is_multiple_of(step)) {
                let reach = (kernel - 1) * g.dilation[1];
                let (segment, shared, accumulators) = match pass {
                    Pass::Forward => ((x - 1) * stride + reach + 1, channels_held * kernel, channels_held * x),
                    Pass::BackwardData => ((x - 1 + reach) / stride + 1, channels_held * kernel, channels_held * x),
                    Pass::BackwardFilter => ((x - 1) * stride + reach + 1, channels_held * x, channels_held * kernel),
                };
                let (shared, shuffles) = match target {
                    Target::Shuffle => ((shared * step).div_ceil(8), shared * step),
                    _ => (shared * step, 0),
                };
                let multiply_adds = channels_held * x * kernel * step / unit;
                let is_long = channels_held * x * kernel * step > MOST_PAIRS || step * segment > LONGEST_SEGMENT;
                if multiply_adds > most_multiply_adds || accumulators > most_accumulators || is_long {
                    continue;
                }
                let loads = step * segment + shared;
                let step_time = 7.5 * loads as f64
                    + 0.5 * multiply_adds as f64
                    + 0.8 * accumulators as f64
                    + 0.4 * shuffles as f64
                    + 20.0;
                let strips: usize = widths.clone().map(|width| width.div_ceil(x)).sum();
                let steps = channels.div_ceil(channels_held) * strips;
                // The one that compiles faster, of two that take nearly the same time.
                let preference = 1.0 + multiply_adds as f64 / 4000.0;
                let time = step_time * steps as f64 / step as f64 * preference;
                if best.is_none_or(|(least, _)| time < least) {
                    best = Some((time, Tiles { channels: channels_held, x, step }));
                }
            }
        }
    }
    best.map(|(_, tiles)| tiles)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lenet2() -> Geometry {
        Geometry {
            groups: 1,
            in_per_group: 6,
            out_per_group: 16,
            input: [14, 14],
            output: [10, 10],
            kernel: [5, 5],
            stride: [1, 1],
            padding: [0, 0],
            dilation: [1, 1],
        }
    }

    #[test]
    fn tiles_divide_the_width_and_stay_small() {
        for pass in [Pass::Forward, Pass::BackwardData, Pass::BackwardFilter] {
            for target in [Target::Shuffle, Target::Plain, Target::Gpu] {
                let tiles = choose(pass, &lenet2(), 10..=10, target).unwrap();
                assert!(tiles.channels * tiles.x * 5 <= MOST_MULTIPLY_ADDS, "{pass:?} {target:?} {tiles:?}");
            }
        }
        assert_eq!(
            choose(Pass::Forward, &lenet2(), 10..=10, Target::Shuffle),
            Some(Tiles { channels: 8, x: 10, step: 1 })
        );
    }

    #[test]
    fn what_is_too_long_to_be_written_out_gets_no_tile() {
        let kernel = Geometry { kernel: [1, 400], input: [1, 800], output: [1, 401], ..lenet2() };
        let stride = Geometry { stride: [100, 100], kernel: [100, 100], input: [200, 200], output: [2, 2], ..lenet2() };
        let dilation = Geometry { dilation: [100, 100], input: [500, 500], output: [100, 100], ..lenet2() };
        for geometry in [kernel, stride, dilation] {
            for pass in [Pass::Forward, Pass::BackwardData, Pass::BackwardFilter] {
                assert_eq!(
                    choose(pass, &geometry, widths_like(width(pass, &geometry)), Target::Shuffle),
                    None,
                    "{pass:?} {geometry:?}"
                );
            }
        }
    }
}
