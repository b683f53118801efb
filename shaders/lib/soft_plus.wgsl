// log(1 + e^x), from the side that does not overflow.
fn soft_plus(x: F) -> F { return max(x, F(0.0)) + log_plus1(exp(-abs(x))); }
