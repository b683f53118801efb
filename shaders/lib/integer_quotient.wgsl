// floor(x / y) and the remainder with the sign of y. By 0 the quotient is x and the remainder 0, as for WGSL's own.
fn floored_remainder(x: I, y: I) -> I {
    let rest = x % y;
    return select(rest, rest + y, (rest != I(0)) & ((rest < I(0)) != (y < I(0))));
}

fn floored_division(x: I, y: I) -> I {
    let rest = x % y;
    return select(x / y, x / y - I(1), (rest != I(0)) & ((rest < I(0)) != (y < I(0))));
}
