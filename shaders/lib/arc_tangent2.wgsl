// atan2 by quadrants, and by the signs of zeros: the angle of (|x|, |y|), seen from the half plane and the side it is on.
fn arc_tangent2(y: F, x: F) -> F {
    let pi = F(3.14159265);
    let half = F(1.57079633);
    let up = abs(y);
    let across = abs(x);
    let on_axis = across == F(0.0);
    // Two infinities are as far; 0 over 0 is 0.
    let is_diagonal = (up == across) & (up > F(0.0));
    let quotient = select(up / select(across, F(1.0), on_axis), F(1.0), is_diagonal);
    let acute = select(arc_tangent(quotient), half, on_axis & (up > F(0.0)));
    let sign = U(0x80000000u);
    let angle = select(acute, pi - acute, (bitcast<U>(x) & sign) != U(0u));
    return bitcast<F>(bitcast<U>(angle) | (bitcast<U>(y) & sign));
}
