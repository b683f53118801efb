// x^y by PyTorch's rules: a negative base takes whole exponents (odd ones keep the sign) and gives NaN for others, minus
// infinity takes all; anything to the power of 0 is 1, and 1 to any; 0 to a negative power is infinite. WGSL's pow is
// undefined for a negative base, on some drivers 0 for a base of 0, a number for NaN, and infinite for the largest floats to
// the power of 1. Needs not_a_number.
fn power(x: F, y: F) -> F {
    let whole = y == floor(y);
    let odd = abs(y - F(2.0) * floor(y * F(0.5))) == F(1.0);
    let size = select(pow(abs(x), y), F(1.0), abs(x) == F(1.0));
    // No constant, which must be a number in WGSL.
    let nan = bitcast<F>(bitcast<U>(x) | U(0x7fc00000u));
    let signed_size = select(select(nan, size, whole | infinite(x)), -size, whole & odd);
    let by_sign = select(size, signed_size, x < F(0.0));
    let sign_of_zero = select(U(0u), bitcast<U>(x) & U(0x80000000u), odd);
    let of_zero = select(F(0.0), bitcast<F>(U(0x7f800000u) | sign_of_zero), y < F(0.0));
    let value = select(by_sign, of_zero, (x == F(0.0)) & !not_a_number(y));
    let of_numbers = select(value, x, y == F(1.0));
    let is_one = (y == F(0.0)) | (x == F(1.0));
    return select(select(of_numbers, nan, not_a_number(x) | not_a_number(y)), F(1.0), is_one);
}
