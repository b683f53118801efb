// x^y by PyTorch's rules: a negative base takes whole exponents (odd ones keep the sign) and gives NaN for
// others; 0^0 is 1. WGSL's pow is undefined for a negative base.
fn power(x: F, y: F) -> F {
    let whole = y == floor(y);
    let odd = abs(y - F(2.0) * floor(y * F(0.5))) == F(1.0);
    let size = pow(abs(x), y);
    let nan = bitcast<F>(U(0x7fc00000u));
    let signed_size = select(select(nan, size, whole), -size, whole & odd);
    let by_sign = select(size, signed_size, x < F(0.0));
    return select(by_sign, F(1.0), y == F(0.0));
}
