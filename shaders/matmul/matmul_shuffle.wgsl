// Matrix product for adapters that run shaders on CPU cores, with subgroup shuffles.
//
//   output[b, m, n] = sum over k of  left[b, m, k] * right[b, k, n]
//
// or the sums of those over groups of `summed` batches. left is any strided view of [BATCH, ROWS, DEPTH], right of [BATCH, DEPTH,
// COLUMNS]; the stride of a dimension is the number of elements by which its index moves, so a transposed view needs no copy.
// output is contiguous [ceil(BATCH / summed), ROWS, COLUMNS]. Accumulators are `Sum`s, f32 or, of whole numbers, i32, which are
// stored as the f32 of the same bits; each sum runs over b and k in increasing order.
//
// One invocation computes TILE_ROWS x TILE_COLUMNS outputs in registers. All invocations of a workgroup share the same rows and
// compute neighbouring columns. One iteration of the loop takes four steps of k: an invocation loads its TILE_COLUMNS columns of
// `right` in blocks of 4 x 4; the rows of `left` are the same for all, so each of the first 8 lanes of a subgroup loads an eighth
// of them, and subgroupShuffle exchanges them.
//
// On such an adapter a load is a loop over the lanes, and one of four neighbours costs little more than a single one. So a block
// is loaded as four quads along k (LEFT_DEPTH_FASTEST, RIGHT_DEPTH_FASTEST) or along rows and columns, whichever are neighbours;
// if the operand can be bound as vectors of four, `load_left` and `load_right` take one of them. If rows are multiples of eight,
// `load_right_eight` and `store_output_eight` may take eight neighbours at once.
//
// Workgroups go down the rows of a panel of columns before they go on to the next, so that a core's cache holds the part of
// `right` that they load.
//
// Needs subgroups of at least 8 lanes. TILE_ROWS must be a multiple of 32, TILE_COLUMNS of 4, STORE_ROWS must divide
// TILE_ROWS.
// Grid: x and y together, y slowest, count ceil(COLUMNS / (WORKGROUP * TILE_COLUMNS)) tiles across times
// ceil(rows / TILE_ROWS) down; those past the last store nothing. z = ceil(batches / summed).
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias LeftElement = f32;
alias RightElement = f32;
alias Result = f32;
alias Stored = Result;
alias Sum = f32;
alias Quad = vec4<f32>;
// Four quads, one for each of four steps of k.
alias Block = mat4x4<f32>;

const TILE_ROWS: u32 = 32u;
const TILE_COLUMNS: u32 = 4u;
const STORE_ROWS: u32 = 2u;
const WORKGROUP: u32 = 8u;
const LEFT_DEPTH_FASTEST: bool = true;
const RIGHT_DEPTH_FASTEST: bool = false;
// True if eight columns of `right` are loaded together, and stored.
const RIGHT_EIGHTS: bool = false;
const STORE_EIGHTS: bool = false;
// Elements of `right` in a panel: a megabyte of f32.
const PANEL: u32 = 262144u;

struct Params {
    batches: u32,
    // Batches that are added up.
    summed: u32,
    rows: u32,
    columns: u32,
    depth: u32,
    left_row_stride: u32,
    left_depth_stride: u32,
    left_batch_stride: u32,
    right_depth_stride: u32,
    right_column_stride: u32,
    right_batch_stride: u32,
    // First elements of the views, tiles across, and the number of the grid's first layer.
    left_offset: u32,
    right_offset: u32,
    column_tiles: u32,
    first_layer: u32,
}

@group(0) @binding(0) var<storage, read> left: array<LeftElement>;
@group(0) @binding(1) var<storage, read> right: array<RightElement>;
@group(0) @binding(2) var<storage, read_write> output: array<Stored>;
@group(0) @binding(3) var<uniform> params: Params;

#import matmul_place
#import eight
#import store_eight

fn load_left(first: u32, second: u32, third: u32, fourth: u32) -> Quad {
    return Quad(f32(left[first]), f32(left[second]), f32(left[third]), f32(left[fourth]));
}

fn load_right(first: u32, second: u32, third: u32, fourth: u32) -> Quad {
    return Quad(f32(right[first]), f32(right[second]), f32(right[third]), f32(right[fourth]));
}

fn load_right_eight(first: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        load_right(first, first + 1u, first + 2u, first + 3u),
        load_right(first + 4u, first + 5u, first + 6u, first + 7u),
    );
}

fn store_output(index: u32, value: f32) {
    output[index] = Result(value);
}

