// Matrix product for GPUs: tiles in workgroup memory, small blocks in registers.
//
//   output[b, m, n] = sum over k of  left[b, m, k] * right[b, k, n]
//
// left is any strided view of [BATCH, rows, depth], right of [BATCH, depth, columns]; a stride of a
// dimension is how many elements its index moves by, so a transposed view needs no copy. output is
// contiguous [BATCH, rows, columns]. Accumulators are f32; each sum runs over k in increasing order.
//
// A workgroup of THREADS_X x THREADS_Y invocations computes a tile of (THREADS_Y * BLOCK_ROWS) rows by
// (THREADS_X * BLOCK_COLUMNS) columns. It goes through k in steps of TILE_DEPTH: all invocations together
// copy the step's part of both matrices to workgroup memory, then each adds to its BLOCK_ROWS x
// BLOCK_COLUMNS sums. The rows of an invocation are THREADS_Y apart and its columns THREADS_X apart, so
// neighbouring invocations read neighbouring words of workgroup memory and store neighbouring outputs.
//
// LEFT_DEPTH_FASTEST and RIGHT_COLUMN_FASTEST say along which dimension neighbouring invocations load; they
// change no result. Set them to the dimension whose stride is 1: then loads are coalesced.
// Grid: x = ceil(columns / (THREADS_X * BLOCK_COLUMNS)), y = ceil(rows / (THREADS_Y * BLOCK_ROWS)), z = batches.
// Loops marked `// unroll` have constant limits; the specialiser writes their bodies out.

alias Element = f32;

const THREADS_X: u32 = 16u;
const THREADS_Y: u32 = 16u;
const BLOCK_ROWS: u32 = 4u;
const BLOCK_COLUMNS: u32 = 4u;
const TILE_DEPTH: u32 = 16u;
const LEFT_DEPTH_FASTEST: bool = true;
const RIGHT_COLUMN_FASTEST: bool = true;

const THREADS: u32 = THREADS_X * THREADS_Y;
const TILE_ROWS: u32 = THREADS_Y * BLOCK_ROWS;
const TILE_COLUMNS: u32 = THREADS_X * BLOCK_COLUMNS;
// One word of padding a row keeps writes that run along k off a single memory bank.
const LEFT_PITCH: u32 = TILE_ROWS + 1u;
const RIGHT_PITCH: u32 = TILE_COLUMNS + 1u;

struct Params {
    rows: u32,
    columns: u32,
    depth: u32,
    left_row_stride: u32,
    left_depth_stride: u32,
    left_batch_stride: u32,
    right_depth_stride: u32,
    right_column_stride: u32,
    right_batch_stride: u32,
    // First elements of the views, and the batch of the grid's first layer.
    left_offset: u32,
    right_offset: u32,
    first_batch: u32,
}

@group(0) @binding(0) var<storage, read> left: array<Element>;
@group(0) @binding(1) var<storage, read> right: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> left_tile: array<f32, TILE_DEPTH * LEFT_PITCH>;
var<workgroup> right_tile: array<f32, TILE_DEPTH * RIGHT_PITCH>;

fn load_left(index: u32) -> f32 {
    return f32(left[params.left_offset + index]);
}

fn load_right(index: u32) -> f32 {
    return f32(right[params.right_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let batch = params.first_batch + group.z;
    let first_row = group.y * TILE_ROWS;
    let first_column = group.x * TILE_COLUMNS;

    var sum: array<f32, BLOCK_ROWS * BLOCK_COLUMNS>;
    for (var first_k = 0u; first_k < params.depth; first_k += TILE_DEPTH) {
        for (var i = local_index; i < TILE_ROWS * TILE_DEPTH; i += THREADS) {
            let k = select(i / TILE_ROWS, i % TILE_DEPTH, LEFT_DEPTH_FASTEST);
            let row = select(i % TILE_ROWS, i / TILE_DEPTH, LEFT_DEPTH_FASTEST);
            var value = 0.0;
            if ((first_row + row < params.rows) & (first_k + k < params.depth)) {
                value = load_left(batch * params.left_batch_stride
                    + (first_row + row) * params.left_row_stride + (first_k + k) * params.left_depth_stride);
            }
            left_tile[k * LEFT_PITCH + row] = value;
        }
        for (var i = local_index; i < TILE_COLUMNS * TILE_DEPTH; i += THREADS) {
            let k = select(i % TILE_DEPTH, i / TILE_COLUMNS, RIGHT_COLUMN_FASTEST);
            let column = select(i / TILE_DEPTH, i % TILE_COLUMNS, RIGHT_COLUMN_FASTEST);
            var value = 0.0;
            if ((first_column + column < params.columns) & (first_k + k < params.depth)) {
                value = load_right(batch * params.right_batch_stride
                    + (first_k + k) * params.right_depth_stride + (first_column + column) * params.right_column_stride);
            }
            right_tile[k * RIGHT_PITCH + column] = value;
        }
        workgroupBarrier();
        for (var k = 0u; k < TILE_DEPTH; k++) {
            var b: array<f32, BLOCK_COLUMNS>;
            for (var j = 0u; j < BLOCK_COLUMNS; j++) { // unroll
                b[j] = right_tile[k * RIGHT_PITCH + local.x + j * THREADS_X];
            }
            for (var i = 0u; i < BLOCK_ROWS; i++) { // unroll
                let a = left_tile[k * LEFT_PITCH + local.y + i * THREADS_Y];
                for (var j = 0u; j < BLOCK_COLUMNS; j++) { // unroll
                    sum[i * BLOCK_COLUMNS + j] += a * b[j];
                }
            }
        }
        workgroupBarrier();
    }

    for (var i = 0u; i < BLOCK_ROWS; i++) { // unroll
        for (var j = 0u; j < BLOCK_COLUMNS; j++) { // unroll
            let row = first_row + local.y + i * THREADS_Y;
            let column = first_column + local.x + j * THREADS_X;
            if ((row < params.rows) & (column < params.columns)) {
                store_output((batch * params.rows + row) * params.columns + column, sum[i * BLOCK_COLUMNS + j]);
            }
        }
    }
}
