//! Convolution and its gradients by a direct loop nest, in double precision.

use super::{Geometry, Pass};

/// The values of one pass from those of its two operands.
pub(super) fn compute(pass: Pass, g: &Geometry, batch: usize, first: &[f64], second: &[f64], out: &mut [f64]) {
    let stride = g.stride[1];
    for_each_run(g, batch, |weight, output, input, count| match pass {
        Pass::Forward => {
            for k in 0..count {
                out[output + k] += second[weight] * first[input + k * stride];
            }
        }
        Pass::BackwardData => {
            for k in 0..count {
                out[input + k * stride] += second[weight] * first[output + k];
            }
        }
        Pass::BackwardFilter => {
            for k in 0..count {
                out[weight] += first[output + k] * second[input + k * stride];
            }
        }
    });
}

/// Outputs `first..end` of a dimension are those whose tap `tap` is inside the input.
fn inside(g: &Geometry, dim: usize, tap: usize) -> (usize, usize) {
    let shift = tap * g.dilation[dim];
    let first = g.padding[dim].saturating_sub(shift).div_ceil(g.stride[dim]);
    let end = (g.input[dim] + g.padding[dim]).saturating_sub(shift).div_ceil(g.stride[dim]);
    (first, end.min(g.output[dim]))
}

/// Visits every product of the convolution, in runs along a row: index of the weight, of the first output and of the first input,
/// and their number; inputs are a stride apart.
fn for_each_run(g: &Geometry, batch: usize, mut visit: impl FnMut(usize, usize, usize, usize)) {
    for n in 0..batch {
        for o in 0..g.groups * g.out_per_group {
            let group = o / g.out_per_group;
            for i in 0..g.in_per_group {
                for r in 0..g.kernel[0] {
                    for s in 0..g.kernel[1] {
                        let weight = ((o * g.in_per_group + i) * g.kernel[0] + r) * g.kernel[1] + s;
                        let out_plane = n * g.groups * g.out_per_group + o;
                        let in_plane = (n * g.groups + group) * g.in_per_group + i;
                        let (first_y, end_y) = inside(g, 0, r);
                        let (first_x, end_x) = inside(g, 1, s);
                        if first_x >= end_x {
                            continue;
                        }
                        for y in first_y..end_y {
                            let in_y = y * g.stride[0] + r * g.dilation[0] - g.padding[0];
                            let in_x = first_x * g.stride[1] + s * g.dilation[1] - g.padding[1];
                            let output = (out_plane * g.output[0] + y) * g.output[1] + first_x;
                            let input = (in_plane * g.input[0] + in_y) * g.input[1] + in_x;
                            visit(weight, output, input, end_x - first_x);
                        }
                    }
                }
            }
        }
    }
}
