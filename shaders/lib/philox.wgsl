// Philox4x32-10 (Salmon et al. 2011): four random words from a counter and a key. One group of four elements
// takes one counter, so element i has the same value on every adapter.
fn multiply_high(a: u32, b: u32) -> u32 {
    let a0 = a & 0xffffu;
    let a1 = a >> 16u;
    let b0 = b & 0xffffu;
    let b1 = b >> 16u;
    let low = a0 * b0;
    let middle = a1 * b0 + (low >> 16u);
    let other = a0 * b1 + (middle & 0xffffu);
    return a1 * b1 + (middle >> 16u) + (other >> 16u);
}

fn philox(quad: u32, key_low: u32, key_high: u32, first_low: u32, first_high: u32) -> U {
    let low = first_low + quad;
    var x = U(low, first_high + select(0u, 1u, low < first_low), 0u, 0u);
    var key0 = key_low;
    var key1 = key_high;
    for (var round = 0u; round < 10u; round++) {
        let a_low = x.x * 0xD2511F53u;
        let a_high = multiply_high(x.x, 0xD2511F53u);
        let b_low = x.z * 0xCD9E8D57u;
        let b_high = multiply_high(x.z, 0xCD9E8D57u);
        x = U(b_high ^ x.y ^ key0, b_low, a_high ^ x.w ^ key1, a_low);
        key0 += 0x9E3779B9u;
        key1 += 0xBB67AE85u;
    }
    return x;
}

// The upper half of the product: a whole number below `range`.
fn philox_below(words: U, range: u32) -> U {
    return U(multiply_high(words.x, range), multiply_high(words.y, range), multiply_high(words.z, range), multiply_high(words.w, range));
}

// 24 bits of each word: uniform over [0, 1), every value exact in f32.
fn philox_uniform(words: U) -> F { return F(words >> U(8u)) * F(5.9604644775390625e-8); }

// -ln(1 - u). Near 1 a logarithm has few digits that count, so small u go by the series.
fn philox_minus_log(u: F) -> F {
    let series = u * (F(1.0) + u * (F(0.5) + u * (F(0.33333334) + u * F(0.25))));
    return select(-log(F(1.0) - u), series, u < F(0.015625));
}

// Box and Muller: two uniform numbers make two normal ones. 1 - u is never 0.
fn philox_normal(words: U) -> F {
    let u = philox_uniform(words);
    let radius = sqrt(F(2.0) * philox_minus_log(u.xxzz));
    let angle = 6.28318531 * u.yyww;
    let cosine = cos(angle);
    let sine = sin(angle);
    return radius * vec4(cosine.x, sine.y, cosine.z, sine.w);
}
