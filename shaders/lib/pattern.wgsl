// Formulas of the index of elements.

// From start to end, counted from the nearer end, so that both are exact; one step is the start.
fn between(place: U, start: f32, end: f32, step: f32, steps: u32) -> F {
    let last = max(steps, 1u) - 1u;
    let up = F(start) + F(place) * step;
    let down = F(end) - F(U(last) - min(place, U(last))) * step;
    return select(down, up, place < U(max(steps / 2u, u32(steps == 1u))));
}

// column - row in [.., rows, columns].
fn diagonals(place: U, rows: u32, columns: u32) -> I {
    return bitcast<I>(place % U(columns)) - bitcast<I>((place / U(columns)) % U(rows));
}
