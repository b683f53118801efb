//! Convolutions that can't be unrolled: kernels of any width, stride and dilation, some taps of a row at a time.

use super::Pass;
use super::call::Call;
use super::tiles::Target;
use crate::error::Result;
use crate::ops::shared::congruence::{Congruence, greatest_common_divisor};
use crate::ops::shared::constants::unsigned_all;
use crate::shader::{Kernel, Kernels};

const FORWARD: &str = wgsl!("conv/conv2d_blocks");
const DATA: &str = wgsl!("conv/conv2d_backward_data_blocks");
const FILTER: &str = wgsl!("conv/conv2d_backward_filter_blocks");

/// The part of one invocation in one step, and the segment of a row that it loads for that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    channels: usize,
    x: usize,
    taps: usize,
    segment: Segment,
}

/// The columns of a row that `x` positions see through some taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    length: usize,
    /// Elements in a row, columns from one to the next, and from one row to the next.
    row: usize,
    unit: usize,
    row_step: usize,
    /// Elements from one position to the next, and from one tap to the next.
    pitch: [usize; 2],
}

impl Segment {
    /// A segment for positions and taps that are this many columns apart.
    fn new([x, taps]: [usize; 2], [stride, dilation]: [usize; 2]) -> Segment {
        let unit = greatest_common_divisor(stride, dilation);
        let length = ((x - 1) * stride + (taps - 1) * dilation) / unit + 1;
        if length <= x * taps {
            let pitch = [stride / unit, dilation / unit];
            return Segment { length, row: length, unit, row_step: 0, pitch };
        }
        Segment { length: x * taps, row: taps, unit: dilation, row_step: stride, pitch: [taps, 1] }
    }
}

/// The loops of a pass: channels of a group, positions of a row, taps of a row that meet in a position, and columns between
/// neighbouring positions and between neighbouring taps.
struct Extent {
    channels: usize,
    positions: usize,
    taps: usize,
    apart: [usize; 2],
    /// Positions that taps may see, if those that see none are skipped.
    places: Option<usize>,
}

impl Extent {
    /// Number of taps that `x` positions go through.
    fn taps(&self, x: usize) -> usize {
        self.places.map_or(self.taps, |places| self.taps.min((places + x - 2) / self.apart[1] + 1))
    }
}

/// The block with the lowest predicted time: as for strips (`tiles`), by the same measurements.
fn choose(pass: Pass, extent: &Extent, target: Target) -> Block {
    let (most_multiply_adds, most_accumulators) = if target == Target::Gpu { (64, 16) } else { (256, 64) };
    let mut best = (f64::INFINITY, Block { channels: 1, x: 1, taps: 1, segment: Segment::new([1, 1], extent.apart) });
    for channels in [1, 2, 3, 4, 5, 6, 8, 12, 16].into_iter().filter(|&held| held <= extent.channels) {
        for x in (1..=16).filter(|&x| x <= extent.positions) {
            for taps in (1..=16).filter(|&taps| taps <= extent.taps(x)) {
                let segment = Segment::new([x, taps], extent.apart);
                let (shared, accumulators) = match pass {
                    Pass::BackwardFilter => (channels * x, channels * taps),
                    _ => (channels * taps, channels * x),
                };
                let multiply_adds = channels * x * taps;
                if multiply_adds > most_multiply_adds || accumulators > most_accumulators {
                    continue;
                }
                let step = 7.5 * (segment.length + shared) as f64
                    + 0.5 * multiply_adds as f64
                    + 0.8 * accumulators as f64
                    + 40.0;
                let steps =
                    extent.channels.div_ceil(channels) * extent.positions.div_ceil(x) * extent.taps(x).div_ceil(taps);
                let time = step * steps as f64;
                if time < best.0 {
                    best = (time, Block { channels, x, taps, segment });
                }
            }
        }
    }
    best.1
}

