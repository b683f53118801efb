// The inverse of erf: x times a polynomial of w = -log(1 - x^2), another one in the tails (Giles, "Approximating the erfinv
// function", 2012, for single precision). Infinite at -1 and 1, NaN past them.
fn error_function_inverse(x: F) -> F {
    let w = -log((F(1.0) - x) * (F(1.0) + x));
    let m = w - F(2.5);
    let middle = F(1.50140941) + m * (F(0.246640727) + m * (F(-0.00417768164) + m * (F(-0.00125372503) + m * (F(0.00021858087) + m * (F(-4.39150654e-6) + m * (F(-3.5233877e-6) + m * (F(3.43273939e-7) + m * F(2.81022636e-8))))))));
    let t = sqrt(w) - F(3.0);
    let tail = F(2.83297682) + t * (F(1.00167406) + t * (F(0.00943887047) + t * (F(-0.0076224613) + t * (F(0.00573950773) + t * (F(-0.00367342844) + t * (F(0.00134934322) + t * (F(0.000100950558) + t * F(-0.000200214257))))))));
    let infinity = bitcast<F>(U(0x7f800000u) | (bitcast<U>(x) & U(0x80000000u)));
    return select(x * select(tail, middle, w < F(5.0)), infinity, abs(x) == F(1.0));
}
