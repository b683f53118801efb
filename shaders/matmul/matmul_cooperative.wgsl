// Matrix product of 16-bit floats for GPUs that multiply small matrices in hardware.
//
//   output[b, m, n] = sum over k of  left[b, m, k] * right[b, k, n]
//
// left is a view of [BATCH, rows, depth], right of [BATCH, depth, columns], read as vectors of four: one of the inner strides is
// 1, that dimension's size, all other strides and the offset are multiples of 4. output is contiguous [splits, BATCH, rows,
// columns]: depth may be split into `splits` parts of `part_depth`, a multiple of TILE_DEPTH, whose sums another kernel adds up.
// Accumulators are f32.
//
// A workgroup of 2 x 2 subgroups computes TILE_ROWS x TILE_COLUMNS sums, a subgroup FRAGMENTS x FRAGMENTS matrices of 16 x 16.
// Tiles of both operands are in workgroup memory as they were loaded, along k or across, with 16 bytes between the lines to
// spread them over the banks; meanwhile the next step's are being loaded into registers. The finished sums go through workgroup
// memory too, so that edges are clipped and every element is stored by itself.
//
// Needs f16, cooperative matrices of 16 x 16 x 16 (f16 in, f32 accumulate) and subgroups of exactly SUBGROUP
// invocations.
// Grid: z = batches * splits; x and y together, y slowest, count the tiles of a product, columns fastest.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

enable wgpu_cooperative_matrix;

alias Result = f16;
alias Quad = vec4<f16>;
// k, and a row or a column.
alias Place = vec2<u32>;
alias LeftMatrix = coop_mat16x16<f16, A>;
alias RightMatrix = coop_mat16x16<f16, B>;
alias Sums = coop_mat16x16<f32, C>;

const SUBGROUP: u32 = 32u;
const FRAGMENTS: u32 = 4u;
const LEFT_DEPTH_FASTEST: bool = true;
const RIGHT_COLUMN_FASTEST: bool = true;

const SIDE: u32 = 16u;
const TILE_DEPTH: u32 = 16u;
const THREADS: u32 = 4u * SUBGROUP;
const TILE: u32 = 2u * FRAGMENTS * SIDE;
// Quads of a line in workgroup memory, 16 bytes longer than its values: a line is a row or a step of k.
const DEPTH_PITCH: u32 = TILE_DEPTH / 4u + 2u;
const ACROSS_PITCH: u32 = TILE / 4u + 2u;
const LEFT_PITCH: u32 = select(ACROSS_PITCH, DEPTH_PITCH, LEFT_DEPTH_FASTEST);
const RIGHT_PITCH: u32 = select(DEPTH_PITCH, ACROSS_PITCH, RIGHT_COLUMN_FASTEST);
const LEFT_LINES: u32 = select(TILE_DEPTH, TILE, LEFT_DEPTH_FASTEST);
const RIGHT_LINES: u32 = select(TILE, TILE_DEPTH, RIGHT_COLUMN_FASTEST);
const LEFT_ALONG_K: u32 = select(0u, 1u, LEFT_DEPTH_FASTEST);
const RIGHT_ALONG_K: u32 = select(1u, 0u, RIGHT_COLUMN_FASTEST);
// Quads of each operand that one invocation loads for a step.
const LOADS: u32 = TILE * TILE_DEPTH / 4u / THREADS;

@group(0) @binding(0) var<storage, read> left: array<Quad>;
@group(0) @binding(1) var<storage, read> right: array<Quad>;

#import matmul_parts

var<workgroup> left_tile: array<Quad, LEFT_LINES * LEFT_PITCH>;
var<workgroup> right_tile: array<Quad, RIGHT_LINES * RIGHT_PITCH>;
var<workgroup> finished: array<f32, 4u * SIDE * SIDE>;

// The part of a tile that an invocation copies as its quad number `i`, and its destination.
fn place(i: u32, is_along_k: bool) -> Place {
    if (is_along_k) {
        return vec2(i % (TILE_DEPTH / 4u) * 4u, i / (TILE_DEPTH / 4u));
    }
    return vec2(i / (TILE / 4u), i % (TILE / 4u) * 4u);
}

fn line(at: Place, is_along_k: bool) -> u32 {
    if (is_along_k) {
        return at.y * DEPTH_PITCH + at.x / 4u;
    }
    return at.x * ACROSS_PITCH + at.y / 4u;
}

// Indices past the edge are clamped: rows and columns read there affect only sums that are not stored.
fn left_quad(base: u32, at: Place) -> Quad {
    let index = base + min(at.x, params.depth - 1u) * params.left_depth_stride
        + min(at.y, params.rows - 1u) * params.left_row_stride;
    return left[index / 4u];
}

fn right_quad(base: u32, at: Place) -> Quad {
    let index = base + min(at.x, params.depth - 1u) * params.right_depth_stride
        + min(at.y, params.columns - 1u) * params.right_column_stride;
    return right[index / 4u];
}

