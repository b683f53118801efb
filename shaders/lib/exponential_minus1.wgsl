// e^x - 1; a series where the difference would cancel.
fn exponential_minus1(x: F) -> F {
    let series = x * (F(1.0) + x * (F(0.5) + x * (F(0.166666667) + x * (F(0.0416666667) + x * (F(0.00833333333) + x * (F(0.00138888889) + x * F(0.000198412698)))))));
    return select(exp(x) - F(1.0), series, abs(x) < F(0.35));
}
