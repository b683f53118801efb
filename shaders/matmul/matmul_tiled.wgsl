// Matrix product for GPUs: tiles in workgroup memory, blocks of sums in registers.
//
//   output[b, m, n] = sum over k of  left[b, m, k] * right[b, k, n]
//
// left is any strided view of [BATCH, rows, depth], right of [BATCH, depth, columns]; the stride of a dimension is the number of
// elements by which its index moves, so a transposed view needs no copy. output is contiguous [splits, BATCH, rows, columns]:
// depth may be split into `splits` parts of `part_depth`, a multiple of TILE_DEPTH, whose sums another kernel adds up.
// Accumulators are f32; each sum runs over k in increasing order.
//
// A workgroup of THREADS_X x THREADS_Y invocations computes TILE_ROWS x TILE_COLUMNS sums. It goes through k in steps of
// TILE_DEPTH: while all invocations multiply the step in workgroup memory, each is already loading its quads (four neighbours) of
// the next step into registers. An invocation computes ROW_QUADS quads of rows and COLUMN_QUADS quads of columns, THREADS_Y and
// THREADS_X quads apart, so that neighbours read neighbouring quads of workgroup memory. Quads run along rows or columns there;
// those of step k are permuted by an exclusive or, so that quads that were loaded along k are spread over the banks when they are
// written, too.
//
// LEFT_DEPTH_FASTEST and RIGHT_COLUMN_FASTEST select the dimension along which a quad is loaded; set them to the dimension whose
// stride is 1. If all other strides, the offset and that dimension's size are multiples of 4, the operand can be bound as vectors
// of four, and `load_left` and `load_right` take one of them.
//
// THREADS_X and THREADS_Y must be powers of two and at least 8; TILE_ROWS * TILE_DEPTH and TILE_COLUMNS * TILE_DEPTH multiples of
// four times their product. Grid: z = batches * splits; x and y together, y slowest, count the tiles of a product, columns
// fastest. Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias LeftElement = f32;
alias RightElement = f32;
alias Result = f32;
alias Quad = vec4<f32>;
// k, and a row or a column.
alias Place = vec2<u32>;

const THREADS_X: u32 = 16u;
const THREADS_Y: u32 = 16u;
const ROW_QUADS: u32 = 2u;
const COLUMN_QUADS: u32 = 2u;
const TILE_DEPTH: u32 = 16u;
const LEFT_DEPTH_FASTEST: bool = true;
const RIGHT_COLUMN_FASTEST: bool = true;

// Distance along k between neighbours of a quad; along rows or columns it is the other of 0 and 1.
const LEFT_ALONG_K: u32 = select(0u, 1u, LEFT_DEPTH_FASTEST);
const RIGHT_ALONG_K: u32 = select(1u, 0u, RIGHT_COLUMN_FASTEST);
const THREADS: u32 = THREADS_X * THREADS_Y;
const TILE_ROWS: u32 = THREADS_Y * ROW_QUADS * 4u;
const TILE_COLUMNS: u32 = THREADS_X * COLUMN_QUADS * 4u;
// Quads of one step of k in workgroup memory, and those that one invocation loads for a step of TILE_DEPTH.
const LEFT_PITCH: u32 = TILE_ROWS / 4u;
const RIGHT_PITCH: u32 = TILE_COLUMNS / 4u;
const LEFT_LOADS: u32 = LEFT_PITCH * TILE_DEPTH / THREADS;
const RIGHT_LOADS: u32 = RIGHT_PITCH * TILE_DEPTH / THREADS;

@group(0) @binding(0) var<storage, read> left: array<LeftElement>;
@group(0) @binding(1) var<storage, read> right: array<RightElement>;

#import matmul_parts
#import matmul_place

var<workgroup> left_tile: array<Quad, TILE_DEPTH * LEFT_PITCH>;
var<workgroup> right_tile: array<Quad, TILE_DEPTH * RIGHT_PITCH>;

fn load_left(first: u32, second: u32, third: u32, fourth: u32) -> Quad {
    return Quad(f32(left[first]), f32(left[second]), f32(left[third]), f32(left[fourth]));
}

fn load_right(first: u32, second: u32, third: u32, fourth: u32) -> Quad {
    return Quad(f32(right[first]), f32(right[second]), f32(right[third]), f32(right[fourth]));
}