// Four positions from `first` on; past the last one, that again: the values read there reach no sum, or only those that are not
// stored.
fn four(first: u32, count: u32, stride: u32) -> vec4<u32> {
    return min(vec4(first) + vec4(0u, 1u, 2u, 3u), vec4(count - 1u)) * stride;
}

// The block with zeros past the end of k.
fn within(block: Block, k: u32) -> Block {
    return Block(
        block[0],
        select(Quad(), block[1], k + 1u < params.depth),
        select(Quad(), block[2], k + 2u < params.depth),
        select(Quad(), block[3], k + 3u < params.depth),
    );
}

fn left_block(base: u32, row: u32, k: u32) -> Block {
    let rows = base + four(row, params.rows, params.left_row_stride);
    let depths = four(k, params.depth, params.left_depth_stride);
    if (LEFT_DEPTH_FASTEST) {
        return within(transpose(Block(
            load_left(rows.x + depths.x, rows.x + depths.y, rows.x + depths.z, rows.x + depths.w),
            load_left(rows.y + depths.x, rows.y + depths.y, rows.y + depths.z, rows.y + depths.w),
            load_left(rows.z + depths.x, rows.z + depths.y, rows.z + depths.z, rows.z + depths.w),
            load_left(rows.w + depths.x, rows.w + depths.y, rows.w + depths.z, rows.w + depths.w),
        )), k);
    }
    return within(Block(
        load_left(rows.x + depths.x, rows.y + depths.x, rows.z + depths.x, rows.w + depths.x),
        load_left(rows.x + depths.y, rows.y + depths.y, rows.z + depths.y, rows.w + depths.y),
        load_left(rows.x + depths.z, rows.y + depths.z, rows.z + depths.z, rows.w + depths.z),
        load_left(rows.x + depths.w, rows.y + depths.w, rows.z + depths.w, rows.w + depths.w),
    ), k);
}

// The block with the column of ones, if there is one.
fn with_ones(block: Block, column: u32) -> Block {
    let is_one = vec4<bool>(ONES == 1u) & (vec4(column) + vec4(0u, 1u, 2u, 3u) == vec4(params.columns - 1u));
    let ones = Quad(1.0);
    return Block(
        select(block[0], ones, is_one),
        select(block[1], ones, is_one),
        select(block[2], ones, is_one),
        select(block[3], ones, is_one),
    );
}

fn right_block(base: u32, column: u32, k: u32) -> Block {
    let columns = base + four(column, params.columns - ONES, params.right_column_stride);
    let depths = four(k, params.depth, params.right_depth_stride);
    if (RIGHT_DEPTH_FASTEST) {
        return within(with_ones(transpose(Block(
            load_right(columns.x + depths.x, columns.x + depths.y, columns.x + depths.z, columns.x + depths.w),
            load_right(columns.y + depths.x, columns.y + depths.y, columns.y + depths.z, columns.y + depths.w),
            load_right(columns.z + depths.x, columns.z + depths.y, columns.z + depths.z, columns.z + depths.w),
            load_right(columns.w + depths.x, columns.w + depths.y, columns.w + depths.z, columns.w + depths.w),
        )), column), k);
    }
    return within(with_ones(Block(
        load_right(columns.x + depths.x, columns.y + depths.x, columns.z + depths.x, columns.w + depths.x),
        load_right(columns.x + depths.y, columns.y + depths.y, columns.z + depths.y, columns.w + depths.y),
        load_right(columns.x + depths.z, columns.y + depths.z, columns.z + depths.z, columns.w + depths.z),
        load_right(columns.x + depths.w, columns.y + depths.w, columns.z + depths.w, columns.w + depths.w),
    ), column), k);
}

// The eight columns from `column` on, or the last eight past those, for four steps of k.
fn right_eights(base: u32, column: u32, k: u32) -> array<mat2x4<f32>, 4> {
    let start = base + min(column, params.columns - ONES - 8u);
    let depths = four(k, params.depth, params.right_depth_stride);
    return array(
        load_right_eight(start + depths.x),
        load_right_eight(start + depths.y),
        load_right_eight(start + depths.z),
        load_right_eight(start + depths.w),
    );
}

// A block as the bits of `Sum`s. Set by the host for whole numbers.
fn factors(block: Block) -> Block {
    return block;
}

// The tile that a workgroup computes, x across and y down, in a grid of tiles.
fn tile_of(number: u32, grid: vec2<u32>) -> vec2<u32> {
    let widest = clamp(PANEL / (WORKGROUP * TILE_COLUMNS * max(params.depth, 1u)), 1u, grid.x);
    let panel = number / (widest * grid.y);
    let place = number % (widest * grid.y);
    let width = min(widest, grid.x - panel * widest);
    return vec2(panel * widest + place % width, place / width);
}

