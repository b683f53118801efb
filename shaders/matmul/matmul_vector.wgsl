// Product of a matrix and a few vectors, for GPUs.
//
//   output[b, i, v] = sum over k of  matrix[b, i, k] * vectors[b, v, k]      for v < VECTORS at most
//
// This is left * right if right has few columns (the matrix is left), and, read transposed, if left has few rows (the matrix is
// right). All operands are strided views; the stride of a dimension is the number of elements by which its index moves. output is
// contiguous in either of the two orders, according to its strides. Accumulators are f32.
//
// A workgroup of DEPTH_THREADS * COUNT_THREADS invocations computes COUNT_THREADS sums a vector if quads (four neighbours) of the
// matrix are loaded along k, and four times as many if they are loaded along i. Each invocation adds up every DEPTH_THREADS-th
// quad, in order; then the partial sums are added in a fixed order, by halves.
//
// DEPTH_FASTEST selects the dimension along which a quad is loaded; set it to the one whose stride is 1. If all other strides,
// the offset and that dimension's size are multiples of 4, the matrix can be bound as vectors of four, and `load_matrix` takes
// one of them. DEPTH_THREADS must be a power of two; the more bytes a workgroup has in flight the better, so each invocation
// loads STEPS quads at a time.
// Grid: z = batches; x and y together, y slowest, count the workgroups of a product.
// Loops marked `// unroll` have constant limits; the specialiser unrolls them.

alias MatrixElement = f32;
alias VectorElement = f32;
alias Result = f32;
alias Quad = vec4<f32>;

const DEPTH_THREADS: u32 = 64u;
const COUNT_THREADS: u32 = 4u;
const VECTORS: u32 = 1u;
const STEPS: u32 = 4u;
const DEPTH_FASTEST: bool = true;

const THREADS: u32 = DEPTH_THREADS * COUNT_THREADS;
// Distances along k and along i between neighbours of a quad, and between quads.
const ALONG_K: u32 = select(0u, 1u, DEPTH_FASTEST);
const ALONG_I: u32 = 1u - ALONG_K;
const QUAD_DEPTH: u32 = 1u + 3u * ALONG_K;
const QUAD_COUNT: u32 = 1u + 3u * ALONG_I;

struct Params {
    // Sums a vector, vectors, elements of a sum.
    count: u32,
    vectors: u32,
    depth: u32,
    matrix_count_stride: u32,
    matrix_depth_stride: u32,
    matrix_batch_stride: u32,
    vector_stride: u32,
    vector_depth_stride: u32,
    vector_batch_stride: u32,
    output_count_stride: u32,
    output_vector_stride: u32,
    // First elements of the views, and the batch of the grid's first layer.
    matrix_offset: u32,
    vector_offset: u32,
    first_batch: u32,
}

@group(0) @binding(0) var<storage, read> matrix: array<MatrixElement>;
@group(0) @binding(1) var<storage, read> vectors: array<VectorElement>;
@group(0) @binding(2) var<storage, read_write> output: array<Result>;
@group(0) @binding(3) var<uniform> params: Params;

var<workgroup> partial: array<Quad, THREADS>;

fn load_matrix(first: u32, second: u32, third: u32, fourth: u32) -> Quad {
    return Quad(f32(matrix[first]), f32(matrix[second]), f32(matrix[third]), f32(matrix[fourth]));
}

fn load_vector(index: u32) -> f32 {
    return f32(vectors[index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Result(value);
}

// Indices past the edge are clamped; values read past the end of k are replaced by zeros.
fn matrix_index(base: u32, i: u32, k: u32) -> u32 {
    return base + min(i, params.count - 1u) * params.matrix_count_stride
        + min(k, params.depth - 1u) * params.matrix_depth_stride;
}

fn vector_element(base: u32, k: u32) -> f32 {
    return select(0.0, load_vector(base + min(k, params.depth - 1u) * params.vector_depth_stride), k < params.depth);
}

@compute @workgroup_size(THREADS)
fn main(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    // Neighbouring invocations read neighbouring elements.
    let depth_thread = select(local / COUNT_THREADS, local % DEPTH_THREADS, DEPTH_FASTEST);
    let count_thread = select(local % COUNT_THREADS, local / DEPTH_THREADS, DEPTH_FASTEST);
    let i = ((group.x + group.y * groups.x) * COUNT_THREADS + count_thread) * QUAD_COUNT;
    let batch = params.first_batch + group.z;
    let matrix_base = params.matrix_offset + batch * params.matrix_batch_stride;
    let vector_base = params.vector_offset + batch * params.vector_batch_stride;

    var sum: array<Quad, VECTORS>;
    let stride = DEPTH_THREADS * QUAD_DEPTH;
    for (var first_k = depth_thread * QUAD_DEPTH; first_k < params.depth; first_k += STEPS * stride) {
        var quad: array<Quad, STEPS>;
        for (var step = 0u; step < STEPS; step++) { // unroll
            let k = first_k + step * stride;
            quad[step] = load_matrix(
                matrix_index(matrix_base, i, k),
                matrix_index(matrix_base, i + ALONG_I, k + ALONG_K),
                matrix_index(matrix_base, i + 2u * ALONG_I, k + 2u * ALONG_K),
                matrix_index(matrix_base, i + 3u * ALONG_I, k + 3u * ALONG_K),
            );
        }
        for (var step = 0u; step < STEPS; step++) { // unroll
            let k = first_k + step * stride;
            // A value past the end is multiplied by zero, and may be NaN or infinite.
            let inside = vec4(k) + ALONG_K * vec4(0u, 1u, 2u, 3u) < vec4(params.depth);
            let values = select(Quad(), quad[step], inside);
            for (var v = 0u; v < VECTORS; v++) { // unroll
                let base = vector_base + min(v, params.vectors - 1u) * params.vector_stride;
                var factor = Quad(vector_element(base, k));
                if (DEPTH_FASTEST) {
                    factor = Quad(factor.x, vector_element(base, k + 1u), vector_element(base, k + 2u),
                        vector_element(base, k + 3u));
                }
                sum[v] += values * factor;
            }
        }
    }

    for (var v = 0u; v < VECTORS; v++) { // unroll
        partial[depth_thread * COUNT_THREADS + count_thread] = sum[v];
        workgroupBarrier();
        for (var half = DEPTH_THREADS / 2u; half > 0u; half /= 2u) {
            if (depth_thread < half) {
                partial[depth_thread * COUNT_THREADS + count_thread] +=
                    partial[(depth_thread + half) * COUNT_THREADS + count_thread];
            }
            workgroupBarrier();
        }
        sum[v] = partial[count_thread];
        workgroupBarrier();
    }
    if (depth_thread != 0u) {
        return;
    }
    let first = batch * params.count * params.vectors;
    for (var v = 0u; v < VECTORS; v++) { // unroll
        let place = first + i * params.output_count_stride + v * params.output_vector_stride;
        if ((v < params.vectors) & (i < params.count)) {
            if (DEPTH_FASTEST) {
                store_output(place, (sum[v].x + sum[v].y) + (sum[v].z + sum[v].w));
            } else {
                for (var c = 0u; c < 4u; c++) {
                    if (i + c < params.count) {
                        store_output(place + c * params.output_count_stride, sum[v][c]);
                    }
                }
            }
        }
    }
}