// The part of a tile that an invocation copies as its quad number `i`: k and row.
fn left_place(i: u32) -> Place {
    if (LEFT_DEPTH_FASTEST) {
        return vec2(i % (TILE_DEPTH / 4u) * 4u, i / (TILE_DEPTH / 4u));
    }
    return vec2(i / LEFT_PITCH, i % LEFT_PITCH * 4u);
}

// k and column.
fn right_place(i: u32) -> Place {
    if (RIGHT_COLUMN_FASTEST) {
        return vec2(i / RIGHT_PITCH, i % RIGHT_PITCH * 4u);
    }
    return vec2(i % (TILE_DEPTH / 4u) * 4u, i / (TILE_DEPTH / 4u));
}

// Indices past the edge are clamped: rows and columns read there affect only sums that are not stored.
fn left_index(base: u32, k: u32, row: u32) -> u32 {
    return base + min(row, params.rows - 1u) * params.left_row_stride
        + min(k, params.depth - 1u) * params.left_depth_stride;
}

fn right_index(base: u32, k: u32, column: u32) -> u32 {
    return base + min(k, params.depth - 1u) * params.right_depth_stride
        + min(column, params.columns - 1u - ONES) * params.right_column_stride;
}

fn left_quad(base: u32, at: Place) -> Quad {
    let step = vec2(LEFT_ALONG_K, 1u - LEFT_ALONG_K);
    return load_left(
        left_index(base, at.x, at.y),
        left_index(base, at.x + step.x, at.y + step.y),
        left_index(base, at.x + 2u * step.x, at.y + 2u * step.y),
        left_index(base, at.x + 3u * step.x, at.y + 3u * step.y),
    );
}

fn right_quad(base: u32, at: Place) -> Quad {
    let step = vec2(RIGHT_ALONG_K, 1u - RIGHT_ALONG_K);
    let loaded = load_right(
        right_index(base, at.x, at.y),
        right_index(base, at.x + step.x, at.y + step.y),
        right_index(base, at.x + 2u * step.x, at.y + 2u * step.y),
        right_index(base, at.x + 3u * step.x, at.y + 3u * step.y),
    );
    let columns = vec4(at.y) + step.y * vec4(0u, 1u, 2u, 3u);
    return select(loaded, Quad(1.0), vec4<bool>(ONES == 1u) & (columns == vec4(params.columns - 1u)));
}

// The permutation of the quads of step k: 0, 2, 4 or 6.
fn permutation(k: u32) -> u32 {
    return (k / 2u) & 6u;
}

