// Neighbouring numbers of 32 bits as numbers of 64, the first of two in the lower half.
fn four_of_pairs(pairs: vec2<u64>) -> vec4<u32> {
    return vec4(u32(pairs.x), u32(pairs.x >> 32u), u32(pairs.y), u32(pairs.y >> 32u));
}

// The first four of eight, or the second.
fn four_of(eight: vec4<u64>, half: u32) -> vec4<u32> {
    return four_of_pairs(select(eight.xy, eight.zw, half == 1u));
}

fn pair(low: u32, high: u32) -> u64 { return u64(low) | (u64(high) << 32u); }

fn eight(low: vec4<u32>, high: vec4<u32>) -> vec4<u64> {
    return vec4(pair(low.x, low.y), pair(low.z, low.w), pair(high.x, high.y), pair(high.z, high.w));
}

fn floats_of(eight: vec4<u64>) -> mat2x4<f32> {
    return mat2x4<f32>(bitcast<vec4<f32>>(four_of(eight, 0u)), bitcast<vec4<f32>>(four_of(eight, 1u)));
}

fn eight_of(low: vec4<f32>, high: vec4<f32>) -> vec4<u64> {
    return eight(bitcast<vec4<u32>>(low), bitcast<vec4<u32>>(high));
}
