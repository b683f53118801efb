// Eight neighbouring numbers of 32 bits as four of 64, the first of two in the lower half.
fn low_four(eight: vec4<u64>) -> U {
    return U(u32(eight.x), u32(eight.x >> 32u), u32(eight.y), u32(eight.y >> 32u));
}

fn high_four(eight: vec4<u64>) -> U {
    return U(u32(eight.z), u32(eight.z >> 32u), u32(eight.w), u32(eight.w >> 32u));
}

fn pair(low: u32, high: u32) -> u64 { return u64(low) | (u64(high) << 32u); }

fn eight(low: U, high: U) -> vec4<u64> {
    return vec4<u64>(pair(low.x, low.y), pair(low.z, low.w), pair(high.x, high.y), pair(high.z, high.w));
}