@compute @workgroup_size(THREADS_X, THREADS_Y)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_id) local: vec3<u32>,
    @builtin(local_invocation_index) local_index: u32,
) {
    let batch = params.first_batch + group.z / params.splits;
    let split = group.z % params.splits;
    let tile = group.x + group.y * groups.x;
    let first_row = tile / params.column_tiles * TILE_ROWS;
    let first_column = tile % params.column_tiles * TILE_COLUMNS;
    if (first_row >= params.rows) {
        return;
    }
    let left_base = params.left_offset + batch * params.left_batch_stride;
    let right_base = params.right_offset + batch * params.right_batch_stride;
    let start = split * params.part_depth;
    let end = min(params.depth, start + params.part_depth);

    // For each quad that this invocation copies: k and row or column within a tile, and the index in workgroup memory.
    var left_at: array<Place, LEFT_LOADS>;
    var left_to: array<u32, LEFT_LOADS>;
    for (var i = 0u; i < LEFT_LOADS; i++) { // unroll
        left_at[i] = left_place(local_index + i * THREADS);
        left_to[i] = left_at[i].x * LEFT_PITCH + ((left_at[i].y / 4u) ^ permutation(left_at[i].x));
    }
    var right_at: array<Place, RIGHT_LOADS>;
    var right_to: array<u32, RIGHT_LOADS>;
    for (var i = 0u; i < RIGHT_LOADS; i++) { // unroll
        right_at[i] = right_place(local_index + i * THREADS);
        right_to[i] = right_at[i].x * RIGHT_PITCH + ((right_at[i].y / 4u) ^ permutation(right_at[i].x));
    }
    // The quads of the next step.
    var next_left: array<Quad, LEFT_LOADS>;
    var next_right: array<Quad, RIGHT_LOADS>;
    if (start < end) {
        for (var i = 0u; i < LEFT_LOADS; i++) { // unroll
            next_left[i] = left_quad(left_base, left_at[i] + vec2(start, first_row));
        }
        for (var i = 0u; i < RIGHT_LOADS; i++) { // unroll
            next_right[i] = right_quad(right_base, right_at[i] + vec2(start, first_column));
        }
    }

    var sum: array<Quad, ROW_QUADS * 4u * COLUMN_QUADS>;
    for (var first_k = start; first_k < end; first_k += TILE_DEPTH) {
        if (first_k + TILE_DEPTH > end) {
            for (var i = 0u; i < LEFT_LOADS; i++) { // unroll
                next_left[i] = within(next_left[i], first_k + left_at[i].x, LEFT_ALONG_K, end);
            }
            for (var i = 0u; i < RIGHT_LOADS; i++) { // unroll
                next_right[i] = within(next_right[i], first_k + right_at[i].x, RIGHT_ALONG_K, end);
            }
        }
        for (var i = 0u; i < LEFT_LOADS; i++) { // unroll
            if (LEFT_DEPTH_FASTEST) {
                for (var j = 0u; j < 4u; j++) { // unroll
                    left_tile[left_to[i] + j * LEFT_PITCH][left_at[i].y % 4u] = next_left[i][j];
                }
            } else {
                left_tile[left_to[i]] = next_left[i];
            }
        }
        for (var i = 0u; i < RIGHT_LOADS; i++) { // unroll
            if (RIGHT_COLUMN_FASTEST) {
                right_tile[right_to[i]] = next_right[i];
            } else {
                for (var j = 0u; j < 4u; j++) { // unroll
                    right_tile[right_to[i] + j * RIGHT_PITCH][right_at[i].y % 4u] = next_right[i][j];
                }
            }
        }
        workgroupBarrier();
        if (first_k + TILE_DEPTH < end) {
            for (var i = 0u; i < LEFT_LOADS; i++) { // unroll
                next_left[i] = left_quad(left_base, left_at[i] + vec2(first_k + TILE_DEPTH, first_row));
            }
            for (var i = 0u; i < RIGHT_LOADS; i++) { // unroll
                next_right[i] = right_quad(right_base, right_at[i] + vec2(first_k + TILE_DEPTH, first_column));
            }
        }
        for (var quad = 0u; quad < TILE_DEPTH; quad += 4u) {
            let left_first = quad * LEFT_PITCH + (local.y ^ permutation(quad));
            let right_first = quad * RIGHT_PITCH + (local.x ^ permutation(quad));
            for (var k = 0u; k < 4u; k++) { // unroll
                var b: array<Quad, COLUMN_QUADS>;
                for (var j = 0u; j < COLUMN_QUADS; j++) { // unroll
                    b[j] = right_tile[right_first + k * RIGHT_PITCH + j * THREADS_X];
                }
                var a: array<Quad, ROW_QUADS>;
                for (var i = 0u; i < ROW_QUADS; i++) { // unroll
                    a[i] = left_tile[left_first + k * LEFT_PITCH + i * THREADS_Y];
                }
                for (var i = 0u; i < ROW_QUADS; i++) { // unroll
                    for (var r = 0u; r < 4u; r++) { // unroll
                        for (var j = 0u; j < COLUMN_QUADS; j++) { // unroll
                            sum[(i * 4u + r) * COLUMN_QUADS + j] += a[i][r] * b[j];
                        }
                    }
                }
            }
        }
        workgroupBarrier();
    }

    // A loop stores one row and moves the others down, so that the code of stores is there only once.
    let layer = split * params.batches + batch;
    for (var i = 0u; i < ROW_QUADS * 4u; i++) {
        let row = first_row + (i / 4u * THREADS_Y + local.y) * 4u + i % 4u;
        for (var j = 0u; j < COLUMN_QUADS; j++) { // unroll
            let column = first_column + (j * THREADS_X + local.x) * 4u;
            for (var c = 0u; c < 4u; c++) { // unroll
                if ((row < params.rows) & (column + c < params.columns)) {
                    store_output(place(layer, row, column + c), sum[j][c]);
                }
            }
        }
        for (var j = 0u; j < (ROW_QUADS * 4u - 1u) * COLUMN_QUADS; j++) { // unroll
            sum[j] = sum[j + COLUMN_QUADS];
        }
    }
}
