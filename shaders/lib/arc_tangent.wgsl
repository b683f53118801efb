// atan by reduction to |x| <= tan(pi/8) and a polynomial (Cephes, Moshier 1989: atanf).
fn arc_tangent(x: F) -> F {
    let size = abs(x);
    let far = size > F(2.41421356);
    let middle = (size > F(0.41421356)) & !far;
    let reduced = select(select(size, (size - F(1.0)) / (size + F(1.0)), middle), F(-1.0) / size, far);
    let base = select(select(F(0.0), F(0.78539816), middle), F(1.57079633), far);
    let z = reduced * reduced;
    let series = (((F(8.05374449538e-2) * z - F(1.38776856032e-1)) * z + F(1.99777106478e-1)) * z - F(3.33329491539e-1)) * z;
    return sign(x) * (base + (series * reduced + reduced));
}
