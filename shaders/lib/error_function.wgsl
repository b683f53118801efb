// erf: its Maclaurin series below 1; above, 1 - poly(t) e^(-x^2) with t = 1 / (1 + p x)
// (Abramowitz and Stegun 7.1.26, absolute error 1.5e-7).
fn error_function(x: F) -> F {
    let size = abs(x);
    let z = x * x;
    let series = x * F(1.12837917) * (F(1.0) + z * (F(-0.333333333) + z * (F(0.1) + z * (F(-0.0238095238) + z * (F(0.00462962963) + z * (F(-0.000757575758) + z * (F(0.000106837607) + z * (F(-1.32275132e-5) + z * F(1.45891690e-6)))))))));
    let t = F(1.0) / (F(1.0) + F(0.3275911) * size);
    let tail = t * (F(0.254829592) + t * (F(-0.284496736) + t * (F(1.421413741) + t * (F(-1.453152027) + t * F(1.061405429))))) * exp(-min(z, F(100.0)));
    return select(sign(x) * (F(1.0) - tail), series, size < F(1.0));
}