@compute @workgroup_size(WORKGROUP)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let layer = params.first_layer + group.z;
    let first_batch = layer * params.summed;
    let grid = vec2(params.column_tiles, (params.rows + TILE_ROWS - 1u) / TILE_ROWS);
    let number = group.y * groups.x + group.x;
    let tile = tile_of(min(number, grid.x * grid.y - 1u), grid);
    let first_row = select(params.rows, tile.y * TILE_ROWS, number < grid.x * grid.y);
    let first_column = (tile.x * WORKGROUP + local) * TILE_COLUMNS;
    var left_base = params.left_offset + first_batch * params.left_batch_stride;
    var right_base = params.right_offset + first_batch * params.right_batch_stride;
    // One loop over batches and k: with nested loops the sums would be variables of both.
    let steps = min(params.summed, params.batches - first_batch) * ((params.depth + 3u) / 4u);
    var k = 0u;

    var sum: array<Sum, TILE_ROWS * TILE_COLUMNS>;
    for (var step = 0u; step < steps; step++) {
        var rows: array<Block, TILE_ROWS / 32u>;
        for (var i = 0u; i < TILE_ROWS / 32u; i++) { // unroll
            rows[i] = factors(left_block(left_base, first_row + i * 32u + (lane & 7u) * 4u, k));
        }
        var columns: array<Block, TILE_COLUMNS / 4u>;
        if (RIGHT_EIGHTS) {
            for (var j = 0u; j < TILE_COLUMNS / 8u; j++) { // unroll
                let first = first_column + j * 8u;
                let eights = right_eights(right_base, first, k);
                columns[2u * j] =
                    factors(within(with_ones(Block(eights[0][0], eights[1][0], eights[2][0], eights[3][0]), first), k));
                columns[2u * j + 1u] =
                    factors(within(with_ones(Block(eights[0][1], eights[1][1], eights[2][1], eights[3][1]), first + 4u), k));
            }
        } else {
            for (var j = 0u; j < TILE_COLUMNS / 4u; j++) { // unroll
                columns[j] = factors(right_block(right_base, first_column + j * 4u, k));
            }
        }
        for (var i = 0u; i < TILE_ROWS; i++) { // unroll
            var a: array<f32, 4u>;
            for (var s = 0u; s < 4u; s++) { // unroll
                a[s] = subgroupShuffle(rows[i / 32u][s][i % 4u], i % 32u / 4u);
            }
            for (var j = 0u; j < TILE_COLUMNS; j++) { // unroll
                for (var s = 0u; s < 4u; s++) { // unroll
                    sum[i * TILE_COLUMNS + j] += bitcast<Sum>(a[s]) * bitcast<Sum>(columns[j / 4u][s][j % 4u]);
                }
            }
        }
        k += 4u;
        let is_next = k >= params.depth;
        left_base += select(0u, params.left_batch_stride, is_next);
        right_base += select(0u, params.right_batch_stride, is_next);
        k = select(k, 0u, is_next);
    }

    if (STORE_EIGHTS) {
        // A loop over the rows would keep the sums in memory, which takes the loop over k twice as long.
        for (var i = 0u; i < TILE_ROWS; i++) { // unroll
            let row = first_row + i;
            for (var j = 0u; j < TILE_COLUMNS / 8u; j++) { // unroll
                let column = first_column + j * 8u;
                if ((row < params.rows) & (column < params.columns)) {
                    store_output_eight(
                        place(layer, row, column),
                        Quad(
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u]),
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 1u]),
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 2u]),
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 3u]),
                        ),
                        Quad(
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 4u]),
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 5u]),
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 6u]),
                            bitcast<f32>(sum[i * TILE_COLUMNS + j * 8u + 7u]),
                        ),
                    );
                }
            }
        }
    } else {
        // Stores take much code: a loop stores STORE_ROWS rows at a time and moves the others down.
        for (var block = 0u; block < TILE_ROWS; block += STORE_ROWS) { // rolled
            for (var i = 0u; i < STORE_ROWS; i++) { // unroll
                let row = first_row + block + i;
                for (var j = 0u; j < TILE_COLUMNS; j++) { // unroll
                    if ((row < params.rows) & (first_column + j < params.columns)) {
                        store_output(place(layer, row, first_column + j), bitcast<f32>(sum[i * TILE_COLUMNS + j]));
                    }
                }
            }
            for (var i = 0u; i < (TILE_ROWS - STORE_ROWS) * TILE_COLUMNS; i++) { // unroll
                sum[i] = sum[i + STORE_ROWS * TILE_COLUMNS];
            }
        }
    }
}
