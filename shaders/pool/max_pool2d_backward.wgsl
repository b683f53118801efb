// Gradient of 2-D max pooling: the gradient of an element of the input is the sum over the windows whose maximum it is.
//
//   output[n, c, y, x] = sum over windows (v, u) with index[n, c, v, u] = y * IN_WIDTH + x of grad[n, c, v, u]
//
// grad and index are contiguous [planes, OUT_HEIGHT, OUT_WIDTH] from their offsets, output [planes, IN_HEIGHT, IN_WIDTH]. SLICES
// consecutive planes are one volume, in which positions go on from plane to plane. The accumulator is f32.
//
// One invocation computes a cell of CELL_Y x CELL_X elements. Cells are counted in the padded input and divide its strides
// evenly, so the windows that can cover a cell's elements are the same for all of them: at most WINDOWS_Y x WINDOWS_X, visited
// from the last on, in blocks of BLOCK_Y x BLOCK_X. With dilation every STEPth window sees an element: those with window % STEP =
// position / DIVISOR % STEP * INVERSE % STEP, and a cell is one element. No atomics: the order of each sum is fixed.

#import pool_geometry
#import pool_cells

const SLICES: u32 = 1u;
// The windows of one dimension that see an element: every STEPth.
const DIVISOR_Y: u32 = 1u;
const DIVISOR_X: u32 = 1u;
const STEP_Y: u32 = 1u;
const STEP_X: u32 = 1u;
const INVERSE_Y: u32 = 0u;
const INVERSE_X: u32 = 0u;

struct Params {
    count: u32,
    grad_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<Element>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<Element>;

fn load_grad(index: u32) -> f32 { return f32(grad[params.grad_offset + index]); }

fn load_index(place: u32) -> u32 { return u32(index[params.index_offset + place]); }

fn store_output(index: u32, value: f32) { output[index] = Element(value); }

#import invocations

fn compute(place: u32) {
    let plane = place / (CELLS_Y * CELLS_X);
    let slice = plane % SLICES * (IN_HEIGHT * IN_WIDTH);
    // The cell's first position in the padded input.
    let row = place / CELLS_X % CELLS_Y * CELL_Y;
    let column = place % CELLS_X * CELL_X;
    // The last window that may cover the cell, or if there is none, a huge number: unsigned arithmetic wraps.
    let end_y = min(row / STRIDE_Y, OUT_HEIGHT - 1u);
    let end_x = min(column / STRIDE_X, OUT_WIDTH - 1u);
    let last_y = end_y - (end_y + STEP_Y - row / DIVISOR_Y % STEP_Y * INVERSE_Y % STEP_Y) % STEP_Y;
    let last_x = end_x - (end_x + STEP_X - column / DIVISOR_X % STEP_X * INVERSE_X % STEP_X) % STEP_X;
    var sum: array<f32, CELL_Y * CELL_X>;
    for (var first_j = 0u; first_j < WINDOWS_Y; first_j += BLOCK_Y) {
        for (var first_i = 0u; first_i < WINDOWS_X; first_i += BLOCK_X) {
            for (var j = 0u; j < BLOCK_Y; j++) { // unroll
                for (var i = 0u; i < BLOCK_X; i++) { // unroll
                    let y = last_y - (first_j + j) * STEP_Y;
                    let x = last_x - (first_i + i) * STEP_X;
                    let exists = (first_j + j < WINDOWS_Y) & (first_i + i < WINDOWS_X) & (y < OUT_HEIGHT) & (x < OUT_WIDTH);
                    let at = plane * (OUT_HEIGHT * OUT_WIDTH) + select(0u, y * OUT_WIDTH + x, exists);
                    let gradient = select(0.0, load_grad(at), exists);
                    let maximum = load_index(at);
                    for (var cy = 0u; cy < CELL_Y; cy++) { // unroll
                        for (var cx = 0u; cx < CELL_X; cx++) { // unroll
                            let here = slice + (row + cy - PAD_Y) * IN_WIDTH + column + cx - PAD_X;
                            sum[cy * CELL_X + cx] += select(0.0, gradient, maximum == here);
                        }
                    }
                }
            }
        }
    }
    for (var cy = 0u; cy < CELL_Y; cy++) { // unroll
        for (var cx = 0u; cx < CELL_X; cx++) { // unroll
            store_inside(plane, row + cy, column + cx, sum[cy * CELL_X + cx]);
        }
    }
}
