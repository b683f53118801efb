// atan2 by quadrants.
fn arc_tangent2(y: F, x: F) -> F {
    let pi = F(3.14159265);
    let half = F(1.57079633);
    let quotient = arc_tangent(y / x);
    let left = select(quotient - pi, quotient + pi, y >= F(0.0));
    let off_axis = select(quotient, left, x < F(0.0));
    let on_axis = select(select(F(0.0), -half, y < F(0.0)), half, y > F(0.0));
    return select(off_axis, on_axis, x == F(0.0));
}
