// The gradient of a convolution's weight:
//
//   output[o, i, r, s] = sum over n, y, x of
//       grad[n, o, y, x] * input[n, g * C + i, y * STRIDE_Y - PAD_Y + r * DILATION_Y,
//                                               x * STRIDE_X - PAD_X + s * DILATION_X]
//
// g = o / OUT_PER_GROUP is the group of o and C = IN_PER_GROUP; positions outside the input count as 0. All tensors are
// contiguous, shaped as in conv_forward.wgsl.

@group(0) @binding(0) var<storage, read> grad: array<Element>;
@group(0) @binding(1) var<storage, read> input: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Sum>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_grad(index: u32) -> f32 {
    return f32(grad[params.grad_offset + index]);
}

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Sum(value);
}
