// Elementary functions for a driver whose own are wrong (see src/shader/driver_math.rs).
// `driver_F`, `driver_I`, `driver_U` and `driver_B` are vectors of four, or single numbers.
fn driver_nan(x: driver_F) -> driver_B { return (bitcast<driver_U>(x) & driver_U(0x7fffffffu)) > driver_U(0x7f800000u); }

fn driver_exp(x: driver_F) -> driver_F { return select(exp(x), x, driver_nan(x)); }

// A logarithm's value, put right where x is not above 0. -1 / 0 is minus infinity, which no constant can be; the root is
// NaN.
fn driver_logarithm(x: driver_F, value: driver_F) -> driver_F {
    let minus_infinity = driver_F(-1.0) / abs(x - x);
    let at_most_zero = select(minus_infinity, sqrt(x), x < driver_F(0.0));
    return select(select(value, at_most_zero, x <= driver_F(0.0)), x, driver_nan(x));
}

fn driver_log(x: driver_F) -> driver_F { return driver_logarithm(x, log(x)); }

fn driver_log2(x: driver_F) -> driver_F { return driver_logarithm(x, log2(x)); }

// Sine and cosine of what is left of x after whole quarter turns, taken off in three parts (Cody and Waite 1980), by
// the polynomials of Cephes (Moshier 1992). Infinities give NaN.
fn driver_turn(x: driver_F, quarter: driver_F) -> driver_F {
    let turns = round(x * driver_F(0.6366197724));
    let rest = ((x - turns * driver_F(1.5703125)) - turns * driver_F(4.837512969970703e-4)) - turns * driver_F(7.549789948768648e-8);
    let square = rest * rest;
    let sine = ((driver_F(-1.9515295891e-4) * square + driver_F(8.3321608736e-3)) * square - driver_F(1.6666654611e-1)) * square * rest + rest;
    let cosine = ((driver_F(2.443315711809948e-5) * square - driver_F(1.388731625493765e-3)) * square + driver_F(4.166664568298827e-2)) * square * square
        - driver_F(0.5) * square + driver_F(1.0);
    let place = (driver_I(turns) + driver_I(quarter)) & driver_I(3);
    let value = select(sine, cosine, (place & driver_I(1)) == driver_I(1));
    return select(value, -value, (place & driver_I(2)) == driver_I(2));
}

fn driver_sin(x: driver_F) -> driver_F { return driver_turn(x, driver_F(0.0)); }

fn driver_cos(x: driver_F) -> driver_F { return driver_turn(x, driver_F(1.0)); }

fn driver_tan(x: driver_F) -> driver_F { return driver_turn(x, driver_F(0.0)) / driver_turn(x, driver_F(1.0)); }
