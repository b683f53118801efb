// Division by a size that is a parameter: the size itself and what `n / size` takes, a factor and two shifts
// (src/shader/sizes.rs). Exact for every n. Software drivers divide by a variable lane by lane.
fn size_quotient(n: u32, size: vec4<u32>) -> u32 {
    // The upper half of n times the factor.
    let low = n & 0xffffu;
    let high = n >> 16u;
    let factor_low = size.y & 0xffffu;
    let factor_high = size.y >> 16u;
    let a = low * factor_low;
    let b = high * factor_low + (a >> 16u);
    let c = low * factor_high + (b & 0xffffu);
    let t = high * factor_high + (b >> 16u) + (c >> 16u);
    return (t + ((n - t) >> size.z)) >> size.w;
}

fn size_remainder(n: u32, size: vec4<u32>) -> u32 {
    return n - size_quotient(n, size) * size.x;
}

