// asin and acos by way of the arc tangent; drivers' own are off by 2e-4.
fn arc_sine(x: F) -> F { return arc_tangent(x / sqrt((F(1.0) - x) * (F(1.0) + x))); }
fn arc_cosine(x: F) -> F { return F(2.0) * arc_tangent(sqrt((F(1.0) - x) / (F(1.0) + x))); }
