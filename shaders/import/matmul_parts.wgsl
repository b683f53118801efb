// The parameters and the result of a product in tiles: depth may be cut into `splits` parts of `part_depth`, a multiple of
// TILE_DEPTH, whose sums another kernel adds up. output is contiguous [splits, batches, rows, columns].

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
    column_tiles: u32,
    batches: u32,
    splits: u32,
    part_depth: u32,
    // First elements of the views, and the batch of the grid's first layer.
    left_offset: u32,
    right_offset: u32,
    first_batch: u32,
}

@group(0) @binding(2) var<storage, read_write> output: array<Result>;
@group(0) @binding(3) var<uniform> params: Params;

fn store_output(index: u32, value: f32) {
    output[index] = Result(value);
}

// Zeros for the numbers past the end of the sum; `along_k` is 1 if the quad runs along k.
fn within(quad: Quad, k: u32, along_k: u32, end: u32) -> Quad {
    return select(Quad(), quad, vec4(k) + along_k * vec4(0u, 1u, 2u, 3u) < vec4(end));
}
