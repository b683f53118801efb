// The exact remainder of x / y with the sign of x, as C's fmod: y is taken off at every power of two that fits, which
// rounds nothing. At most 254 steps, one more than the exponents' distance.
fn exact_remainder(x: f32, y: f32) -> f32 {
    let dividend = bitcast<u32>(x) & 0x7fffffffu;
    let divisor = bitcast<u32>(y) & 0x7fffffffu;
    if (dividend >= 0x7f800000u || divisor > 0x7f800000u || divisor < 0x00800000u) {
        return bitcast<f32>(0x7fc00000u | (divisor & 1u));
    }
    var rest = bitcast<f32>(dividend);
    var shift = i32(dividend >> 23u) - i32(divisor >> 23u);
    while (shift >= 0) {
        let part = bitcast<f32>(divisor + (u32(shift) << 23u));
        rest = select(rest, rest - part, rest >= part);
        shift -= 1;
    }
    return bitcast<f32>(bitcast<u32>(rest) | (bitcast<u32>(x) & 0x80000000u));
}

fn remainder_of_first(x: F, y: F) -> F {
    return F(exact_remainder(x.x, y.x), exact_remainder(x.y, y.y), exact_remainder(x.z, y.z), exact_remainder(x.w, y.w));
}

// The remainder with the sign of y.
fn remainder_of_second(x: F, y: F) -> F {
    let rest = remainder_of_first(x, y);
    return select(rest, rest + y, (rest != F(0.0)) & ((rest < F(0.0)) != (y < F(0.0))));
}

// floor(x / y), of the exact quotient; by 0 the plain quotient.
fn floored_quotient(x: F, y: F) -> F {
    let rest = remainder_of_first(x, y);
    let whole = (x - rest) / y;
    let other_side = (rest != F(0.0)) & ((rest < F(0.0)) != (y < F(0.0)));
    let exact = select(whole, whole - F(1.0), other_side);
    let nearest = floor(exact + F(0.5));
    return select(nearest, x / y, y == F(0.0));
}
