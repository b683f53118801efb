// 1 / (1 + e^-x), from the side that does not overflow.
fn logistic(x: F) -> F {
    let e = exp(-abs(x));
    return select(e, F(1.0), x >= F(0.0)) / (F(1.0) + e);
}
