// The gradient of a convolution's input:
//
//   output[n, g * C + i, y, x] = sum over o, r, s of
//       weight[o, i, r, s] * grad[n, o, (y + PAD_Y - r * DILATION_Y) / STRIDE_Y,
//                                       (x + PAD_X - s * DILATION_X) / STRIDE_X]
//
// over the output channels o of group g and those r, s for which both divisions leave no remainder; C = IN_PER_GROUP;
// positions outside grad count as 0. All tensors are contiguous, shaped as in conv_forward.wgsl.

@group(0) @binding(0) var<storage, read> grad: array<Element>;
@group(0) @binding(1) var<storage, read> weight: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Sum>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_grad(index: u32) -> f32 {
    return f32(grad[params.grad_offset + index]);
}

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Sum(value);
}
