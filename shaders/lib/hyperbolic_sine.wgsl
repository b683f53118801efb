// (e^x - e^-x) / 2; a series where the difference would cancel.
fn hyperbolic_sine(x: F) -> F {
    let z = x * x;
    let series = x * (F(1.0) + z * (F(0.166666667) + z * (F(0.00833333333) + z * (F(0.000198412698) + z * F(2.75573192e-6)))));
    return select((exp(x) - exp(-x)) * F(0.5), series, abs(x) < F(1.0));
}
