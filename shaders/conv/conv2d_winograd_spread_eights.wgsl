// Winograd's convolution of 3 x 3 taps for adapters that run shaders on CPU cores: tiles of images, transformed.
//
//   tiles[t, c, n * TILES + tile] = (B d Bt)[t]
//
// with d the TAKES x TAKES numbers of plane input[first_image + n, c] from row tile_y * 4 - PAD_Y and column tile_x * 4 - PAD_X
// on, zeros outside, and t counting the 6 x 6 transformed numbers, in rows. With TAKES = 6 B is the transform of F(4x4, 3x3)'s
// input and tiles overlap by two; with TAKES = 4 it is that of F(3x3, 4x4)'s filter, since the gradient of the output is the
// filter in the gradient of the weight. input is [N, channels, height, width].
//
// An adapter of this kind loads and stores for one invocation after the other, one number at a time, and takes no longer for one
// of 64 bits than for one of 32. So an invocation transforms a run of eight tiles, RUN_X across and RUN_Y down, which are
// neighbours in the result; TILES is eight times `runs`, tiles past the plane's edges included. With EIGHTS rows are loaded eight
// numbers at a time too, except for the two numbers next to those: then `width` is a multiple of 8, RUN_X at least 2, and PAD_X
// at most 2.
//
// Grid: ceil(images * channels * runs / 8) groups, folded past 65,535.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias Element = f32;
alias Loaded = Element;
alias Transformed = f32;
alias Quad = vec4<f32>;

const PAD_Y: u32 = 1u;
const PAD_X: u32 = 1u;
const TAKES: u32 = 6u;
const RUN_X: u32 = 4u;
const RUN_Y: u32 = 2u;
const EIGHTS: bool = false;

const OVERLAP: u32 = TAKES - 4u;
// Columns that a run sees.
const SEGMENT: u32 = 4u * RUN_X + OVERLAP;

struct Params {
    channels: u32,
    first_image: u32,
    images: u32,
    height: u32,
    width: u32,
    // Runs across a plane, and all runs of it.
    runs_x: u32,
    runs: u32,
    // First element of the input in its storage.
    input_offset: u32,
}

@group(0) @binding(0) var<storage, read> input: array<Loaded>;
@group(0) @binding(1) var<storage, read_write> tiles: array<Transformed>;
@group(0) @binding(2) var<uniform> params: Params;

#import eight

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

// The eight numbers from `index` on, a multiple of eight.
fn load_input_eight(index: u32) -> mat2x4<f32> {
    return mat2x4<f32>(
        load_input(index), load_input(index + 1u), load_input(index + 2u), load_input(index + 3u),
        load_input(index + 4u), load_input(index + 5u), load_input(index + 6u), load_input(index + 7u),
    );
}

fn store_tiles_eight(index: u32, low: Quad, high: Quad) {
    for (var i = 0u; i < 4u; i++) {
        tiles[index + i] = low[i];
        tiles[index + 4u + i] = high[i];
    }
}

fn transform(d: array<f32, TAKES>) -> array<f32, 6> {
    let even = d[4] - 4.0 * d[2];
    let odd = d[3] - 4.0 * d[1];
    let far_even = d[4] - d[2];
    let far_odd = 2.0 * (d[3] - d[1]);
    return array(4.0 * d[0] - 5.0 * d[2] + d[4], even + odd, even - odd, far_even + far_odd, far_even - far_odd,
        4.0 * d[1] - 5.0 * d[3] + d[5]);
}

// Column `x` of a row, 0 outside. Unsigned arithmetic wraps: a position left of the input is a huge number, not below the size.
fn column_of(row_start: u32, x: u32, row_inside: bool) -> f32 {
    let inside = row_inside & (x < params.width);
    return select(0.0, load_input(select(0u, row_start + x, inside)), inside);
}