impl Call<'_> {
    /// The pass by blocks of taps.
    pub fn blocks(&self) -> Result<Kernels> {
        let g = self.geometry;
        let meetings = match self.pass {
            Pass::BackwardData => g.meetings(&self.output.shape)?,
            _ => [Congruence::ALWAYS; 2],
        };
        let reach = [0, 1].map(|d| g.dilation[d] / meetings[d].divisor);
        let extent = match self.pass {
            Pass::BackwardData => Extent {
                channels: g.in_per_group,
                positions: g.input[1].div_ceil(g.stride[1]),
                taps: g.kernel[1].div_ceil(meetings[1].step),
                apart: [1, reach[1]],
                places: Some(g.output[1]),
            },
            _ => Extent {
                channels: g.out_per_group,
                positions: g.output[1],
                taps: g.kernel[1],
                apart: [g.stride[1], g.dilation[1]],
                places: None,
            },
        };
        let block = choose(self.pass, &extent, self.target());
        let (strips, blocks) = (extent.positions.div_ceil(block.x), extent.taps(block.x).div_ceil(block.taps));
        let rows = g.kernel[0].div_ceil(meetings[0].step).min((g.output[0] - 1) / reach[0] + 1);
        let (across, steps) = match self.pass {
            Pass::Forward => (self.batch * g.output[0] * strips, g.in_per_group * g.kernel[0] * blocks),
            Pass::BackwardData => (self.batch * g.input[0] * g.stride[1] * strips, g.out_per_group * rows * blocks),
            Pass::BackwardFilter => (g.in_per_group * g.kernel[0] * blocks, self.batch * g.output[0] * strips),
        };
        let down = g.groups * extent.channels.div_ceil(block.channels);
        let groups = across.div_ceil(self.workgroup());
        // A span must be worth the store and the load of its sums.
        let for_groups = self.enough_groups() / (groups * down).max(1);
        let wanted = for_groups.min(self.most_parts()).clamp(1, steps.div_ceil(64).max(1));
        let span = steps.div_ceil(wanted).clamp(1, self.adapter.profile.longest_sum());
        let parts = steps.div_ceil(span).max(1);
        let visits = across * down * steps;
        let segments = visits * block.segment.length;
        let kernel = match self.pass {
            Pass::Forward => self.of_blocks("conv2d_blocks", FORWARD, "TILE_OUT", &block),
            Pass::BackwardData => self.of_blocks("conv2d_backward_data_blocks", DATA, "TILE_IN", &block),
            Pass::BackwardFilter => self.of_blocks("conv2d_backward_filter_blocks", FILTER, "TILE_OUT", &block),
        };
        let loads = match self.pass {
            Pass::BackwardFilter => [visits * block.channels * block.x, segments],
            _ => [segments, visits * block.channels * block.taps],
        };
        let kernel = self.bound(kernel, self.pass, loads);
        let kernel = if self.pass == Pass::BackwardData {
            let names = [["DIVISOR_Y", "KERNEL_Y_STEP", "INVERSE_Y"], ["DIVISOR_X", "KERNEL_X_STEP", "INVERSE_X"]];
            let kernel = unsigned_all(kernel, ["ROWS", "BLOCKS"], [rows, blocks]);
            names.into_iter().zip(meetings).fold(kernel, |kernel, (names, meeting)| meeting.specialise(kernel, names))
        } else {
            kernel
        };
        self.in_parts(kernel, [groups, down, parts], span, &[steps, self.stored()])
    }

    fn of_blocks(&self, name: &'static str, template: &'static str, channels: &'static str, block: &Block) -> Kernel {
        let Segment { length, row, unit, row_step, pitch } = block.segment;
        let kernel = self.grouped(name, template);
        let tile = [self.workgroup(), block.channels, block.x, block.taps];
        let kernel = unsigned_all(kernel, ["WORKGROUP", channels, "TILE_X", "TAPS"], tile);
        let kernel =
            unsigned_all(kernel, ["SEGMENT", "SEGMENT_ROW", "UNIT", "ROW_STEP"], [length, row, unit, row_step]);
        unsigned_all(kernel, ["PITCH_X", "PITCH_S"], pitch)
    }
}
