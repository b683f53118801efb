// log(1 + x); the series 2 artanh(x / (2 + x)) where the sum would round x away.
fn log_plus1(x: F) -> F {
    let s = x / (F(2.0) + x);
    let z = s * s;
    let series = F(2.0) * s * (F(1.0) + z * (F(0.333333333) + z * (F(0.2) + z * (F(0.142857143) + z * F(0.111111111)))));
    return select(log(F(1.0) + x), series, abs(x) < F(0.3));
}
