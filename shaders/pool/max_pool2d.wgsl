// 2-D max pooling.
//
//   output[n, c, y, x] = max over r, s of input[n, c, y * STRIDE_Y - PAD_Y + r * DILATION_Y,
//                                                     x * STRIDE_X - PAD_X + s * DILATION_X]
//   index[n, c, y, x]  = its position in the plane, row * IN_WIDTH + column: the first of equal ones; a NaN wins,
//                        the last of several, as in PyTorch. SLICES consecutive planes are one volume, in which
//                        positions go on from plane to plane.
//
// Positions outside the input take no part; every window has one inside. input is contiguous [planes, IN_HEIGHT,
// IN_WIDTH] from params.input_offset, output and index [planes, OUT_HEIGHT, OUT_WIDTH].
//
// One invocation computes one output. A window is visited in blocks of BLOCK_Y x BLOCK_X, whose loads don't wait for each other.

#import pool_geometry

const SLICES: u32 = 1u;
const KERNEL_Y: u32 = 2u;
const KERNEL_X: u32 = 2u;
const DILATION_Y: u32 = 1u;
const DILATION_X: u32 = 1u;

struct Params {
    count: u32,
    input_offset: u32,
}

#import pool_maxima
#import invocations

fn compute(place: u32) {
    let plane = place / (OUT_HEIGHT * OUT_WIDTH) * (IN_HEIGHT * IN_WIDTH);
    let slice = place / (OUT_HEIGHT * OUT_WIDTH) % SLICES * (IN_HEIGHT * IN_WIDTH);
    // Unsigned arithmetic wraps: a position left of or above the input is a huge number, not below the size.
    let top = place / OUT_WIDTH % OUT_HEIGHT * STRIDE_Y - PAD_Y;
    let left = place % OUT_WIDTH * STRIDE_X - PAD_X;
    var best = 0.0;
    var best_at = 0u;
    var found = false;
    for (var first_r = 0u; first_r < KERNEL_Y; first_r += BLOCK_Y) {
        for (var first_s = 0u; first_s < KERNEL_X; first_s += BLOCK_X) {
            for (var r = 0u; r < BLOCK_Y; r++) { // unroll
                for (var s = 0u; s < BLOCK_X; s++) { // unroll
                    let y = top + (first_r + r) * DILATION_Y;
                    let x = left + (first_s + s) * DILATION_X;
                    let inside = (first_r + r < KERNEL_Y) & (first_s + s < KERNEL_X) & (y < IN_HEIGHT) & (x < IN_WIDTH);
                    let at = select(0u, y * IN_WIDTH + x, inside);
                    let value = load_input(plane + at);
                    let beats = is_nan(value) | ((value > best) & !is_nan(best));
                    let wins = inside & (beats | !found);
                    best = select(best, value, wins);
                    best_at = select(best_at, at, wins);
                    found = found | inside;
                }
            }
        }
    }
    store_output(place, best);
    index[place] = i32(slice + best_at);
}
