// x^y by squaring, modulo 2^32. A negative exponent gives 0 but for the bases 1 and -1, whose powers they are again.
fn integer_power(x: I, y: I) -> I {
    var power = I(1);
    var square = x;
    var left = bitcast<U>(y);
    for (var bit = 0u; bit < 32u; bit++) {
        power = select(power, power * square, (left & U(1u)) == U(1u));
        square = square * square;
        left = left >> U(1u);
    }
    return select(power, I(0), (y < I(0)) & (abs(x) != I(1)));
}
