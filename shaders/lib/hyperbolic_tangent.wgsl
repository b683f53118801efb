// tanh: 1 - 2 / (e^2x + 1) by magnitude, which neither overflows nor cancels above 0.625; below, a polynomial
// (Cephes, Moshier 1989: tanhf). Needs not_a_number.
fn hyperbolic_tangent(x: F) -> F {
    let size = abs(x);
    let z = x * x;
    let series = ((((F(-5.70498872745e-3) * z + F(2.06390887954e-2)) * z - F(5.37397155531e-2)) * z + F(1.33314422036e-1)) * z - F(3.33332819422e-1)) * z * x + x;
    let far = F(1.0) - F(2.0) / (exp(F(2.0) * min(size, F(20.0))) + F(1.0));
    let value = select(sign(x) * far, series, size < F(0.625));
    return select(value, x, not_a_number(x));
}
