// A convolution:
//
//   output[n, o, y, x] = sum over i, r, s of
//       weight[o, i, r, s] * input[n, g * C + i, y * STRIDE_Y - PAD_Y + r * DILATION_Y,
//                                               x * STRIDE_X - PAD_X + s * DILATION_X]
//
// g = o / OUT_PER_GROUP is the group of o and C = IN_PER_GROUP; positions outside the input count as 0. input is
// contiguous [N, GROUPS * IN_PER_GROUP, IN_HEIGHT, IN_WIDTH], weight contiguous
// [GROUPS * OUT_PER_GROUP, IN_PER_GROUP, KERNEL_Y, KERNEL_X], output contiguous
// [N, GROUPS * OUT_PER_GROUP, OUT_HEIGHT, OUT_WIDTH].

@group(0) @binding(0) var<storage, read> input: array<Element>;
@group(0) @binding(1) var<storage, read> weight: array<Element>;
@group(0) @binding(2) var<storage, read_write> output: array<Sum>;
@group(0) @binding(3) var<uniform> params: Params;

fn load_input(index: u32) -> f32 {
    return f32(input[params.input_offset + index]);
}

fn load_weight(index: u32) -> f32 {
    return f32(weight[params.weight_offset + index]);
}

fn store_output(index: u32, value: f32) {
    output[index] = Sum(value);
}
