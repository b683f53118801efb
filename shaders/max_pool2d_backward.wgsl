// Gradient of 2-D max pooling: what goes to an element of the input is the sum over the windows whose maximum it is.
//
//   output[n, c, y, x] = sum over windows (v, u) with index[n, c, v, u] = y * IN_WIDTH + x of grad[n, c, v, u]
//
// grad and index are contiguous [planes, OUT_HEIGHT, OUT_WIDTH] from their offsets, output [planes, IN_HEIGHT,
// IN_WIDTH].
//
// One invocation computes one element: it looks at the at most WINDOWS_Y x WINDOWS_X windows that cover it, from
// the last on, in blocks of BLOCK_Y x BLOCK_X. No atomics, so the order of the sum is always the same.

const IN_HEIGHT: u32 = 28u;
const IN_WIDTH: u32 = 28u;
const OUT_HEIGHT: u32 = 14u;
const OUT_WIDTH: u32 = 14u;
const STRIDE_Y: u32 = 2u;
const STRIDE_X: u32 = 2u;
const PAD_Y: u32 = 0u;
const PAD_X: u32 = 0u;
// Windows of one dimension that can cover an element.
const WINDOWS_Y: u32 = 1u;
const WINDOWS_X: u32 = 1u;
const BLOCK_Y: u32 = 1u;
const BLOCK_X: u32 = 1u;

struct Params {
    count: u32,
    grad_offset: u32,
    index_offset: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read> index: array<i32>;
@group(0) @binding(3) var<storage, read_write> output: array<f32>;

fn load_grad(place: u32) -> f32 { return grad[params.grad_offset + place]; }

fn load_index(place: u32) -> u32 { return u32(index[params.index_offset + place]); }

@compute @workgroup_size(64)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = (group.x + group.y * groups.x) * 64u + lane;
    if (place >= params.count) {
        return;
    }
    let plane = place / (IN_HEIGHT * IN_WIDTH) * (OUT_HEIGHT * OUT_WIDTH);
    let here = place % (IN_HEIGHT * IN_WIDTH);
    let last_y = (here / IN_WIDTH + PAD_Y) / STRIDE_Y;
    let last_x = (here % IN_WIDTH + PAD_X) / STRIDE_X;
    var sum = 0.0;
    for (var first_j = 0u; first_j < WINDOWS_Y; first_j += BLOCK_Y) {
        for (var first_i = 0u; first_i < WINDOWS_X; first_i += BLOCK_X) {
            for (var j = 0u; j < BLOCK_Y; j++) { // unroll
                for (var i = 0u; i < BLOCK_X; i++) { // unroll
                    // Unsigned arithmetic wraps: a window before the first is a huge number, not below the size.
                    let y = last_y - first_j - j;
                    let x = last_x - first_i - i;
                    let inside = (first_j + j < WINDOWS_Y) & (first_i + i < WINDOWS_X) & (y < OUT_HEIGHT) & (x < OUT_WIDTH);
                    let at = plane + select(0u, y * OUT_WIDTH + x, inside);
                    sum += select(0.0, load_grad(at), inside & (load_index(at) == here));
                }
            }
        }
    }
    output[place] = sum;
}
