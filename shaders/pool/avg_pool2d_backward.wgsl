// Gradient of 2-D average pooling: an element of the input gets a part of the gradient of every window that covers it.
//
//   output[n, c, y, x] = sum over windows (v, u) that cover (y, x) of grad[n, c, v, u] / divisor(v, u)
//
// grad is contiguous [planes, OUT_HEIGHT, OUT_WIDTH] from params.grad_offset, output [planes, IN_HEIGHT, IN_WIDTH].
// The accumulator is f32.
//
// One invocation computes a cell of CELL_Y x CELL_X elements. Cells are counted in the padded input and divide its strides
// evenly, so the windows that can cover a cell's elements are the same for all of them: at most WINDOWS_Y x WINDOWS_X, visited
// from the last on, in blocks of BLOCK_Y x BLOCK_X. The order of each sum is fixed.

#import pool_geometry
#import pool_divisor
#import pool_cells
alias Result = f32;

struct Params {
    count: u32,
    grad_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Result>;

fn load_grad(index: u32) -> f32 { return f32(grad[params.grad_offset + index]); }

fn store_output(index: u32, value: f32) { output[index] = Result(value); }

#import invocations

fn compute(place: u32) {
    let plane = place / (CELLS_Y * CELLS_X);
    // The cell's first position in the padded input.
    let row = place / CELLS_X % CELLS_Y * CELL_Y;
    let column = place % CELLS_X * CELL_X;
    // The last window that may cover the cell.
    let last_y = min(row / STRIDE_Y, OUT_HEIGHT - 1u);
    let last_x = min(column / STRIDE_X, OUT_WIDTH - 1u);
    var sum: array<f32, CELL_Y * CELL_X>;
    for (var first_j = 0u; first_j < WINDOWS_Y; first_j += BLOCK_Y) {
        for (var first_i = 0u; first_i < WINDOWS_X; first_i += BLOCK_X) {
            for (var j = 0u; j < BLOCK_Y; j++) { // unroll
                for (var i = 0u; i < BLOCK_X; i++) { // unroll
                    // Unsigned arithmetic wraps: a window before the first is a huge number, not below the size.
                    let y = last_y - first_j - j;
                    let x = last_x - first_i - i;
                    let exists = (first_j + j < WINDOWS_Y) & (first_i + i < WINDOWS_X) & (y < OUT_HEIGHT) & (x < OUT_WIDTH);
                    let window_y = select(0u, y, exists);
                    let window_x = select(0u, x, exists);
                    let at = (plane * OUT_HEIGHT + window_y) * OUT_WIDTH + window_x;
                    let share = select(0.0, load_grad(at) / divisor(window_y, window_x), exists);
                    for (var cy = 0u; cy < CELL_Y; cy++) { // unroll
                        for (var cx = 0u; cx < CELL_X; cx++) { // unroll
                            let covers = (row + cy - window_y * STRIDE_Y < KERNEL_Y) & (column + cx - window_x * STRIDE_X < KERNEL_X);
                            sum[cy * CELL_X + cx] += select(0.0, share, covers);
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