// The columns of a row that a run sees, from `first_x` - PAD_X on.
fn segment(row_start: u32, first_x: u32, row_inside: bool) -> array<f32, SEGMENT> {
    var loaded: array<f32, SEGMENT>;
    if (EIGHTS) {
        for (var e = 0u; e < RUN_X / 2u; e++) { // unroll
            let inside = row_inside & (first_x + 8u * e < params.width);
            let eight = load_input_eight(select(0u, row_start + first_x + 8u * e, inside));
            for (var i = 0u; i < 4u; i++) { // unroll
                loaded[PAD_X + 8u * e + i] = select(0.0, eight[0][i], inside);
                loaded[PAD_X + 8u * e + 4u + i] = select(0.0, eight[1][i], inside);
            }
        }
        for (var j = 0u; j < OVERLAP; j++) { // unroll
            if (j < PAD_X) {
                loaded[j] = column_of(row_start, first_x + j - PAD_X, row_inside);
            } else {
                loaded[4u * RUN_X + j] = column_of(row_start, first_x + 4u * RUN_X + j - PAD_X, row_inside);
            }
        }
    } else {
        for (var j = 0u; j < SEGMENT; j++) { // unroll
            loaded[j] = column_of(row_start, first_x + j - PAD_X, row_inside);
        }
    }
    return loaded;
}

@compute @workgroup_size(8)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let index = (group.y * groups.x + group.x) * 8u + local;
    if (index >= params.images * params.channels * params.runs) {
        return;
    }
    // Runs of a plane fastest, then channels: neighbours store next to each other.
    let run = index % params.runs;
    let channel = index / params.runs % params.channels;
    let image = index / (params.runs * params.channels);
    let first_x = run % params.runs_x * RUN_X * 4u;
    let first_y = run / params.runs_x * RUN_Y * 4u - PAD_Y;
    let plane = ((params.first_image + image) * params.channels + channel) * params.height * params.width;

    // Loads and stores take much code: loops load one row and store one, and move the others.
    var columns: array<array<f32, 6>, RUN_Y * SEGMENT>;
    for (var r = 0u; r < RUN_Y; r++) { // unroll
        var rows: array<array<f32, SEGMENT>, TAKES>;
        for (var y = 0u; y < TAKES; y++) { // rolled
            for (var moved = 0u; moved < TAKES - 1u; moved++) { // unroll
                rows[moved] = rows[moved + 1u];
            }
            let row = first_y + r * 4u + y;
            rows[TAKES - 1u] = segment(plane + row * params.width, first_x, row < params.height);
        }
        for (var x = 0u; x < SEGMENT; x++) { // unroll
            var column: array<f32, TAKES>;
            for (var y = 0u; y < TAKES; y++) { // unroll
                column[y] = rows[y][x];
            }
            columns[r * SEGMENT + x] = transform(column);
        }
    }
    let row_length = params.images * params.runs * 8u;
    let start = channel * row_length + 8u * (image * params.runs + run);
    for (var y = 0u; y < 6u; y++) { // rolled
        var eights: array<array<f32, 6>, 8>;
        for (var k = 0u; k < 8u; k++) { // unroll
            var row: array<f32, TAKES>;
            for (var x = 0u; x < TAKES; x++) { // unroll
                row[x] = columns[k / RUN_X * SEGMENT + k % RUN_X * 4u + x][0];
            }
            eights[k] = transform(row);
        }
        for (var x = 0u; x < 6u; x++) { // unroll
            let low = Quad(eights[0][x], eights[1][x], eights[2][x], eights[3][x]);
            let high = Quad(eights[4][x], eights[5][x], eights[6][x], eights[7][x]);
            store_tiles_eight(start + (y * 6u + x) * params.channels * row_length, low, high);
        }
        for (var column = 0u; column < RUN_Y * SEGMENT; column++) { // unroll
            for (var moved = 0u; moved < 5u; moved++) { // unroll
                columns[column][moved] = columns[column][moved + 1u];
            }
        }
    }
}
