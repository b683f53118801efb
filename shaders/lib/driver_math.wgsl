// Elementary functions for a driver whose own are wrong (see src/shader/driver_math.rs).
fn driver_nan(x: F) -> vec_bool { return (bitcast<U>(x) & U(0x7fffffffu)) > U(0x7f800000u); }

fn driver_exp(x: F) -> F { return select(exp(x), x, driver_nan(x)); }

// A logarithm's value, put right where x is not above 0. -1 / 0 is minus infinity, which no constant can be; the root is
// NaN.
fn driver_logarithm(x: F, value: F) -> F {
    let minus_infinity = F(-1.0) / abs(x - x);
    let at_most_zero = select(minus_infinity, sqrt(x), x < F(0.0));
    return select(select(value, at_most_zero, x <= F(0.0)), x, driver_nan(x));
}

fn driver_log(x: F) -> F { return driver_logarithm(x, log(x)); }

fn driver_log2(x: F) -> F { return driver_logarithm(x, log2(x)); }

// Sine and cosine of what is left of x after whole quarter turns, taken off in three parts (Cody and Waite 1980), by
// the polynomials of Cephes (Moshier 1992). Infinities give NaN.
fn driver_turn(x: F, quarter: F) -> F {
    let turns = round(x * F(0.6366197724));
    let rest = ((x - turns * F(1.5703125)) - turns * F(4.837512969970703e-4)) - turns * F(7.549789948768648e-8);
    let square = rest * rest;
    let sine = ((F(-1.9515295891e-4) * square + F(8.3321608736e-3)) * square - F(1.6666654611e-1)) * square * rest + rest;
    let cosine = ((F(2.443315711809948e-5) * square - F(1.388731625493765e-3)) * square + F(4.166664568298827e-2)) * square * square
        - F(0.5) * square + F(1.0);
    let place = (I(turns) + I(quarter)) & I(3);
    let value = select(sine, cosine, (place & I(1)) == I(1));
    return select(value, -value, (place & I(2)) == I(2));
}

fn driver_sin(x: F) -> F { return driver_turn(x, F(0.0)); }

fn driver_cos(x: F) -> F { return driver_turn(x, F(1.0)); }

fn driver_tan(x: F) -> F { return driver_turn(x, F(0.0)) / driver_turn(x, F(1.0)); }
