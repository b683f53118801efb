// Matrix product for adapters that run shaders on CPU cores, without subgroup operations.
//
//   output[b, m, n] = sum over k of  left[b, m, k] * right[b, k, n]
//
// left is any strided view of [BATCH, ROWS, DEPTH], right of [BATCH, DEPTH, COLUMNS]; the stride of a dimension is the number of
// elements by which its index moves, so a transposed view needs no copy. output is contiguous [BATCH, ROWS, COLUMNS].
// Accumulators are f32; each sum runs over k in increasing order.
//
// One invocation computes TILE_ROWS x TILE_COLUMNS outputs in registers. For every k it loads TILE_ROWS values of `left` and
// TILE_COLUMNS of `right`. All invocations of a workgroup share the same rows and compute neighbouring columns. STORE_ROWS must
// divide TILE_ROWS.
//
// Grid: x and y together, y slowest, count ceil(COLUMNS / (WORKGROUP * TILE_COLUMNS)) tiles across times
// ceil(rows / TILE_ROWS) down; those past the last store nothing. z = batches.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;

const TILE_ROWS: u32 = 8u;
const TILE_COLUMNS: u32 = 8u;
const DEPTH_STEP: u32 = 2u;
const STORE_ROWS: u32 = 2u;
const WORKGROUP: u32 = 8u;

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
    // First elements of the views, tiles across, and the batch of the grid's first layer.
    left_offset: u32,
    right_offset: u32,
    column_tiles: u32,
    first_batch: u32,
}

@group(0) @binding(0) var<storage, read> left: array<Element>;
@group(0) @binding(1) var<storage, read> right: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Element>;
@group(0) @binding(3) var<uniform> params: Params;

#import matmul_place

fn load_left(index: u32) -> f32 {
    return f32(left[params.left_offset + index]);
}

fn load_right(index: u32) -> f32 {
    return f32(right[params.right_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Element(value);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let batch = params.first_batch + group.z;
    let tile = group.y * groups.x + group.x;
    let first_row = tile / params.column_tiles * TILE_ROWS;
    let first_column = (tile % params.column_tiles * WORKGROUP + local) * TILE_COLUMNS;

    // Indices past the edge are clamped: the values read there affect only sums that are not stored.
    var left_index: array<u32, TILE_ROWS>;
    for (var i = 0u; i < TILE_ROWS; i++) { // unroll
        left_index[i] = batch * params.left_batch_stride
            + min(first_row + i, params.rows - 1u) * params.left_row_stride;
    }
    var right_index: array<u32, TILE_COLUMNS>;
    for (var j = 0u; j < TILE_COLUMNS; j++) { // unroll
        right_index[j] = batch * params.right_batch_stride
            + min(first_column + j, params.columns - 1u - ONES) * params.right_column_stride;
    }

    var sum: array<f32, TILE_ROWS * TILE_COLUMNS>;
    for (var k = 0u; k < params.depth; k += DEPTH_STEP) {
        for (var step = 0u; step < DEPTH_STEP; step++) { // unroll
            // Past the end both factors are 0: the values read there may be NaN or infinite.
            let inside = (step == 0u) | (k + step < params.depth);
            let depth = min(k + step, params.depth - 1u);
            var b: array<f32, TILE_COLUMNS>;
            for (var j = 0u; j < TILE_COLUMNS; j++) { // unroll
                let is_one = (ONES == 1u) & (first_column + j == params.columns - 1u);
                let loaded = select(load_right(right_index[j] + depth * params.right_depth_stride), 1.0, is_one);
                b[j] = select(0.0, loaded, inside);
            }
            for (var i = 0u; i < TILE_ROWS; i++) { // unroll
                let a = select(0.0, load_left(left_index[i] + depth * params.left_depth_stride), inside);
                for (var j = 0u; j < TILE_COLUMNS; j++) { // unroll
                    sum[i * TILE_COLUMNS + j] += a * b[j];
                }
            }
        }
    }

    // Stores take much code: a loop stores STORE_ROWS rows at a time and moves the others down.
    for (var block = 0u; block < TILE_ROWS; block += STORE_ROWS) { // rolled
        for (var i = 0u; i < STORE_ROWS; i++) { // unroll
            let row = first_row + block + i;
            for (var j = 0u; j < TILE_COLUMNS; j++) { // unroll
                if ((row < params.rows) & (first_column + j < params.columns)) {
                    store_output(place(batch, row, first_column + j), sum[i * TILE_COLUMNS + j]);
                }
            }
        }
        for (var i = 0u; i < (TILE_ROWS - STORE_ROWS) * TILE_COLUMNS; i++) { // unroll
            sum[i] = sum[i + STORE_ROWS * TILE_COLUMNS];
        }
    }
}
