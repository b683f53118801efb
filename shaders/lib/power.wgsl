// x^y by PyTorch's rules: a negative base takes whole exponents (odd ones keep the sign) and gives NaN for
// others; 0^0 is 1, and 0 to a negative power infinite. WGSL's pow is undefined for a negative base, and 0 for a
// base of 0 on some drivers. Needs not_a_number.
fn power(x: F, y: F) -> F {
    let whole = y == floor(y);
    let odd = abs(y - F(2.0) * floor(y * F(0.5))) == F(1.0);
    let size = pow(abs(x), y);
    // No constant, which must be a number in WGSL.
    let nan = bitcast<F>(bitcast<U>(x) | U(0x7fc00000u));
    let signed_size = select(select(nan, size, whole), -size, whole & odd);
    let by_sign = select(size, signed_size, x < F(0.0));
    let sign_of_zero = select(U(0u), bitcast<U>(x) & U(0x80000000u), odd);
    let of_zero = select(F(0.0), bitcast<F>(U(0x7f800000u) | sign_of_zero), y < F(0.0));
    let value = select(by_sign, of_zero, (x == F(0.0)) & !not_a_number(y));
    return select(value, F(1.0), y == F(0.0));
}