// Stores the 16 x 16 sums that this subgroup left in workgroup memory.
fn store_finished(first: u32, lane: u32, layer: u32, first_row: u32, first_column: u32) {
    for (var i = lane; i < SIDE * SIDE; i += SUBGROUP) {
        let row = first_row + i / SIDE;
        let column = first_column + i % SIDE;
        if ((row < params.rows) & (column < params.columns)) {
            store_output((layer + row) * params.columns + column, finished[first + i]);
        }
    }
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
    @builtin(subgroup_id) subgroup: u32,
    @builtin(subgroup_invocation_id) lane: u32,
) {
    let batch = params.first_batch + group.z / params.splits;
    let split = group.z % params.splits;
    let tile = group.x + group.y * groups.x;
    let first_row = tile / params.column_tiles * TILE;
    let first_column = tile % params.column_tiles * TILE;
    if (first_row >= params.rows) {
        return;
    }
    let left_base = params.left_offset + batch * params.left_batch_stride;
    let right_base = params.right_offset + batch * params.right_batch_stride;
    let start = split * params.part_depth;
    let end = min(params.depth, start + params.part_depth);
    let own_row = subgroup / 2u * FRAGMENTS * SIDE;
    let own_column = subgroup % 2u * FRAGMENTS * SIDE;

    var left_at: array<Place, LOADS>;
    var right_at: array<Place, LOADS>;
    // The quads of the next step.
    var next_left: array<Quad, LOADS>;
    var next_right: array<Quad, LOADS>;
    for (var i = 0u; i < LOADS; i++) { // unroll
        left_at[i] = place(local + i * THREADS, LEFT_DEPTH_FASTEST);
        right_at[i] = place(local + i * THREADS, !RIGHT_COLUMN_FASTEST);
    }
    if (start < end) {
        for (var i = 0u; i < LOADS; i++) { // unroll
            next_left[i] = left_quad(left_base, left_at[i] + vec2(start, first_row));
            next_right[i] = right_quad(right_base, right_at[i] + vec2(start, first_column));
        }
    }

    var sums: array<Sums, FRAGMENTS * FRAGMENTS>;
    for (var first_k = start; first_k < end; first_k += TILE_DEPTH) {
        if (first_k + TILE_DEPTH > end) {
            for (var i = 0u; i < LOADS; i++) { // unroll
                next_left[i] = within(next_left[i], first_k + left_at[i].x, LEFT_ALONG_K, end);
                next_right[i] = within(next_right[i], first_k + right_at[i].x, RIGHT_ALONG_K, end);
            }
        }
        for (var i = 0u; i < LOADS; i++) { // unroll
            left_tile[line(left_at[i], LEFT_DEPTH_FASTEST)] = next_left[i];
            right_tile[line(right_at[i], !RIGHT_COLUMN_FASTEST)] = next_right[i];
        }
        workgroupBarrier();
        if (first_k + TILE_DEPTH < end) {
            for (var i = 0u; i < LOADS; i++) { // unroll
                next_left[i] = left_quad(left_base, left_at[i] + vec2(first_k + TILE_DEPTH, first_row));
                next_right[i] = right_quad(right_base, right_at[i] + vec2(first_k + TILE_DEPTH, first_column));
            }
        }
        var b: array<RightMatrix, FRAGMENTS>;
        for (var j = 0u; j < FRAGMENTS; j++) { // unroll
            if (RIGHT_COLUMN_FASTEST) {
                b[j] = coopLoadT<RightMatrix>(&right_tile[(own_column + j * SIDE) / 4u], RIGHT_PITCH);
            } else {
                b[j] = coopLoad<RightMatrix>(&right_tile[(own_column + j * SIDE) * RIGHT_PITCH], RIGHT_PITCH);
            }
        }
        for (var i = 0u; i < FRAGMENTS; i++) { // unroll
            var a: LeftMatrix;
            if (LEFT_DEPTH_FASTEST) {
                a = coopLoadT<LeftMatrix>(&left_tile[(own_row + i * SIDE) * LEFT_PITCH], LEFT_PITCH);
            } else {
                a = coopLoad<LeftMatrix>(&left_tile[(own_row + i * SIDE) / 4u], LEFT_PITCH);
            }
            for (var j = 0u; j < FRAGMENTS; j++) { // unroll
                sums[i * FRAGMENTS + j] = coopMultiplyAdd(a, b[j], sums[i * FRAGMENTS + j]);
            }
        }
        workgroupBarrier();
    }

    let layer = (split * params.batches + batch) * params.rows;
    let own = subgroup * SIDE * SIDE;
    for (var i = 0u; i < FRAGMENTS; i++) { // unroll
        for (var j = 0u; j < FRAGMENTS; j++) { // unroll
            coopStoreT(sums[i * FRAGMENTS + j], &finished[own], SIDE);
            workgroupBarrier();
            store_finished(own, lane, layer, first_row + own_row + i * SIDE, first_column + own_column + j * SIDE);
            workgroupBarrier();
        }
    }
}
